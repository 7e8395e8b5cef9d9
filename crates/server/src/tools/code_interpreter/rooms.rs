//! Sessions, one a thread: opened when code comes, kept while they are used, and a few held ready.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use adjutant_sandbox::python::{Engine, Lost, Session, Unstarted};
use adjutant_wire::{FileId, ThreadId};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::InputFile;
use crate::config::CodeInterpreterConfig;
use crate::fault;
use crate::store::{Project, Store};

/// Imported ahead in every session: most programs begin with these, and they take their time.
const IMPORTED: [&str; 3] = ["numpy", "pandas", "matplotlib"];

/// How often sessions are looked for that are idle, or whose threads are gone.
const BETWEEN_LOOKS: Duration = Duration::from_secs(20);

/// Whose session it is: a project's thread.
pub(super) type Whose = (Project, ThreadId);

/// The sessions of all threads.
pub(super) struct Rooms {
    engine: Arc<dyn Engine>,
    store: Store,
    modules: Vec<String>,
    /// A session of a thread has one of these, so that there are never more than may be.
    places: Arc<Semaphore>,
    /// How many are held ready.
    spares: usize,
    idle: Duration,
    rooms: Mutex<HashMap<Whose, Arc<AsyncMutex<Room>>>>,
    /// Locked while one is being made ready.
    ready: AsyncMutex<Vec<Session>>,
    /// One may wait for what is being made ready.
    awaiting: Semaphore,
    used_at: Mutex<Instant>,
}

/// A thread's session, or the place for one.
pub(super) struct Room {
    session: Option<Housed>,
    /// The files that were put into it, with their names there.
    pub(super) files: BTreeMap<FileId, Option<String>>,
    /// Whether nothing was run in it yet.
    is_new: bool,
    before: Before,
    used_at: Instant,
}

/// A session in its place.
struct Housed {
    session: Session,
    _place: OwnedSemaphorePermit,
}

/// What was there before a session.
#[derive(Default)]
enum Before {
    /// Nothing that is known of: perhaps this server was started again, or the session was idle for long.
    #[default]
    Unknown,
    /// A session whose end nobody has been told of.
    Lost,
    /// A session whose end is known.
    Told,
}

/// A thread's session, for one who works with it.
pub(super) type Open = OwnedMutexGuard<Room>;

/// No session can be had.
#[derive(Debug)]
pub(super) enum Refusal {
    /// All that may be are at work.
    Busy,
    /// The engine cannot start one.
    Unstarted(Unstarted),
}

impl Rooms {
    pub(super) fn new(engine: Arc<dyn Engine>, store: Store, config: &CodeInterpreterConfig) -> Arc<Self> {
        let rooms = Arc::new(Self {
            engine,
            store,
            modules: IMPORTED.map(str::to_owned).to_vec(),
            places: Arc::new(Semaphore::new(config.sessions.clamp(1, Semaphore::MAX_PERMITS))),
            spares: config.spare_sessions,
            idle: Duration::from_secs(config.idle_seconds),
            rooms: Mutex::default(),
            ready: AsyncMutex::default(),
            awaiting: Semaphore::new(1),
            used_at: Mutex::new(Instant::now()),
        });
        tokio::spawn(look_after(Arc::downgrade(&rooms)));
        rooms
    }

    /// The thread's session, opened where there is none. Whoever works with it is alone with it.
    pub(super) async fn open(self: &Arc<Self>, whose: &Whose) -> Result<Open, Refusal> {
        let room = Arc::clone(self.rooms().entry(whose.clone()).or_default());
        let mut room = room.lock_owned().await;
        if room.session.is_none() {
            let place = self.place().await?;
            let session = self.session().await.map_err(Refusal::Unstarted)?;
            room.begin(Housed { session, _place: place });
        }
        room.used_at = Instant::now();
        Ok(room)
    }

    /// The thread's session, if there is one.
    pub(super) async fn opened(&self, whose: &Whose) -> Option<Open> {
        let room = self.rooms().get(whose).cloned()?;
        let mut room = room.lock_owned().await;
        room.session.is_some().then(|| {
            room.used_at = Instant::now();
            room
        })
    }

    /// Ends the thread's session, at once or when the program has ended that runs in it.
    pub(super) fn forget(&self, whose: &Whose) {
        let room = self.rooms().remove(whose);
        drop(room);
    }

    /// Holds sessions ready, since code will be run soon.
    pub(super) fn hold_ready(self: &Arc<Self>) {
        *self.used_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let rooms = Arc::clone(self);
        tokio::spawn(async move {
            let mut ready = rooms.ready.lock().await;
            while ready.len() < rooms.spares {
                match Session::open(&*rooms.engine, &rooms.modules).await {
                    Ok(session) => ready.push(session),
                    Err(unstarted) => {
                        tracing::error!(
                            "no session of the code interpreter could be held ready: {unstarted}"
                        );
                        return;
                    }
                }
            }
        });
    }

