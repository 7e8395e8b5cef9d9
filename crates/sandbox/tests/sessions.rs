//! Sessions of Python, from outside, with each engine.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test ends where it cannot go on")]

mod world;

use std::time::Duration;

use adjutant_sandbox::python::{
    Ended, Lost, Native, NativeSettings, Output, Refused, RunLimits, Session, prove,
};
use world::{LIMITS, RUN, Which, World, processes, run, state_of_python};

on_every_engine! {
    folders_may_be_named_from_where_the_server_stands
    a_file_that_cannot_have_its_name_is_not_there
    walls_are_proven
    where_memory_runs_out_sessions_go_first
    variables_stay_and_values_are_shown
    faults_come_back_as_tracebacks_of_the_code_alone
    what_is_printed_comes_while_the_code_runs
    code_that_takes_too_long_is_interrupted
    what_is_printed_is_limited
    a_session_that_is_lost_says_why
    a_session_is_gone_when_it_is_closed_dropped_or_left_in_the_middle
    files_go_in_and_out
    a_file_takes_its_names_from_others_and_leaves_their_content
    a_file_is_taken_away_with_all_its_names_and_nothing_else
    what_the_code_says_in_the_place_of_the_kernel_is_bounded
    a_session_that_stops_in_the_middle_of_a_file_is_given_up
    it_is_halted_between_two_calls
    code_can_be_interrupted_before_it_begins
    half_a_file_is_no_file
}

async fn walls_are_proven(which: Which) {
    assert_eq!(prove(&*World::new(which).await.engine, &LIMITS).await, Ok(()));
}

async fn where_memory_runs_out_sessions_go_first(which: Which) {
    let world = World::new(which).await;
    let session = world.session().await;
    let processes = processes(world.folder.path());
    assert!(!processes.is_empty());
    for process in processes {
        let score = std::fs::read_to_string(process.join("oom_score_adj")).expect("it runs");
        assert_eq!(score.trim(), "1000", "{}", process.display());
    }
    session.close().await;
}

async fn folders_may_be_named_from_where_the_server_stands(which: Which) {
    let world = World::with_relative_folders(which).await;
    let mut session = world.session().await;
    let there = match which {
        Which::Native => "there",
        Which::Wasm => "docx",
    };
    let (printed, _) = run(&mut session, &format!("import {there}; {there}.__file__")).await;
    assert!(printed.starts_with(&format!("'/opt/packages/{there}")), "{printed}");
}

#[tokio::test]
async fn links_in_the_engines_folder_are_not_written_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let elsewhere = folder.path().join("elsewhere");
    std::fs::write(&elsewhere, "as it was").expect("it is written");
    let engine = folder.path().join("engine");
    std::fs::create_dir(&engine).expect("it is made");
    let temporary = format!("kernel.py.{}.new", std::process::id());
    for name in ["kernel.py", "calls.bpf", &temporary] {
        std::os::unix::fs::symlink(&elsewhere, engine.join(name)).expect("it is made");
    }
    let python = "python3".into();
    let settings = NativeSettings { python, packages: None, folder: engine.clone(), limits: LIMITS };
    Native::new(settings).await.expect("it is written");
    assert_eq!(std::fs::read_to_string(&elsewhere).expect("it is there"), "as it was");
    assert!(std::fs::symlink_metadata(engine.join("kernel.py")).is_ok_and(|about| about.is_file()));
}

