//! What the same attacks see in WebAssembly, where most of what they reach for does not exist; and some of its own.

use super::host::Host;
use super::table::{ACTIONS, ATTACKS, Attack, Sees};

/// What attacks use, as far as it is there.
pub fn prelude(host: &Host) -> String {
    format!("{}{IMPORTS}{ACTIONS}", host.names())
}

const IMPORTS: &str = r#"
class Missing:
    def __init__(self, name): self.name = name
    def __getattr__(self, name): raise RuntimeError(f'there is no {self.name}')

def use(name):
    try: return __import__(name)
    except ImportError: return Missing(name)

ctypes, errno, io, mmap, os, resource = map(use, ('ctypes', 'errno', 'io', 'mmap', 'os', 'resource'))
signal, socket, subprocess, sys = map(use, ('signal', 'socket', 'subprocess', 'sys'))
threading, time, zipfile = map(use, ('threading', 'time', 'zipfile'))

REFUSALS = (AttributeError, ImportError, MemoryError, RuntimeError, ValueError)
"#;

/// All attacks, each with what it sees here.
pub fn attacks() -> impl Iterator<Item = (&'static str, &'static str, &'static Sees)> {
    let known = ATTACKS.iter().map(|Attack { name, code, sees }| {
        let here = HERE.iter().find(|(other, _)| other == name);
        (*name, *code, here.map_or(sees, |(_, sees)| sees))
    });
    known.chain(OWN.iter().map(|Attack { name, code, sees }| (*name, *code, sees)))
}

/// Where they see something else than in a native session.
pub const HERE: &[(&str, Sees)] = &[
    ("list the root", Sees::Only("['mnt', 'opt', 'tmp']")),
    ("list what is mounted", Sees::Ending("No such file or directory: '/etc'")),
    ("change the kernel's program", Sees::Only("barred ENOENT done: None")),
    ("link a file of the host", Sees::Only("ENOENT")),
    ("poison the standard library", Sees::Only("ENOTDIR ENOTDIR")),
    ("poison the system's libraries", Sees::Only("ENOENT ENOENT ENOENT")),
    ("give a file to root", Sees::Ending("AttributeError: module 'os' has no attribute 'chown'")),
    ("make a device", Sees::Ending("AttributeError: module 'os' has no attribute 'mknod'")),
    ("open a device", Sees::Ending("No such file or directory: '/dev'")),
    ("map a device as program", Sees::Ending("No such file or directory: '/dev/zero'")),
    (
        "find a folder of the host that is open",
        Sees::Ending(
            "AttributeError: module 'os' has no attribute 'fchdir'. Did you mean '.chdir' instead of '.fchdir'?",
        ),
    ),
    ("type into the terminal", Sees::Ending("Unsupported platform for standard library module 'fcntl'")),
    ("feed the random numbers", Sees::Ending("Unsupported platform for standard library module 'fcntl'")),
    (
        "be told of a stranger's signals",
        Sees::Ending("Unsupported platform for standard library module 'fcntl'"),
    ),
    ("fork", Sees::Ending("AttributeError: module 'os' has no attribute 'fork'")),
    ("start a program", Sees::Only("ENOTSUP")),
    ("start a shell", Sees::Ending("AttributeError: module 'os' has no attribute 'system'")),
    ("spawn", Sees::Ending("AttributeError: module 'os' has no attribute 'posix_spawn'")),
    ("share work among processes", Sees::Only("AttributeError(\"module 'os' has no attribute 'WNOHANG'\")")),
    ("clone into namespaces", Sees::Ending("KeyError: 'wasm32'")),
    ("clone a thread into namespaces", Sees::Ending("KeyError: 'wasm32'")),
    (
        "become another program",
        Sees::Ending(
            "AttributeError: module 'os' has no attribute 'execv'. Did you mean '.execl' instead of '.execv'?",
        ),
    ),
    ("call by the 32-bit table of x86-64", Sees::Ending("OSError: ctypes is unavailable on wasm32-wasi")),
    ("kill the first process", Sees::Ending("AttributeError: module 'os' has no attribute 'kill'")),
    ("kill everybody", Sees::Ending("AttributeError: module 'os' has no attribute 'kill'")),
    ("signal a group", Sees::Ending("AttributeError: module 'os' has no attribute 'killpg'")),
    (
        "see parents",
        Sees::Ending(
            "AttributeError: module 'os' has no attribute 'getppid'. Did you mean '.getpid' instead of '.getppid'?",
        ),
    ),
    ("slow others down", Sees::Ending("AttributeError: module 'os' has no attribute 'setpriority'")),
    ("come first", Sees::Ending("AttributeError: module 'os' has no attribute 'setpriority'")),
    ("limit others", Sees::Ending("RuntimeError: there is no resource")),
    ("raise its own limits", Sees::Ending("RuntimeError: there is no resource")),
    (
        "become root",
        Sees::Ending(
            "AttributeError: module 'os' has no attribute 'setuid'. Did you mean '.getpid' instead of '.setuid'?",
        ),
    ),
    ("have rights", Sees::Ending("OSError: ctypes is unavailable on wasm32-wasi")),
    ("keep rights", Sees::Ending("NameError: name 'libc' is not defined")),
    ("dump memory", Sees::Ending("NameError: name 'libc' is not defined")),
    ("a socket of every family", Sees::Only("{'ENOTSUP'}")),
    ("a pair of every family", Sees::Ending("AttributeError: module 'socket' has no attribute 'AF_UNIX'")),
    (
        "connect to the server",
        Sees::Only("AttributeError(\"module '_socket' has no attribute 'getaddrinfo'\")"),
    ),
    ("fetch a page", Sees::Only("AttributeError(\"module '_socket' has no attribute 'getaddrinfo'\")")),
    ("pass a descriptor on", Sees::Ending("OSError: [Errno 58] Not supported")),
    ("list networks", Sees::Ending("AttributeError: module 'socket' has no attribute 'if_nameindex'")),
    ("take all memory at once", Sees::Ending("OverflowError: cannot fit 'int' into an index-sized integer")),
    (
        "share memory without end",
        Sees::Only("mmap is unavailable on wasm32-wasi mmap is unavailable on wasm32-wasi"),
    ),
    ("fill the disk", Sees::Ending("OSError: [Errno 51] No space left on device")),
    ("a file that never ends", Sees::Ending("OSError: [Errno 51] No space left on device")),
    ("fill it from the other folder", Sees::Ending("OSError: [Errno 51] No space left on device")),
    ("fill it with empty files", Sees::Ending("OSError: [Errno 51] No space left on device: '10001'")),
    ("a file of a terabyte", Sees::Ending("AttributeError: module 'os' has no attribute 'posix_fallocate'")),
    ("open everything", Sees::Only("ENOENT True")),
    ("a fork bomb", Sees::Only("AttributeError(\"module 'os' has no attribute 'fork'\")")),
    ("never let go of the interpreter", Sees::Endless("KeyboardInterrupt")),
    ("stop itself", Sees::Ending("AttributeError: module 'os' has no attribute 'kill'")),
    ("jump into nothing", Sees::Ending("OSError: ctypes is unavailable on wasm32-wasi")),
    ("a pickle that runs a program", Sees::Ending("AttributeError: module 'os' has no attribute 'system'")),
    ("a zip that climbs out", Sees::Only("['opt', 'z.zip'] ['packages']")),
    ("a zip that fills the disk", Sees::Ending("OSError: [Errno 51] No space left on device")),
    ("a tar with a device", Sees::Ending("tarfile.SpecialFileError: 'sda' is a special file")),
    ("say what the interpreter says", Sees::Only("")),
    ("close everything", Sees::Only("")),
    ("kill itself", Sees::Ending("AttributeError: module 'os' has no attribute 'kill'")),
    (
        "see variables of the server",
        Sees::Only(
            "['HOME', 'JOBLIB_MULTIPROCESSING', 'LANG', 'MPLBACKEND', 'MPLCONFIGDIR', 'TMPDIR', 'TZ']",
        ),
    ),
    ("see variables in memory", Sees::Ending("OSError: ctypes is unavailable on wasm32-wasi")),
];