    async fn session(self: &Arc<Self>) -> Result<Session, Unstarted> {
        let session = match self.ready_one().await {
            Some(session) => session,
            None => Session::open(&*self.engine, &self.modules).await?,
        };
        for fault in session.faults() {
            tracing::error!("the code interpreter lacks {fault}");
        }
        self.hold_ready();
        Ok(session)
    }

    /// A session that is ready, or will be ready sooner than a new one. Of many that come at once, one waits for it; the
    /// others do not wait in line, but open their own side by side.
    async fn ready_one(&self) -> Option<Session> {
        match self.awaiting.try_acquire() {
            Ok(_alone) => self.ready.lock().await.pop(),
            Err(_) => self.ready.try_lock().ok()?.pop(),
        }
    }

    /// A place for one more session. Where all are taken, the session that was not used for longest gives way.
    async fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return Ok(place);
            }
            let mut room = self.idlest().ok_or(Refusal::Busy)?;
            if let Some(housed) = room.vacate() {
                // Its place is free only when its memory is.
                housed.session.close().await;
            }
        }
    }

    /// The session that was not used for longest, of those that nobody works with.
    fn idlest(&self) -> Option<Open> {
        let rooms = self.rooms();
        let idle = rooms.values().filter_map(|room| Arc::clone(room).try_lock_owned().ok());
        idle.filter(|room| room.session.is_some()).min_by_key(|room| room.used_at)
    }

    fn rooms(&self) -> std::sync::MutexGuard<'_, HashMap<Whose, Arc<AsyncMutex<Room>>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what nobody has used for long.
    async fn close_idle(&self) {
        let idle = self.idle;
        self.rooms().retain(|_, room| {
            // Somebody may be about to lock it.
            let is_wanted = Arc::strong_count(room) > 1;
            is_wanted || room.try_lock().map_or(true, |room| room.used_at.elapsed() < idle)
        });
        let used_at = *self.used_at.lock().unwrap_or_else(PoisonError::into_inner);
        if used_at.elapsed() >= idle {
            self.ready.lock().await.clear();
        }
    }

    /// Ends the sessions of threads that are gone: another process may have deleted them.
    async fn end_left_behind(&self) -> fault::Result<()> {
        let all: Vec<Whose> = self.rooms().keys().cloned().collect();
        for whose in all {
            let (project, thread) = &whose;
            if !self.store.read(project).await?.has_thread(thread).await? {
                self.forget(&whose);
            }
        }
        Ok(())
    }
}

async fn look_after(rooms: std::sync::Weak<Rooms>) {
    loop {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let Some(rooms) = rooms.upgrade() else { return };
        rooms.close_idle().await;
        if let Err(fault) = rooms.end_left_behind().await {
            tracing::error!("could not find out which sessions have lost their threads: {fault}");
        }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self {
            session: None,
            files: BTreeMap::new(),
            is_new: false,
            before: Before::default(),
            used_at: Instant::now(),
        }
    }
}

impl Room {
    fn begin(&mut self, session: Housed) {
        self.session = Some(session);
        self.files.clear();
        self.is_new = true;
    }

    /// Ends the session. Whoever opens the next one is told.
    pub(super) fn end(&mut self) {
        drop(self.vacate());
    }

    /// Takes the session out to be ended.
    fn vacate(&mut self) -> Option<Housed> {
        let housed = self.session.take()?;
        self.before = Before::Lost;
        Some(housed)
    }

    /// Whether a file was put into it, under its name if it has one. A name that it has lost to another file it would
    /// have to be given again.
    pub(super) fn has(&mut self, file: &InputFile) -> bool {
        match self.files.get_mut(&file.id) {
            Some(name) if file.name.is_none() => {
                *name = None;
                true
            }
            Some(name) => *name == file.name,
            None => false,
        }
    }

    /// The session.
    ///
    /// # Errors
    /// Where it has ended since it was opened.
    pub(super) fn session(&mut self) -> Result<&mut Session, Lost> {
        let housed = self.session.as_mut().ok_or_else(|| Lost("it has ended".to_owned()))?;
        Ok(&mut housed.session)
    }

    /// Gives up a session that is lost, as whoever calls has been told.
    pub(super) fn give_up(&mut self) {
        self.session = None;
        self.before = Before::Told;
    }

    /// The session is not what was there before, and whoever uses it next is told.
    pub(super) fn doubt(&mut self) {
        (self.before, self.is_new) = (Before::Lost, true);
    }

    /// Whether the model takes this session for another one that was lost. `goes_on`: it has run code before. Said
    /// once.
    pub(super) fn is_mistaken(&mut self, goes_on: bool) -> bool {
        let is_new = std::mem::take(&mut self.is_new);
        match std::mem::take(&mut self.before) {
            Before::Unknown => is_new && goes_on,
            Before::Lost => is_new,
            Before::Told => false,
        }
    }
}
