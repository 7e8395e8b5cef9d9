//! Rules about the source text that the compiler does not know: which room may use which, what only one
//! room may do, and what stays out altogether. The rules are the tables below, each row with its reason;
//! change a row only together with ARCHITECTURE.md.
#![expect(clippy::expect_used, reason = "a test ends where it cannot go on")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// A module of the server and the modules that it may use. `main` may use all of them.
struct Room {
    name: &'static str,
    /// Names with blanks between.
    uses: &'static str,
    reason: &'static str,
}

/// Doors open one way: http → runs → tools → search → files → store, blobs; and to upstream.
const ROOMS: &[Room] = &[
    Room {
        name: "serve",
        uses: "http app runs transfer tools search files backup upstream store blobs python health",
        reason: "it starts and stops the process",
    },
    Room {
        name: "http",
        uses: "app runs transfer tools search files upstream store blobs health",
        reason: "requests come in here",
    },
    Room {
        name: "app",
        uses: "runs tools search files upstream store blobs health",
        reason: "what a process has; it does not know how it is asked",
    },
    Room {
        name: "runs",
        uses: "app tools search files upstream store blobs",
        reason: "a run goes on without a request",
    },
    Room {
        name: "transfer",
        uses: "search files store",
        reason: "objects go out and come in as they are, whoever asks",
    },
    Room {
        name: "tools",
        uses: "search files upstream store blobs python",
        reason: "a tool answers a call and knows nothing of the run around it",
    },
    Room {
        name: "search",
        uses: "files upstream store blobs",
        reason: "searching serves more than one tool",
    },
    Room {
        name: "files",
        uses: "store blobs",
        reason: "rows and bytes are kept together, whoever needs them",
    },
    Room {
        name: "backup",
        uses: "store blobs",
        reason: "rows and bytes are copied as they are, beside a server",
    },
    Room { name: "health", uses: "store blobs", reason: "a process is asked how it is, whatever it does" },
    Room { name: "upstream", uses: "python", reason: "models are called, and know nothing of us" },
    Room { name: "python", uses: "", reason: "environments are made for whoever needs one" },
    Room { name: "store", uses: "", reason: "rows go in and out; the meaning is with the callers" },
    Room { name: "blobs", uses: "", reason: "bytes go in and out" },
    Room { name: "config", uses: "", reason: "every room may read it, so it can read none" },
    Room { name: "clock", uses: "", reason: "every room may read it, so it can read none" },
    Room { name: "ids", uses: "", reason: "every room may read it, so it can read none" },
    Room { name: "fault", uses: "", reason: "every room may return it, so it can know none" },
    Room { name: "crash_point", uses: "", reason: "every room may die in a test, so it can know none" },
];

/// Rooms that the others may use without saying so; among one another they use none.
const EVERYWHERE: &str = "config clock ids fault crash_point";

/// Which part of a file a rule looks at.
#[derive(Clone, Copy)]
enum Look {
    /// What is neither comment nor text.
    Code,
    /// The insides of string literals.
    Strings,
}

/// Something that may be written in some folders and nowhere else.
struct Only {
    what: &'static str,
    look: Look,
    found: fn(&str) -> bool,
    within: &'static [&'static str],
    reason: &'static str,
}

/// Holds the same libraries bare, to be measured beside the server.
const RELAY: &str = "bench/src/relay";

const ONLY: &[Only] = &[
    Only {
        what: "sqlx",
        look: Look::Code,
        found: |line| has_word(line, "sqlx"),
        within: &["crates/server/src/store"],
        reason: "store is the one place that knows a database",
    },
    Only {
        what: "SQL",
        look: Look::Strings,
        found: is_sql,
        within: &["crates/server/src/store", "crates/server/tests"],
        reason: "store is the one place with SQL; give it a method",
    },
    Only {
        what: "axum or tower-http",
        look: Look::Code,
        found: |line| has_word(line, "axum") || has_word(line, "tower_http"),
        within: &["crates/server/src/http", "crates/server/src/serve", "crates/server/tests", RELAY],
        reason: "http is the one place that knows requests and answers; serve starts it",
    },
    Only {
        what: "hyper",
        look: Look::Code,
        found: |line| has_word(line, "hyper") || has_word(line, "hyper_util"),
        within: &["crates/server/src/serve", RELAY],
        reason: "connections are accepted in one place, with their limits",
    },
    Only {
        what: "reqwest",
        look: Look::Code,
        found: |line| has_word(line, "reqwest"),
        within: &["crates/server/src/upstream", "crates/server/tests", RELAY],
        reason: "upstream alone calls models, with its limits and retries",
    },
    Only {
        what: "chrono",
        look: Look::Code,
        found: |line| has_word(line, "chrono"),
        within: &[],
        reason: "times are whole seconds since 1970, taken from the clock; object_store alone brings it",
    },
    Only {
        what: "unsafe",
        look: Look::Code,
        found: |line| has_word(line, "unsafe"),
        within: &["crates/sandbox"],
        reason: "the walls around foreign code are the one thing that needs it",
    },
];

