//! Proves by attack that an engine's walls stand.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::session::{Ended, Output, RunLimits, Session};
use super::{Engine, SessionLimits};

/// Why an engine must not run code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// No session could be started; in words, with the remedy where one is known.
    NotStarted(String),
    /// The attacks could not be made.
    NotTried(String),
    /// Walls that let an attack through, each with what was seen.
    Open(BTreeMap<String, String>),
}

const PROBE: RunLimits =
    RunLimits { time: Duration::from_secs(30), output_characters: 100_000, image_bytes: 0, images: 0 };

/// A program that says when it no longer stops if asked to.
const ENDLESS: &str = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('de' + 'af', flush=True)\nwhile True: pass";
const DEAF: &str = "deaf";

/// How long it may run. Where a machine is busy, a moment is over before the program has got that far.
const MOMENTS: [Duration; 3] = [Duration::from_millis(100), Duration::from_secs(2), Duration::from_secs(20)];

/// Starts a session and attacks each wall from inside; then lets it run for ever, to see that it can be ended.
///
/// # Errors
/// Where a wall is missing. Then nothing may be run.
pub async fn prove(engine: &dyn Engine, limits: &SessionLimits) -> Result<(), Unproven> {
    let mut session = match Session::open(engine, &[]).await {
        Ok(session) => session,
        Err(unstarted) => return Err(Unproven::NotStarted(remedy(unstarted.0))),
    };
    let mut printed = String::new();
    let ended = session
        .run(&attacks(engine.probe(), limits), &PROBE, &mut |output| {
            if let Output::Text(text) = output {
                printed.push_str(&text);
            }
        })
        .await;
    let through = serde_json::from_str::<BTreeMap<String, String>>(printed.trim());
    let mut through = match (ended, through) {
        (Ok(Ended::Succeeded), Ok(through)) => through,
        (Err(lost), _) => return Err(Unproven::NotTried(lost.0)),
        (Ok(_), _) => return Err(Unproven::NotTried(printed)),
    };
    if outlives_its_time(&mut session).await? {
        through.insert("time".to_owned(), "a program that may not run any longer goes on".to_owned());
    }
    if through.is_empty() { Ok(()) } else { Err(Unproven::Open(through)) }
}

/// Whether a program goes on that does not stop when asked to, and may not run any longer.
async fn outlives_its_time(session: &mut Session) -> Result<bool, Unproven> {
    for time in MOMENTS {
        let mut is_deaf = false;
        let mut hear = |output| is_deaf |= matches!(output, Output::Text(text) if text.starts_with(DEAF));
        match session.run(ENDLESS, &RunLimits { time, ..PROBE }, &mut hear).await {
            // The session was ended with it.
            Err(_) => return Ok(false),
            Ok(_) if is_deaf => return Ok(true),
            Ok(_) => {}
        }
    }
    Err(Unproven::NotTried("a program that never ends could not be begun".to_owned()))
}

/// The attacks on walls of so much.
pub(super) fn attacks(probe: &str, limits: &SessionLimits) -> String {
    let SessionLimits { memory_bytes, disk_bytes, cpu_seconds } = limits;
    format!(
        "LIMITS = {{'memory_bytes': {memory_bytes}, 'disk_bytes': {disk_bytes}, 'cpu_seconds': {cpu_seconds}}}\n{probe}"
    )
}

/// Adds what to do to what the system said.
fn remedy(said: String) -> String {
    let lower = said.to_lowercase();
    let advice = if lower.contains("bwrap: not found") || lower.contains("bwrap: no such file") {
        "Install bubblewrap: on Debian and Ubuntu, apt-get install bubblewrap."
    } else if lower.contains("setpriv") {
        "Root must be able to become nobody, by util-linux's setpriv, and a container must have more users than one. Or \
         run the server as an ordinary user."
    } else if lower.contains("unknown option") {
        "Install a newer bubblewrap, 0.8 or later."
    } else if lower.contains("namespace")
        || lower.contains("uid map")
        || lower.contains("unshare failed")
        || lower.contains("operation not permitted")
    {
        "User namespaces are forbidden here. On the machine itself: sysctl kernel.unprivileged_userns_clone=1 and \
         user.max_user_namespaces=10000, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0; in Docker: \
         --security-opt seccomp=unconfined."
    } else {
        return said;
    };
    format!("{said}. {advice}")
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(why) => write!(f, "its walls cannot be built here: {why}"),
            Self::NotTried(why) => write!(f, "its walls could not be tried: {why}"),
            Self::Open(walls) => {
                f.write_str("these walls do not hold here:")?;
                walls.iter().try_for_each(|(wall, seen)| write!(f, " {wall} ({seen});"))?;
                f.write_str(" code is not run without them")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The walls that attacks find missing in the open.
    fn missing(probe: &str) -> Vec<String> {
        let limits = SessionLimits { memory_bytes: 1 << 20, disk_bytes: 1 << 10, cpu_seconds: 9 };
        let folder = tempfile::tempdir().expect("a folder");
        let mut python = Command::new("python3");
        python.args(["-I", "-c", &attacks(probe, &limits)]).current_dir(&folder).env("SECRET", "1");
        let said = python.output().expect("Python is here").stdout;
        let through: BTreeMap<String, String> = serde_json::from_slice(&said).expect("it says it in JSON");
        // Who is not root finds these walls everywhere.
        through.into_keys().filter(|wall| !["writing", "user"].contains(&wall.as_str())).collect()
    }

    #[test]
    fn the_attacks_find_every_wall_that_is_not_there() {
        let expected = [
            "disk",
            "environment",
            "files",
            "host name",
            "limits",
            "memory",
            "network",
            "privileges",
            "processes",
            "programs",
            "system calls",
        ];
        assert_eq!(missing(crate::python::native::PROBE), expected);
    }

    #[cfg(feature = "wasm")]
    #[test]
    fn the_attacks_on_webassembly_find_every_wall_that_is_not_there() {
        let expected = ["disk", "environment", "files", "memory", "network", "programs", "threads"];
        assert_eq!(missing(crate::python::wasm::PROBE), expected);
    }

    #[test]
    fn what_is_missing_is_said_with_its_remedy() {
        for (said, advice) in [
            ("/bin/sh: 1: exec: bwrap: not found", "apt-get install bubblewrap."),
            (
                "bwrap: No permissions to create new namespace, likely because",
                "kernel.unprivileged_userns_clone=1",
            ),
            ("bwrap: setting up uid map: Permission denied", "User namespaces are forbidden here."),
            ("unshare: unshare failed: No space left on device", "user.max_user_namespaces=10000"),
            ("setpriv: setresuid failed: Invalid argument", "more users than one"),
            ("bwrap: Unknown option --disable-userns", "Install a newer bubblewrap"),
        ] {
            let shown = Unproven::NotStarted(remedy(said.to_owned())).to_string();
            assert!(shown.starts_with(&format!("its walls cannot be built here: {said}. ")), "{shown}");
            assert!(shown.contains(advice), "{shown}");
        }
    }
}
