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
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, Command};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::halt::Halting;
use super::text::harmless;
use super::wire::{Start, StartLimits};
use super::{Engine, Interpreter, Life, NativeSettings, SessionLimits, Starting, Unstarted, calls};

/// The engine.
pub struct Native {
    python: Python,
    settings: NativeSettings,
    spawner: mpsc::Sender<Order>,
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
        Ok(Self { python, settings, spawner: spawner() })
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
        command.env_clear().env("PATH", SEARCHED).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
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

    async fn launch(&self, modules: &[String]) -> Result<Interpreter, Unstarted> {
        let missing = || Unstarted("the task that starts sessions has ended".to_owned());
        let (answer, started) = oneshot::channel();
        let order = Order { command: self.command(), runtime: Handle::current(), answer };
        self.spawner.send(order).await.map_err(|_| missing())?;
        let spawned = started.await.map_err(|_| missing())?;
        let mut child = spawned.map_err(|error| Unstarted(format!("could not start `sh`: {error}")))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Unstarted("a session has no pipes".to_owned()));
        };
        // Where the walls cannot be built, nobody reads this, and the answer says why.
        let _ = stdin.write_all(&self.first_line(modules)).await;
        Ok(Interpreter {
            commands: Box::new(stdin),
            answers: Box::new(stdout),
            life: Box::new(Process { child, stderr, halting: None, _spawner: self.spawner.clone() }),
        })
    }

    fn first_line(&self, modules: &[String]) -> Vec<u8> {
        let SessionLimits { memory_bytes, disk_bytes, cpu_seconds } = self.settings.limits;
        let limits =
            StartLimits { memory_bytes, disk_bytes, cpu_seconds, open_files: OPEN_FILES, threads: THREADS };
        let mut line = serde_json::to_vec(&Start { limits, modules }).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// Where programs of the system are.
const SEARCHED: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

impl Engine for Native {
    fn start<'a>(&'a self, modules: &'a [String]) -> Starting<'a> {
        Box::pin(self.launch(modules))
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn staged(name: &str) -> PathBuf {
    Path::new(STAGE).join(name)
}

/// A path as sessions can use it, which begin elsewhere.
fn absolute(path: &Path) -> Result<PathBuf, Unstarted> {
    std::path::absolute(path)
        .map_err(|error| Unstarted(format!("{} cannot be found: {error}", path.display())))
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
    write(folder, "kernel.py", include_bytes!("kernel.py"))?;
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

struct Order {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<std::io::Result<Child>>,
}

/// Sessions die with the thread that has started them, so that none outlives a server that is killed. The
/// runtime's threads come and go; this one stays as long as the engine and its sessions.
fn spawner() -> mpsc::Sender<Order> {
    let (sender, mut orders) = mpsc::channel::<Order>(1);
    std::thread::spawn(move || {
        while let Some(mut order) = orders.blocking_recv() {
            let _runtime = order.runtime.enter();
            // Whoever stopped waiting drops the child, which kills it.
            let _ = order.answer.send(order.command.spawn());
        }
    });
    sender
}

struct Process {
    child: Child,
    stderr: ChildStderr,
    /// Found once it has begun.
    halting: Option<Halting>,
    /// Keeps the thread that started it.
    _spawner: mpsc::Sender<Order>,
}

/// What bubblewrap says when it fails is a line.
const MOST_SAID: u64 = 4096;
/// A killed process is gone at once.
const ENDING: Duration = Duration::from_secs(10);

impl Life for Process {
    fn halt(&mut self) -> bool {
        if self.halting.is_none() {
            self.halting = self.child.id().and_then(Halting::of);
        }
        self.halting.as_ref().is_some_and(Halting::halt)
    }

    fn go_on(&mut self) {
        if let Some(halting) = &self.halting {
            halting.go_on();
        }
    }

    fn end(&mut self) -> Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(async {
            // An error means that it has ended already.
            let _ = self.child.start_kill();
            let mut said = Vec::new();
            let mut stderr = (&mut self.stderr).take(MOST_SAID);
            let read = stderr.read_to_end(&mut said);
            let ended = tokio::time::timeout(ENDING, async {
                // What cannot be read is only missing from the explanation.
                let _ = read.await;
                self.child.wait().await
            });
            match ended.await {
                Ok(Ok(_)) if !said.is_empty() => shown(&said),
                Ok(Ok(status)) => explain(status),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it does not end".to_owned(),
            }
        })
    }
}

fn shown(said: &[u8]) -> String {
    harmless(String::from_utf8_lossy(said).trim())
}

/// bubblewrap ends with Python's exit code, or with 128 and the signal that ended it.
fn explain(status: ExitStatus) -> String {
    const KILLED: i32 = 128 + libc::SIGKILL;
    const CRASHED: i32 = 128 + libc::SIGSEGV;
    match status.code() {
        Some(KILLED) => "Python was killed: it had used up its processor time or memory".to_owned(),
        Some(CRASHED) => "Python crashed with a segmentation fault".to_owned(),
        Some(code) if code > 128 => format!("Python was ended by signal {}", code - 128),
        Some(code) => format!("Python ended with exit code {code}"),
        None => "it was ended".to_owned(),
    }
}