#[tokio::test]
async fn what_else_is_installed_here_is_not_shown() {
    let mut session = World::new(Which::Native).await.session().await;
    let look = "import os, sys, sysconfig\nmodules = sysconfig.get_path('stdlib')\nfolders = [modules + '/site-packages', modules + '/dist-packages', '/usr/lib/python3/dist-packages', '/usr/lib/git-core']\n[name for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]";
    assert_eq!(run(&mut session, look).await.0, "[]\n");
    let beside = "sys.base_prefix == '/usr' or {*os.listdir(sys.base_prefix)} <= {'bin', 'lib', 'lib64'}";
    assert_eq!(run(&mut session, beside).await.0, "True\n");
    let write = "for folder in filter(os.path.isdir, folders):\n try: open(folder + '/x', 'w'); print('written')\n except OSError: pass";
    assert_eq!(run(&mut session, write).await.0, "");
    let whole = "import bz2, ctypes, decimal, hashlib, lzma, sqlite3, ssl, uuid, zlib, zoneinfo; 1";
    assert_eq!(run(&mut session, whole).await, ("1\n".to_owned(), Ended::Succeeded));
}

async fn variables_stay_and_values_are_shown(which: Which) {
    let mut session = World::new(which).await.session().await;
    for (code, printed) in [
        ("x = 3", ""),
        ("x + 11", "14\n"),
        ("print('a'); x", "a\n3\n"),
        ("None", ""),
        ("import sys; print('out'); print('err', file=sys.stderr)", "out\nerr\n"),
        ("def f():\n    return 1 / 0", ""),
        ("exit()", ""),
        ("%matplotlib inline\n!pip install x", "No programs can be started here, and there is no network.\n"),
        ("'한국' + '\\x1b[2J'", "'한국\\x1b[2J'\n"),
        ("print('\\x1b[2J')", "␛[2J\n"),
        ("_", "'한국\\x1b[2J'\n"),
        ("import os; n = os.write(1, b'past Python\\n')", "past Python\n"),
        ("sys.stdout.buffer.write('한'.encode()[:2]); n = sys.stdout.buffer.write('한'.encode()[2:])", "한"),
        (
            "import pickle, threading\nclass A: pass\npickle.loads(pickle.dumps(A())).__class__",
            "<class '__main__.A'>\n",
        ),
        ("x", "3\n"),
    ] {
        assert_eq!(run(&mut session, code).await, (printed.to_owned(), Ended::Succeeded), "{code}");
    }
    let thread =
        "t = threading.Thread(target=print, args=('from a thread',), daemon=True); t.start(); t.join()";
    let (printed, _) = run(&mut session, thread).await;
    match which {
        Which::Native => assert_eq!(printed, "from a thread\n"),
        Which::Wasm => assert!(printed.ends_with("RuntimeError: can't start new thread\n"), "{printed}"),
    }
    session.close().await;
}

async fn faults_come_back_as_tracebacks_of_the_code_alone(which: Which) {
    let mut session = World::new(which).await.session().await;
    run(&mut session, "def f():\n    return 1 / 0").await;
    for (code, begins, ends) in [
        (
            "f()",
            "Traceback (most recent call last):\n  File \"<cell 2>\", line 1, in <module>\n    f()\n",
            "\nZeroDivisionError: division by zero\n",
        ),
        ("x = = 1", "  File \"<cell 3>\", line 1\n    x = = 1\n", "\nSyntaxError: invalid syntax\n"),
        ("raise SystemExit(3)", "", ""),
        ("print('before'); [].pop()", "before\nTraceback", "\nIndexError: pop from empty list\n"),
        ("def g(n): return g(n + 1)\ng(0)", "Traceback", "maximum recursion depth exceeded\n"),
        ("raise ValueError('x' * 100_000)", "Traceback", "xxx\n"),
    ] {
        let (printed, ended) = run(&mut session, code).await;
        assert_eq!(ended, Ended::Failed, "{code}");
        assert!(printed.starts_with(begins) && printed.ends_with(ends), "{code}: {printed}");
        assert!(printed.chars().count() < 10_000 && !printed.contains("kernel.py"), "{code}: {printed}");
    }
}

