//! Gives the interpreter's module an export that it lacks.

use std::error::Error;

use wasmparser::{BinaryReaderError, KnownCustom, Name, NameSectionReader, Parser, Payload};

use super::guest::INTERRUPT;

/// The interpreter's function that marks it as interrupted.
const SET_INTERRUPT: &str = "PyErr_SetInterruptEx";

/// The kind of the section that lists exports.
const EXPORTS: u8 = 7;

/// The module with one more export: the function by which the interpreter is told of an interruption. Its own exports
/// have no way to stop a program without losing the session.
pub(super) fn with_interrupt(module: &[u8]) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let (mut function, mut exports) = (None, None);
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if let Payload::ExportSection(section) = &payload {
            exports = Some((section.range(), section.count()));
        }
        if let Payload::CustomSection(section) = payload
            && let KnownCustom::Name(names) = section.as_known()
        {
            function = named(names, SET_INTERRUPT)?;
        }
    }
    let function = function.ok_or("the interpreter has no function that interrupts it")?;
    let (range, count) = exports.ok_or("the interpreter exports nothing")?;
    let section = module.get(range.clone()).ok_or("the module is cut off")?;
    let entries = section.get(number(count).len()..).ok_or("the module is cut off")?;
    let name = number(u32::try_from(INTERRUPT.len())?);
    let of_kind_function = [0];
    let content =
        [&number(count + 1), entries, &name, INTERRUPT.as_bytes(), &of_kind_function, &number(function)]
            .concat();
    // A section begins with its kind and its length.
    let before = range.start - number(u32::try_from(section.len())?).len();
    let head = module.get(..before).ok_or("the module is cut off")?;
    if head.last() != Some(&EXPORTS) {
        return Err("the module is written in a way that is not known here".into());
    }
    let rest = module.get(range.end..).ok_or("the module is cut off")?;
    Ok([head, &number(u32::try_from(content.len())?), &content, rest].concat())
}

/// The number of the function that has this name.
fn named(sections: NameSectionReader<'_>, wanted: &str) -> Result<Option<u32>, BinaryReaderError> {
    for names in sections {
        if let Name::Function(names) = names? {
            let mut names = names.into_iter().filter_map(Result::ok);
            return Ok(names.find(|name| name.name == wanted).map(|name| name.index));
        }
    }
    Ok(None)
}

/// A number as WebAssembly writes it: seven bits a byte, the last byte without its highest bit.
fn number(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}
