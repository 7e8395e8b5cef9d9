//! Starting and stopping the server, and looking at its settings without starting it.

mod connections;
mod stop;
mod unread;

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::config::{CodeEngine, Config};
use crate::fault::Result;
use crate::files::Files;
use crate::ids::hex;
use crate::store::{FolderLock, Place, Project, Store};
use crate::tools::code_interpreter::{CodeInterpreter, Setup};
use crate::transfer::{Importer, Owner, Shelf, command};
use crate::upstream::Progress;
use crate::{backup, http, transfer, upstream};
use connections::{Answers, Connections};
use stop::{Asked, Stopping};

/// Answers to requests with an `Idempotency-Key` are kept so long.
const ANSWERS_SECONDS: i64 = 24 * 60 * 60;
const BETWEEN_CLEANINGS: Duration = Duration::from_secs(15 * 60);

/// Serves until the process is asked to stop.
///
/// # Errors
/// Where a setting, the database, a model's server or the address cannot be used; in words, with the remedy.
pub async fn serve(mut config: Config) -> anyhow::Result<()> {
    use_ring()?;
    let files = open_many_files();
    // The others are for clients.
    let runs = u32::try_from(files / 2).unwrap_or(u32::MAX).max(1);
    if runs < config.runs.at_once {
        tracing::info!("at most {runs} runs are worked on at once: {files} files may be open (`ulimit -n`)");
        config.runs.at_once = runs;
    }
    let mut asked = Asked::listen().context("the signals that ask to stop cannot be heard")?;
    tokio::select! {
        started = start(&config) => {
            let (app, connections, _lock) = started?;
            asked.again().await;
            Stopping::new(&config).stop(&app, &connections, &mut asked).await;
        }
        // There is nothing to end yet.
        () = asked.again() => {}
    }
    Ok(())
}

/// Opens everything, and begins to work and to serve, as far as the process's role goes.
async fn start(config: &Config) -> anyhow::Result<(App, Connections, FolderLock)> {
    let accepted = config.accepted_keys()?.len();
    let (store, lock) = Store::open(&place(config)).await?;
    let upstreams = upstream::open(config).await?;
    say(&upstreams.in_words())?;
    let shown = Mutex::new(None);
    if config.role.works() {
        upstreams.prepare(&|progress| show(&progress, &shown)).await.context(
            "There is no model to answer. Name a server with --upstream, set OPENAI_API_KEY, or mend this",
        )?;
    }
    if accepted == 0 && config.role.serves() {
        say("No keys are configured: every key is accepted, on this machine only.")?;
    }
    let app = App::new(config, store, Blobs::open(config)?, upstreams)?;
    app.files.check().await?;
    let named = matches!(config.code_interpreter.engine, CodeEngine::Native | CodeEngine::Wasm);
    if named && config.role.works() {
        app.code.prepare(&|progress| show(&progress, &shown)).await.context("Code cannot be run")?;
    }
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("could not listen on {}: is another server there?", config.listen))?;
    let address = listener.local_addr()?;
    if config.role.works() {
        work(config, &app).await?;
    }
    let usual =
        if config.role.serves() { http::router(app.clone()) } else { http::health_router(app.clone()) };
    let answers = Answers { usual, crowded: http::crowded_router(app.clone()) };
    let connections = Connections::accept(listener, answers, config.connections);
    app.health.watch("accepting connections", connections.accepting());
    say(&format!("Adjutant is listening on http://{address}"))?;
    Ok((app, connections, lock))
}

/// Begins to work on runs, to read files, and to clean.
async fn work(config: &Config, app: &App) -> anyhow::Result<()> {
    let alone = config.database_url.is_empty();
    if alone {
        app.files.take_over().await?;
    }
    let watch = |name, task: JoinHandle<()>| app.health.watch(name, task.abort_handle());
    watch("cleaning", tokio::spawn(Arc::clone(&app.files).clean()));
    watch("forgetting", tokio::spawn(forget(app.clone())));
    let (engine, ingest) = (Arc::clone(&app.engine), Arc::clone(&app.ingest));
    watch("working on runs", tokio::spawn(unless_broken("runs", engine.work(alone))));
    watch("reading files", tokio::spawn(unless_broken("files", ingest.work(alone))));
    if config.code_interpreter.engine == CodeEngine::Auto {
        tokio::spawn(prepare_code(Arc::clone(&app.code)));
    }
    tokio::spawn({
        let upstreams = Arc::clone(&app.upstreams);
        async move {
            upstreams.warm_up().await;
            let shown = Mutex::new(None);
            upstreams.fetch_ahead(&|progress| show(&progress, &shown)).await;
        }
    });
    Ok(())
}

/// A loop that ends where it cannot even begin. Health tells.
async fn unless_broken(what: &str, work: impl Future<Output = Result<()>>) {
    if let Err(fault) = work.await {
        tracing::error!("no {what} are worked on: {fault}");
    }
}

/// Prepares to run code while requests are served: the first start installs packages for a minute, and whoever
/// runs no code needs none.
async fn prepare_code(code: Arc<CodeInterpreter>) {
    if let Err(fault) = code.prepare(&|progress| tracing::info!("{progress}")).await {
        tracing::warn!("no code is run, and no model is told of code_interpreter: {fault:#}");
    }
}