async fn what_is_printed_comes_while_the_code_runs(which: Which) {
    let mut session = World::new(which).await.session().await;
    let interrupter = session.interrupter();
    // The code goes on until somebody has heard it.
    let mut heard = String::new();
    let code = "import time\nprint('heard?', end='')\nwhile True: time.sleep(0.01)";
    let mut take = |output| {
        if let Output::Text(text) = output {
            heard.push_str(&text);
            interrupter.interrupt();
        }
    };
    assert_eq!(session.run(code, &RUN, &mut take).await, Ok(Ended::Interrupted));
    assert!(heard.starts_with("heard?Traceback") && heard.ends_with("\nKeyboardInterrupt\n"), "{heard}");
    assert_eq!(run(&mut session, "1").await.0, "1\n", "the session goes on");
    interrupter.interrupt();
    assert_eq!(run(&mut session, "2").await, ("2\n".to_owned(), Ended::Succeeded), "it came too late");
}

async fn code_that_takes_too_long_is_interrupted(which: Which) {
    let mut session = World::new(which).await.session().await;
    run(&mut session, "x = 5").await;
    let soon = RunLimits { time: Duration::from_millis(200), ..RUN };
    let waits = match which {
        Which::Native => "import threading; threading.Event().wait()",
        Which::Wasm => "import select; select.select([], [], [], 100)",
    };
    for code in ["while True: pass", "import time; time.sleep(100)", waits] {
        assert_eq!(session.run(code, &soon, &mut |_| ()).await, Ok(Ended::OutOfTime), "{code}");
    }
    assert_eq!(run(&mut session, "x").await.0, "5\n");
    let stubborn = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass";
    let lost = session.run(stubborn, &soon, &mut |_| ()).await;
    assert_eq!(lost, Err(Lost("the code did not stop when it was asked to".to_owned())));
    assert!(session.fetch("x", 1).await.is_err(), "it is over");
}

async fn what_is_printed_is_limited(which: Which) {
    let mut session = World::new(which).await.session().await;
    let few = RunLimits { output_characters: 10, ..RUN };
    let mut printed = String::new();
    let mut take = |output| {
        if let Output::Text(text) = output {
            printed.push_str(&text);
        }
    };
    let ended = session.run("for _ in range(100_000): print('한')", &few, &mut take).await;
    assert_eq!(ended, Ok(Ended::Succeeded));
    assert_eq!(printed, "한\n한\n한\n한\n한\n\n[Only the first 10 characters are shown.]\n");
    assert_eq!(run(&mut session, "print('next')").await.0, "next\n");
}

async fn a_session_that_is_lost_says_why(which: Which) {
    let own = match which {
        Which::Native => [
            ("import os; os.abort()", "Python was ended by signal 6"),
            ("import ctypes; ctypes.string_at(0)", "Python crashed with a segmentation fault"),
            (
                "import os\nfor descriptor in range(3, 200):\n    try: os.write(descriptor, b'{}\\n')\n    except OSError: pass",
                "it said what could not be understood",
            ),
        ],
        Which::Wasm => [
            ("import os; os.abort()", "Python crashed: wasm trap: wasm `unreachable` instruction executed"),
            (
                "import os; os.closerange(0, 2000); os.read(1000, 0); os._exit(4)",
                "Python ended with exit code 4",
            ),
            ("import os; os.write(1001, b'{}\\n')", "it said what could not be understood"),
        ],
    };
    let all = [
        ("import os; os._exit(3)", "Python ended with exit code 3"),
        (
            "import sys\nkernel = sys._getframe(2).f_globals\nwhile True: kernel['channel'].send({'type': 'text', 'text': 'x' * 100_000})",
            "it printed far more than it may",
        ),
        (
            "import sys\nkernel = sys._getframe(2).f_globals\nwhile True: kernel['channel'].send({'type': 'text', 'text': ''})",
            "it printed far more than it may",
        ),
        (
            "import sys\nkernel = sys._getframe(2).f_globals\nwhile True: kernel['channel'].send({'type': 'image', 'size': 0})",
            "it drew far more than it may",
        ),
        (
            "import sys\nkernel = sys._getframe(2).f_globals\nkernel['channel'].send({'type': 'image', 'size': 1 << 40})",
            "it sent far more than it may",
        ),
    ];
    for (code, why) in own.into_iter().chain(all) {
        let mut session = World::new(which).await.session().await;
        assert_eq!(session.run(code, &RUN, &mut |_| ()).await, Err(Lost(why.to_owned())), "{code}");
        assert!(session.run("1", &RUN, &mut |_| ()).await.is_err(), "{code}");
    }
}

