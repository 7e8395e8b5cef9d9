//! Opening a database and bringing its tables up to date.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Connection, Executor, SqlSafeStr};

use super::Store;
use super::full_text::Database;
use super::nearest;
use super::news::Bulletin;
use super::writer::{SharedLane, Writer};
use crate::config::PostgresConfig;

/// Every migration, in order. They are never changed once released, only added to.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "core", include_str!("../../../../migrations/0001_core.sql")),
    (2, "metadata and answers", include_str!("../../../../migrations/0002_metadata_and_answers.sql")),
    (3, "files", include_str!("../../../../migrations/0003_files.sql")),
    (4, "vector stores", include_str!("../../../../migrations/0004_vector_stores.sql")),
    (5, "model requests", include_str!("../../../../migrations/0005_model_requests.sql")),
    (6, "completing uploads", include_str!("../../../../migrations/0006_completing_uploads.sql")),
    (7, "compatibility", include_str!("../../../../migrations/0007_compatibility.sql")),
];

/// Connections that read at once. SQLite's readers do not wait for its writer, and two cores keep four busy.
const SQLITE_READERS: u32 = 4;

/// Each commit is on disk before it is acknowledged (`full`); the log is folded into the database after
/// 16 MiB rather than 4, so that a busy server spends less time on it.
const SQLITE_WRITER: &str = "pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = 10000; \
                             pragma wal_autocheckpoint = 4000; pragma temp_store = memory;";
const SQLITE_READER: &str =
    "pragma busy_timeout = 10000; pragma query_only = on; pragma temp_store = memory;";

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `adjutant.db` in this folder.
    Folder(PathBuf),
    /// A PostgreSQL server, by URL, and how it is used.
    Postgres(String, PostgresConfig),
}

/// Kept while the database is open. No two servers share a folder: each would take the other's runs for
/// those of a dead one.
#[derive(Debug)]
pub struct FolderLock {
    _file: Option<File>,
}

impl Store {
    /// Opens the database, creating it where it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// Where the folder is in use, the server does not answer, or a migration fails.
    pub async fn open(place: &Place) -> anyhow::Result<(Self, FolderLock)> {
        use_drivers();
        let (store, lock) = match place {
            Place::Folder(folder) => open_sqlite(folder).await?,
            Place::Postgres(url, config) => open_postgres(url, *config).await?,
        };
        let labelled = store.label_older_threads().await;
        labelled.map_err(|fault| anyhow::anyhow!("could not list the threads' metadata: {fault}"))?;
        let adopted = store.adopt_vectors().await;
        adopted.map_err(|fault| anyhow::anyhow!("could not index the vectors: {fault}"))?;
        Ok((store, lock))
    }
}

/// Has both databases' drivers found by their URLs.
pub(super) fn use_drivers() {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
}

async fn open_sqlite(folder: &Path) -> anyhow::Result<(Store, FolderLock)> {
    let lock = lock(folder)?;
    let path = folder.join("adjutant.db");
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let options: AnyConnectOptions = url
        .parse()
        .with_context(|| format!("the data folder's path `{}` cannot be used", folder.display()))?;
    let mut connection = AnyConnection::connect_with(&options.disable_statement_logging())
        .await
        .with_context(|| format!("could not open the database `{}`", path.display()))?;
    connection.execute(SQLITE_WRITER).await.context("could not set up the database")?;
    migrate(&mut connection).await?;
    Database::Sqlite.prepare(&mut connection).await.context("could not set up the full-text index")?;
    let options: AnyConnectOptions = url.parse()?;
    let reads = AnyPoolOptions::new()
        .max_connections(SQLITE_READERS)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SQLITE_READER).await.map(|_| ()) })
        })
        .connect_with(options.disable_statement_logging())
        .await
        .context("could not open the database for reading")?;
    let writer = Writer::Shared(SharedLane::new(connection));
    let store = Store { reads, writer, database: Database::Sqlite, bulletin: Bulletin::within() };
    Ok((store, FolderLock { _file: Some(lock) }))
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("could not create the folder `{}`", folder.display()))?;
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("could not write to `{}`", folder.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => bail!(
            "another Adjutant is using the folder `{}`: stop it, or give this one a folder of its own with --data",
            folder.display()
        ),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("could not lock `{}`", path.display()))
        }
    }
}

async fn open_postgres(url: &str, config: PostgresConfig) -> anyhow::Result<(Store, FolderLock)> {
    // The URL holds a password, so no error may repeat it.
    let options: AnyConnectOptions = url.parse().ok().context("the database URL cannot be read")?;
    let listening: PgConnectOptions = url.parse().ok().context("the database URL cannot be read")?;
    let options = options.disable_statement_logging();
    let patience = Duration::from_secs(config.connect_seconds);
    // Without the limits of other sessions: a migration takes its time.
    let preparing: AnyPool = AnyPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(patience)
        .connect_with(options.clone())
        .await
        .context("could not connect to PostgreSQL")?;
    let mut connection = preparing.acquire().await.context("could not connect to PostgreSQL")?;
    migrate(&mut connection).await?;
    // Several processes may start at once, and PostgreSQL minds when two make the same thing.
    connection
        .execute("select pg_advisory_lock(7305)")
        .await
        .context("could not set up the search indexes")?;
    let database = Database::Postgres { vectors: nearest::prepare(&mut connection).await };
    let prepared = database.prepare(&mut connection).await;
    prepared.context("could not set up the full-text index")?;
    // The lock ends with its session.
    drop(connection);
    preparing.close().await;
    let session = session(config);
    let pool: AnyPool = AnyPoolOptions::new()
        .max_connections(config.connections)
        .acquire_timeout(patience)
        .after_connect(move |connection, _| {
            let session = session.clone();
            Box::pin(
                async move { connection.execute(AssertSqlSafe(session).into_sql_str()).await.map(|_| ()) },
            )
        })
        .connect_with(options.clone())
        .await
        .context("could not connect to PostgreSQL")?;
    let bulletin = Bulletin::over(options, listening);
    let store = Store { reads: pool.clone(), writer: Writer::Pool(pool), database, bulletin };
    Ok((store, FolderLock { _file: None }))
}

/// What each session of ours begins with.
fn session(config: PostgresConfig) -> String {
    format!(
        "{}; set statement_timeout = '{}s'; set lock_timeout = '{}s'; \
         set idle_in_transaction_session_timeout = '{}s'",
        nearest::SESSION,
        config.statement_seconds,
        config.lock_seconds,
        config.idle_transaction_seconds
    )
}

/// Brings the tables up to date: one process at a time, since sqlx holds an advisory lock of PostgreSQL meanwhile. A
/// database that is newer than this server is taken as it is, unless a migration said that it must not be.
async fn migrate(connection: &mut AnyConnection) -> anyhow::Result<()> {
    let migrations = MIGRATIONS
        .iter()
        .map(|(version, name, sql)| {
            let sql = AssertSqlSafe(*sql).into_sql_str();
            Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
        })
        .collect();
    let mut migrator = Migrator::with_migrations(migrations);
    migrator.set_ignore_missing(true);
    migrator.run(&mut *connection).await.context("could not bring the database's tables up to date")?;
    let (oldest,): (i64,) = sqlx::query_as("select max(oldest) from compatibility")
        .fetch_one(connection)
        .await
        .context("could not find out whether this version can use the database")?;
    let newest = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or_default();
    anyhow::ensure!(
        oldest <= newest,
        "the database was changed by a newer version of Adjutant, which this one cannot work beside: it needs \
         migration {oldest} and this version has {newest}. Start the newer version"
    );
    Ok(())
}