/// Says what the settings mean, and fails where they cannot work.
///
/// # Errors
/// What is wrong, with the remedy.
pub async fn check(config: Config) -> anyhow::Result<()> {
    use_ring()?;
    let keys = config.accepted_keys()?.len();
    say(&format!("Listens on {}.", config.listen))?;
    match keys {
        0 => say("Accepts every key, on this machine only.")?,
        number => say(&format!("Accepts {number} keys."))?,
    }
    match place(&config) {
        Place::Folder(folder) => say(&format!("Keeps everything in the folder `{}`.", folder.display()))?,
        Place::Postgres(..) => {
            let (store, _) = Store::open(&place(&config)).await?;
            store.ping().await?;
            say("Keeps everything in PostgreSQL, which answers.")?;
        }
    }
    check_blobs(&config).await?;
    say(&Setup::new(&config.code_interpreter, &config.data).check().await)?;
    let upstreams = upstream::open(&config).await?;
    say(&upstreams.in_words())?;
    for line in upstreams.check().await {
        say(&line)?;
    }
    Ok(())
}

async fn check_blobs(config: &Config) -> anyhow::Result<()> {
    if config.blobs.is_empty() {
        let note = if config.database_url.is_empty() { "" } else { "; other processes need the same one" };
        return say(&format!("Keeps the bytes of files in the folder `{}`{note}.", config.data.display()));
    }
    let blobs = Blobs::open(config)?;
    blobs.check(&hex()).await?;
    say(&format!("Keeps the bytes of files in {}, which answers.", blobs.in_words()))
}

/// Writes everything of a project, or of all where none is named, to a file, or for `-` to the standard output.
///
/// # Errors
/// Where the database, the blob store or the file cannot be used.
pub async fn export(config: Config, project: Option<&str>, file: &Path) -> anyhow::Result<()> {
    use_ring()?;
    let place = place(&config);
    if let Place::Folder(folder) = &place {
        let found = folder.join("adjutant.db").exists();
        anyhow::ensure!(found, "there is no database in the folder `{}`", folder.display());
    }
    let (store, _lock) = Store::open(&place).await?;
    let shelf = shelf(&config, &store)?;
    command::export(store, shelf, project, file).await
}

/// Copies the data folder, which a server may be using, to another folder, which can be used as one.
///
/// # Errors
/// Where there is nothing to copy, or the folder is in use; in words.
pub async fn backup(config: Config, to: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.database_url.is_empty(),
        "the database is PostgreSQL, which has its own ways: pg_dump first, then a copy of the files (docs/backup.md)"
    );
    let with_blobs = config.blobs.is_empty();
    let taken = backup::take(&config.data, to, with_blobs).await?;
    say(&format!(
        "`{}` has the database ({} bytes) and {} files ({} bytes), and is whole.",
        to.display(),
        taken.database_bytes,
        taken.blobs,
        taken.blob_bytes
    ))?;
    if !with_blobs {
        say(&format!("The bytes of files are in `{}`, which has copies of its own.", config.blobs))?;
    }
    Ok(())
}

/// Reads what `export` wrote from a file, or for `-` from the standard input, into a project, or where none is named,
/// into those that the lines name.
///
/// # Errors
/// Where the database, the blob store or the file cannot be used, or a line was refused.
pub async fn import(config: Config, project: Option<&str>, file: &Path) -> anyhow::Result<()> {
    use_ring()?;
    let (store, _lock) = Store::open(&place(&config)).await?;
    let owner = project.map_or(Owner::Named, |name| Owner::Project(Project::new(name)));
    let longest = transfer::line_bytes_with_files(config.request_bytes);
    let shelf = shelf(&config, &store)?;
    command::import(Importer::with_files(store, shelf, owner, longest), file).await
}

fn shelf(config: &Config, store: &Store) -> anyhow::Result<Shelf> {
    let clock = Arc::new(Clock::default());
    let files = Files::new(store.clone(), Blobs::open(config)?, Arc::clone(&clock), config.runs.lease());
    Ok(Shelf { files, clock })
}

/// Takes away what was kept for requests that may be sent again, a day after they came in, and vectors of texts
/// that were embedded long ago.
async fn forget(app: App) {
    let mut tick = tokio::time::interval(BETWEEN_CLEANINGS);
    loop {
        tick.tick().await;
        if let Err(fault) = app.store.forget_answers(app.clock.seconds() - ANSWERS_SECONDS).await {
            tracing::error!("could not take away old answers: {fault}");
        }
        if let Err(fault) = app.ingest.forget_embeddings().await {
            tracing::error!("could not take away old vectors: {fault}");
        }
    }
}

fn place(config: &Config) -> Place {
    if config.database_url.is_empty() {
        Place::Folder(config.data.clone())
    } else {
        Place::Postgres(config.database_url.clone(), config.postgres)
    }
}

/// A stream takes two connections, a client's and a model's server's, and each is an open file. Many systems
/// allow a process 1,024 of them unless it asks for more. Answers how many there may be.
fn open_many_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::warn!("the limit of open files stays at {:?}: {error}", limit.current);
            limit.current.unwrap_or(u64::MAX)
        }
    }
}

fn use_ring() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("another cryptographic library was installed first"))
}

/// Shows what is being fetched: a line for each step, and for each tenth of a download.
fn show(progress: &Progress, shown: &Mutex<Option<u64>>) {
    if let Progress::Download { done, total } = progress {
        let tenth = (done * 10).checked_div(total.unwrap_or_default());
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if tenth.is_none() || *shown == tenth {
            return;
        }
        *shown = tenth;
    }
    // Nobody may be there to read it.
    let _ = say(&format!("  {progress}"));
}

/// A line for the person who started the server. Scripts read the one with the address.
fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