async fn a_session_is_gone_when_it_is_closed_dropped_or_left_in_the_middle(which: Which) {
    let world = World::new(which).await;
    let mut closed = world.session().await;
    if which == Which::Native {
        let thread = "import threading, time; threading.Thread(target=time.sleep, args=(100,)).start()";
        run(&mut closed, thread).await;
    }
    closed.close().await;
    drop(world.session().await);
    let mut left = world.session().await;
    let mut take = |_| ();
    let run = left.run("while True: pass", &RUN, &mut take);
    assert!(tokio::time::timeout(Duration::from_millis(100), run).await.is_err());
    let lost = left.run("1", &RUN, &mut |_| ()).await;
    assert_eq!(lost, Err(Lost("nobody waited for what was run in it last".to_owned())));
    world.until_nothing_runs().await;
}

async fn put(session: &mut Session, name: &str, bytes: &[u8]) -> Result<(), Refused> {
    let mut putting = session.put(name, None, bytes.len() as u64).await?;
    for piece in bytes.chunks(100_000) {
        putting.write(piece).await?;
    }
    putting.finish().await
}

async fn fetch(session: &mut Session, name: &str) -> Result<Vec<u8>, Refused> {
    let mut fetching = session.fetch(name, 8 << 20).await?;
    let mut all = Vec::new();
    while let Some(piece) = fetching.next().await? {
        all.extend(piece);
    }
    assert_eq!(all.len() as u64, fetching.size());
    Ok(all)
}

/// The regular files in the folder, with their sizes, as Python shows them.
const NAMES: &str = "print({os.path.relpath(os.path.join(f, n)): os.path.getsize(os.path.join(f, n)) for f, _, names in sorted(os.walk('.')) for n in sorted(names) if not os.path.islink(os.path.join(f, n))})";

async fn names(session: &mut Session) -> String {
    run(session, &format!("import os; {NAMES}")).await.0
}

async fn files_go_in_and_out(which: Which) {
    let mut session = World::new(which).await.session().await;
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(|n| n.to_le_bytes()).collect();
    put(&mut session, "표 1.bin", &bytes).await.expect("there is room");
    put(&mut session, "empty", b"").await.expect("there is room");
    let (size, _) = run(&mut session, "import os; os.path.getsize('/mnt/data/표 1.bin')").await;
    assert_eq!(size, "4000000\n");
    run(
        &mut session,
        "os.makedirs('a/b'); open('a/b/c.txt', 'w').write('hi'); os.symlink('/usr/lib', 'link')",
    )
    .await;
    run(&mut session, "os.symlink('empty', 'soft'); os.link('a/b/c.txt', 'hard')").await;
    assert!(fetch(&mut session, "표 1.bin").await.expect("it is there") == bytes);
    assert_eq!(fetch(&mut session, "a/b/c.txt").await, Ok(b"hi".to_vec()));
    assert_eq!(fetch(&mut session, "empty").await, Ok(Vec::new()));
    for (name, reason) in [
        ("missing", "No such file or directory"),
        (
            "soft",
            match which {
                Which::Native => "Too many levels of symbolic links",
                Which::Wasm => "Symbolic link loop",
            },
        ),
        ("a", "Is a directory"),
        ("a\0b", "embedded null byte"),
    ] {
        assert_eq!(fetch(&mut session, name).await, Err(Refused::File(reason.to_owned())), "{name}");
    }
    // More than a session may have descriptors.
    for _ in 0..300 {
        assert_eq!(fetch(&mut session, "a").await, Err(Refused::File("Is a directory".to_owned())));
    }
    let too_much = vec![0; 17 << 20];
    let full = put(&mut session, "large", &too_much).await;
    assert_eq!(full, Err(Refused::File("No space left on device".to_owned())));
    let there = "{'empty': 0, 'hard': 2, '표 1.bin': 4000000, 'a/b/c.txt': 2}\n";
    assert_eq!(names(&mut session).await, there, "no part of it is left");
}

