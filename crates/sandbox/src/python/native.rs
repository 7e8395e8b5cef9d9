//! CPython of this machine, behind the walls that bubblewrap builds.
//!
//! What is written here is the policy; the mechanism is bubblewrap's and the kernel's. A session's process sees
//! Python, its packages and two folders in memory, and nothing else that is a file: no `/proc`, no programs, no
//! devices but the harmless ones. It is alone in namespaces of its own, without a network, without rights, as
//! nobody; `calls` says which system calls are left, and `kernel.py` sets its own limits before any code comes.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::process::{Kind, Spawner, absolute, shown};
use super::wire::{Start, StartLimits, line};
use super::{Engine, NativeSettings, SessionLimits, Starting, Unstarted, calls, halt::Halting};

/// The engine.
pub struct Native {
    python: Python,
    settings: NativeSettings,
    spawner: Spawner,
}

/// A Python, as `about.py` says.
#[derive(Debug, Deserialize)]
struct Python {
    executable: PathBuf,
    prefix: PathBuf,
    /// The folder of its own modules.
    modules: PathBuf,
    /// Shared libraries below its prefix that it and its modules load.
    libraries: Vec<PathBuf>,
}

/// Something of this machine that sessions see.
struct Shown {
    source: PathBuf,
    /// What it is called on the stage.
    name: String,
    /// Where sessions see it.
    place: PathBuf,
}

const KERNEL: &str = concat!(include_str!("kernel.py"), include_str!("kernel_native.py"));
pub(super) const PROBE: &str = concat!(include_str!("probe.py"), include_str!("probe_native.py"));
const ABOUT: &str = include_str!("about.py");
const ASKING: Duration = Duration::from_secs(30);

/// Descriptors of a session; Python and its libraries have some twenty open.
const OPEN_FILES: u64 = 256;
/// Threads of a session, bubblewrap's process included.
const THREADS: u64 = 64;
/// Files of a session: each takes some memory that no limit of bytes counts.
const FILES: u64 = 10_000;
/// Who sessions run as, inside and, where the server is root, outside too.
const NOBODY: &str = "65534";
/// A folder that every system has and no session needs. Root puts there what nobody could not reach.
const STAGE: &str = "/mnt";
/// Where memory runs out, the kernel takes sessions first and the server last. The filter is opened as descriptor 9,
/// where bubblewrap reads it.
const BEGIN: &str = "echo 1000 > /proc/self/oom_score_adj && exec \"$@\" 9< \"$0\"";
const MAKE_DISK: &str = "mount -t tmpfs -o \"$1,nosuid,nodev\" tmpfs \"$0\" && mkdir -m 0700 \"$0/data\" \"$0/tmp\" && \
                         shift && exec \"$@\"";

