//! What the guest sees of the world: descriptors on a tree in memory, clocks, random numbers, and two ends of a
//! conversation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::{Memory, ResourceLimiter};

use super::errno::Errno;
use super::talk::Talk;
use super::tree::{Ino, Tree};

/// The guest's end of the commands, of the answers, and the number of interruptions. Numbers that no file gets.
const COMMANDS: u32 = 1000;
const ANSWERS: u32 = 1001;
const INTERRUPTIONS: u32 = 1002;

/// Descriptors that may be open at once.
const MOST_OPEN: usize = 256;
/// The first number of a file's.
const FIRST: u32 = 3;

/// A guest's world.
pub(super) struct Host {
    pub(super) tree: Tree,
    pub(super) open: BTreeMap<u32, Open>,
    pub(super) talk: Arc<Talk>,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<String>,
    pub(super) began: Instant,
    /// The guest's memory, once there is a guest.
    pub(super) memory: Option<Memory>,
    /// Bytes that its memory may grow to.
    pub(super) most_memory: usize,
}

/// What a descriptor is.
pub(super) enum Open {
    /// The standard input, which has ended.
    Nothing,
    /// The standard output and error.
    Printed,
    /// Where commands come from.
    Commands,
    /// Where answers go.
    Answers,
    /// How many interruptions there were.
    Interruptions,
    /// A file.
    File(OpenFile),
    /// A folder.
    Folder(OpenFolder),
}

pub(super) struct OpenFile {
    pub(super) ino: Ino,
    pub(super) position: u64,
    pub(super) reads: bool,
    pub(super) writes: bool,
    pub(super) appends: bool,
}

pub(super) struct OpenFolder {
    pub(super) ino: Ino,
    /// The path that it was opened for ahead.
    pub(super) ahead: Option<String>,
    /// Its names as they were when they were first asked for, so that taking some away hides none.
    pub(super) listing: Vec<(String, Ino)>,
}

impl Host {
    /// A world with these files. `folders` are open from the beginning, each under its path.
    pub(super) fn new(tree: Tree, folders: Vec<(String, Ino)>, talk: Arc<Talk>) -> Self {
        let mut open = BTreeMap::from([
            (0, Open::Nothing),
            (1, Open::Printed),
            (2, Open::Printed),
            (COMMANDS, Open::Commands),
            (ANSWERS, Open::Answers),
            (INTERRUPTIONS, Open::Interruptions),
        ]);
        let ahead = folders
            .into_iter()
            .map(|(path, ino)| Open::Folder(OpenFolder { ino, ahead: Some(path), listing: Vec::new() }));
        open.extend((FIRST..).zip(ahead));
        Self {
            tree,
            open,
            talk,
            arguments: Vec::new(),
            environment: Vec::new(),
            began: Instant::now(),
            memory: None,
            most_memory: 0,
        }
    }

    /// Gives something the lowest free number.
    pub(super) fn number(&mut self, ino: Ino, open: Open) -> Result<u32, Errno> {
        if self.open.len() >= MOST_OPEN {
            return Err(Errno::MFILE);
        }
        let free = (FIRST..COMMANDS).find(|number| !self.open.contains_key(number)).ok_or(Errno::MFILE)?;
        self.tree.open(ino)?;
        self.open.insert(free, open);
        Ok(free)
    }

    pub(super) fn close(&mut self, number: u32) -> Result<(), Errno> {
        // The conversation goes on, whatever the guest closes.
        if number >= COMMANDS {
            return Err(Errno::BADF);
        }
        let closed = self.open.remove(&number).ok_or(Errno::BADF)?;
        match closed {
            Open::File(file) => self.tree.close(file.ino),
            Open::Folder(folder) if folder.ahead.is_none() => self.tree.close(folder.ino),
            Open::Folder(_)
            | Open::Nothing
            | Open::Printed
            | Open::Commands
            | Open::Answers
            | Open::Interruptions => {}
        }
        Ok(())
    }

    /// How many files and folders are open that were not from the beginning.
    pub(super) fn opened_since(&self) -> usize {
        let is_own = |open: &&Open| match open {
            Open::File(_) => true,
            Open::Folder(folder) => folder.ahead.is_none(),
            Open::Nothing | Open::Printed | Open::Commands | Open::Answers | Open::Interruptions => false,
        };
        self.open.values().filter(is_own).count()
    }

    pub(super) fn opened(&self, number: u32) -> Result<&Open, Errno> {
        self.open.get(&number).ok_or(Errno::BADF)
    }

    pub(super) fn file(&mut self, number: u32) -> Result<&mut OpenFile, Errno> {
        match self.open.get_mut(&number).ok_or(Errno::BADF)? {
            Open::File(file) => Ok(file),
            Open::Folder(_) => Err(Errno::ISDIR),
            Open::Nothing | Open::Printed | Open::Commands | Open::Answers | Open::Interruptions => {
                Err(Errno::SPIPE)
            }
        }
    }

    pub(super) fn folder(&self, number: u32) -> Result<&OpenFolder, Errno> {
        match self.opened(number)? {
            Open::Folder(folder) => Ok(folder),
            Open::File(_)
            | Open::Nothing
            | Open::Printed
            | Open::Commands
            | Open::Answers
            | Open::Interruptions => Err(Errno::NOTDIR),
        }
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.most_memory)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        /// The guest's own table has a hundred thousand entries, and it adds none.
        const MOST_ENTRIES: usize = 1 << 20;
        Ok(desired <= MOST_ENTRIES)
    }
}