async fn a_file_takes_its_names_from_others_and_leaves_their_content(which: Which) {
    let mut session = World::new(which).await.session().await;
    run(&mut session, "open('a.txt', 'w').write('the code wrote it')").await;
    for (name, link, bytes) in [
        ("file-1", "a.txt", b"one"),
        ("file-2", "a.txt", b"two"),
        ("file-3", "file-1", b"333"),
        ("file-1", "b", b"111"),
    ] {
        let mut putting = session.put(name, Some(link), 3).await.expect("it listens");
        putting.write(bytes).await.expect("it listens");
        putting.finish().await.expect("there is room");
    }
    assert_eq!(names(&mut session).await, "{'a.txt': 3, 'b': 3, 'file-1': 3, 'file-2': 3, 'file-3': 3}\n");
    for (name, bytes) in [("a.txt", b"two"), ("file-1", b"111"), ("file-2", b"two"), ("file-3", b"333")] {
        assert_eq!(fetch(&mut session, name).await, Ok(bytes.to_vec()), "{name}");
    }
}

async fn a_file_is_taken_away_with_all_its_names_and_nothing_else(which: Which) {
    let mut session = World::new(which).await.session().await;
    for (name, link, bytes) in
        [("file-1", Some("a"), b"one"), ("file-2", Some("a"), b"two"), ("file-3", Some("b"), b"333")]
    {
        let mut putting = session.put(name, link, 3).await.expect("it listens");
        putting.write(bytes).await.expect("it listens");
        putting.finish().await.expect("there is room");
    }
    run(&mut session, "import os; os.remove('b'); open('b', 'w').write('the code wrote it')").await;
    run(&mut session, "open('d', 'w').write('d')").await;
    for (name, there) in [
        ("file-1", "{'a': 3, 'b': 17, 'd': 1, 'file-2': 3, 'file-3': 3}\n"),
        ("file-3", "{'a': 3, 'b': 17, 'd': 1, 'file-2': 3}\n"),
        ("d", "{'a': 3, 'b': 17, 'd': 1, 'file-2': 3}\n"),
        ("missing", "{'a': 3, 'b': 17, 'd': 1, 'file-2': 3}\n"),
    ] {
        assert_eq!(session.remove(name).await, Ok(()), "{name}");
        assert_eq!(names(&mut session).await, there, "{name}");
    }
    if which == Which::Wasm {
        // It cannot keep anything: there are no rights that it could take away.
        assert_eq!(session.remove("file-2").await, Ok(()));
        assert_eq!(names(&mut session).await, "{'b': 17, 'd': 1}\n");
        return;
    }
    run(&mut session, "os.remove('file-2'); os.chmod('.', 0o500)").await;
    let kept = session.remove("file-2").await;
    assert_eq!(kept, Err(Refused::File("Permission denied".to_owned())), "the code keeps its other name");
    run(&mut session, "os.chmod('.', 0o700)").await;
    assert_eq!(session.remove("file-2").await, Ok(()));
    assert_eq!(names(&mut session).await, "{'b': 17, 'd': 1}\n");
}

async fn a_file_that_cannot_have_its_name_is_not_there(which: Which) {
    let mut session = World::new(which).await.session().await;
    run(&mut session, "import os; os.mkdir('a')").await;
    let mut putting = session.put("file-1", Some("a"), 3).await.expect("it listens");
    putting.write(b"one").await.expect("it listens");
    assert_eq!(putting.finish().await, Err(Refused::File("Is a directory".to_owned())));
    assert_eq!(names(&mut session).await, "{}\n");
}

