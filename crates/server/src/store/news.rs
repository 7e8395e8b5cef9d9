//! News: what other parts of this process, and other processes over the same database, may be waiting to hear.
//!
//! News are hints and no facts. Whoever hears one looks into the database, and whoever waits for one also looks by
//! itself from time to time. So it does no harm that they come late, twice or, where a process or a connection dies
//! between a commit and its news, never. SQLite has one process, whose news stay within it; on PostgreSQL they go
//! out by `NOTIFY` as well.
//!
//! They go out after the commit, many in one statement, and not inside the transaction: PostgreSQL up to 18 lets
//! transactions that notify commit one after another, each with its wait for the disk (ARCHITECTURE.md has figures).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use adjutant_wire::{RunId, ThreadId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AnyPool, ConnectOptions};
use tokio::sync::{broadcast, mpsc};

use super::Store;
use super::writer::Open;
use crate::fault::Result;
use crate::ids::hex;

/// PostgreSQL's name for where news go. Each database has its own.
const CHANNEL: &str = "adjutant_news";
const NOTIFY: &str = "select pg_notify($1, $2)";

/// News that wait to be heard in this process. Who is slower than that is told that some were missed.
const HEARD_LATE: usize = 4_096;

/// News that wait to go out. What is beyond that is not sent: a database that takes none is away. Others are told that
/// they have missed some.
const SAID_LATE: usize = 4_096;

/// News in one statement, and bytes in one (PostgreSQL takes less than 8,000).
const SAID_AT_ONCE: usize = 64;
const MOST_BYTES: usize = 7_900;

/// Between two statements, so that what comes meanwhile leaves with the next: PostgreSQL up to 18 wakes each listening
/// session of the database for each of them (docs/scale.md has figures).
const GATHERING: Duration = Duration::from_millis(10);

/// After so long without news, one without content is sent to all: a network can swallow a connection silently, and a
/// pooler that lends its sessions to others delivers none.
const SILENCE: Duration = Duration::from_secs(20);

/// How long it may take to be heard.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries to say something, and to hear; the latter is doubled each time that it is in vain.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Something that somebody may be waiting for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// A run may be taken up by any worker.
    RunDue,
    /// A run is not as its worker knows it: it is being cancelled, or was deleted.
    RunChanged(RunId),
    /// Something of a run was stored that those who follow it, or wait for its end, may want to see.
    RunMoved(RunId),
    /// Somebody follows a run that is not worked on in the same process.
    RunFollowed(RunId),
    /// A file may be brought into its vector store by any process.
    FileDue,
    /// A file has come further on its way into a vector store.
    FileMoved,
    /// A thread of this project is gone.
    ThreadDeleted(String, ThreadId),
    /// Some news may not have been heard: whoever waits looks once.
    Missed,
}

/// Where news are posted and heard.
#[derive(Clone)]
pub(super) struct Bulletin {
    here: broadcast::Sender<News>,
    elsewhere: Option<mpsc::Sender<News>>,
    /// What this process is called in letters, where it writes any.
    name: Option<String>,
    line: Arc<Line>,
}

/// How news between processes fare.
#[derive(Default)]
struct Line {
    /// Whether those of others are heard.
    hears: AtomicBool,
    /// Whether some of ours were not sent.
    lost: AtomicBool,
}

/// What says news to other processes.
#[derive(Clone)]
struct Mouth {
    pool: AnyPool,
    /// What this process is called in letters.
    name: String,
}

/// What hears the news of all processes.
#[derive(Debug)]
pub struct Hearing(broadcast::Receiver<News>);

/// What one statement carries.
#[derive(Serialize, Deserialize)]
struct Letter<T> {
    /// The process that sent it, which has heard it already.
    from: String,
    news: Vec<T>,
}

impl Bulletin {
    /// News that stay within this process.
    pub(super) fn within() -> Self {
        let here = broadcast::Sender::new(HEARD_LATE);
        Self { here, elsewhere: None, name: None, line: Arc::default() }
    }

