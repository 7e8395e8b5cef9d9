//! Attacks on the walls. Each is made by a child process, which is this test program once more: first in the
//! open, where it has to succeed, then behind walls.
#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{Read, Write, stdin};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, getppid, kill_process, test_kill_process};

use crate::walls::build;
use crate::{Limits, Wall, enclose};

const LIMITS: Limits = Limits { cpu_seconds: 2, memory_bytes: 512 << 20 };

/// Behind all walls, as a process is meant to be.
const ALL: &str = "all";

/// The child's part: it reads which walls to build and what to try, tries it, and says what came of it.
#[test]
#[ignore = "the other tests start it"]
fn child() {
    let mut order = String::new();
    stdin().read_to_string(&mut order).expect("the order comes");
    let (walls, attack) = order.split_once('/').expect("walls/attack");
    let parent = getppid().expect("it has started this");
    match walls {
        "none" => {}
        ALL => assert_eq!(enclose(&LIMITS).expect("the walls stand").0, [], "this kernel has all walls"),
        "resources" => build(Wall::Resources, &LIMITS).expect("it stands"),
        "privileges" => build(Wall::Privileges, &LIMITS).expect("it stands"),
        "files" => build(Wall::Files, &LIMITS).expect("it stands"),
        "calls" => build(Wall::Calls, &LIMITS).expect("it stands"),
        other => panic!("no walls `{other}`"),
    }
    println!("outcome={}", if attempt(attack, parent) { "done" } else { "refused" });
}

/// Tries something and says whether it worked.
#[expect(clippy::disallowed_methods, reason = "that an abort is seen from outside is what is tested")]
fn attempt(attack: &str, parent: Pid) -> bool {
    match attack {
        "read a file" => File::open("/proc/self/status").is_ok(),
        "write a file" => {
            let path = std::env::temp_dir().join(format!("attack-{}", std::process::id()));
            let written = fs::write(&path, b"x").is_ok();
            let _ = fs::remove_file(&path);
            written
        }
        "list a folder" => fs::read_dir("/").is_ok_and(|entries| entries.count() > 0),
        "remove a file" => {
            fs::remove_file("/proc/nothing").is_err_and(|error| error.raw_os_error() == Some(2))
        }
        "write a new file" => write_a_new_file(),
        "listen on tcp" => TcpListener::bind("127.0.0.1:0").is_ok(),
        "connect by tcp" => refused_by_peer(TcpStream::connect("127.0.0.1:9").map(drop)),
        "send by udp" => UdpSocket::bind("127.0.0.1:0").is_ok(),
        "connect to a unix socket" => UnixStream::pair().is_ok(),
        "start a program" => Command::new("/bin/true").status().is_ok_and(|status| status.success()),
        "start a thread" => thread::Builder::new().spawn(|| ()).is_ok(),
        "signal the parent" => test_kill_process(parent).is_ok(),
        "stop the parent" => kill_process(parent, Signal::CONT).is_ok(),
        "mount" => rustix::mount::unmount("/nothing", rustix::mount::UnmountFlags::empty())
            .is_err_and(|error| error == rustix::io::Errno::NOENT),
        "allocate" => Vec::<u8>::new().try_reserve_exact(600 << 20).is_ok(),
        "allocate what is allowed" => Vec::<u8>::new().try_reserve_exact(64 << 20).is_ok(),
        "gain privileges" => {
            !fs::read_to_string("/proc/thread-self/status").is_ok_and(|s| s.contains("NoNewPrivs:\t1"))
        }
        "abort" => std::process::abort(),
        "spin" => loop {
            black_box(());
        },
        other => panic!("no attack `{other}`"),
    }
}

/// Whether the attempt reached the network, where nobody listens.
fn refused_by_peer(outcome: std::io::Result<()>) -> bool {
    outcome.is_ok() || outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
}

fn write_a_new_file() -> bool {
    let path = std::env::temp_dir().join(format!("attack-append-{}", std::process::id()));
    let Ok(mut file) = OpenOptions::new().create(true).append(true).open(&path) else { return false };
    let _ = fs::remove_file(&path);
    file.write_all(b"x").is_ok()
}

fn run(walls: &str, attack: &str) -> Output {
    let program = std::env::current_exe().expect("it runs");
    let mut child = Command::new(program)
        .args(["--ignored", "--exact", "tests::child", "--nocapture", "--test-threads=1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child starts");
    let mut order = child.stdin.take().expect("its input is ours");
    order.write_all(format!("{walls}/{attack}").as_bytes()).expect("it listens");
    drop(order);
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn outcome(walls: &str, attack: &str) -> String {
    let output = run(walls, attack);
    let text = String::from_utf8_lossy(&output.stdout);
    let outcome = text.split("outcome=").nth(1).and_then(|rest| rest.lines().next());
    outcome.map(str::to_owned).unwrap_or_else(|| panic!("{attack} behind {walls} says nothing: {output:?}"))
}

#[track_caller]
fn stops(walls: &[&str], attacks: &[&str]) {
    for attack in attacks {
        assert_eq!(outcome("none", attack), "done", "`{attack}` works in the open");
        for wall in walls {
            assert_eq!(outcome(wall, attack), "refused", "`{attack}` behind `{wall}`");
        }
    }
}

#[test]
fn files_are_out_of_reach() {
    stops(&[ALL, "files", "calls"], &["read a file", "write a file", "list a folder"]);
    stops(&[ALL, "calls"], &["remove a file", "mount"]);
}

#[test]
fn the_network_is_out_of_reach() {
    stops(&[ALL, "files", "calls"], &["connect by tcp"]);
    stops(&[ALL, "calls"], &["listen on tcp", "send by udp", "connect to a unix socket"]);
}

#[test]
fn nothing_can_be_started_or_signalled() {
    stops(&[ALL, "calls"], &["start a program", "start a thread", "signal the parent", "stop the parent"]);
    stops(&["files"], &["start a program", "stop the parent"]);
}

#[test]
fn privileges_cannot_grow() {
    stops(&["privileges"], &["gain privileges"]);
}

#[test]
fn descriptors_are_limited() {
    stops(&["resources"], &["read a file", "write a new file"]);
}

#[test]
fn memory_is_limited() {
    stops(&[ALL, "resources"], &["allocate"]);
    assert_eq!(outcome(ALL, "allocate what is allowed"), "done");
}

#[test]
fn processor_time_is_limited() {
    for walls in [ALL, "resources"] {
        let status = run(walls, "spin").status;
        assert_eq!(status.signal(), Some(libc::SIGXCPU), "behind {walls}");
    }
}

#[test]
fn an_enclosed_process_can_still_abort() {
    let status = run(ALL, "abort").status;
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    assert!(!status.core_dumped());
}
