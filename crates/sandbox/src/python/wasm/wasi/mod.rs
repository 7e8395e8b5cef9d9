//! WASI, preview 1, for one guest: what `wasi_snapshot_preview1` asks, answered from a [`Host`] alone.
//!
//! Written here rather than taken from `wasmtime-wasi`, which opens files and folders of this machine: this one makes
//! no system call but for clocks, random numbers and the two ends of the conversation, so the process around it needs
//! none either. The layouts are those of the specification's `witx` files.

mod clocks;
mod descriptors;
mod paths;

use wasmtime::{Caller, Linker};

use super::errno::Errno;
use super::host::Host;

const MODULE: &str = "wasi_snapshot_preview1";

/// A call of the guest's: its memory, and its world.
struct Call<'c> {
    memory: &'c mut [u8],
    host: &'c mut Host,
}

type Done = Result<(), Errno>;

/// The guest ended itself, with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it ended with exit code {0}")]
pub(super) struct Exit(pub(super) u32);

macro_rules! calls {
    ($linker:ident { $($name:ident($($argument:ident: $type:ty),*);)* }) => {
        $($linker.func_wrap(MODULE, stringify!($name), |mut caller: Caller<'_, Host>, $($argument: $type),*| {
            answer(Call::of(&mut caller).and_then(|mut call| call.$name($($argument),*)))
        })?;)*
    };
}

/// Gives the guest its calls.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    calls!(linker {
        args_get(list: u32, text: u32);
        args_sizes_get(number: u32, bytes: u32);
        environ_get(list: u32, text: u32);
        environ_sizes_get(number: u32, bytes: u32);
        clock_res_get(clock: u32, resolution: u32);
        clock_time_get(clock: u32, precision: u64, time: u32);
        poll_oneoff(subscriptions: u32, events: u32, number: u32, happened: u32);
        random_get(buffer: u32, length: u32);
        sched_yield();
        fd_advise(fd: u32, offset: u64, length: u64, advice: u32);
        fd_close(fd: u32);
        fd_datasync(fd: u32);
        fd_fdstat_get(fd: u32, stat: u32);
        fd_fdstat_set_flags(fd: u32, flags: u32);
        fd_filestat_get(fd: u32, stat: u32);
        fd_filestat_set_size(fd: u32, size: u64);
        fd_filestat_set_times(fd: u32, accessed: u64, modified: u64, flags: u32);
        fd_pread(fd: u32, pieces: u32, number: u32, offset: u64, read: u32);
        fd_prestat_dir_name(fd: u32, path: u32, length: u32);
        fd_prestat_get(fd: u32, stat: u32);
        fd_pwrite(fd: u32, pieces: u32, number: u32, offset: u64, written: u32);
        fd_read(fd: u32, pieces: u32, number: u32, read: u32);
        fd_readdir(fd: u32, buffer: u32, length: u32, cookie: u64, used: u32);
        fd_seek(fd: u32, delta: u64, whence: u32, position: u32);
        fd_sync(fd: u32);
        fd_tell(fd: u32, position: u32);
        fd_write(fd: u32, pieces: u32, number: u32, written: u32);
        path_create_directory(fd: u32, path: u32, length: u32);
        path_filestat_get(fd: u32, follow: u32, path: u32, length: u32, stat: u32);
        path_filestat_set_times(fd: u32, follow: u32, path: u32, length: u32, accessed: u64, modified: u64, flags: u32);
        path_link(from: u32, follow: u32, path: u32, length: u32, to: u32, new: u32, new_length: u32);
        path_open(
            fd: u32, follow: u32, path: u32, length: u32, how: u32, rights: u64, inherited: u64, flags: u32, opened: u32
        );
        path_readlink(fd: u32, path: u32, length: u32, buffer: u32, size: u32, used: u32);
        path_remove_directory(fd: u32, path: u32, length: u32);
        path_rename(fd: u32, path: u32, length: u32, to: u32, new: u32, new_length: u32);
        path_symlink(target: u32, target_length: u32, fd: u32, path: u32, length: u32);
        path_unlink_file(fd: u32, path: u32, length: u32);
        sock_accept(fd: u32, flags: u32, accepted: u32);
        sock_recv(fd: u32, pieces: u32, number: u32, flags: u32, read: u32, seen: u32);
        sock_send(fd: u32, pieces: u32, number: u32, flags: u32, sent: u32);
        sock_shutdown(fd: u32, how: u32);
    });
    linker.func_wrap(MODULE, "proc_exit", |code: u32| -> wasmtime::Result<()> { Err(Exit(code).into()) })?;
    // The pack's own door to whoever embeds it. Nobody is behind it.
    const NOBODY: u32 = u32::MAX;
    linker.func_wrap("host", "call", |_: u32, _: u32, _: u32, _: u32| NOBODY)?;
    Ok(())
}

fn answer(done: Done) -> i32 {
    match done {
        Ok(()) => 0,
        Err(Errno(number)) => number,
    }
}

