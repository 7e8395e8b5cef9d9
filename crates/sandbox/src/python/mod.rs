//! Sessions of Python for code that nobody has read: an engine starts an interpreter behind walls, a [`Session`]
//! talks with it.
//!
//! An engine is whatever can start `kernel.py` where the code can do no harm, and give its two pipes. Everything
//! else, such as what a run of code is or how files go in and out, is the same for all engines.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod halt;
mod link;
#[cfg(target_os = "linux")]
mod native;
#[cfg(not(target_os = "linux"))]
#[path = "nowhere.rs"]
mod native;
#[cfg(target_os = "linux")]
mod process;
mod proof;
mod session;
mod text;
#[cfg(all(feature = "wasm", target_os = "linux"))]
mod wasm;
mod wire;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

pub use native::Native;
pub use proof::{Unproven, prove};
pub use session::{Ended, Interrupter, Lost, Output, Refused, RunLimits, Session};
#[cfg(all(feature = "wasm", target_os = "linux"))]
pub use wasm::{Wasm, WasmSettings, perform};

/// How much a session may use. The kernel sees to it.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Bytes of address space, libraries included. What would go beyond is a MemoryError.
    pub memory_bytes: u64,
    /// Bytes of files, all together. They lie in memory, beside `memory_bytes`.
    pub disk_bytes: u64,
    /// Seconds of processor time, of all its threads and from its start. Then the session ends.
    pub cpu_seconds: u64,
}

/// What native sessions are made of.
#[derive(Clone, Debug)]
pub struct NativeSettings {
    /// The Python to run: a program's name or path.
    pub python: PathBuf,
    /// A folder of installed packages, `site-packages`, that sessions can import.
    pub packages: Option<PathBuf>,
    /// Where this engine keeps two small files of its own.
    pub folder: PathBuf,
    /// How much a session may use.
    pub limits: SessionLimits,
}

/// Something that starts interpreters behind walls.
pub trait Engine: Send + Sync {
    /// Starts an interpreter with `kernel.py`, which imports `modules` ahead.
    fn start<'a>(&'a self, modules: &'a [String]) -> Starting<'a>;

    /// Python that attacks each of its walls once, and prints, as one line of JSON, what got through: the wall's name
    /// and what was seen. `LIMITS` are the session's.
    fn probe(&self) -> &'static str;
}

/// An interpreter on its way.
pub type Starting<'a> = Pin<Box<dyn Future<Output = Result<Interpreter, Unstarted>> + Send + 'a>>;

/// An interpreter that runs. Dropping it ends it, with everything that it has started.
pub struct Interpreter {
    /// Where `kernel.py` reads its commands.
    pub commands: Box<dyn AsyncWrite + Send + Unpin>,
    /// Where it answers.
    pub answers: Box<dyn AsyncRead + Send + Sync + Unpin>,
    /// What holds it in life.
    pub life: Box<dyn Life>,
}

/// What holds an interpreter in life.
pub trait Life: Send + Sync {
    /// Halts it, with all that it has started, until it is to go on. False where that cannot be done.
    fn halt(&mut self) -> bool;

    /// Lets it go on.
    fn go_on(&mut self);

    /// Ends it, if it has not ended, and says in words how it has.
    fn end(&mut self) -> Pin<Box<dyn Future<Output = String> + Send + '_>>;
}

/// No interpreter could be started.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unstarted(pub String);
