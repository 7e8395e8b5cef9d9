//! The engine for WebAssembly, with packages that all tests share: fetched once, and compiled once, which takes minutes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use adjutant_sandbox::python::{Wasm, WasmSettings};
use tempfile::TempDir;

use super::{LIMITS, World};

/// The server's own list.
const LOCK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/src/tools/code_interpreter/wasm.lock");

/// One in this folder, with all paths named as `named` does.
pub async fn world(folder: TempDir, named: fn(&Path) -> PathBuf) -> World {
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // One process fetches and compiles; the others wait.
    let alone = File::create(shared.join("wasm.lock")).expect("it is made");
    alone.lock().expect("it is locked");
    // Under a name in this folder, by which the processes of this world are found.
    let made = folder.path().join("made");
    std::fs::create_dir_all(shared.join("wasm-made")).expect("it is made");
    std::os::unix::fs::symlink(shared.join("wasm-made"), &made).expect("it is made");
    let settings = WasmSettings {
        program: named(Path::new(env!("CARGO_BIN_EXE_adjutant-python"))),
        arguments: Vec::new(),
        packages: named(&fetched(shared)),
        folder: named(&made),
        limits: LIMITS,
    };
    let engine = Wasm::new(settings, &mut |_| ()).await.expect("it can be made");
    drop(alone);
    World { engine: Box::new(engine), folder }
}

/// The folder of packages.
fn fetched(shared: &Path) -> PathBuf {
    let packages = shared.join("wasm-packages");
    let wanted = fs::read_to_string(LOCK).expect("the list is there");
    let installed = packages.join("installed.lock");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return packages;
    }
    let _ = fs::remove_dir_all(&packages);
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--root-user-action",
        "ignore",
    ]);
    pip.args(["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", LOCK, "--target"]).arg(&packages);
    assert!(pip.status().expect("Python is here").success(), "the packages cannot be fetched");
    fs::write(&installed, wanted).expect("it is written");
    packages
}
