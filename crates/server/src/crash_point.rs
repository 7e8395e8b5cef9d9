//! Points at which a test can have the process die: before and after every commit and every call of something outside
//! of it (a model's server, a tool, the blob store, the client that listens). `conformance/tests/test_crash_points.py`
//! has it die at each of them, one after the other.
//!
//! Only debug builds have them, and only a process that was told of a folder looks there. Its file `at` says at which
//! point to die, counted from 1; while there is none, nothing is counted, so that a test begins with the run that it
//! is about, and a process that goes on after a crash goes on undisturbed. What stands behind the number tells one test
//! from the next. The file `passed` has the names of the points that were passed, one a line.

#[cfg(not(debug_assertions))]
pub use absent::{are_counted, aside, count_in, reach};
#[cfg(debug_assertions)]
pub use counted::{are_counted, aside, count_in, reach};

#[cfg(debug_assertions)]
mod counted {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::sync::{Mutex, OnceLock, PoisonError};

    use rustix::process::{Signal, getpid, kill_process};

    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    static PASSED: Mutex<Passed> = Mutex::new(Passed { wish: String::new(), points: 0 });

    /// What was passed of what a test wants to count.
    struct Passed {
        wish: String,
        points: u64,
    }

    tokio::task_local! {
        static ASIDE: ();
    }

    /// Looks in this folder for what a test wants.
    pub fn count_in(folder: &Path) {
        FOLDER.get_or_init(|| folder.to_owned());
    }

    /// Whether points are being counted. Their number must not hang on how bytes come in, so whoever takes several
    /// things at once takes them one by one.
    pub fn are_counted() -> bool {
        FOLDER.get().is_some_and(|folder| folder.join("at").exists())
    }

    /// Does something that no run waits for, and that is done in one run and not in the next: its points do not count.
    pub async fn aside<T>(work: impl Future<Output = T>) -> T {
        ASIDE.scope((), work).await
    }

    /// Dies here, if this is the point.
    pub fn reach(point: &'static str) {
        let Some(folder) = FOLDER.get() else { return };
        if ASIDE.try_with(|()| ()).is_ok() {
            return;
        }
        // Kept while it dies, so that nobody gets past a later point meanwhile.
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(wish) = fs::read_to_string(folder.join("at")) else { return };
        if passed.wish != wish {
            *passed = Passed { wish, points: 0 };
        }
        passed.points += 1;
        let file = OpenOptions::new().create(true).append(true).open(folder.join("passed"));
        if let Err(error) = file.and_then(|mut file| file.write_all(format!("{point}\n").as_bytes())) {
            tracing::error!("the point `{point}` could not be noted: {error}");
        }
        let last = passed.wish.split_whitespace().next().and_then(|number| number.parse().ok());
        if last == Some(passed.points) {
            die();
        }
    }

    /// As where the power fails: no destructor runs, no buffer is written.
    fn die() -> ! {
        // It can only fail where there is no such process, and this one is it.
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

#[cfg(not(debug_assertions))]
mod absent {
    use std::path::Path;

    /// Nothing: there are no points in a release.
    pub const fn count_in(_: &Path) {}

    /// Never.
    pub const fn are_counted() -> bool {
        false
    }

    /// Does something.
    pub async fn aside<T>(work: impl Future<Output = T>) -> T {
        work.await
    }

    /// Nothing: there are no points in a release.
    pub const fn reach(_: &'static str) {}
}
