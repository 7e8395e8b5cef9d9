//! A session's files: a tree in memory, some of it shared and read-only, the rest counted.
//!
//! Nothing here knows of a file of this machine. A path cannot lead out of the tree, since there is nothing else.

use std::collections::BTreeMap;

use super::errno::Errno;

/// The number of a file, folder or link.
pub(super) type Ino = u64;

/// The folder that all paths begin in.
pub(super) const ROOT: Ino = 1;

/// Bytes of a name.
const LONGEST_NAME: usize = 255;
/// Bytes of a path, and of what a link says.
const LONGEST_PATH: usize = 4096;
/// Links that one path may lead through, as on Linux.
const MOST_LINKS: u32 = 40;

/// A file, folder or link.
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Names that lead to it.
    pub(super) names: u64,
    /// Descriptors that are open on it.
    opened: u32,
    /// Nanoseconds since 1970.
    pub(super) modified: u64,
}

/// What a node is.
pub(super) enum Kind {
    /// Bytes of the server's that every session shares.
    Shared(&'static [u8]),
    /// The session's own bytes.
    Own(Vec<u8>),
    Folder(Folder),
    /// Where it leads to.
    Link(String),
}

pub(super) struct Folder {
    parent: Ino,
    pub(super) names: BTreeMap<String, Ino>,
    /// Whether the session may change what is in it.
    writable: bool,
}

/// All of a session's files.
pub(super) struct Tree {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    bytes_left: u64,
    names_left: u64,
    /// Whether all is being laid out, before the session begins.
    is_new: bool,
}

/// Where a path leads: a folder, and a name in it that something may have.
pub(super) struct Place {
    folder: Ino,
    name: String,
    pub(super) found: Option<Ino>,
}

impl Tree {
    /// An empty tree that may be filled by whoever makes it.
    pub(super) fn new() -> Self {
        let mut tree =
            Self { nodes: BTreeMap::new(), next: ROOT, bytes_left: 0, names_left: 0, is_new: true };
        tree.apart();
        tree
    }

    /// Makes a folder that the session may change, with those that lead to it.
    pub(super) fn lay_out_folder(&mut self, path: &str) -> Result<(), Errno> {
        let folder = self.folders(ROOT, path)?;
        self.folder_mut(folder)?.writable = true;
        Ok(())
    }

    /// A folder that no other one has, as the first of all is. It stays as if it had a name.
    pub(super) fn apart(&mut self) -> Ino {
        let ino = self.number();
        let folder = Node::new(Kind::Folder(Folder::below(ino, false)), 0);
        self.nodes.insert(ino, Node { names: 1, ..folder });
        ino
    }

    /// Puts a file that is shared below a folder, with the folders that lead to it.
    pub(super) fn share(&mut self, folder: Ino, path: &str, bytes: &'static [u8]) -> Result<(), Errno> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.folders(folder, folders)?;
        self.add(folder, name, Kind::Shared(bytes), 0)?;
        Ok(())
    }

    fn folders(&mut self, mut folder: Ino, path: &str) -> Result<Ino, Errno> {
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let known = self.folder(folder)?.names.get(name).copied();
            folder = match known {
                Some(known) => known,
                None => self.add(folder, name, Kind::Folder(Folder::below(folder, false)), 0)?,
            };
        }
        Ok(folder)
    }

    /// From now on files cost room, and only writable folders change.
    pub(super) fn begin(&mut self, bytes: u64, names: u64) {
        (self.bytes_left, self.names_left, self.is_new) = (bytes, names, false);
    }

    pub(super) fn node(&self, ino: Ino) -> Result<&Node, Errno> {
        self.nodes.get(&ino).ok_or(Errno::BADF)
    }

