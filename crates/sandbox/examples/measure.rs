//! Measures sessions of both engines beside plain Python: `measure ENVIRONMENT SESSIONS [WASM PROGRAM FOLDER]`, with the
//! folder of a Python environment that has the packages; the `site-packages` of the other engine, the program that is
//! its sessions, and a folder for what it makes. `bench/code/run` calls it.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a measurement says what it finds, or ends")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use adjutant_sandbox::python::{Engine, Native, NativeSettings, RunLimits, Session, SessionLimits};
#[cfg(feature = "wasm")]
use adjutant_sandbox::python::{Wasm, WasmSettings};
use tokio::process::Command;
use tokio::time::Instant;

const LIMITS: SessionLimits =
    SessionLimits { memory_bytes: 2 << 30, disk_bytes: 512 << 20, cpu_seconds: 3600 };
const RUN: RunLimits =
    RunLimits { time: Duration::from_secs(60), output_characters: 20_000, image_bytes: 1 << 24, images: 20 };
const TIMES: usize = 20;
const IMPORTS: &str = "import numpy, pandas, matplotlib.pyplot";
/// What a first call of a thread often is.
const FIRST: &str = "import pandas as pd\nprint(pd.DataFrame({'a': [1, 2]}).describe())";
const PLOT: &str = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()";

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let environment = PathBuf::from(arguments.next().expect("the folder of an environment"));
    let sessions = arguments.next().map_or(100, |number| number.parse().expect("a number of sessions"));
    let python = environment.join("bin/python");
    let lib = std::fs::read_dir(environment.join("lib")).expect("an environment").flatten().next();
    let packages = lib.expect("an environment").path().join("site-packages");
    let folder = std::env::temp_dir().join(format!("adjutant-measure-{}", std::process::id()));
    let settings = NativeSettings {
        python: python.clone(),
        packages: Some(packages),
        folder: folder.clone(),
        limits: LIMITS,
    };
    let engine = Native::new(settings).await.expect("it can be made");
    let imported = ["numpy", "pandas", "matplotlib"].map(str::to_owned);

    println!("| what | median ms |\n|---|---|");
    plain("python3, nothing imported", &python, "pass").await;
    start("native session, nothing imported", &engine, &[]).await;
    plain("python3, numpy, pandas and pyplot imported", &python, IMPORTS).await;
    start("native session, the same imported", &engine, &imported).await;
    calls("native session", &engine, &imported).await;
    #[cfg(feature = "wasm")]
    let wasm = wasm(arguments).await;
    #[cfg(feature = "wasm")]
    if let Some(wasm) = &wasm {
        start("WebAssembly session, the same imported", wasm, &imported).await;
        calls("WebAssembly session", wasm, &imported).await;
    }
    loops(&python, &engine).await;
    #[cfg(feature = "wasm")]
    if let Some(wasm) = &wasm {
        in_session("WebAssembly session: the same loop", wasm, LOOP, 3).await;
    }
    many("native", &engine, &imported, sessions).await;
    #[cfg(feature = "wasm")]
    if let Some(wasm) = &wasm {
        many("WebAssembly", wasm, &imported, sessions).await;
    }
    let _ = std::fs::remove_dir_all(folder);
}

#[cfg(feature = "wasm")]
async fn wasm(mut arguments: impl Iterator<Item = String>) -> Option<Wasm> {
    let (packages, program, folder) = (arguments.next()?, arguments.next()?, arguments.next()?);
    let settings = WasmSettings {
        program: program.into(),
        arguments: Vec::new(),
        packages: packages.into(),
        folder: folder.into(),
        limits: LIMITS,
    };
    Some(Wasm::new(settings, &mut |_| ()).await.expect("it can be made"))
}

async fn calls(which: &str, engine: &dyn Engine, imported: &[String]) {
    first(&format!("{which}: the first call where one is held ready, a table described"), engine, imported)
        .await;
    in_session(&format!("{which}: a call, `1`"), engine, "1", TIMES * 10).await;
    in_session(&format!("{which}: a call with a plot"), engine, PLOT, TIMES).await;
}

/// Five million turns of a loop in Python.
const LOOP: &str = "total = 0\nfor n in range(5_000_000): total += n * n";

async fn loops(python: &Path, native: &Native) {
    plain("python3: a loop of five million turns", python, LOOP).await;
    in_session("native session: the same loop", native, LOOP, 3).await;
}

async fn plain(what: &str, python: &Path, code: &str) {
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        let ran = Command::new(python).args(["-c", code]).status().await;
        assert!(ran.is_ok_and(|status| status.success()), "{code}");
        took.push(began.elapsed());
    }
    say(what, took);
}

async fn start(what: &str, engine: &dyn Engine, modules: &[String]) {
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let began = Instant::now();
        let mut session = Session::open(engine, modules).await.expect("it starts");
        session.run("1", &RUN, &mut |_| ()).await.expect("it runs");
        took.push(began.elapsed());
        session.close().await;
    }
    say(what, took);
}

async fn first(what: &str, engine: &dyn Engine, modules: &[String]) {
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let mut session = Session::open(engine, modules).await.expect("it starts");
        let began = Instant::now();
        session.run(FIRST, &RUN, &mut |_| ()).await.expect("it runs");
        took.push(began.elapsed());
        session.close().await;
    }
    say(what, took);
}

async fn in_session(what: &str, engine: &dyn Engine, code: &str, times: usize) {
    let mut session = Session::open(engine, &[]).await.expect("it starts");
    session.run(code, &RUN, &mut |_| ()).await.expect("it runs");
    let mut took = Vec::new();
    for _ in 0..times {
        let began = Instant::now();
        session.run(code, &RUN, &mut |_| ()).await.expect("it runs");
        took.push(began.elapsed());
    }
    session.close().await;
    say(what, took);
}

/// Many sessions, all alive, and then a call in each at once.
async fn many(which: &str, engine: &dyn Engine, modules: &[String], number: usize) {
    let free = available_kb();
    let began = Instant::now();
    let mut sessions = Vec::with_capacity(number);
    for _ in 0..number {
        sessions.push(Session::open(engine, modules).await.expect("it starts"));
    }
    let opened = began.elapsed();
    let each = free.saturating_sub(available_kb()).max(1) as f64 / number.max(1) as f64 / 1024.0;
    let began = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for mut session in sessions {
        calls.spawn(async move {
            session.run(PLOT, &RUN, &mut |_| ()).await.expect("it runs");
            session
        });
    }
    let sessions = calls.join_all().await;
    println!(
        "\n{number} {which} sessions with imports: opened one after the other in {:.1} s, {each:.0} MB of memory each, \
         {:.1} a GB; a plot in all of them at once: {:.1} s",
        opened.as_secs_f64(),
        1024.0 / each,
        began.elapsed().as_secs_f64()
    );
    drop(sessions);
}

fn available_kb() -> u64 {
    let about = std::fs::read_to_string("/proc/meminfo").expect("Linux says it");
    let line = about.lines().find(|line| line.starts_with("MemAvailable:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).expect("Linux says it")
}

fn say(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    println!("| {what} | {:.1} |", median.as_secs_f64() * 1000.0);
}
