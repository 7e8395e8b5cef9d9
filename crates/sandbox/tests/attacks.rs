//! Attacks on sessions: each says what the attacker sees, and after each the host is looked at. They are
//! made twice, by the user who runs the tests and, where that is root, by a server that is an ordinary user.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test ends where it cannot go on")]

mod attacks {
    pub mod calls;
    pub mod host;
    pub mod table;
    #[cfg(feature = "wasm")]
    pub mod wasm;
}
mod world;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use adjutant_sandbox::python::{Ended, Lost, Output, RunLimits};
use attacks::host::Host;
use attacks::table::{ATTACKS, Attack, Sees};
use attacks::{calls, table};
use world::{RUN, Which, World, run, state_of_python};

/// For code that is meant not to end.
const BRIEF: RunLimits = RunLimits { time: Duration::from_millis(500), ..RUN };

#[tokio::test(flavor = "multi_thread")]
async fn attacks_see_nothing_and_the_host_is_unharmed() {
    let world = World::new(Which::Native).await;
    let host = Host::new();
    let mut wrong = Vec::new();
    for Attack { name, code, sees } in ATTACKS {
        let seen = make(&world, &table::prelude(&host), code, sees).await;
        wrong.extend(fault(&host, name, sees, &seen));
    }
    world.until_nothing_runs().await;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ATTACKS.len(), wrong.join("\n"));
}

#[cfg(feature = "wasm")]
#[tokio::test(flavor = "multi_thread")]
async fn attacks_see_nothing_in_webassembly_and_the_host_is_unharmed() {
    let world = World::new(Which::Wasm).await;
    let host = Host::new();
    let mut wrong = Vec::new();
    for (name, code, sees) in attacks::wasm::attacks() {
        let seen = make(&world, &attacks::wasm::prelude(&host), code, sees).await;
        wrong.extend(fault(&host, name, sees, &seen));
    }
    world.until_nothing_runs().await;
    let unknown = attacks::wasm::HERE.iter().filter(|(name, _)| ATTACKS.iter().all(|one| one.name != *name));
    wrong.extend(unknown.map(|(name, _)| format!("{name}: there is no such attack")));
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is wrong with what an attack saw, or did.
fn fault(host: &Host, name: &str, sees: &Sees, seen: &Result<String, Lost>) -> Vec<String> {
    let unexpected = (!sees.fits(seen)).then(|| format!("expected {sees:?}, the attacker sees: {seen:?}"));
    unexpected.into_iter().chain(host.harm()).map(|fault| format!("{name}: {fault}")).collect()
}

async fn make(world: &World, prelude: &str, code: &str, sees: &Sees) -> Result<String, Lost> {
    let mut session = world.session().await;
    let (nothing, _) = run(&mut session, prelude).await;
    assert_eq!(nothing, "");
    let mut printed = String::new();
    let mut take = |output| match output {
        Output::Text(text) => printed.push_str(&text),
        Output::Image(_) => printed.push_str("[image]"),
    };
    let limits = if matches!(sees, Sees::Endless(_) | Sees::Unstoppable) { &BRIEF } else { &RUN };
    session.run(code, limits, &mut take).await?;
    Ok(printed)
}

#[tokio::test]
async fn calls_that_a_session_may_not_make_are_unknown_to_it() {
    let world = World::new(Which::Native).await;
    let host = Host::new();
    let mut session = world.session().await;
    run(&mut session, &table::prelude(&host)).await;
    let mut answered = Vec::new();
    for (name, number) in calls::FORBIDDEN {
        let (seen, _) = run(&mut session, &format!("print(syscall({number}, 0, 0, 0, 0, 0, 0))")).await;
        if seen != "ENOSYS\n" {
            answered.push(format!("{name}: {seen}"));
        }
    }
    assert!(answered.is_empty(), "{answered:?}");
    assert_eq!(host.harm(), None);
}

#[tokio::test]
async fn sessions_see_nothing_of_each_other() {
    let world = World::new(Which::Native).await;
    let (mut one, mut other) = (world.session().await, world.session().await);
    run(&mut one, "open('/mnt/data/secret', 'w').write('mine'); open('/tmp/secret', 'w').write('mine')")
        .await;
    let look = "import os; print(os.listdir('/mnt/data'), os.listdir('/tmp'), os.getpid() < 9)";
    assert_eq!(run(&mut other, look).await.0, "[] [] True\n");
    let signal = "import threading\nmine = {thread.native_id for thread in threading.enumerate()}\nfor pid in set(range(1, 9999)) - mine:\n    try: os.kill(pid, 9)\n    except OSError: pass";
    run(&mut other, signal).await;
    assert_eq!(run(&mut one, "open('/mnt/data/secret').read()").await.0, "'mine'\n");
}

#[tokio::test]
async fn nothing_goes_on_behind_its_answer() {
    let world = World::new(Which::Native).await;
    let mut session = world.session().await;
    for code in [
        "def endless():\n while True: pass\nimport threading; threading.Thread(target=endless).start()",
        "import sys\nchannel = sys._getframe(2).f_globals['channel']\nchannel.send({'type': 'done', 'succeeded': True})\nwhile True: pass",
    ] {
        run(&mut session, code).await;
        while state_of_python(world.folder.path()) != Some('T') {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let lost = session.run("1", &BRIEF, &mut |_| ()).await;
    assert_eq!(lost, Ok(Ended::OutOfTime), "the code before still has the interpreter");
}

/// The same tests by a process that has no rights: a copy of this program, since nobody may not look into our
/// folders.
#[test]
fn the_same_as_an_ordinary_user() {
    let is_root =
        std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !is_root {
        return;
    }
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    let folder = tempfile::Builder::new().permissions(everybody).tempdir_in("/tmp").expect("a folder");
    let program = folder.path().join("attacks");
    std::fs::copy(std::env::current_exe().expect("it runs"), &program).expect("it can be copied");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"]);
    command.args(["--bounding-set=-all"]).arg(&program).args([
        "--skip",
        "the_same_as_an_ordinary_user",
        "--skip",
        "in_webassembly",
    ]);
    // The Python of the system, since root's own is not everybody's.
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin").current_dir("/tmp");
    let ran = command.output().expect("setpriv is here");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains("4 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert!(Path::new(&program).exists());
}