    /// News that go to all processes over a PostgreSQL, and come from them.
    pub(super) fn over(saying: AnyConnectOptions, hearing: PgConnectOptions) -> Self {
        let here = broadcast::Sender::new(HEARD_LATE);
        let (elsewhere, said) = mpsc::channel(SAID_LATE);
        let name = hex();
        // A connection of its own: where requests wait for one, news are the more urgent.
        let pool =
            AnyPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_lazy_with(saying);
        let line = Arc::<Line>::default();
        let mouth = Mouth { pool, name: name.clone() };
        tokio::spawn(say(mouth.clone(), said, Arc::clone(&line)));
        tokio::spawn(hear(hearing.disable_statement_logging(), mouth, here.clone(), Arc::clone(&line)));
        Self { here, elsewhere: Some(elsewhere), name: Some(name), line }
    }

    /// Tells all. Never waits.
    pub(super) fn post(&self, news: impl IntoIterator<Item = News>) {
        for news in news {
            if let Some(elsewhere) = &self.elsewhere
                && elsewhere.try_send(news.clone()).is_err()
            {
                self.line.lost.store(true, Ordering::Release);
            }
            // Nobody may listen.
            let _ = self.here.send(news);
        }
    }

    /// Tells all within a transaction, so that a process that ends with it has told them.
    pub(super) async fn post_within(&self, open: &mut Open, news: News) -> Result<()> {
        let Some(name) = &self.name else { return Ok(()) };
        for text in letters(name, &[news]) {
            sqlx::query(NOTIFY).bind(CHANNEL).bind(text).execute(open.connection()).await?;
        }
        Ok(())
    }
}

impl Store {
    /// Tells all processes, without a transaction.
    pub fn announce(&self, news: News) {
        self.bulletin.post([news]);
    }

    /// Whether no other process uses the database.
    pub(super) fn is_alone(&self) -> bool {
        self.bulletin.elsewhere.is_none()
    }

    /// Whether all news are heard, sooner or later, as those within one process always are.
    pub fn hears_news(&self) -> bool {
        self.is_alone() || self.bulletin.line.hears.load(Ordering::Acquire)
    }

    /// Hears the news from now on.
    pub fn hear(&self) -> Hearing {
        Hearing(self.bulletin.here.subscribe())
    }
}