    fn node_mut(&mut self, ino: Ino) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&ino).ok_or(Errno::BADF)
    }

    pub(super) fn folder(&self, ino: Ino) -> Result<&Folder, Errno> {
        match &self.node(ino)?.kind {
            Kind::Folder(folder) => Ok(folder),
            Kind::Shared(_) | Kind::Own(_) | Kind::Link(_) => Err(Errno::NOTDIR),
        }
    }

    fn folder_mut(&mut self, ino: Ino) -> Result<&mut Folder, Errno> {
        match &mut self.node_mut(ino)?.kind {
            Kind::Folder(folder) => Ok(folder),
            Kind::Shared(_) | Kind::Own(_) | Kind::Link(_) => Err(Errno::NOTDIR),
        }
    }

    /// Finds what a path leads to from a folder. `follow`: where its last name is a link, what that leads to.
    pub(super) fn find(&self, from: Ino, path: &str, follow: bool) -> Result<Place, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let mut left: Vec<String> = steps(path)?;
        let mut links = 0;
        let mut folder = if path.starts_with('/') { ROOT } else { from };
        let (mut name, mut found) = (".".to_owned(), Some(folder));
        while let Some(step) = left.pop() {
            let parent = self.folder(folder)?.parent;
            (name, found) = match step.as_str() {
                "." => (step, Some(folder)),
                ".." => (step, Some(parent)),
                _ => {
                    let found = self.folder(folder)?.names.get(&step).copied();
                    (step, found)
                }
            };
            let is_last = left.is_empty();
            let Some(ino) = found else {
                if is_last {
                    break;
                }
                return Err(Errno::NOENT);
            };
            match &self.node(ino)?.kind {
                Kind::Link(target) if follow || !is_last => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP);
                    }
                    if target.starts_with('/') {
                        folder = ROOT;
                    }
                    left.extend(steps(target)?);
                    (name, found) = (".".to_owned(), Some(folder));
                }
                _ if is_last => {}
                Kind::Folder(_) => folder = ino,
                Kind::Shared(_) | Kind::Own(_) | Kind::Link(_) => return Err(Errno::NOTDIR),
            }
        }
        if path.ends_with('/') && found.is_some_and(|ino| self.folder(ino).is_err()) {
            return Err(Errno::NOTDIR);
        }
        Ok(Place { folder, name, found })
    }

    /// Makes something new at a place that nothing has.
    pub(super) fn make(&mut self, place: &Place, kind: Kind, now: u64) -> Result<Ino, Errno> {
        if place.found.is_some() {
            return Err(Errno::EXIST);
        }
        self.add(place.folder, &place.name, kind, now)
    }

    /// A new folder at a place that nothing has.
    pub(super) fn make_folder(&mut self, place: &Place, now: u64) -> Result<Ino, Errno> {
        self.make(place, Kind::Folder(Folder::below(place.folder, true)), now)
    }

    /// A link at a place that nothing has.
    pub(super) fn make_link(&mut self, place: &Place, target: &str, now: u64) -> Result<Ino, Errno> {
        if target.is_empty() || target.len() > LONGEST_PATH {
            return Err(Errno::INVAL);
        }
        self.make(place, Kind::Link(target.to_owned()), now)
    }

    /// Gives a file a further name.
    pub(super) fn name_again(&mut self, ino: Ino, place: &Place, now: u64) -> Result<(), Errno> {
        if place.found.is_some() {
            return Err(Errno::EXIST);
        }
        if self.folder(ino).is_ok() || matches!(self.node(ino)?.kind, Kind::Shared(_)) {
            return Err(Errno::PERM);
        }
        self.enter(place.folder, &place.name, ino, now)
    }

    /// Moves what is at one place to another, in the stead of what is there.
    pub(super) fn rename(&mut self, from: &Place, to: &Place, now: u64) -> Result<(), Errno> {
        let ino = from.found.ok_or(Errno::NOENT)?;
        self.check_writable(from.folder)?;
        self.check_writable(to.folder)?;
        check_name(&from.name)?;
        check_name(&to.name)?;
        if to.found == Some(ino) {
            return Ok(());
        }
        let is_folder = self.folder(ino).is_ok();
        if is_folder && self.is_within(to.folder, ino)? {
            return Err(Errno::INVAL);
        }
        if let Some(replaced) = to.found {
            match (is_folder, self.folder(replaced)) {
                (true, Ok(folder)) if !folder.names.is_empty() => return Err(Errno::NOTEMPTY),
                (true, Err(_)) => return Err(Errno::NOTDIR),
                (false, Ok(_)) => return Err(Errno::ISDIR),
                (true, Ok(_)) | (false, Err(_)) => self.remove(to, now)?,
            }
        }
        self.folder_mut(from.folder)?.names.remove(&from.name);
        self.folder_mut(to.folder)?.names.insert(to.name.clone(), ino);
        if let Kind::Folder(folder) = &mut self.node_mut(ino)?.kind {
            folder.parent = to.folder;
        }
        self.touch(from.folder, now)?;
        self.touch(to.folder, now)
    }

    /// Removes a file or link.
    pub(super) fn unlink(&mut self, place: &Place, now: u64) -> Result<(), Errno> {
        let ino = place.found.ok_or(Errno::NOENT)?;
        if self.folder(ino).is_ok() {
            return Err(Errno::ISDIR);
        }
        self.remove(place, now)
    }

    /// Removes an empty folder.
    pub(super) fn remove_folder(&mut self, place: &Place, now: u64) -> Result<(), Errno> {
        let ino = place.found.ok_or(Errno::NOENT)?;
        if !self.folder(ino)?.names.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.remove(place, now)
    }

    fn remove(&mut self, place: &Place, now: u64) -> Result<(), Errno> {
        check_name(&place.name)?;
        self.check_writable(place.folder)?;
        let removed = self.folder_mut(place.folder)?.names.remove(&place.name);
        let ino = removed.ok_or(Errno::NOENT)?;
        self.names_left += 1;
        self.touch(place.folder, now)?;
        let node = self.node_mut(ino)?;
        node.names -= 1;
        self.forget_unused(ino);
        Ok(())
    }

    /// A descriptor is open on it now; without a name it stays as long as one is.
    pub(super) fn open(&mut self, ino: Ino) -> Result<(), Errno> {
        self.node_mut(ino)?.opened += 1;
        Ok(())
    }

    pub(super) fn close(&mut self, ino: Ino) {
        if let Ok(node) = self.node_mut(ino) {
            node.opened = node.opened.saturating_sub(1);
        }
        self.forget_unused(ino);
    }

    fn forget_unused(&mut self, ino: Ino) {
        let Ok(node) = self.node(ino) else { return };
        if node.names > 0 || node.opened > 0 {
            return;
        }
        if let Some(Node { kind: Kind::Own(bytes), .. }) = self.nodes.remove(&ino) {
            self.bytes_left += as_u64(bytes.len());
        }
    }

    /// A file's bytes.
    pub(super) fn bytes(&self, ino: Ino) -> Result<&[u8], Errno> {
        match &self.node(ino)?.kind {
            Kind::Shared(bytes) => Ok(bytes),
            Kind::Own(bytes) => Ok(bytes),
            Kind::Folder(_) => Err(Errno::ISDIR),
            Kind::Link(_) => Err(Errno::LOOP),
        }
    }

    /// Writes into a file, which grows where that is beyond its end.
    pub(super) fn write(&mut self, ino: Ino, at: u64, bytes: &[u8], now: u64) -> Result<(), Errno> {
        let end = at.checked_add(as_u64(bytes.len())).ok_or(Errno::FBIG)?;
        if end > as_u64(self.bytes(ino)?.len()) {
            self.resize(ino, end, now)?;
        }
        let node = self.node_mut(ino)?;
        let Kind::Own(own) = &mut node.kind else { return Err(Errno::ROFS) };
        let at = usize::try_from(at).map_err(|_| Errno::FBIG)?;
        let target = own.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())).ok_or(Errno::FBIG)?;
        target.copy_from_slice(bytes);
        node.modified = now;
        Ok(())
    }

    /// Cuts a file off, or fills it up with zeros.
    pub(super) fn resize(&mut self, ino: Ino, size: u64, now: u64) -> Result<(), Errno> {
        let left = self.bytes_left;
        let node = self.node_mut(ino)?;
        let Kind::Own(own) = &mut node.kind else { return Err(Errno::ROFS) };
        let had = as_u64(own.len());
        let left = (left + had).checked_sub(size).ok_or(Errno::NOSPC)?;
        let wanted = usize::try_from(size).map_err(|_| Errno::FBIG)?;
        if wanted > own.capacity() {
            // A little ahead, but not twice as much as is needed, as a vector would by itself.
            let more = wanted - own.len() + own.len() / 8;
            own.try_reserve_exact(more).map_err(|_| Errno::NOSPC)?;
        }
        own.resize(wanted, 0);
        if wanted < own.capacity() / 2 {
            own.shrink_to_fit();
        }
        node.modified = now;
        self.bytes_left = left;
        Ok(())
    }

    /// Sets when something was last changed.
    pub(super) fn set_modified(&mut self, ino: Ino, modified: u64) -> Result<(), Errno> {
        self.node_mut(ino)?.modified = modified;
        Ok(())
    }

    fn add(&mut self, folder: Ino, name: &str, kind: Kind, now: u64) -> Result<Ino, Errno> {
        let ino = self.number();
        self.nodes.insert(ino, Node::new(kind, now));
        let entered = self.enter(folder, name, ino, now);
        if entered.is_err() {
            self.nodes.remove(&ino);
        }
        entered.map(|()| ino)
    }

    fn enter(&mut self, folder: Ino, name: &str, ino: Ino, now: u64) -> Result<(), Errno> {
        check_name(name)?;
        self.check_writable(folder)?;
        if !self.is_new {
            self.names_left = self.names_left.checked_sub(1).ok_or(Errno::NOSPC)?;
        }
        self.folder_mut(folder)?.names.insert(name.to_owned(), ino);
        self.node_mut(ino)?.names += 1;
        self.touch(folder, now)
    }

    fn touch(&mut self, folder: Ino, now: u64) -> Result<(), Errno> {
        self.node_mut(folder)?.modified = now;
        Ok(())
    }

    fn check_writable(&self, folder: Ino) -> Result<(), Errno> {
        if self.is_new || self.folder(folder)?.writable { Ok(()) } else { Err(Errno::ROFS) }
    }

    fn is_within(&self, mut folder: Ino, outer: Ino) -> Result<bool, Errno> {
        loop {
            if folder == outer {
                return Ok(true);
            }
            let parent = self.folder(folder)?.parent;
            if parent == folder {
                return Ok(false);
            }
            folder = parent;
        }
    }

    fn number(&mut self) -> Ino {
        let ino = self.next;
        self.next += 1;
        ino
    }
}