/// What a file, folder, module or type is not called, at the end of its name.
const NAMES: &[&str] = &["util", "utils", "manager", "helper", "helpers", "common", "misc"];

/// What no file exceeds, tests not counted.
const LINES: usize = 500;

/// Files that may be longer, each with a reason.
const LONGER: &[(&str, &str)] = &[];

/// Crates that stay out of Cargo.lock; deny.toml says the same to cargo-deny.
const CRATES: &[(&str, &str)] = &[
    ("openssl-sys", "a C library that the machine may lack; certificates are checked by rustls"),
    ("openssl-src", "builds OpenSSL from source; certificates are checked by rustls"),
    ("native-tls", "another TLS library on each system; certificates are checked by rustls"),
    ("aws-lc-sys", "minutes of C and cmake to build; rustls uses ring here"),
    ("async-std", "one runtime: tokio"),
];

/// Crates that are in Cargo.lock at most once.
const ONCE: &[(&str, &str)] = &[
    ("libsqlite3-sys", "two copies of SQLite in one process break each other's locks"),
    ("tokio", "a second runtime does not see the first one's timers and sockets"),
    ("rustls", "certificates would be checked by two rules"),
];

/// What the contract's crate may depend on.
const WIRE_DEPENDENCIES: &[&str] = &["serde", "serde_json"];

#[test]
fn rooms_use_only_the_rooms_below_them() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with(SERVER)) {
        let Some(name) = source.room() else { continue };
        let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
            wrong.push(format!("{}: `{name}` is not in ROOMS; say there what it may use", source.path));
            continue;
        };
        for (line, used) in source.rooms_used() {
            let known = ROOMS.iter().any(|room| room.name == used);
            let everywhere = has_word(EVERYWHERE, &used) && !has_word(EVERYWHERE, name);
            if known && used != name && !everywhere && !has_word(room.uses, &used) {
                wrong.push(format!(
                    "{}:{line}: `{name}` may not use `{used}` ({}); it may use: {}",
                    source.path, room.reason, room.uses
                ));
            }
        }
    }
    none(&wrong);
}

#[test]
fn some_things_are_written_in_one_place() {
    let mut wrong = Vec::new();
    for source in sources() {
        for rule in ONLY.iter().filter(|rule| !within(&source.path, rule.within)) {
            let view = match rule.look {
                Look::Code => &source.code,
                Look::Strings => &source.strings,
            };
            for (index, _) in view.lines().enumerate().filter(|(_, line)| (rule.found)(line)) {
                let (path, line) = (&source.path, index + 1);
                wrong
                    .push(format!("{path}:{line}: {} outside {:?}: {}", rule.what, rule.within, rule.reason));
            }
        }
    }
    none(&wrong);
}

