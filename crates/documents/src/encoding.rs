//! Bytes as characters, whatever they were written in.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::Unreadable;

/// How many bytes the detection looks at, from the first that is not ASCII.
const SAMPLE_BYTES: usize = 256 << 10;

/// The text of plain text: by its byte order mark, else UTF-8 if it is that, else UTF-16 if it has the zeros
/// of it, else what the frequencies of its bytes say: Korean, Japanese, Chinese, Cyrillic and other
/// encodings from before Unicode.
///
/// # Errors
/// [`Unreadable::Unsupported`] for bytes that are no text.
pub(crate) fn decode(bytes: &[u8]) -> Result<String, Unreadable> {
    decode_as(bytes, None)
}

/// The text of HTML or XML, which may name its encoding.
pub(crate) fn decode_markup(bytes: &[u8]) -> Result<String, Unreadable> {
    decode_as(bytes, named(bytes))
}

fn decode_as(bytes: &[u8], named: Option<&'static Encoding>) -> Result<String, Unreadable> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return checked(encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned());
    }
    if bytes.contains(&0) {
        return utf_16(bytes).ok_or(Unreadable::Unsupported);
    }
    // A file that says it is Latin and is valid UTF-8 is UTF-8: by chance that hardly happens.
    if let Ok(text) = std::str::from_utf8(bytes) {
        return checked(if bytes.contains(&0x1b) { detected(bytes) } else { text.to_owned() });
    }
    match named {
        Some(encoding) => checked(encoding.decode_without_bom_handling(bytes).0.into_owned()),
        None => checked(detected(bytes)),
    }
}

fn detected(bytes: &[u8]) -> String {
    let start = bytes.iter().position(|byte| !byte.is_ascii() || *byte == 0x1b).unwrap_or(0);
    let sample = &bytes[start..bytes.len().min(start + SAMPLE_BYTES)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, start + sample.len() == bytes.len());
    let encoding = detector.guess(None, Utf8Detection::Allow);
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

/// Older encodings never hold a zero, UTF-16 nearly always does: it is half of every blank and line end. Read
/// in the wrong order, those become rare signs.
fn utf_16(bytes: &[u8]) -> Option<String> {
    let readings = [UTF_16LE, UTF_16BE].into_iter().filter_map(|encoding| {
        let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
        checked(text.into_owned()).ok()
    });
    readings.max_by_key(|text| {
        let blanks = text.chars().filter(|c| matches!(c, ' ' | '\n')).count();
        (blanks, text.chars().filter(char::is_ascii).count())
    })
}

/// Refuses text that has more of what text never holds than a slip explains.
fn checked(text: String) -> Result<String, Unreadable> {
    let strange = text.chars().filter(|c| is_strange(*c)).count();
    if strange * 50 > text.chars().count() { Err(Unreadable::Unsupported) } else { Ok(text) }
}

fn is_strange(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' | '\u{8}' | '\u{b}' | '\u{c}' | '\u{1a}' | '\u{1b}' => false,
        // What cannot be decoded, what is not assigned for ever, and what only private fonts show.
        '\u{fffd}' | '\u{fdd0}'..='\u{fdef}' | '\u{fff0}'..='\u{fff8}' | '\u{e000}'..='\u{f8ff}' => true,
        other => other.is_control(),
    }
}

/// What `<meta charset=…>`, `<meta … content="text/html; charset=…">` or `<?xml encoding="…"?>` names.
fn named(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).to_ascii_lowercase();
    let after = ["charset", "encoding"]
        .iter()
        .find_map(|word| head.split(word).nth(1)?.trim_start().strip_prefix('='))?;
    let label: String = after
        .trim_start_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'')
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .collect();
    // A page that could be read so far as to find this is not in UTF-16, whatever it says.
    Encoding::for_label(label.as_bytes()).map(|found| if found.is_ascii_compatible() { found } else { UTF_8 })
}

#[cfg(test)]
mod tests {
    use encoding_rs::{BIG5, EUC_JP, EUC_KR, GB18030, ISO_2022_JP, SHIFT_JIS, WINDOWS_1251, WINDOWS_1252};

    use super::*;

    const KOREAN: &str = "구매일로부터 7일 이내에는 환불할 수 있습니다. 영수증을 꼭 보관해 주십시오.";
    const JAPANESE: &str = "ご購入から七日以内であれば、返品を承ります。レシートを保管してください。";
    const SIMPLIFIED: &str = "自购买之日起七天内可以退款。请务必保留收据，以便办理相关手续。";
    const TRADITIONAL: &str = "自購買之日起七天內可以退款。請務必保留收據，以便辦理相關手續。";

    #[test]
    fn encodings_from_before_unicode_are_found() {
        for (encoding, text) in [
            (EUC_KR, KOREAN),
            (SHIFT_JIS, JAPANESE),
            (EUC_JP, JAPANESE),
            (ISO_2022_JP, JAPANESE),
            (GB18030, SIMPLIFIED),
            (BIG5, TRADITIONAL),
            (WINDOWS_1251, "Возврат возможен в течение семи дней со дня покупки."),
            (WINDOWS_1252, "Rückgabe innerhalb von sieben Tagen, außer für Wäsche."),
        ] {
            let (bytes, _, lost) = encoding.encode(text);
            assert!(!lost, "{} has all characters", encoding.name());
            assert_eq!(decode(&bytes).as_deref(), Ok(text), "{}", encoding.name());
        }
    }

    #[test]
    fn syllables_that_only_code_page_949_has_are_read() {
        let text = "똠방각하와 펲시콜라를 마시며 뷁을 외쳤다. 그는 웃었다.";
        assert_eq!(decode(&EUC_KR.encode(text).0).as_deref(), Ok(text));
    }

    #[test]
    fn unicode_is_found_with_and_without_a_mark() {
        for text in [KOREAN, JAPANESE, "Plain words.\n", "한글\n"] {
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let with = |mark: &[u8], rest: &[u8]| decode(&[mark, rest].concat());
            assert_eq!(with(&[0xff, 0xfe], &little).as_deref(), Ok(text));
            assert_eq!(with(&[0xfe, 0xff], &big).as_deref(), Ok(text));
            assert_eq!(with(b"\xef\xbb\xbf", text.as_bytes()).as_deref(), Ok(text));
            assert_eq!(decode(text.as_bytes()).as_deref(), Ok(text));
            if text != JAPANESE {
                assert_eq!(decode(&little).as_deref(), Ok(text));
                assert_eq!(decode(&big).as_deref(), Ok(text));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let noise: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert_eq!(decode(&noise), Err(Unreadable::Unsupported));
        assert_eq!(decode(&[0; 64]), Err(Unreadable::Unsupported));
        assert_eq!(
            decode(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0"),
            Err(Unreadable::Unsupported)
        );
    }

    #[test]
    fn a_page_may_name_its_encoding() {
        let page = EUC_KR.encode("<html><meta charset=\"euc-kr\"><p>짧다").0.into_owned();
        assert_eq!(decode_markup(&page).as_deref(), Ok("<html><meta charset=\"euc-kr\"><p>짧다"));
        let xml = SHIFT_JIS.encode("<?xml version='1.0' encoding='Shift_JIS'?><p>短い</p>").0.into_owned();
        assert!(decode_markup(&xml).is_ok_and(|text| text.contains("短い")));
    }

    #[test]
    fn one_slip_does_not_spoil_a_text() {
        let mut bytes = KOREAN.repeat(20).into_bytes();
        bytes.truncate(bytes.len() - 1);
        assert!(decode(&bytes).is_ok_and(|text| text.starts_with(KOREAN)));
    }
}
