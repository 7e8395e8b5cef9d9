//! What attacks are after: a secret file, a secret variable, a process, a port. And whether they got at it.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Child, Command};
use std::sync::Mutex;

use tempfile::TempDir;

pub struct Host {
    folder: TempDir,
    victim: Mutex<Child>,
    tcp: TcpListener,
    abstract_socket: UnixListener,
    file_socket: UnixListener,
    name: Vec<u8>,
}

pub const SECRET: &str = "the host's secret";

impl Host {
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("secret"), SECRET).expect("it is written");
        let victim = Command::new("sleep").arg("1000").env("SECRET", SECRET).spawn().expect("it starts");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let name = SocketAddr::from_abstract_name(format!("adjutant-{}", victim.id())).expect("a name");
        let abstract_socket = UnixListener::bind_addr(&name).expect("it listens");
        let file_socket = UnixListener::bind(folder.path().join("socket")).expect("it listens");
        tcp.set_nonblocking(true).expect("a setting");
        abstract_socket.set_nonblocking(true).expect("a setting");
        file_socket.set_nonblocking(true).expect("a setting");
        Self { folder, victim: victim.into(), tcp, abstract_socket, file_socket, name: host_name() }
    }

    /// Names that attacks use, as Python.
    pub fn names(&self) -> String {
        let folder = self.folder.path().display();
        let pid = self.victim.lock().expect("no panic").id();
        let port = self.tcp.local_addr().expect("it has one").port();
        format!("FOLDER = '{folder}'\nSECRET = FOLDER + '/secret'\nVICTIM = {pid}\nPORT = {port}\n")
    }

    /// What has happened to the host, if anything.
    pub fn harm(&self) -> Option<String> {
        let secret = fs::read_to_string(self.folder.path().join("secret"));
        let ended = self.victim.lock().expect("no panic").try_wait().expect("it is a child");
        let entries = fs::read_dir(self.folder.path()).expect("it is there").count();
        let reached = self.tcp.accept().is_ok()
            || self.abstract_socket.accept().is_ok()
            || self.file_socket.accept().is_ok();
        let harms = [
            (secret.is_ok_and(|secret| secret == SECRET), "the secret file is changed"),
            (ended.is_none(), "the process has ended"),
            (entries == 2, "there is a new file"),
            (!reached, "a socket was reached"),
            (host_name() == self.name, "the host has another name"),
        ];
        harms.into_iter().find(|(fine, _)| !fine).map(|(_, harm)| harm.to_owned())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let victim = self.victim.get_mut().expect("no panic");
        let _ = victim.kill();
        let _ = victim.wait();
    }
}

fn host_name() -> Vec<u8> {
    fs::read("/proc/sys/kernel/hostname").expect("there is one")
}