const OWN: &[Attack] = &[
    Attack {
        name: "answer in the place of the interpreter",
        code: "os.write(1001, b'{\"type\": \"stored\"}\\n')",
        sees: Sees::End("it said what could not be understood"),
    },
    Attack {
        name: "call whoever embeds the interpreter",
        code: "import host; print([tried(getattr(host, name)) for name in ('available',) if hasattr(host, name)])",
        sees: Sees::Only("[]"),
    },
    Attack {
        name: "links that go round",
        code: "os.symlink('b', 'a'); os.symlink('a', 'b'); print(read('a'))",
        sees: Sees::Only("ELOOP"),
    },
    Attack {
        name: "a folder within itself",
        code: "os.makedirs('a/b'); print(tried(os.rename, 'a', 'a/b/c'), tried(os.rename, '/', '/tmp/root'))",
        sees: Sees::Only("EINVAL EROFS"),
    },
    Attack {
        name: "a name without end",
        code: "print(write('x' * 300), tried(os.mkdir, 'x/' * 5000))",
        sees: Sees::Only("ENAMETOOLONG ENAMETOOLONG"),
    },
    Attack {
        name: "a file that was taken away while it was open",
        code: "f = open('f', 'w+b'); os.remove('f'); n = f.write(bytes(9 << 20)); f.close()\nprint(open('g', 'wb').write(bytes(15 << 20)))",
        sees: Sees::Only("15728640"),
    },
    Attack {
        name: "read beyond the end",
        code: "f = open('f', 'w+b'); f.seek(1 << 40); print(f.read(), tried(f.truncate))",
        sees: Sees::Only("b'' ENOSPC"),
    },
];
