//! The full-text index, the one thing besides writing in which the databases differ: FTS5 in SQLite, `tsvector`
//! with GIN in PostgreSQL.
//!
//! Both index the words that `retrieval` made, and only find candidates with them; what those are worth is
//! computed from the words themselves, so both databases find the same. Each word is indexed behind the number
//! of its store: a search reads no entry of any other store, however many share the database.

use sqlx::{AnyConnection, AssertSqlSafe, Executor};

use super::{Reading, Writing};
use crate::fault::Result;

/// Which database this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Database {
    Sqlite,
    /// With pgvector or without.
    Postgres {
        vectors: bool,
    },
}

/// No positions are asked for, but how often a word stands in a passage is, by FTS5's own ranking.
const SQLITE: &str = "create virtual table if not exists chunk_words using \
                      fts5(words, content = '', contentless_delete = 1, tokenize = 'ascii')";

const POSTGRES: &str = "alter table chunks add column if not exists indexed tsvector; \
                        create index if not exists chunks_by_words on chunks using gin (indexed); \
                        create index if not exists chunks_by_store on chunks (store_number)";

/// A word as the index has it.
fn indexed(store_number: i64, word: &str) -> String {
    format!("{store_number:x}x{word}")
}

/// Words with blanks between, as the index has them.
fn all_indexed<'w>(store_number: i64, words: impl Iterator<Item = &'w str>) -> String {
    words.map(|word| indexed(store_number, word)).collect::<Vec<_>>().join(" ")
}

impl Database {
    /// Makes the index where it is not there.
    pub(super) async fn prepare(self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let statements = match self {
            Self::Sqlite => SQLITE,
            Self::Postgres { .. } => POSTGRES,
        };
        connection.execute(statements).await.map(|_| ())
    }

    /// A condition that a chunk is of one of these files, given as the `number`th value of a statement by
    /// [`numbers_as_value`].
    pub(super) fn of_files(self, id: &str, value: usize) -> String {
        match self {
            Self::Sqlite => format!(" and ({id} >> 20) in (select value from json_each(${value}))"),
            Self::Postgres { .. } => format!(" and ({id} >> 20) = any(${value}::bigint[])"),
        }
    }

    pub(super) fn numbers_as_value(self, numbers: &[i64]) -> String {
        let list: Vec<String> = numbers.iter().map(i64::to_string).collect();
        match self {
            Self::Sqlite => format!("[{}]", list.join(",")),
            Self::Postgres { .. } => format!("{{{}}}", list.join(",")),
        }
    }
}

impl Reading {
    /// Passages of a store in which one of the words stands, those first that the database thinks best.
    /// `files` limits the search to these files, by number.
    pub async fn chunks_with_any(
        &mut self,
        store_number: i64,
        words: &[&str],
        files: Option<&[i64]>,
        limit: usize,
    ) -> Result<Vec<i64>> {
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let database = self.database;
        let quoted = |quote: char, between: &str| {
            let quoted: Vec<String> =
                words.iter().map(|word| format!("{quote}{}{quote}", indexed(store_number, word))).collect();
            quoted.join(between)
        };
        let (mut sql, asked) = match database {
            Database::Sqlite => {
                ("select rowid from chunk_words where chunk_words match $1".to_owned(), quoted('"', " OR "))
            }
            Database::Postgres { .. } => {
                ("select id from chunks where indexed @@ $1::tsquery".to_owned(), quoted('\'', " | "))
            }
        };
        if files.is_some() {
            let id = if database == Database::Sqlite { "rowid" } else { "id" };
            sql.push_str(&database.of_files(id, 2));
        }
        sql.push_str(&match database {
            Database::Sqlite => format!(" order by rank limit {limit}"),
            Database::Postgres { .. } => {
                format!(" order by ts_rank(indexed, $1::tsquery) desc, id limit {limit}")
            }
        });
        let mut query = sqlx::query_as::<_, (i64,)>(AssertSqlSafe(sql)).bind(asked);
        if let Some(files) = files {
            query = query.bind(database.numbers_as_value(files));
        }
        let rows = query.fetch_all(self.connection()).await?;
        Ok(rows.into_iter().map(|(id,)| id).collect())
    }
}

impl Writing {
    /// Puts passages into the index, each with its words.
    pub(super) async fn index(&mut self, store_number: i64, chunks: &[(i64, &[String])]) -> Result<()> {
        let database = self.database;
        for (id, words) in chunks {
            let words = all_indexed(store_number, words.iter().map(String::as_str));
            let statement = match database {
                Database::Sqlite => "insert into chunk_words (words, rowid) values ($1, $2)",
                Database::Postgres { .. } => {
                    "update chunks set indexed = array_to_tsvector(string_to_array($1, ' ')) where id = $2"
                }
            };
            if words.is_empty() {
                continue;
            }
            sqlx::query(statement).bind(words).bind(*id).execute(self.connection()).await?;
        }
        Ok(())
    }

    /// Takes passages out of the index. In PostgreSQL they leave it with their rows.
    pub(super) async fn unindex(&mut self, ids: &[i64]) -> Result<()> {
        if self.database != Database::Sqlite {
            return Ok(());
        }
        let list = self.database.numbers_as_value(ids);
        sqlx::query("delete from chunk_words where rowid in (select value from json_each($1))")
            .bind(list)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
