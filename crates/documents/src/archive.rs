//! What is packed in a ZIP file: Office documents and EPUB are ZIP files.

use std::borrow::Cow;
use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::draft::size;
use crate::{Limits, Unreadable};

/// A packed file, known to be no bomb.
pub(crate) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Archive<'a> {
    /// Opens a packed file and unpacks everything once, into nothing: what is written of sizes can be a lie, and
    /// parts can share their bytes.
    pub(crate) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, Unreadable> {
        let mut archive = Self { zip: ZipArchive::new(Cursor::new(bytes)).map_err(broken)? };
        let mut left = limits.unpacked_bytes;
        let mut nowhere = vec![0; 64 << 10];
        for index in 0..archive.zip.len() {
            let mut entry = archive.zip.by_index(index).map_err(broken)?;
            loop {
                let read = entry.read(&mut nowhere).map_err(|error| broken(ZipError::Io(error)))? as u64;
                if read > left {
                    let limit = size(limits.unpacked_bytes);
                    return Err(Unreadable::Invalid(format!("The file unpacks to more than {limit}.")));
                }
                if read == 0 {
                    break;
                }
                left -= read;
            }
        }
        Ok(archive)
    }

    /// The names of its parts, without unpacking anything.
    pub(crate) fn names(bytes: &[u8]) -> Result<Vec<String>, Unreadable> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
        Ok(zip.file_names().flatten().map(Cow::into_owned).collect())
    }

    /// A part by its name.
    pub(crate) fn part(&mut self, name: &str) -> Result<Vec<u8>, Unreadable> {
        let mut entry = self.zip.by_name(name).map_err(broken)?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| broken(ZipError::Io(error)))?;
        Ok(bytes)
    }
}

fn broken(error: ZipError) -> Unreadable {
    if let ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) = error {
        return Unreadable::invalid(crate::LOCKED);
    }
    Unreadable::Invalid(format!("The file is damaged: {error}."))
}
