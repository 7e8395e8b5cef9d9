//! EPUB: pages of HTML, packed, and a list that says in which order to read them.

use std::collections::HashMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::archive::Archive;
use crate::draft::Draft;
use crate::{Limits, Unreadable, encoding, html};

/// Reads a book, chapter by chapter.
pub(crate) fn read(bytes: &[u8], limits: &Limits, draft: &mut Draft) -> Result<(), Unreadable> {
    let mut archive = Archive::open(bytes, limits)?;
    let container = archive.part("META-INF/container.xml")?;
    let mut package = None;
    elements(&container, |name, element| {
        if name == "rootfile" && package.is_none() {
            package = attribute(element, "full-path");
        }
    })?;
    let package = package.ok_or_else(|| Unreadable::invalid("The file is damaged: it has no contents."))?;
    let folder = package.rsplit_once('/').map_or("", |(folder, _)| folder);
    for chapter in spine(&archive.part(&package)?)? {
        // A chapter that is listed and not there is no reason to lose the others.
        if let Ok(page) = archive.part(&path(folder, &chapter)) {
            html::fragment(&encoding::decode_markup(&page)?, draft)?;
        }
    }
    Ok(())
}

/// The chapters in reading order, as they are referred to.
fn spine(package: &[u8]) -> Result<Vec<String>, Unreadable> {
    let mut files: HashMap<String, String> = HashMap::new();
    let mut order = Vec::new();
    elements(package, |name, element| match name {
        "item" => {
            if let (Some(id), Some(file)) = (attribute(element, "id"), attribute(element, "href")) {
                files.insert(id, file);
            }
        }
        "itemref" => order.extend(attribute(element, "idref")),
        _ => {}
    })?;
    Ok(order.into_iter().filter_map(|id| files.remove(&id)).collect())
}

/// Calls `each` with the name, without its prefix, of each element.
fn elements(xml: &[u8], mut each: impl FnMut(&str, &BytesStart<'_>)) -> Result<(), Unreadable> {
    let text = encoding::decode_markup(xml)?;
    let mut reader = Reader::from_str(&text);
    loop {
        match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) => {
                each(element.local_name().as_ref(), &element);
            }
            Ok(Event::Eof) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(Unreadable::Invalid(format!("The file is damaged: {error}."))),
        }
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).ok()??;
    Some(attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?.into_owned())
}

/// The part that a reference in a folder means: `../text/a%20b.xhtml#top`.
fn path(folder: &str, reference: &str) -> String {
    let file = reference.split('#').next().unwrap_or_default();
    let file = percent_encoding::percent_decode_str(file).decode_utf8_lossy().into_owned();
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_followed_within_the_book() {
        assert_eq!(path("OEBPS/x", "../text/a%20b.xhtml#top"), "OEBPS/text/a b.xhtml");
        assert_eq!(path("", "../../../etc/passwd"), "etc/passwd");
    }
}