/// The statements that write a run's status are in store, for all SQL is. Their functions are called from
/// runs and from nowhere else, so whoever reads runs has read every way in which a run can change.
#[test]
fn only_runs_changes_the_status_of_a_run() {
    let sources = sources();
    let store = format!("{SERVER}store");
    let writers: BTreeSet<String> = sources
        .iter()
        .filter(|source| source.path.starts_with(&store))
        .flat_map(Source::status_writers)
        .collect();
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| source.path.starts_with(SERVER)) {
        if matches!(source.room(), Some("store" | "runs")) {
            continue;
        }
        for (index, line) in source.code.lines().enumerate() {
            for writer in writers.iter().filter(|writer| calls(line, writer)) {
                let (path, line) = (&source.path, index + 1);
                wrong.push(format!("{path}:{line}: `{writer}` writes a run's status; only runs may call it"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn files_are_short() {
    let mut wrong = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.lines_without_tests();
        if lines > LINES && !LONGER.iter().any(|(path, _)| *path == source.path) {
            wrong.push(format!("{}: {lines} lines; past {LINES} a reader gets lost: split it", source.path));
        }
    }
    none(&wrong);
}

#[test]
fn names_say_what_a_thing_is() {
    let mut wrong = Vec::new();
    for source in sources() {
        let path = Path::new(&source.path).with_extension("");
        let parts = path.iter().map(|part| part.to_string_lossy().into_owned());
        let declared = source.code.lines().filter_map(declared_name).map(str::to_owned);
        for name in parts.chain(declared) {
            if NAMES.contains(&last_word(&name).as_str()) {
                wrong.push(format!("{}: `{name}` says nothing; name what it does", source.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_migration_is_in_the_list() {
    let store = format!("{SERVER}store");
    let listed: String = sources()
        .iter()
        .filter(|source| source.path.starts_with(&store))
        .map(|source| source.strings.as_str())
        .collect();
    let wrong: Vec<String> = files(&root().join("migrations"))
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .filter(|name| name.ends_with(".sql") && !listed.contains(name))
        .map(|name| format!("migrations/{name}: no file in {store} names it, so it would never run"))
        .collect();
    none(&wrong);
}

#[test]
fn banned_crates_stay_out() {
    let (lock, deny) = (read("Cargo.lock"), read("deny.toml"));
    let count = |name: &str| lock.lines().filter(|line| *line == format!("name = \"{name}\"")).count();
    let mut wrong = Vec::new();
    for (name, reason) in CRATES {
        if count(name) > 0 {
            wrong.push(format!(
                "Cargo.lock: `{name}` is banned: {reason}; `cargo tree -i {name}` shows who wants it"
            ));
        }
        if !deny.contains(&format!("name = \"{name}\"")) {
            wrong.push(format!("deny.toml: `{name}` is banned here but not there"));
        }
    }
    for (name, reason) in ONCE.iter().filter(|(name, _)| count(name) > 1) {
        wrong.push(format!("Cargo.lock: `{name}` is there {} times: {reason}", count(name)));
    }
    let registries: BTreeSet<&str> = lock.lines().filter(|line| line.starts_with("source = ")).collect();
    if registries.len() > 1 || registries.iter().any(|source| source.contains("git+")) {
        wrong.push(format!("Cargo.lock: crates come from one registry and never from git: {registries:?}"));
    }
    none(&wrong);
}

#[test]
fn the_contract_depends_on_nothing_but_serde() {
    let manifest = read("crates/wire/Cargo.toml");
    let wrong: Vec<String> = dependencies(&manifest)
        .filter(|name| !WIRE_DEPENDENCIES.contains(name))
        .map(|name| format!("crates/wire/Cargo.toml: `{name}`: the contract does no I/O and decides nothing"))
        .collect();
    none(&wrong);
}

// What follows reads source text just well enough for the rules above.

const SERVER: &str = "crates/server/src/";

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace has a root")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// All files below `folder`, without what tools leave behind.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.expect("the folder can be listed").path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() {
            found.push(path);
        } else if !["target", "node_modules", "__pycache__"].contains(&&*name) {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}

/// The workspace's own code: Rust, and Python that the server runs.
fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_sources);
    &SOURCES
}

fn read_sources() -> Vec<Source> {
    let root = root();
    let files = ["crates", "bench"].iter().flat_map(|folder| files(&root.join(folder)));
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs" || extension == "py"))
        .map(|path| Source::new(&root, &path))
        .collect()
}

/// A file in three views of the same number of lines.
struct Source {
    path: String,
    text: String,
    code: String,
    strings: String,
}

impl Source {
    fn new(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("source files are text");
        let path =
            path.strip_prefix(root).expect("the file is in the workspace").to_string_lossy().into_owned();
        let (code, strings) =
            if path.ends_with(".rs") { split(&text) } else { (String::new(), String::new()) };
        Self { path, text, code, strings }
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// The module right below the crate's root that this file belongs to; `None` for the root itself.
    fn room(&self) -> Option<&str> {
        let first = self.path.strip_prefix(SERVER)?.split('/').next()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!["main", "lib"].contains(&name)).then_some(name)
    }

    /// Lines and names of what follows `crate::`, or as many `super::` as lead to the crate's root; braces
    /// included.
    fn rooms_used(&self) -> Vec<(usize, String)> {
        let depth = self.path.trim_start_matches(SERVER).matches('/').count();
        let depth = if self.path.ends_with("/mod.rs") { depth } else { depth + 1 };
        let mut used = Vec::new();
        for root in ["crate::", &"super::".repeat(depth)] {
            for (at, _) in self.code.match_indices(root) {
                let line = self.code[..at].lines().count().max(1);
                let names = first_names(&self.code[at + root.len()..]);
                used.extend(names.into_iter().map(|name| (line, name)));
            }
        }
        used
    }

    /// Functions of this file with a statement that writes a run's status.
    fn status_writers(&self) -> Vec<String> {
        let mut writers = Vec::new();
        for statement in ["update runs", "insert into runs"] {
            for (at, _) in self.strings.match_indices(statement) {
                let rest = &self.strings[at..];
                let columns = rest.split("where").next().unwrap_or(rest);
                if has_word(columns, "status") {
                    writers.extend(function_around(&self.code[..at]));
                }
            }
        }
        writers
    }

    fn lines_without_tests(&self) -> usize {
        let tests = self.text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        self.text[..tests].lines().count()
    }
}

fn within(path: &str, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(['/', '.'])))
}

/// The code without comments and string literals, and the insides of the string literals; what is left out
/// is blank, so that places are the same in both.
fn split(text: &str) -> (String, String) {
    let mut code = String::with_capacity(text.len());
    let mut strings = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (length, kind) = token(rest);
        let (piece, after) = rest.split_at(length);
        let blank: String = piece.chars().flat_map(|c| blanks(c, c.len_utf8())).collect();
        match kind {
            Token::Code => (code.push_str(piece), strings.push_str(&blank)),
            Token::Comment => (code.push_str(&blank), strings.push_str(&blank)),
            Token::Text => (code.push_str(&blank), strings.push_str(piece)),
        };
        rest = after;
    }
    (code, strings)
}

fn blanks(character: char, bytes: usize) -> impl Iterator<Item = char> {
    std::iter::repeat_n(if character == '\n' { '\n' } else { ' ' }, bytes)
}

enum Token {
    Code,
    Comment,
    Text,
}

/// The length in bytes of the first token of `rest`, as coarsely as the rules allow.
fn token(rest: &str) -> (usize, Token) {
    let first = rest.chars().next().map_or(0, char::len_utf8);
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Token::Comment);
    }
    if rest.starts_with("/*") {
        return (rest.find("*/").map_or(rest.len(), |at| at + 2), Token::Comment);
    }
    if let Some(after) = rest.strip_prefix('"') {
        return (1 + escaped_until(after, '"'), Token::Text);
    }
    if let Some(hashes) = raw_string(rest) {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = hashes + 2;
        return (rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()), Token::Text);
    }
    // `'"'` and `'\''` are characters; `'a` without a second quote is a lifetime.
    if let Some(after) = rest.strip_prefix('\'') {
        let character = after.chars().next().map_or(0, char::len_utf8);
        if after.starts_with('\\') || after[character..].starts_with('\'') {
            return (1 + escaped_until(after, '\''), Token::Text);
        }
    }
    // A word whole, or the `r` at its end would begin a raw string.
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (word.max(first), Token::Code)
}

/// How many `#` a raw string at the start of `rest` has.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length up to and with the first `end` that has no backslash before it.
fn escaped_until(text: &str, end: char) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        if !escaped && character == end {
            return at + end.len_utf8();
        }
        escaped = !escaped && character == '\\';
    }
    text.len()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c| !is_word(c)).any(|found| found == word)
}