impl<'c> Call<'c> {
    fn of(caller: &'c mut Caller<'_, Host>) -> Result<Self, Errno> {
        let memory = caller.data().memory.ok_or(Errno::FAULT)?;
        let (memory, host) = memory.data_and_store_mut(caller);
        Ok(Self { memory, host })
    }

    fn bytes(&self, at: u32, length: u32) -> Result<&[u8], Errno> {
        let (at, length) = (size(at), size(length));
        self.memory.get(at..).and_then(|rest| rest.get(..length)).ok_or(Errno::FAULT)
    }

    fn bytes_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8], Errno> {
        let (at, length) = (size(at), size(length));
        self.memory.get_mut(at..).and_then(|rest| rest.get_mut(..length)).ok_or(Errno::FAULT)
    }

    fn text(&self, at: u32, length: u32) -> Result<String, Errno> {
        let text = std::str::from_utf8(self.bytes(at, length)?).map_err(|_| Errno::ILSEQ)?;
        Ok(text.to_owned())
    }

    fn number<const N: usize>(&self, at: u32) -> Result<[u8; N], Errno> {
        let length = u32::try_from(N).map_err(|_| Errno::FAULT)?;
        self.bytes(at, length)?.try_into().map_err(|_| Errno::FAULT)
    }

    fn u32(&self, at: u32) -> Result<u32, Errno> {
        self.number(at).map(u32::from_le_bytes)
    }

    fn u64(&self, at: u32) -> Result<u64, Errno> {
        self.number(at).map(u64::from_le_bytes)
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Done {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::FAULT)?;
        self.bytes_mut(at, length)?.copy_from_slice(bytes);
        Ok(())
    }

    fn write_u32(&mut self, at: u32, number: usize) -> Done {
        let number = u32::try_from(number).map_err(|_| Errno::FBIG)?;
        self.write(at, &number.to_le_bytes())
    }

    /// The buffers that a list of `number` addresses and lengths names.
    fn pieces(&self, at: u32, number: u32) -> Result<Vec<(u32, u32)>, Errno> {
        /// As on Linux.
        const MOST: u32 = 1024;
        if number > MOST {
            return Err(Errno::INVAL);
        }
        (0..number)
            .map(|index| {
                let at = at.checked_add(index * 8).ok_or(Errno::FAULT)?;
                let length = at.checked_add(4).ok_or(Errno::FAULT)?;
                Ok((self.u32(at)?, self.u32(length)?))
            })
            .collect()
    }

    /// Writes a list of texts, each ended by a zero, and their addresses.
    fn write_texts(&mut self, list: u32, mut text: u32, texts: &[String]) -> Done {
        for (at, item) in (list..).step_by(4).zip(texts) {
            self.write(at, &text.to_le_bytes())?;
            self.write(text, item.as_bytes())?;
            let length = u32::try_from(item.len()).map_err(|_| Errno::FAULT)?;
            let end = text.checked_add(length).ok_or(Errno::FAULT)?;
            self.write(end, &[0])?;
            text = end.checked_add(1).ok_or(Errno::FAULT)?;
        }
        Ok(())
    }

    fn write_sizes(&mut self, number: u32, bytes: u32, texts: &[String]) -> Done {
        self.write_u32(number, texts.len())?;
        self.write_u32(bytes, texts.iter().map(|text| text.len() + 1).sum())
    }

    fn args_get(&mut self, list: u32, text: u32) -> Done {
        let arguments = self.host.arguments.clone();
        self.write_texts(list, text, &arguments)
    }

    fn args_sizes_get(&mut self, number: u32, bytes: u32) -> Done {
        let arguments = self.host.arguments.clone();
        self.write_sizes(number, bytes, &arguments)
    }

    fn environ_get(&mut self, list: u32, text: u32) -> Done {
        let environment = self.host.environment.clone();
        self.write_texts(list, text, &environment)
    }

    fn environ_sizes_get(&mut self, number: u32, bytes: u32) -> Done {
        let environment = self.host.environment.clone();
        self.write_sizes(number, bytes, &environment)
    }

    fn random_get(&mut self, buffer: u32, length: u32) -> Done {
        getrandom::fill(self.bytes_mut(buffer, length)?).map_err(|_| Errno::NOTSUP)
    }

    fn sock_accept(&mut self, _: u32, _: u32, _: u32) -> Done {
        Err(Errno::NOTSUP)
    }

    fn sock_recv(&mut self, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32) -> Done {
        Err(Errno::NOTSUP)
    }

    fn sock_send(&mut self, _: u32, _: u32, _: u32, _: u32, _: u32) -> Done {
        Err(Errno::NOTSUP)
    }

    fn sock_shutdown(&mut self, _: u32, _: u32) -> Done {
        Err(Errno::NOTSUP)
    }
}

/// An address or length of the guest's, which has 32 bits.
fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