impl Native {
    /// Makes the engine ready; nothing is started.
    ///
    /// # Errors
    /// Where there is no Python, or the folder cannot be written; in words.
    pub async fn new(mut settings: NativeSettings) -> Result<Self, Unstarted> {
        let python = ask(&settings.python).await?;
        settings.folder = absolute(&settings.folder)?;
        settings.packages = settings.packages.as_deref().map(absolute).transpose()?;
        let filter =
            calls::filter().map_err(|error| Unstarted(format!("no filter of system calls: {error}")))?;
        write_all(&settings.folder, &filter).map_err(|error| {
            Unstarted(format!("could not write in {}: {error}", settings.folder.display()))
        })?;
        Ok(Self { python, settings, spawner: Spawner::new() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", BEGIN]).arg(self.settings.folder.join("calls.bpf"));
        let root = rustix::process::geteuid().is_root();
        let stage = Path::new(STAGE);
        if root {
            command.args(self.stage()).args(self.disk(&stage.join("disk")));
            command.args(self.walls(true, &stage.join("disk")));
        } else {
            command.args(self.disk(stage)).args(self.walls(false, stage));
        }
        command.arg(&self.python.executable);
        command.args(["-I", "-S", "-X", "utf8", "/opt/kernel.py"]);
        command.env_clear().env("PATH", SEARCHED);
        command
    }

    /// For a server that is root: becomes nobody before any wall is built, so that not even the kernel takes a
    /// session for root. What nobody may not reach by its path is shown to it elsewhere first.
    fn stage(&self) -> Vec<OsString> {
        // Alone in a process namespace, whose end is the end of all that is in it, whoever it runs as.
        let mut stage = words(&["bwrap", "--unshare-pid", "--die-with-parent"]);
        stage.extend(words(&["--dev-bind", "/", "/", "--tmpfs", STAGE]));
        for Shown { source, name, .. } in self.shown() {
            stage.extend(["--ro-bind".into(), source.into(), staged(&name).into()]);
        }
        let become_nobody = [
            "setpriv",
            "--reuid",
            NOBODY,
            "--regid",
            NOBODY,
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
            "--no-new-privs",
        ];
        stage.extend(words(&["--dir", "/mnt/disk"]));
        stage.extend(words(&become_nobody));
        stage
    }

    /// A disk in memory, of so many bytes and files; bubblewrap's own would count no files.
    fn disk(&self, place: &Path) -> Vec<OsString> {
        let options = format!("size={},nr_inodes={FILES},mode=0700", self.settings.limits.disk_bytes);
        let mut disk =
            words(&["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-c", MAKE_DISK]);
        disk.extend([place.into(), options.into()]);
        disk
    }

    fn walls(&self, root: bool, disk: &Path) -> Vec<OsString> {
        let mut walls = words(&[
            "bwrap",
            // Namespaces of its own: user, process, mount, network, IPC, UTS and cgroup, and never more.
            "--unshare-all",
            "--unshare-user",
            "--disable-userns",
            "--uid",
            NOBODY,
            "--gid",
            NOBODY,
            "--hostname",
            "sandbox",
            "--cap-drop",
            "ALL",
            "--clearenv",
            // Killed with the server, out of reach of its terminal.
            "--die-with-parent",
            "--new-session",
        ]);
        for library in ["/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib64"] {
            walls.extend(system_folder(Path::new(library)));
        }
        // Where libraries are that lie elsewhere.
        walls.extend(words(&["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]));
        for Shown { source, name, place } in self.shown() {
            let source = if root { staged(&name) } else { source };
            walls.extend(["--ro-bind".into(), source.into(), place.into()]);
        }
        for folder in self.hidden() {
            let folder = folder.into_os_string();
            walls.extend(["--tmpfs".into(), folder.clone(), "--remount-ro".into(), folder]);
        }
        for device in ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"] {
            walls.extend(words(&["--dev-bind", device, device]));
        }
        for (folder, place) in [("data", "/mnt/data"), ("tmp", "/tmp")] {
            walls.extend(["--bind".into(), disk.join(folder).into(), place.into()]);
        }
        walls.extend(words(&["--chdir", "/mnt/data", "--remount-ro", "/", "--seccomp", "9", "--"]));
        walls
    }

    /// What a session sees of this machine beside the system's libraries.
    fn shown(&self) -> Vec<Shown> {
        let Python { executable, prefix, modules, libraries } = &self.python;
        let shown = |source: &Path, name: &str, place: &Path| Shown {
            source: source.to_owned(),
            name: name.to_owned(),
            place: place.to_owned(),
        };
        let kernel = self.settings.folder.join("kernel.py");
        let mut all = vec![shown(&kernel, "kernel.py", Path::new("/opt/kernel.py"))];
        let packages = self.settings.packages.iter();
        all.extend(packages.map(|packages| shown(packages, "packages", Path::new("/opt/packages"))));
        // Python looks for its own where it lies.
        all.push(shown(executable, "python", executable));
        // A system's Python lies among its libraries, which are shown already.
        if prefix != Path::new("/usr") {
            all.push(shown(modules, "modules", modules));
            let libraries = libraries.iter().enumerate();
            all.extend(libraries.map(|(at, library)| shown(library, &format!("library-{at}"), library)));
        }
        all
    }

    /// Folders within what is shown that have nothing to do with it: what this machine's owner has installed.
    fn hidden(&self) -> Vec<PathBuf> {
        let modules = &self.python.modules;
        let others = ["/usr/lib/git-core", "/usr/lib/python3/dist-packages"].map(PathBuf::from);
        let mut hidden = vec![modules.join("site-packages"), modules.join("dist-packages")];
        hidden.extend(others);
        // A link would lead out of what is shown, and nothing can be laid over it.
        hidden.retain(|folder| std::fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir()));
        hidden
    }

    fn first_line(&self, modules: &[String]) -> Vec<u8> {
        let SessionLimits { memory_bytes, disk_bytes, cpu_seconds } = self.settings.limits;
        let limits =
            StartLimits { memory_bytes, disk_bytes, cpu_seconds, open_files: OPEN_FILES, threads: THREADS };
        line(&Start { limits, modules })
    }
}

/// Where programs of the system are.
const SEARCHED: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

impl Engine for Native {
    fn start<'a>(&'a self, modules: &'a [String]) -> Starting<'a> {
        Box::pin(self.spawner.start(self.command(), self.first_line(modules), &BUBBLEWRAP))
    }

    fn probe(&self) -> &'static str {
        PROBE
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn staged(name: &str) -> PathBuf {
    Path::new(STAGE).join(name)
}

/// Shows a folder of the system's libraries as it is: a folder, a link to one, or not there.
fn system_folder(path: &Path) -> Vec<OsString> {
    match std::fs::read_link(path) {
        Ok(target) => vec!["--symlink".into(), target.into(), path.into()],
        Err(_) if path.is_dir() => vec!["--ro-bind".into(), path.into(), path.into()],
        Err(_) => Vec::new(),
    }
}

async fn ask(python: &Path) -> Result<Python, Unstarted> {
    let name = python.display();
    let mut command = Command::new(python);
    command.args(["-I", "-c", ABOUT]).stdin(Stdio::null()).kill_on_drop(true);
    let asked = tokio::time::timeout(ASKING, command.output()).await;
    let said = match asked {
        Ok(Ok(said)) if said.status.success() => said.stdout,
        Ok(Ok(said)) => return Err(Unstarted(format!("`{name}` failed: {}", shown(&said.stderr)))),
        Ok(Err(error)) => return Err(Unstarted(format!("could not run `{name}`: {error}"))),
        Err(_) => return Err(Unstarted(format!("`{name}` does not answer"))),
    };
    serde_json::from_slice(&said).map_err(|_| Unstarted(format!("`{name}` is no Python")))
}

/// Two small files, written once a start.
fn write_all(folder: &Path, filter: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    write(folder, "kernel.py", KERNEL.as_bytes())?;
    write(folder, "calls.bpf", filter)
}

/// Writes a file that another server may be using: it is there whole, or as it was. Whatever else lies in the folder,
/// such as a link to elsewhere, is not written through.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let path = folder.join(name);
    let is_file = std::fs::symlink_metadata(&path).is_ok_and(|about| about.is_file());
    if is_file && std::fs::read(&path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(bytes)?;
    // Nobody reads it, and the server's own umask may forbid that.
    new.as_file().set_permissions(PermissionsExt::from_mode(0o644))?;
    new.persist(&path)?;
    Ok(())
}

/// Python is the last of bubblewrap's processes, which end as it does: with its exit code, or with 128 and the signal
/// that ended it.
const BUBBLEWRAP: Kind = Kind { interpreter: Halting::last_of, explain };

fn explain(code: i32) -> String {
    const KILLED: i32 = 128 + libc::SIGKILL;
    const CRASHED: i32 = 128 + libc::SIGSEGV;
    match code {
        KILLED => "Python was killed: it had used up its processor time or memory".to_owned(),
        CRASHED => "Python crashed with a segmentation fault".to_owned(),
        code if code > 128 => format!("Python was ended by signal {}", code - 128),
        code => format!("Python ended with exit code {code}"),
    }
}
