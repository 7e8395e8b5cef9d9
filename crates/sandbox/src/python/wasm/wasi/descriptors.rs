//! Calls on what is open.

use super::{Call, Done, size};
use crate::python::wasm::errno::Errno;
use crate::python::wasm::host::Open;
use crate::python::wasm::tree::{Ino, Kind};

const UNKNOWN: u8 = 0;
const CHARACTERS: u8 = 2;
const FOLDER: u8 = 3;
const FILE: u8 = 4;
const LINK: u8 = 7;

const APPEND: u32 = 1;

/// Rights, as bits: reading, moving about, writing. What cannot move about and is a device is a terminal to the
/// guest's library, so what is no file has all rights, too.
pub(super) const READ: u64 = 1 << 1;
pub(super) const WRITE: u64 = 1 << 6;
const ALL: u64 = (1 << 29) - 1;

/// Which times are set.
const MODIFIED: u32 = 4;
const MODIFIED_NOW: u32 = 8;

const ENTRY_BYTES: usize = 24;

impl Call<'_> {
    pub(super) fn fd_advise(&mut self, fd: u32, _: u64, _: u64, _: u32) -> Done {
        self.host.opened(fd).map(drop)
    }

    pub(super) fn fd_close(&mut self, fd: u32) -> Done {
        self.host.close(fd)
    }

    pub(super) fn fd_datasync(&mut self, fd: u32) -> Done {
        self.host.opened(fd).map(drop)
    }

    pub(super) fn fd_sync(&mut self, fd: u32) -> Done {
        self.host.opened(fd).map(drop)
    }

    pub(super) fn fd_fdstat_get(&mut self, fd: u32, stat: u32) -> Done {
        let (kind, flags, rights) = match self.host.opened(fd)? {
            Open::Nothing | Open::Printed | Open::Commands | Open::Answers | Open::Interruptions => {
                (CHARACTERS, 0, ALL)
            }
            Open::Folder(_) => (FOLDER, 0, ALL),
            Open::File(file) => {
                let closed = if file.reads { 0 } else { READ } | if file.writes { 0 } else { WRITE };
                (FILE, if file.appends { 1 } else { 0 }, ALL & !closed)
            }
        };
        let mut bytes = [0; 24];
        let [kind_at, _, flags_at, ..] = &mut bytes;
        (*kind_at, *flags_at) = (kind, flags);
        put(&mut bytes, 8, rights);
        put(&mut bytes, 16, ALL);
        self.write(stat, &bytes)
    }

    pub(super) fn fd_fdstat_set_flags(&mut self, fd: u32, flags: u32) -> Done {
        if let Ok(file) = self.host.file(fd) {
            file.appends = flags & APPEND != 0;
        }
        self.host.opened(fd).map(drop)
    }

    pub(super) fn fd_filestat_get(&mut self, fd: u32, stat: u32) -> Done {
        let ino = match self.host.opened(fd)? {
            Open::File(file) => file.ino,
            Open::Folder(folder) => folder.ino,
            Open::Nothing | Open::Printed | Open::Commands | Open::Answers | Open::Interruptions => {
                let mut bytes = [0; 64];
                if let Some(kind) = bytes.get_mut(16) {
                    *kind = CHARACTERS;
                }
                return self.write(stat, &bytes);
            }
        };
        self.write_stat(stat, ino)
    }

    /// Writes what is known of a file, folder or link.
    pub(super) fn write_stat(&mut self, stat: u32, ino: Ino) -> Done {
        let node = self.host.tree.node(ino)?;
        let mut bytes = [0; 64];
        put(&mut bytes, 0, 1);
        put(&mut bytes, 8, ino);
        put(&mut bytes, 16, kind_of(&node.kind).into());
        put(&mut bytes, 24, node.names.max(1));
        put(&mut bytes, 32, node.size());
        for time in [40, 48, 56] {
            put(&mut bytes, time, node.modified);
        }
        self.write(stat, &bytes)
    }

    pub(super) fn fd_filestat_set_size(&mut self, fd: u32, size: u64) -> Done {
        let now = self.now();
        let file = self.host.file(fd)?;
        if !file.writes {
            return Err(Errno::BADF);
        }
        let ino = file.ino;
        self.host.tree.resize(ino, size, now)
    }

    pub(super) fn fd_filestat_set_times(&mut self, fd: u32, _: u64, modified: u64, flags: u32) -> Done {
        let ino = self.host.file(fd)?.ino;
        self.set_times(ino, modified, flags)
    }

    /// Sets when something was last changed; when it was last read is not kept.
    pub(super) fn set_times(&mut self, ino: Ino, modified: u64, flags: u32) -> Done {
        let modified = match flags & (MODIFIED | MODIFIED_NOW) {
            MODIFIED => modified,
            MODIFIED_NOW => self.now(),
            _ => return Ok(()),
        };
        if matches!(self.host.tree.node(ino)?.kind, Kind::Shared(_)) {
            return Err(Errno::ROFS);
        }
        self.host.tree.set_modified(ino, modified)
    }

    pub(super) fn fd_prestat_get(&mut self, fd: u32, stat: u32) -> Done {
        let length = self.ahead(fd)?.len();
        self.write(stat, &[0; 4])?;
        self.write_u32(stat.checked_add(4).ok_or(Errno::FAULT)?, length)
    }

    pub(super) fn fd_prestat_dir_name(&mut self, fd: u32, path: u32, length: u32) -> Done {
        let name = self.ahead(fd)?.to_owned();
        if size(length) < name.len() {
            return Err(Errno::NAMETOOLONG);
        }
        self.write(path, name.as_bytes())
    }

    /// The path of a folder that is open from the beginning.
    fn ahead(&self, fd: u32) -> Result<&str, Errno> {
        self.host.folder(fd).ok().and_then(|folder| folder.ahead.as_deref()).ok_or(Errno::BADF)
    }

    pub(super) fn fd_read(&mut self, fd: u32, pieces: u32, number: u32, read: u32) -> Done {
        let taken = match self.host.opened(fd)? {
            Open::Nothing => 0,
            Open::Commands => {
                let first = self.pieces(pieces, number)?.into_iter().find(|(_, length)| *length > 0);
                let (at, length) = first.unwrap_or_default();
                let talk = std::sync::Arc::clone(&self.host.talk);
                talk.take(self.bytes_mut(at, length)?)
            }
            Open::Interruptions => {
                let first = self.pieces(pieces, number)?.into_iter().next().unwrap_or_default();
                let count = self.host.talk.interruptions().to_le_bytes();
                self.write(first.0, &count)?;
                count.len()
            }
            Open::File(file) => {
                let position = file.position;
                let taken = self.read_at(fd, pieces, number, position)?;
                self.host.file(fd)?.position += u64::try_from(taken).unwrap_or_default();
                taken
            }
            Open::Folder(_) => return Err(Errno::ISDIR),
            Open::Printed | Open::Answers => return Err(Errno::BADF),
        };
        self.write_u32(read, taken)
    }

    pub(super) fn fd_pread(&mut self, fd: u32, pieces: u32, number: u32, offset: u64, read: u32) -> Done {
        let taken = self.read_at(fd, pieces, number, offset)?;
        self.write_u32(read, taken)
    }

    fn read_at(&mut self, fd: u32, pieces: u32, number: u32, offset: u64) -> Result<usize, Errno> {
        let file = self.host.file(fd)?;
        if !file.reads {
            return Err(Errno::BADF);
        }
        let ino = file.ino;
        let mut at = usize::try_from(offset).map_err(|_| Errno::INVAL)?;
        let mut taken = 0;
        for (address, length) in self.pieces(pieces, number)? {
            let rest = self.host.tree.bytes(ino)?.get(at..).unwrap_or_default();
            let (address, most) = (size(address), size(length).min(rest.len()));
            let target = self.memory.get_mut(address..).and_then(|memory| memory.get_mut(..most));
            target.ok_or(Errno::FAULT)?.copy_from_slice(rest.get(..most).unwrap_or_default());
            at += most;
            taken += most;
        }
        Ok(taken)
    }

    pub(super) fn fd_write(&mut self, fd: u32, pieces: u32, number: u32, written: u32) -> Done {
        let given = match self.host.opened(fd)? {
            Open::Printed | Open::Answers => self.say(fd, pieces, number)?,
            Open::File(file) => {
                let end = self.host.tree.bytes(file.ino)?.len();
                let end = u64::try_from(end).unwrap_or(u64::MAX);
                let position = if file.appends { end } else { file.position };
                let given = self.write_at(fd, pieces, number, position)?;
                self.host.file(fd)?.position = position + u64::try_from(given).unwrap_or_default();
                given
            }
            Open::Folder(_) | Open::Nothing | Open::Commands | Open::Interruptions => {
                return Err(Errno::BADF);
            }
        };
        self.write_u32(written, given)
    }

    pub(super) fn fd_pwrite(&mut self, fd: u32, pieces: u32, number: u32, offset: u64, written: u32) -> Done {
        let given = self.write_at(fd, pieces, number, offset)?;
        self.write_u32(written, given)
    }

    fn say(&mut self, fd: u32, pieces: u32, number: u32) -> Result<usize, Errno> {
        let mut given = 0;
        for (address, length) in self.pieces(pieces, number)? {
            let bytes = self.bytes(address, length)?;
            if matches!(self.host.opened(fd)?, Open::Answers) {
                self.host.talk.answer(bytes);
            } else {
                self.host.talk.print(bytes);
            }
            given += bytes.len();
        }
        Ok(given)
    }

    fn write_at(&mut self, fd: u32, pieces: u32, number: u32, offset: u64) -> Result<usize, Errno> {
        let now = self.now();
        let file = self.host.file(fd)?;
        if !file.writes {
            return Err(Errno::BADF);
        }
        let (ino, mut at, mut given) = (file.ino, offset, 0);
        for (address, length) in self.pieces(pieces, number)? {
            let (address, length) = (size(address), size(length));
            let bytes = self.memory.get(address..).and_then(|memory| memory.get(..length));
            let bytes = bytes.ok_or(Errno::FAULT)?;
            match self.host.tree.write(ino, at, bytes, now) {
                Ok(()) => {}
                // What was written before is.
                Err(_) if given > 0 => return Ok(given),
                Err(error) => return Err(error),
            }
            at += u64::try_from(length).unwrap_or_default();
            given += length;
        }
        Ok(given)
    }

    pub(super) fn fd_seek(&mut self, fd: u32, delta: u64, whence: u32, position: u32) -> Done {
        // A number with a sign, in the bits of one without.
        let delta = i64::from_le_bytes(delta.to_le_bytes());
        let file = self.host.file(fd)?;
        let (ino, current) = (file.ino, file.position);
        let from = match whence {
            0 => 0,
            1 => current,
            2 => self.host.tree.node(ino)?.size(),
            _ => return Err(Errno::INVAL),
        };
        let moved = from.checked_add_signed(delta).ok_or(Errno::INVAL)?;
        self.host.file(fd)?.position = moved;
        self.write(position, &moved.to_le_bytes())
    }

    pub(super) fn fd_tell(&mut self, fd: u32, position: u32) -> Done {
        let current = self.host.file(fd)?.position;
        self.write(position, &current.to_le_bytes())
    }

    /// Writes as many entries as fit, from the one with this number on. A last one that is cut off tells the guest to
    /// ask again with more room.
    pub(super) fn fd_readdir(&mut self, fd: u32, buffer: u32, length: u32, cookie: u64, used: u32) -> Done {
        if cookie == 0 {
            let ino = self.host.folder(fd)?.ino;
            let names = &self.host.tree.folder(ino)?.names;
            let names = names.iter().map(|(name, ino)| (name.clone(), *ino));
            let own = [".", ".."].map(|name| (name.to_owned(), ino));
            let listing = own.into_iter().chain(names).collect();
            if let Some(Open::Folder(folder)) = self.host.open.get_mut(&fd) {
                folder.listing = listing;
            }
        }
        let most = size(length);
        let skipped = usize::try_from(cookie).map_err(|_| Errno::INVAL)?;
        let mut entries = Vec::new();
        for (index, (name, ino)) in self.host.folder(fd)?.listing.iter().enumerate().skip(skipped) {
            if entries.len() >= most {
                break;
            }
            // It may have been removed since.
            let kind = self.host.tree.node(*ino).map_or(UNKNOWN, |node| kind_of(&node.kind));
            let mut entry = [0; ENTRY_BYTES];
            put(&mut entry, 0, u64::try_from(index + 1).unwrap_or(u64::MAX));
            put(&mut entry, 8, *ino);
            put(&mut entry, 16, u64::try_from(name.len()).unwrap_or_default() | u64::from(kind) << 32);
            entries.extend(entry);
            entries.extend(name.as_bytes());
        }
        entries.truncate(most);
        self.write(buffer, &entries)?;
        self.write_u32(used, entries.len())
    }
}

fn kind_of(kind: &Kind) -> u8 {
    match kind {
        Kind::Shared(_) | Kind::Own(_) => FILE,
        Kind::Folder(_) => FOLDER,
        Kind::Link(_) => LINK,
    }
}

/// Puts a number into a record.
fn put(record: &mut [u8], at: usize, number: u64) {
    if let Some(target) = record.get_mut(at..).and_then(|rest| rest.get_mut(..8)) {
        target.copy_from_slice(&number.to_le_bytes());
    }
}
