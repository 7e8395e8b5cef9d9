//! Files' names in headers, both ways. They are data: whatever a client calls a file, it is told again.

use axum::http::header::{CONTENT_DISPOSITION, HeaderValue};
use multer::Field;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What RFC 5987 leaves as it is in an extended value.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The name of a form's file; empty where it has none. `filename*` wins, as RFC 6266 says: clients that write both
/// write the other for those who know only ASCII.
pub(super) fn of(field: &Field<'_>) -> String {
    let header =
        field.headers().get(CONTENT_DISPOSITION).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let extended = header.and_then(extended);
    extended.or_else(|| field.file_name().map(str::to_owned)).unwrap_or_default()
}

fn extended(header: &str) -> Option<String> {
    let (before, value) = header.split_once("filename*=")?;
    // Not a part of a quoted name.
    if before.matches('"').count() % 2 == 1 {
        return None;
    }
    let value = value.split(';').next()?.trim().trim_matches('"');
    let (charset, rest) = value.split_once('\'')?;
    let (_, name) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    percent_decode_str(name).decode_utf8().ok().map(|name| name.into_owned())
}

/// The header under which a file of this name is given out.
pub(super) fn attachment(name: &str) -> HeaderValue {
    let ascii: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
    let extended = utf8_percent_encode(name, PLAIN);
    HeaderValue::try_from(format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{extended}"))
        .unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

/// Whether a letter may stand between quotes in a header.
fn is_plain(letter: char) -> bool {
    letter == ' ' || (letter.is_ascii_graphic() && !matches!(letter, '"' | '\\' | '/' | '%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extended_name_is_read() {
        let name = |header| extended(header);
        assert_eq!(
            name("form-data; name=\"file\"; filename*=utf-8''%ED%95%9C.txt").as_deref(),
            Some("한.txt")
        );
        assert_eq!(
            name("form-data; filename=\"_.txt\"; filename*=UTF-8'ko'a%20b.txt; name=file").as_deref(),
            Some("a b.txt")
        );
        assert_eq!(name("form-data; name=\"file\"; filename=\"filename*=utf-8''x\""), None);
        assert_eq!(name("form-data; name=\"file\"; filename*=utf-16''x"), None);
        assert_eq!(name("form-data; name=\"file\"; filename*=utf-8''%FF"), None);
    }

    #[test]
    fn a_name_cannot_leave_its_header() {
        let header = attachment("a\"b\\\r\nSet-Cookie: x/../한.txt");
        let text = header.to_str().unwrap();
        assert_eq!(
            text,
            "attachment; filename=\"a_b___Set-Cookie: x_..__.txt\"; \
             filename*=UTF-8''a%22b%5C%0D%0ASet-Cookie%3A%20x%2F..%2F%ED%95%9C.txt"
        );
    }
}