impl Hearing {
    /// The next news; `None` where there will be none.
    pub async fn next(&mut self) -> Option<News> {
        match self.0.recv().await {
            Ok(news) => Some(news),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(News::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl Mouth {
    /// A connection may be lost without anybody saying so, so this takes no longer than it may.
    async fn say(&self, news: &[News]) -> Result<(), sqlx::Error> {
        for text in letters(&self.name, news) {
            let saying = sqlx::query(NOTIFY).bind(CHANNEL).bind(text).execute(&self.pool);
            tokio::time::timeout(PATIENCE, saying).await.map_err(|_| sqlx::Error::PoolTimedOut)??;
        }
        Ok(())
    }
}

/// Sends what waits: the first at once, then as much together as came meanwhile.
async fn say(mouth: Mouth, mut said: mpsc::Receiver<News>, line: Arc<Line>) {
    loop {
        let first = match line.lost.swap(false, Ordering::AcqRel) {
            true => Some(News::Missed),
            false => said.recv().await,
        };
        let Some(first) = first else { return };
        let mut news = vec![first];
        while news.len() < SAID_AT_ONCE
            && let Ok(more) = said.try_recv()
        {
            if !news.contains(&more) {
                news.push(more);
            }
        }
        if let Err(error) = mouth.say(&news).await {
            tracing::debug!("other processes could not be told news: {error}");
            line.lost.store(true, Ordering::Release);
            tokio::time::sleep(PAUSE).await;
        } else if news.len() < SAID_AT_ONCE {
            tokio::time::sleep(GATHERING).await;
        }
    }
}

/// News as PostgreSQL takes them. What is too long even alone is left out; nothing of ours is.
fn letters(name: &str, news: &[News]) -> Vec<String> {
    let letter = Letter { from: name.to_owned(), news: news.to_vec() };
    match serde_json::to_string(&letter) {
        Ok(text) if text.len() <= MOST_BYTES => vec![text],
        Ok(_) if news.len() > 1 => {
            let (some, others) = news.split_at(news.len() / 2);
            [letters(name, some), letters(name, others)].concat()
        }
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// Hears what other processes say, for ever: a connection that is lost is made again.
async fn hear(options: PgConnectOptions, mouth: Mouth, here: broadcast::Sender<News>, line: Arc<Line>) {
    let mut pause = PAUSE;
    loop {
        let heard = hear_while_connected(&options, &mouth, &here, &line.hears).await;
        if line.hears.swap(false, Ordering::AcqRel) {
            pause = PAUSE;
            // Those who counted on hearing look by themselves from now on.
            let _ = here.send(News::Missed);
        }
        if let Err(error) = heard {
            tracing::warn!("news of other processes are not heard, and are looked for instead: {error}");
        }
        tokio::time::sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

async fn hear_while_connected(
    options: &PgConnectOptions,
    mouth: &Mouth,
    here: &broadcast::Sender<News>,
    hears: &AtomicBool,
) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    // What was said before is lost.
    let _ = here.send(News::Missed);
    // Said on another connection, as others say theirs.
    mouth.say(&[]).await?;
    let mut is_asked = true;
    loop {
        let patience = if is_asked { PATIENCE } else { SILENCE };
        match tokio::time::timeout(patience, listener.try_recv()).await {
            Ok(heard) => match heard? {
                Some(letter) => {
                    is_asked = false;
                    hears.store(true, Ordering::Release);
                    tell(letter.payload(), &mouth.name, here);
                }
                // The connection was lost.
                None => return Ok(()),
            },
            Err(_) if is_asked => {
                let why = "what is said is not heard; a pooler must leave a session to its client";
                return Err(sqlx::Error::Protocol(why.to_owned()));
            }
            Err(_) => {
                mouth.say(&[]).await?;
                is_asked = true;
            }
        }
    }
}

fn tell(letter: &str, name: &str, here: &broadcast::Sender<News>) {
    let Ok(Letter { from, news }) = serde_json::from_str::<Letter<Value>>(letter) else { return };
    if from == name {
        return;
    }
    // Those that only a newer version knows are none to us.
    for news in news.into_iter().filter_map(|news| serde_json::from_value(news).ok()) {
        let _ = here.send(news);
    }
}

#[cfg(test)]
mod tests {
    use adjutant_wire::id::Id;

    use super::*;

    fn moved(run: usize) -> News {
        News::RunMoved(RunId::from_checked(format!("run_{run:024}")))
    }

    #[test]
    fn many_news_go_out_in_letters_that_postgres_takes() {
        let news: Vec<News> = (0..400).map(moved).collect();
        let letters = letters("me", &news);
        assert!(letters.len() > 1 && letters.iter().all(|letter| letter.len() <= MOST_BYTES));
        let here = broadcast::Sender::new(1_000);
        let mut hearing = here.subscribe();
        for letter in &letters {
            tell(letter, "another", &here);
        }
        let heard: Vec<News> = std::iter::from_fn(|| hearing.try_recv().ok()).collect();
        assert_eq!(heard, news);
    }

    #[test]
    fn ones_own_news_and_those_of_newer_versions_are_passed_over() {
        let here = broadcast::Sender::new(10);
        let mut hearing = here.subscribe();
        tell(r#"{"from":"me","news":["run_due"]}"#, "me", &here);
        tell(r#"{"from":"you","news":[{"moon_rose":1},"file_due","eclipse"]}"#, "me", &here);
        tell("no letter", "me", &here);
        assert_eq!(hearing.try_recv().ok(), Some(News::FileDue));
        assert!(hearing.try_recv().is_err());
    }
}
