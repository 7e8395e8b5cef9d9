//! Files in memory, shared by all processes that map them. The only unsafe code: the compiler cannot know that nobody
//! writes into these files.
#![expect(unsafe_code, reason = "files are mapped, and code is loaded that was compiled before")]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::path::Path;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap};
use wasmtime::{Engine, Module};

/// A file's bytes, for as long as this process lives.
pub(super) fn file(file: &File) -> io::Result<&'static [u8]> {
    let size = length(file)?;
    if size == 0 {
        return Ok(&[]);
    }
    // SAFETY: a new mapping, read-only, never unmapped. The file is one of ours that nobody writes into once it has
    // its name (`pack`).
    unsafe {
        let start = mmap(ptr::null_mut(), size, ProtFlags::READ, MapFlags::PRIVATE, file, 0)?;
        Ok(std::slice::from_raw_parts(start.cast(), size))
    }
}

/// Lays a file over memory that has exactly its size and begins with a page. What is written into it afterwards stays
/// with this process.
pub(super) fn over(place: &mut [u8], file: &File) -> io::Result<()> {
    let start: *mut c_void = place.as_mut_ptr().cast();
    let page = rustix::param::page_size();
    let is_whole = start.addr().is_multiple_of(page) && place.len().is_multiple_of(page);
    if place.len() != length(file)? || !is_whole {
        return Err(io::Error::other("the memory does not fit its file"));
    }
    let (access, how) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
    // SAFETY: the pages are the caller's alone, whole, and stay readable and writable; nothing else lies in them.
    unsafe { mmap(start, place.len(), access, how, file, 0)? };
    Ok(())
}

/// Loads a module that was compiled before.
pub(super) fn module(engine: &Engine, path: &Path) -> wasmtime::Result<Module> {
    // SAFETY: `pack` gives only files that this user's own server has compiled, and that nobody else can write.
    unsafe { Module::deserialize_file(engine, path) }
}

fn length(file: &File) -> io::Result<usize> {
    usize::try_from(file.metadata()?.len()).map_err(io::Error::other)
}