impl Node {
    fn new(kind: Kind, modified: u64) -> Self {
        Self { kind, names: 0, opened: 0, modified }
    }

    pub(super) fn size(&self) -> u64 {
        as_u64(match &self.kind {
            Kind::Shared(bytes) => bytes.len(),
            Kind::Own(bytes) => bytes.len(),
            Kind::Folder(folder) => folder.names.len(),
            Kind::Link(target) => target.len(),
        })
    }
}

impl Folder {
    fn below(parent: Ino, writable: bool) -> Self {
        Self { parent, names: BTreeMap::new(), writable }
    }
}

/// A path's steps, the last one first.
fn steps(path: &str) -> Result<Vec<String>, Errno> {
    if path.len() > LONGEST_PATH {
        return Err(Errno::NAMETOOLONG);
    }
    let mut steps: Vec<String> = path.split('/').filter(|step| !step.is_empty()).map(str::to_owned).collect();
    steps.reverse();
    Ok(steps)
}

fn check_name(name: &str) -> Result<(), Errno> {
    match name {
        "" | "." | ".." => Err(Errno::INVAL),
        _ if name.len() > LONGEST_NAME => Err(Errno::NAMETOOLONG),
        _ if name.contains(['/', '\0']) => Err(Errno::INVAL),
        _ => Ok(()),
    }
}

fn as_u64(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