/// The program's way to say what only `kernel.py` should.
const KERNEL: &str = "import sys\nkernel = sys._getframe(2).f_globals\n";

async fn what_the_code_says_in_the_place_of_the_kernel_is_bounded(which: Which) {
    let mut session = World::new(which).await.session().await;
    let forge = "kernel['Files'].fetch = lambda *_: kernel['channel'].send({'type': 'refused', 'reason': 'x' * 9999})";
    run(&mut session, &format!("{KERNEL}{forge}")).await;
    assert_eq!(fetch(&mut session, "a").await, Err(Refused::File("x".repeat(200))));
}

/// Takes half a minute: nothing else would show that it is not waited for without end.
async fn a_session_that_stops_in_the_middle_of_a_file_is_given_up(which: Which) {
    let world = World::new(which).await;
    let mut session = world.session().await;
    let stop = "def stop(*_):\n kernel['channel'].send({'type': 'file', 'size': 600_000}, bytes(300_000))\n import time; time.sleep(999)\nkernel['Files'].fetch = stop";
    run(&mut session, &format!("{KERNEL}{stop}")).await;
    let mut fetching = session.fetch("a", 1 << 20).await.expect("it is announced");
    let first = fetching.next().await.expect("it came").expect("there is more");
    assert!(!first.is_empty() && first.len() < 300_000);
    let lost = Lost("it did not send in time what it had announced".to_owned());
    assert_eq!(fetching.next().await, Err(lost));
    world.until_nothing_runs().await;
    assert!(session.run("1", &RUN, &mut |_| ()).await.is_err(), "it is over");
}

async fn it_is_halted_between_two_calls(which: Which) {
    let world = World::new(which).await;
    let mut session = world.session().await;
    assert_eq!(session.faults(), [""; 0]);
    until_halted(&world).await;
    assert_eq!(run(&mut session, "1").await.0, "1\n");
    until_halted(&world).await;
    put(&mut session, "a", b"a").await.expect("it goes on");
    until_halted(&world).await;
    fetch(&mut session, "a").await.expect("it goes on");
    until_halted(&world).await;
    fetch(&mut session, "b").await.expect_err("it is not there");
    until_halted(&world).await;
    session.close().await;
    world.until_nothing_runs().await;
}

/// Waits until the session's Python is halted.
async fn until_halted(world: &World) {
    while state_of_python(world.folder.path()) != Some('T') {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn code_can_be_interrupted_before_it_begins(which: Which) {
    let mut session = World::new(which).await.session().await;
    let interrupter = session.interrupter();
    for _ in 0..20 {
        let mut take = |_| ();
        let running = session.run("while True: pass", &RUN, &mut take);
        tokio::pin!(running);
        let early = tokio::select! {
            biased;
            ended = &mut running => Some(ended),
            () = std::future::ready(()) => None,
        };
        assert_eq!(early, None, "it has only been sent");
        interrupter.interrupt();
        assert_eq!(running.await, Ok(Ended::Interrupted));
    }
    assert_eq!(run(&mut session, "1").await, ("1\n".to_owned(), Ended::Succeeded));
}

async fn half_a_file_is_no_file(which: Which) {
    let mut session = World::new(which).await.session().await;
    let mut putting = session.put("half", None, 10).await.expect("it listens");
    putting.write(b"12345").await.expect("it listens");
    assert_eq!(
        putting.finish().await,
        Err(Refused::Lost(Lost("a file that was to be put into it broke off".to_owned())))
    );
}

#[tokio::test]
async fn python_that_is_not_there_is_said_so() {
    let unstarted = World::with_python("/nowhere/python3").await.map(drop).expect_err("there is none");
    assert!(unstarted.0.starts_with("could not run `/nowhere/python3`: "), "{unstarted}");
    let unstarted = World::with_python("true").await.map(drop).expect_err("it is none");
    assert_eq!(unstarted.0, "`true` is no Python");
}
