//! The attacks.

use adjutant_sandbox::python::Lost;

use super::host::Host;

pub struct Attack {
    pub name: &'static str,
    pub code: &'static str,
    pub sees: Sees,
}

/// What comes of an attack.
#[derive(Debug)]
pub enum Sees {
    /// It prints this, and no more.
    Only(&'static str),
    /// What it prints ends like this.
    Ending(&'static str),
    /// Its own session is over, and that is all.
    End(&'static str),
    /// It never ends by itself, and what it prints ends like this.
    Endless(&'static str),
    /// It never ends by itself, and its own session is over.
    Unstoppable,
}

impl Sees {
    pub fn fits(&self, seen: &Result<String, Lost>) -> bool {
        match (self, seen) {
            (Self::Only(expected), Ok(printed)) => printed.trim_end() == *expected,
            (Self::Ending(expected), Ok(printed)) => printed.trim_end().ends_with(expected),
            (Self::Endless(expected), Ok(printed)) => printed.trim_end().ends_with(expected),
            (Self::End(expected), Err(lost)) => lost.0 == *expected,
            (Self::Unstoppable, Err(lost)) => lost.0 == "the code did not stop when it was asked to",
            (Self::Only(_) | Self::Ending(_) | Self::Endless(_), Err(_)) => false,
            (Self::End(_) | Self::Unstoppable, Ok(_)) => false,
        }
    }
}

/// What attacks use.
pub fn prelude(host: &Host) -> String {
    format!("{}{IMPORTS}{ACTIONS}", host.names())
}

const IMPORTS: &str = r#"
import ctypes, errno, gc, io, mmap, os, resource, signal, socket, struct, subprocess, sys, threading, time, zipfile
libc = ctypes.CDLL(None, use_errno=True)
REFUSALS = (MemoryError, RuntimeError, ValueError)
"#;

/// How attacks say what came of them; `REFUSALS` are the exceptions that are none of the system's.
pub const ACTIONS: &str = r#"
def syscall(number, *arguments):
    ctypes.set_errno(0)
    answer = libc.syscall(*map(ctypes.c_long, (number, *arguments)))
    return errno.errorcode[ctypes.get_errno()] if answer == -1 else f"answered {answer}"

def tried(function, *arguments):
    try:
        return f"done: {function(*arguments)!r}"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except REFUSALS as error:
        return repr(error)

def read(path):
    return tried(lambda: open(path, "rb").read(100))

def barred(function, *arguments):
    seen = tried(function, *arguments)
    return "barred" if seen in ("EACCES", "EBUSY", "EPERM", "EROFS") else seen

def write(path):
    return barred(lambda: open(path, "ab").write(b"x"))
"#;

const fn only(name: &'static str, code: &'static str, seen: &'static str) -> Attack {
    Attack { name, code, sees: Sees::Only(seen) }
}

const fn ending(name: &'static str, code: &'static str, seen: &'static str) -> Attack {
    Attack { name, code, sees: Sees::Ending(seen) }
}

const fn ends(name: &'static str, code: &'static str, why: &'static str) -> Attack {
    Attack { name, code, sees: Sees::End(why) }
}

const fn endless(name: &'static str, code: &'static str, seen: &'static str) -> Attack {
    Attack { name, code, sees: Sees::Endless(seen) }
}

const fn unstoppable(name: &'static str, code: &'static str) -> Attack {
    Attack { name, code, sees: Sees::Unstoppable }
}

pub const ATTACKS: &[Attack] = &[
    // Files.
    only("read the users", "print(read('/etc/passwd'), read('/etc/shadow'))", "ENOENT ENOENT"),
    only("read the secret by its path", "print(read(SECRET))", "ENOENT"),
    only(
        "climb out of the folder",
        "print(read('/mnt/data' + '/..' * 9 + SECRET), read('../../etc/passwd'))",
        "ENOENT ENOENT",
    ),
    only("follow a link out", "os.symlink(SECRET, 'link'); print(read('link'))", "ENOENT"),
    only("link a file of the host", "print(tried(os.link, '/opt/kernel.py', 'hard'))", "EXDEV"),
    only(
        "list the root",
        "print(sorted(set(os.listdir('/')) - {'lib32', 'lib64', 'libx32', 'root', 'usr', 'lib', 'etc'}))",
        "['dev', 'mnt', 'opt', 'tmp']",
    ),
    only(
        "list what is mounted",
        "print(os.listdir('/opt'), os.listdir('/mnt'), os.listdir('/etc'))",
        "['kernel.py'] ['data'] ['ld.so.cache']",
    ),
    only("write into the root", "print(write('/x'), barred(os.mkdir, '/y'))", "barred barred"),
    only(
        "change the kernel's program",
        "print(write('/opt/kernel.py'), barred(os.unlink, '/opt/kernel.py'), barred(os.chmod, '/opt/kernel.py', 0o777))",
        "barred barred barred",
    ),
    only(
        "poison the standard library",
        "print(write(os.__file__), write(os.path.dirname(os.__file__) + '/x.py'))",
        "barred barred",
    ),
    only(
        "poison the system's libraries",
        "print(write('/usr/lib/x'), write('/etc/ld.so.preload'), write('/etc/ld.so.cache'))",
        "barred barred barred",
    ),
    only(
        "replace the folder",
        "print(barred(os.rename, '/mnt/data', '/mnt/other'), barred(os.rmdir, '/tmp'))",
        "barred barred",
    ),
    only(
        "give a file to root",
        "open('f', 'w'); os.chmod('f', 0o4755); print(tried(os.chown, 'f', 0, 0), os.statvfs('.').f_flag & os.ST_NOSUID != 0)",
        "ENOSYS True",
    ),
    only(
        "make a device",
        "print(tried(os.mknod, 'sda', 0o60600, os.makedev(8, 0)), os.statvfs('.').f_flag & os.ST_NODEV != 0)",
        "ENOSYS True",
    ),
    only(
        "open a device",
        "print(sorted(os.listdir('/dev')), read('/dev/mem'), read('/dev/kvm'), read('/dev/sda'), read('/dev/tty'))",
        "['null', 'random', 'urandom', 'zero'] ENOENT ENOENT ENOENT ENOENT",
    ),
    only(
        "map a device as program",
        "f = open('/dev/zero', 'r+b'); print(tried(mmap.mmap, f.fileno(), 2 << 30))",
        "ENOMEM",
    ),
    only(
        "look at programs",
        "print(read('/bin/sh'), read('/usr/bin/env'), read('/sbin/init'))",
        "ENOENT ENOENT ENOENT",
    ),
    // The kernel's folders.
    only(
        "read its processes",
        "print(read('/proc/self/environ'), read('/proc/1/environ'), read(f'/proc/{VICTIM}/environ'))",
        "ENOENT ENOENT ENOENT",
    ),
    only(
        "leave through a process",
        "print(tried(os.listdir, '/proc/1/root'), tried(os.listdir, '/proc/self/fd'), tried(os.listdir, '/dev/fd'))",
        "ENOENT ENOENT ENOENT",
    ),
    only(
        "read the kernel's memory",
        "print(read('/proc/kcore'), read('/proc/kallsyms'), read('/proc/keys'))",
        "ENOENT ENOENT ENOENT",
    ),
    only(
        "press the kernel's keys",
        "print(write('/proc/sysrq-trigger'), write('/proc/sys/kernel/core_pattern'))",
        "ENOENT ENOENT",
    ),
    only(
        "leave through a control group",
        "print(tried(os.listdir, '/sys/fs/cgroup'), write('/sys/kernel/uevent_helper'))",
        "ENOENT ENOENT",
    ),
    // Descriptors.
    only(
        "find a folder of the host that is open",
        "print([d for d in range(256) if tried(os.fchdir, d) not in ('EBADF', 'ENOTDIR')])",
        "[]",
    ),
    only(
        "find a socket that is open",
        "import stat\nprint([d for d in range(256) if tried(os.fstat, d) != 'EBADF' and stat.S_ISSOCK(os.fstat(d).st_mode)])",
        "[]",
    ),
    only(
        "type into the terminal",
        "import fcntl, termios\nprint([tried(fcntl.ioctl, d, termios.TIOCSTI, b'x') for d in (0, 1, 2)], tried(os.open, '/dev/tty', os.O_RDWR))",
        "['ENOSYS', 'ENOSYS', 'ENOSYS'] ENOENT",
    ),
    only(
        "feed the random numbers",
        "import fcntl\nf = os.open('/dev/random', os.O_RDWR)\nprint(tried(fcntl.ioctl, f, 0x40085203, b'x' * 8))",
        "ENOSYS",
    ),
    only(
        "be told of a stranger's signals",
        "import fcntl\nr, w = os.pipe()\nprint(tried(fcntl.fcntl, r, fcntl.F_SETOWN, VICTIM))",
        "ESRCH",
    ),
    // Programs and processes.
    only("fork", "print(tried(os.fork))", "ENOSYS"),
    only("start a program", "print(tried(subprocess.run, [sys.executable, '-c', '1']))", "ENOSYS"),
    only("start a shell", "print(os.system('true') != 0, tried(os.popen, 'true'))", "True ENOSYS"),
    only("spawn", "print(tried(os.posix_spawn, sys.executable, ['python'], {}))", "ENOSYS"),
    only(
        "share work among processes",
        "import multiprocessing\nprint(tried(multiprocessing.Process(target=print).start))",
        "ENOSYS",
    ),
    only(
        "clone into namespaces",
        "import platform\nn = {'x86_64': 56, 'aarch64': 220}[platform.machine()]\nprint({syscall(n, flags | 17, 0, 0, 0, 0) for flags in (0, 0x10000000, 0x20000000, 0x40000000, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x80)})",
        "{'ENOSYS'}",
    ),
    only(
        "clone a thread into namespaces",
        "import platform\nn = {'x86_64': 56, 'aarch64': 220}[platform.machine()]\nprint({syscall(n, 0x10d00 | flag, 0, 0, 0, 0) for flag in (0x10000000, 0x20000000, 0x40000000, 0x20000)})",
        "{'ENOSYS'}",
    ),
    ends(
        "become another program",
        "os.execv(sys.executable, ['python', '-c', 'import os; os._exit(7)'])",
        "Python ended with exit code 7",
    ),
    only("call by the 32-bit table of x86-64", "print(syscall(0x40000000 | 39))", "ENOSYS"),
    // Signals and priorities.
    only("kill the first process", "os.kill(1, 9); time.sleep(0.05); print('here')", "here"),
    only(
        "kill everybody",
        "print(tried(os.kill, -1, 18), tried(os.kill, VICTIM, 9), tried(os.kill, VICTIM, 19))",
        "ESRCH ESRCH ESRCH",
    ),
    only("signal a group", "print(tried(os.killpg, VICTIM, 9), tried(os.getpgid, VICTIM))", "ESRCH ESRCH"),
    only("see parents", "print(os.getppid(), os.getpid(), os.getsid(0) < 9)", "1 2 True"),
    only("slow others down", "print(tried(os.setpriority, os.PRIO_PROCESS, VICTIM, 19))", "ESRCH"),
    only(
        "come first",
        "print(tried(os.setpriority, os.PRIO_PROCESS, 0, -20), tried(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)))",
        "EACCES ENOSYS",
    ),
    only("limit others", "print(tried(resource.prlimit, VICTIM, resource.RLIMIT_AS, (1, 1)))", "ESRCH"),
    only(
        "raise its own limits",
        "print(*[tried(resource.setrlimit, getattr(resource, n), (1 << 40, 1 << 40)) for n in ('RLIMIT_AS', 'RLIMIT_NPROC', 'RLIMIT_FSIZE', 'RLIMIT_CPU', 'RLIMIT_CORE')])",
        "ValueError('not allowed to raise maximum limit') ValueError('not allowed to raise maximum limit') ValueError('not allowed to raise maximum limit') ValueError('not allowed to raise maximum limit') ValueError('not allowed to raise maximum limit')",
    ),
    // Rights.
    only(
        "become root",
        "print(tried(os.setuid, 0), os.getuid(), os.getgroups() in ([], [65534]))",
        "ENOSYS 65534 True",
    ),
    only(
        "have rights",
        "h = (ctypes.c_uint32 * 2)(0x20080522, 0); d = (ctypes.c_uint32 * 6)(); libc.capget(h, d); print(list(d), libc.prctl(39, 0, 0, 0, 0))",
        "[0, 0, 0, 0, 0, 0] 1",
    ),
    only(
        "keep rights",
        "print(tried(lambda: libc.prctl(38, 0, 0, 0, 0)), tried(lambda: libc.prctl(8, 1, 0, 0, 0)), tried(lambda: libc.prctl(47, 2, 0, 0, 0)))",
        "done: -1 done: -1 done: -1",
    ),
    only(
        "dump memory",
        "print(libc.prctl(4, 1, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))",
        "-1 (0, 0)",
    ),
    // The network.
    only(
        "a socket of every family",
        "print({tried(socket.socket, family, kind) for family in range(46) for kind in (1, 2, 3, 5)})",
        "{'ENOSYS'}",
    ),
    only(
        "a pair of every family",
        "print({tried(socket.socketpair, family) for family in range(46) if family != socket.AF_UNIX})",
        "{'ENOSYS'}",
    ),
    only("connect to the server", "print(tried(socket.create_connection, ('127.0.0.1', PORT), 1))", "ENOSYS"),
    only(
        "fetch a page",
        "import urllib.request\nprint(tried(urllib.request.urlopen, f'http://127.0.0.1:{PORT}/', None, 1))",
        "<urlopen error [Errno 38] Function not implemented>",
    ),
    only("ask for a name", "print('done' in tried(socket.getaddrinfo, 'example.com', 80))", "False"),
    only(
        "pass a descriptor on",
        "a, b = socket.socketpair()\nprint(tried(socket.send_fds, a, [b'x'], [0]))",
        "ENOSYS",
    ),
    only("list networks", "print(tried(socket.if_nameindex))", "ENOSYS"),
    // Memory, disk and time.
    ending("take all memory at once", "bytearray(8 << 30)", "MemoryError"),
    ending(
        "take all memory bit by bit",
        "kept = []\nwhile True: kept.append(bytearray(1 << 20))",
        "MemoryError",
    ),
    only(
        "share memory without end",
        "print(tried(mmap.mmap, -1, 2 << 30), tried(mmap.mmap, -1, 1 << 40))",
        "ENOMEM ENOMEM",
    ),
    ending(
        "fill the disk",
        "for n in range(9):\n    with open(f'{n}', 'wb') as f: f.write(bytes(5 << 20))",
        "OSError: [Errno 28] No space left on device",
    ),
    ending(
        "a file that never ends",
        "with open('big', 'wb') as f:\n    while True: f.write(bytes(1 << 20))",
        "OSError: [Errno 27] File too large",
    ),
    ending(
        "fill it from the other folder",
        "for n in range(9):\n    with open(f'/tmp/{n}', 'wb') as f: f.write(bytes(5 << 20))",
        "OSError: [Errno 28] No space left on device",
    ),
    ending(
        "fill it with empty files",
        "n = 0\nwhile True: n += 1; open(str(n), 'w').close()",
        "OSError: [Errno 28] No space left on device: '9997'",
    ),
    only(
        "a file of a terabyte",
        "print(tried(os.truncate, open('f', 'w').name, 1 << 40), tried(os.posix_fallocate, os.open('f', os.O_RDWR), 0, 1 << 40))",
        "EFBIG EFBIG",
    ),
    only(
        "open everything",
        "kept = []\ndef more():\n    while True: kept.append(open('/dev/null'))\nprint(tried(more), len(kept) < 256)",
        "EMFILE True",
    ),
    only("a fork bomb", "def bomb():\n    while True: os.fork()\nprint(tried(bomb))", "ENOSYS"),
    ending(
        "a thread bomb",
        "while True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        "can't start new thread",
    ),
    endless("run for ever", "while True: pass", "KeyboardInterrupt"),
    endless("sleep for ever", "time.sleep(1 << 30)", "KeyboardInterrupt"),
    unstoppable(
        "run for ever, whoever asks to stop",
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    ),
    unstoppable("never let go of the interpreter", "10 ** 10 ** 9"),
    unstoppable("stop itself", "os.kill(os.getpid(), signal.SIGSTOP)"),
    ending("recurse for ever", "def f(): f()\nf()", "maximum recursion depth exceeded"),
    ends("jump into nothing", "ctypes.CFUNCTYPE(None)(1)()", "Python crashed with a segmentation fault"),
    // Poisoned files.
    only(
        "a pickle that runs a program",
        "import pickle\nclass P:\n    def __reduce__(self): return (os.system, ('touch /tmp/x',))\nprint(pickle.loads(pickle.dumps(P())) != 0, os.path.exists('/tmp/x'))",
        "True False",
    ),
    only(
        "a zip that climbs out",
        "z = zipfile.ZipFile('z.zip', 'w'); z.writestr('../../opt/x', 'x'); z.close()\nzipfile.ZipFile('z.zip').extractall('/mnt/data')\nprint(sorted(os.listdir('/mnt/data')), os.listdir('/opt'))",
        "['opt', 'z.zip'] ['kernel.py']",
    ),
    ending(
        "a zip that fills the disk",
        "z = zipfile.ZipFile('z.zip', 'w', zipfile.ZIP_DEFLATED)\nfor n in range(3): z.writestr(str(n), bytes(9 << 20))\nz.close()\nprint(os.path.getsize('z.zip') < 100_000)\nzipfile.ZipFile('z.zip').extractall('out')",
        "OSError: [Errno 28] No space left on device",
    ),
    only(
        "a tar with a device",
        "import tarfile\nb = io.BytesIO(); t = tarfile.open(fileobj=b, mode='w'); i = tarfile.TarInfo('sda'); i.type = tarfile.BLKTYPE; t.addfile(i); t.close(); b.seek(0)\nprint(tried(tarfile.open(fileobj=b).extractall, '/mnt/data'))",
        "ENOSYS",
    ),
    only(
        "a module that takes another's place",
        "open('json.py', 'w').write('raise SystemExit'); open('random.py', 'w').write('bad = 1')\nimport random\nprint(hasattr(random, 'bad'))",
        "False",
    ),
    // What it prints.
    only("clear the terminal", "print('\\x1b[2J\\x1b]0;title\\x07\\x9b31m')", "␛[2J␛]0;title31m"),
    only("write backwards", "print('a\\u202egnp.exe\\u2066')", "agnp.exe"),
    only("write over its line", "print('safe\\rbad', end='')", "safe\nbad"),
    endless(
        "print without end",
        "while True: print('x' * 1000)",
        "[Only the first 10000 characters are shown.]",
    ),
    // Its own interpreter.
    ends(
        "say what the interpreter says",
        "for d in range(3, 9):\n    try: os.write(d, b'{\"type\": \"stored\"}\\n')\n    except OSError: pass\ntime.sleep(9)",
        "it said what could not be understood",
    ),
    ends("close everything", "os.closerange(0, 256)", "Python ended with exit code 1"),
    ends(
        "take the interpreter apart",
        "for module in list(sys.modules.values()): vars(module).clear()",
        "Python ended with exit code 1",
    ),
    ends(
        "take built-in names away",
        "import builtins\nfor name in ('len', 'max', 'isinstance'): vars(builtins).pop(name)",
        "Python ended with exit code 1",
    ),
    ends(
        "kill itself",
        "os.kill(os.getpid(), 9)",
        "Python was killed: it had used up its processor time or memory",
    ),
    only(
        "see variables of the server",
        "print(sorted(set(os.environ) - {'PATH'}))",
        "['HOME', 'JOBLIB_MULTIPROCESSING', 'LANG', 'MPLBACKEND', 'MPLCONFIGDIR', 'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'TMPDIR', 'TZ']",
    ),
    only(
        "see variables in memory",
        "print(ctypes.CDLL(None).getenv(b'SECRET'), os.uname().nodename)",
        "0 sandbox",
    ),
];
