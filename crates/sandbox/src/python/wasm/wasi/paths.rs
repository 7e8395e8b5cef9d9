//! Calls on paths. Each begins in a folder that is open.

use super::descriptors::{READ, WRITE};
use super::{Call, Done, size};
use crate::python::wasm::errno::Errno;
use crate::python::wasm::host::{Open, OpenFile, OpenFolder};
use crate::python::wasm::tree::{Kind, Place};

const FOLLOW: u32 = 1;

const CREATE: u32 = 1;
const FOLDER: u32 = 2;
const NEW: u32 = 4;
const EMPTY: u32 = 8;

const APPEND: u32 = 1;

impl Call<'_> {
    fn place(&self, fd: u32, path: u32, length: u32, follow: bool) -> Result<Place, Errno> {
        let path = self.text(path, length)?;
        self.host.tree.find(self.host.folder(fd)?.ino, &path, follow)
    }

    #[expect(clippy::too_many_arguments, reason = "the specification has so many")]
    pub(super) fn path_open(
        &mut self,
        fd: u32,
        follow: u32,
        path: u32,
        length: u32,
        how: u32,
        rights: u64,
        _inherited: u64,
        flags: u32,
        opened: u32,
    ) -> Done {
        // A new file is not made behind a link.
        let follow = follow & FOLLOW != 0 && how & NEW == 0;
        let place = self.place(fd, path, length, follow)?;
        let now = self.now();
        let is = |flag: u32| how & flag != 0;
        let ino = match place.found {
            Some(_) if is(CREATE) && is(NEW) => return Err(Errno::EXIST),
            Some(ino) => ino,
            None if is(CREATE) && !is(FOLDER) => self.host.tree.make(&place, Kind::Own(Vec::new()), now)?,
            None => return Err(Errno::NOENT),
        };
        let (reads, writes) = (rights & READ != 0, rights & WRITE != 0);
        let open = match &self.host.tree.node(ino)?.kind {
            Kind::Link(_) => return Err(Errno::LOOP),
            Kind::Folder(_) if writes && !is(FOLDER) || is(CREATE) => return Err(Errno::ISDIR),
            Kind::Folder(_) => Open::Folder(OpenFolder { ino, ahead: None, listing: Vec::new() }),
            Kind::Shared(_) | Kind::Own(_) if is(FOLDER) => return Err(Errno::NOTDIR),
            Kind::Shared(_) if writes || is(EMPTY) => return Err(Errno::ROFS),
            Kind::Shared(_) | Kind::Own(_) => {
                let appends = flags & APPEND != 0;
                Open::File(OpenFile { ino, position: 0, reads, writes, appends })
            }
        };
        if is(EMPTY) && writes {
            self.host.tree.resize(ino, 0, now)?;
        }
        let number = self.host.number(ino, open)?;
        self.write(opened, &number.to_le_bytes())
    }

    pub(super) fn path_filestat_get(
        &mut self,
        fd: u32,
        follow: u32,
        path: u32,
        length: u32,
        stat: u32,
    ) -> Done {
        let place = self.place(fd, path, length, follow & FOLLOW != 0)?;
        self.write_stat(stat, place.found.ok_or(Errno::NOENT)?)
    }

    #[expect(clippy::too_many_arguments, reason = "the specification has so many")]
    pub(super) fn path_filestat_set_times(
        &mut self,
        fd: u32,
        follow: u32,
        path: u32,
        length: u32,
        _accessed: u64,
        modified: u64,
        flags: u32,
    ) -> Done {
        let place = self.place(fd, path, length, follow & FOLLOW != 0)?;
        self.set_times(place.found.ok_or(Errno::NOENT)?, modified, flags)
    }

    pub(super) fn path_create_directory(&mut self, fd: u32, path: u32, length: u32) -> Done {
        let place = self.place(fd, path, length, false)?;
        let now = self.now();
        self.host.tree.make_folder(&place, now).map(drop)
    }

    #[expect(clippy::too_many_arguments, reason = "the specification has so many")]
    pub(super) fn path_link(
        &mut self,
        from: u32,
        follow: u32,
        path: u32,
        length: u32,
        to: u32,
        new: u32,
        new_length: u32,
    ) -> Done {
        let named = self.place(from, path, length, follow & FOLLOW != 0)?.found.ok_or(Errno::NOENT)?;
        let place = self.place(to, new, new_length, false)?;
        let now = self.now();
        self.host.tree.name_again(named, &place, now)
    }

    pub(super) fn path_readlink(
        &mut self,
        fd: u32,
        path: u32,
        length: u32,
        buffer: u32,
        most: u32,
        used: u32,
    ) -> Done {
        let ino = self.place(fd, path, length, false)?.found.ok_or(Errno::NOENT)?;
        let Kind::Link(target) = &self.host.tree.node(ino)?.kind else { return Err(Errno::INVAL) };
        let target = target.as_bytes();
        let shown = target.get(..size(most)).unwrap_or(target).to_owned();
        self.write(buffer, &shown)?;
        self.write_u32(used, shown.len())
    }

    pub(super) fn path_remove_directory(&mut self, fd: u32, path: u32, length: u32) -> Done {
        let place = self.place(fd, path, length, false)?;
        let now = self.now();
        self.host.tree.remove_folder(&place, now)
    }

    pub(super) fn path_rename(
        &mut self,
        fd: u32,
        path: u32,
        length: u32,
        to: u32,
        new: u32,
        new_length: u32,
    ) -> Done {
        let from = self.place(fd, path, length, false)?;
        let to = self.place(to, new, new_length, false)?;
        let now = self.now();
        self.host.tree.rename(&from, &to, now)
    }

    pub(super) fn path_symlink(
        &mut self,
        target: u32,
        target_length: u32,
        fd: u32,
        path: u32,
        length: u32,
    ) -> Done {
        let target = self.text(target, target_length)?;
        let place = self.place(fd, path, length, false)?;
        let now = self.now();
        self.host.tree.make_link(&place, &target, now).map(drop)
    }

    pub(super) fn path_unlink_file(&mut self, fd: u32, path: u32, length: u32) -> Done {
        let place = self.place(fd, path, length, false)?;
        let now = self.now();
        self.host.tree.unlink(&place, now)
    }
}
