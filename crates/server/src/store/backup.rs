//! A copy of a SQLite database that another process may be writing to, made by SQLite itself.

use std::path::Path;

use anyhow::{Context, ensure};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, ConnectOptions, Connection, Executor};

use super::connect::use_drivers;

/// Rows read at once.
const PAGE: i64 = 1_000;

/// A blob that a copy names.
#[derive(Clone, Debug)]
pub struct NamedBlob {
    /// Its key.
    pub key: String,
    /// How long it is.
    pub bytes: u64,
}

/// Where a list of blobs has been read to.
#[derive(Clone, Debug, Default)]
pub struct BlobMark {
    /// Files first, then parts of uploads.
    table: usize,
    id: String,
}

/// A copy of a database.
pub struct DatabaseCopy {
    connection: AnyConnection,
}

/// What has bytes, and how many, as a number or in the object.
const HOLDERS: [&str; 2] = [
    "select id, blob, cast(json_extract(object, '$.bytes') as bigint) from files where id > $1 order by id limit $2",
    "select id, blob, bytes from upload_parts where id > $1 order by id limit $2",
];

impl DatabaseCopy {
    /// Copies the database `from` to the file `to`, which must not exist, as it is at this moment: all of what was
    /// acknowledged and nothing of what is under way. Who writes to the database does not wait meanwhile.
    ///
    /// # Errors
    /// Where one of them cannot be opened, or the copy cannot be written.
    pub async fn make(from: &Path, to: &Path) -> anyhow::Result<Self> {
        let mut source = connect(from).await?;
        let target = to.to_str().with_context(|| format!("the path `{}` cannot be used", to.display()))?;
        sqlx::query("vacuum into $1")
            .bind(target)
            .execute(&mut source)
            .await
            .with_context(|| format!("could not copy the database to `{}`", to.display()))?;
        source.close().await.context("could not close the database")?;
        Ok(Self { connection: connect(to).await? })
    }

    /// # Errors
    /// Where the copy is not sound.
    pub async fn check(&mut self) -> anyhow::Result<()> {
        let faults: Vec<(String,)> = sqlx::query_as("pragma integrity_check")
            .fetch_all(&mut self.connection)
            .await
            .context("could not check the copy")?;
        let sound = matches!(faults.as_slice(), [(word,)] if word == "ok");
        ensure!(sound, "the database is damaged: {}", faults.first().map_or("", |(fault,)| fault.as_str()));
        Ok(())
    }

    /// The next blobs that the copy names. None at the end.
    ///
    /// # Errors
    /// Where the copy cannot be read.
    pub async fn next_blobs(&mut self, mark: &mut BlobMark) -> anyhow::Result<Vec<NamedBlob>> {
        while let Some(statement) = HOLDERS.get(mark.table) {
            let rows: Vec<(String, String, i64)> = sqlx::query_as(*statement)
                .bind(mark.id.clone())
                .bind(PAGE)
                .fetch_all(&mut self.connection)
                .await
                .context("could not read which files the copy has")?;
            if let Some((id, _, _)) = rows.last() {
                mark.id.clone_from(id);
                let named = |(_, key, bytes): (String, String, i64)| {
                    let bytes = u64::try_from(bytes).unwrap_or_default();
                    NamedBlob { key, bytes }
                };
                return Ok(rows.into_iter().map(named).collect());
            }
            *mark = BlobMark { table: mark.table + 1, id: String::new() };
        }
        Ok(Vec::new())
    }

    /// Closes the copy, after which it is one file.
    ///
    /// # Errors
    /// Where it cannot be closed.
    pub async fn close(self) -> anyhow::Result<()> {
        self.connection.close().await.context("could not close the copy")
    }
}

async fn connect(path: &Path) -> anyhow::Result<AnyConnection> {
    use_drivers();
    let options: AnyConnectOptions = format!("sqlite://{}?mode=rw", path.display())
        .parse()
        .with_context(|| format!("the path `{}` cannot be used", path.display()))?;
    let mut connection = AnyConnection::connect_with(&options.disable_statement_logging())
        .await
        .with_context(|| format!("could not open the database `{}`", path.display()))?;
    connection.execute("pragma busy_timeout = 10000").await.context("could not set up the database")?;
    Ok(connection)
}