fn leading_word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// A line in which a string begins like a statement and goes on like one.
fn is_sql(line: &str) -> bool {
    line.split('"').any(is_statement)
}

fn is_statement(text: &str) -> bool {
    let line = text.trim().to_lowercase();
    let begins = |first: &str, second: &str| line.starts_with(first) && has_word(&line, second);
    begins("select ", "from")
        || begins("insert into ", "values")
        || begins("insert into ", "select")
        || begins("update ", "set")
        || line.starts_with("delete from ")
        || line.starts_with("create table ")
}

/// The names that a path begins with: one, or several in braces.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![leading_word(path).to_owned()];
    };
    let mut depth = 0;
    let mut names = vec![leading_word(group.trim_start()).to_owned()];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(leading_word(group[at + 1..].trim_start()).to_owned()),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The function whose body `code` ends in.
fn function_around(code: &str) -> Option<String> {
    let at = code.rfind("fn ")?;
    Some(leading_word(&code[at + 3..]).to_owned())
}

/// Whether `line` calls a method or function of this name.
fn calls(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        (before.ends_with('.') || before.ends_with("::")) && after.starts_with(['(', ':'])
    })
}

/// The name in a declaration of a type or module.
fn declared_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub"));
    let kind = words.next()?;
    ["struct", "enum", "trait", "type", "mod"].contains(&kind).then(|| words.next().map(leading_word))?
}

/// `manager` of `RunManager` and of `run_manager`.
fn last_word(name: &str) -> String {
    let start = name.rfind(|c: char| c == '_' || c.is_uppercase()).unwrap_or(0);
    name[start..].trim_start_matches('_').to_lowercase()
}

/// The names in a manifest's `[dependencies]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            &line[..end]
        })
        .filter(|name| !name.is_empty())
}

#[test]
fn source_text_is_split_into_code_and_strings() {
    let (code, strings) = split("a(\"select\\\" x\"); // \"no\"\nfor r in r#\"raw\"#, 'a', '\"', &'b str é");
    assert_eq!(code, "a(            );        \nfor r in         ,    ,    , &'b str é");
    assert_eq!(strings.trim_end().replace(' ', ""), "\"select\\\"x\"\nr#\"raw\"#'a''\"'");
    assert_eq!(code.len(), strings.len());
    assert_eq!(first_names("{a, b::{c, d}, e::f}; g"), ["a", "b", "e"]);
    assert_eq!(last_word("RunManager"), "manager");
    assert!(calls("tx.finish(x)", "finish") && !calls("tx.finished(x)", "finish"));
}
