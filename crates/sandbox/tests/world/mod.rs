//! An engine in a folder of its own.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use adjutant_sandbox::python::{
    Ended, Engine, Native, NativeSettings, Output, RunLimits, Session, SessionLimits, Unstarted,
};
use tempfile::TempDir;

#[cfg(feature = "wasm")]
mod wasm;

pub const LIMITS: SessionLimits =
    SessionLimits { memory_bytes: 1 << 30, disk_bytes: 16 << 20, cpu_seconds: 60 };

pub const RUN: RunLimits =
    RunLimits { time: Duration::from_secs(20), output_characters: 10_000, image_bytes: 1 << 20, images: 2 };

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Native,
    Wasm,
}

pub struct World {
    pub engine: Box<dyn Engine>,
    pub folder: TempDir,
}

/// Runs tests that take [`Which`] on every engine that is built.
#[macro_export]
macro_rules! on_every_engine {
    ($($test:ident)*) => {
        mod native {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::world::Which::Native).await;
            })*
        }
        #[cfg(feature = "wasm")]
        mod wasm {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(super::world::Which::Wasm).await;
            })*
        }
    };
}

impl World {
    pub async fn new(which: Which) -> Self {
        match which {
            Which::Native => Self::with_python("python3").await.expect("Python is here"),
            #[cfg(feature = "wasm")]
            Which::Wasm => wasm::world(TempDir::new().expect("a folder"), Path::to_owned).await,
            #[cfg(not(feature = "wasm"))]
            Which::Wasm => unreachable!("it is not built"),
        }
    }

    pub async fn with_python(python: &str) -> Result<Self, Unstarted> {
        let folder = TempDir::new().expect("a folder");
        let settings = NativeSettings {
            python: PathBuf::from(python),
            packages: None,
            folder: folder.path().join("engine"),
            limits: LIMITS,
        };
        Ok(Self { engine: Box::new(Native::new(settings).await?), folder })
    }

    /// One whose folders are named from where this process stands.
    pub async fn with_relative_folders(which: Which) -> Self {
        let folder = TempDir::new().expect("a folder");
        match which {
            Which::Native => {
                let relative = from_here(folder.path());
                std::fs::create_dir(relative.join("packages")).expect("it is written");
                std::fs::write(relative.join("packages/there.py"), "").expect("it is written");
                let settings = NativeSettings {
                    python: PathBuf::from("python3"),
                    packages: Some(relative.join("packages")),
                    folder: relative.join("engine"),
                    limits: LIMITS,
                };
                let engine = Native::new(settings).await.expect("Python is here");
                Self { engine: Box::new(engine), folder }
            }
            #[cfg(feature = "wasm")]
            Which::Wasm => wasm::world(folder, from_here).await,
            #[cfg(not(feature = "wasm"))]
            Which::Wasm => unreachable!("it is not built"),
        }
    }

    pub async fn session(&self) -> Session {
        Session::open(&*self.engine, &[]).await.expect("a session starts")
    }

    pub async fn until_nothing_runs(&self) {
        until_nothing_runs(&self.folder).await;
    }
}

/// A path from where this process stands.
fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().expect("there is one");
    let up: PathBuf = here.iter().skip(1).map(|_| "..").collect();
    up.join(path.strip_prefix("/").expect("it is absolute"))
}

/// Waits until no process names the engine's folder any more, as all that belong to its sessions do.
pub async fn until_nothing_runs(folder: &TempDir) {
    while names_anywhere(folder.path()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn names_anywhere(folder: &Path) -> bool {
    !processes(folder).is_empty()
}

/// The processes whose command names the folder, by their own in `/proc`.
pub fn processes(folder: &Path) -> Vec<PathBuf> {
    let folder = folder.to_str().expect("it is text").as_bytes();
    let processes = std::fs::read_dir("/proc").expect("there is /proc").flatten().map(|entry| entry.path());
    let names = |process: &PathBuf| {
        let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
        line.windows(folder.len()).any(|part| part == folder)
    };
    processes.filter(names).collect()
}

/// The state, as `/proc` says it, of the process at the end of the line that begins with one that names the folder.
pub fn state_of_python(folder: &Path) -> Option<char> {
    let mut last: i32 = processes(folder).first()?.file_name()?.to_str()?.parse().ok()?;
    let all = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    let about = |process: &str| {
        let about = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let mut fields = about.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        Some((process.parse::<i32>().ok()?, state, fields.next()?.parse::<i32>().ok()?))
    };
    let all: Vec<_> = all.filter_map(|entry| about(entry.file_name().to_str()?)).collect();
    while let Some((child, ..)) = all.iter().find(|(_, _, parent)| *parent == last) {
        last = *child;
    }
    all.iter().find(|(process, ..)| *process == last).map(|(_, state, _)| *state)
}

/// What a piece of code printed, and how it ended.
pub async fn run(session: &mut Session, code: &str) -> (String, Ended) {
    let mut printed = String::new();
    let mut take = |output| match output {
        Output::Text(text) => printed.push_str(&text),
        Output::Image(png) => printed.push_str(&format!("[{} bytes of PNG]", png.len())),
    };
    let ended = session.run(code, &RUN, &mut take).await.expect("the session goes on");
    (printed, ended)
}
