//! A program that runs: in a task of its own, so that whoever waits for it may go away without losing the thread's
//! session.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use adjutant_sandbox::python::{Ended, Lost, Output, Refused, RunLimits};
use adjutant_wire::FileId;
use adjutant_wire::id::Id;
use futures_util::TryStreamExt;
use tokio::sync::{Notify, watch};

use super::arguments::without_fence;
use super::rooms::{Open, Refusal};
use super::{CodeInterpreter, InputFile, Place};
use crate::crash_point;
use crate::fault::Fault;
use crate::store::Project;

/// The most images that one program shows, and their size.
const IMAGES: usize = 20;
const IMAGE_BYTES: u64 = 16 << 20;

/// How the output of a program begins whose session is not that of the programs before it.
pub const NEW_SESSION: &str = "[The session before was lost, ";

/// How the output of a program ends with which its session was lost.
pub const SESSION_LOST: &str = "[The session is lost: ";

/// What a program gives, in order.
#[derive(Debug, PartialEq)]
pub enum Given {
    /// More text.
    Text(String),
    /// An image, as PNG.
    Image(Vec<u8>),
}

/// A program that runs, or has run. Dropping it stops the program; the session stays.
pub struct Program(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<Progress>,
    /// Something was given, or it has ended.
    news: Notify,
    /// Whether nobody wants it any more.
    stopped: watch::Sender<bool>,
}

#[derive(Default)]
struct Progress {
    given: Vec<Given>,
    ended: bool,
}

impl Program {
    pub(super) fn start(tool: Arc<CodeInterpreter>, place: Place, code: String) -> Self {
        let shared = Arc::<Shared>::default();
        let program = Self(Arc::clone(&shared));
        tokio::spawn(async move {
            if let Err(why) = run(&tool, &place, &code, &shared).await {
                shared.give(Given::Text(format!("{why}\n")));
            }
            shared.state().ended = true;
            shared.news.notify_one();
        });
        program
    }

    /// What it has given since it was asked last, at once or when there is something. `None` once it has ended and
    /// all is known.
    pub async fn next(&self) -> Option<Vec<Given>> {
        loop {
            let (given, ended) = {
                let mut state = self.0.state();
                let most =
                    if crash_point::are_counted() { state.given.len().min(1) } else { state.given.len() };
                (state.given.drain(..most).collect::<Vec<_>>(), state.ended)
            };
            if !given.is_empty() {
                return Some(given);
            }
            if ended {
                return None;
            }
            self.0.news.notified().await;
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.stopped.send_replace(true);
    }
}

impl Shared {
    /// Waits until nobody wants the program any more.
    async fn stopped(&self) {
        // It ends without a stop only with its sender, which is ours.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, given: Given) {
        let mut state = self.state();
        match (state.given.last_mut(), given) {
            (Some(Given::Text(before)), Given::Text(more)) => before.push_str(&more),
            (_, given) => state.given.push(given),
        }
        drop(state);
        self.news.notify_one();
    }
}

/// Runs a program to its end.
///
/// # Errors
/// What the model is to read in place of its output.
async fn run(tool: &CodeInterpreter, place: &Place, code: &str, shared: &Shared) -> Result<(), String> {
    let mut room = tokio::select! {
        biased;
        () = shared.stopped() => return Ok(()),
        room = open(tool, place) => room?,
    };
    if room.is_mistaken(place.goes_on) {
        let note =
            format!("{NEW_SESSION}with its variables and the files that it wrote. This is a new one.]\n");
        shared.give(Given::Text(note));
    }
    remove_files(place, &mut room).await?;
    put_files(tool, place, &mut room, shared).await?;
    if shared.is_stopped() {
        return Ok(());
    }
    let limits = RunLimits {
        time: Duration::from_secs(tool.setup.config.run_seconds),
        output_characters: tool.setup.config.output_characters,
        image_bytes: IMAGE_BYTES,
        images: IMAGES,
    };
    let ended = ended(&mut room, without_fence(code), &limits, shared).await;
    match ended {
        Ok(Ended::Succeeded | Ended::Failed | Ended::Interrupted) => Ok(()),
        Ok(Ended::OutOfTime) => {
            Err(format!("[The program was stopped: it may run for {} seconds.]", limits.time.as_secs()))
        }
        Err(lost) => {
            room.give_up();
            Err(lost_in_words(&lost))
        }
    }
}

async fn open(tool: &CodeInterpreter, place: &Place) -> Result<Open, String> {
    let whose = (place.project.clone(), place.thread.clone());
    tool.rooms().await?.open(&whose).await.map_err(|refusal| match refusal {
        Refusal::Busy => {
            tracing::warn!("a program was not run: all sessions, of which code_interpreter.sessions may be, are at work");
            "[The program was not run: as many programs are running on this server as may. Try again in a moment.]"
                .to_owned()
        }
        Refusal::Unstarted(why) => {
            tracing::error!("no session of the code interpreter could be opened: {why}");
            "The code interpreter does not start; the server's log says why.".to_owned()
        }
    })
}

fn lost_in_words(Lost(why): &Lost) -> String {
    format!(
        "{SESSION_LOST}{why}. Its variables and the files that it wrote are gone. The next call begins a new \
         one, with the user's files.]"
    )
}

async fn ended(room: &mut Open, code: &str, limits: &RunLimits, shared: &Shared) -> Result<Ended, Lost> {
    let session = room.session()?;
    let interrupter = session.interrupter();
    let mut take = |output| {
        shared.give(match output {
            Output::Text(text) => Given::Text(text),
            Output::Image(png) => Given::Image(png),
        });
    };
    let running = session.run(code, limits, &mut take);
    tokio::pin!(running);
    tokio::select! {
        // First, so that there is something to interrupt.
        biased;
        ended = &mut running => return ended,
        () = shared.stopped() => interrupter.interrupt(),
    }
    running.await
}

/// Takes out of the thread's session what is none of its files any more. A session that holds on to one ends.
async fn remove_files(place: &Place, room: &mut Open) -> Result<(), String> {
    let is_there = |id: &FileId| place.files.iter().any(|file| file.id == *id);
    let gone: Vec<FileId> = room.files.keys().filter(|id| !is_there(id)).cloned().collect();
    for id in gone {
        if let Err(lost) = remove_file(room, &id).await {
            room.give_up();
            return Err(lost_in_words(&lost));
        }
        room.files.remove(&id);
    }
    Ok(())
}

async fn remove_file(room: &mut Open, id: &FileId) -> Result<(), Lost> {
    room.session()?.remove(id.as_str()).await.map_err(|refused| match refused {
        Refused::File(why) => Lost(format!("a file that is gone could not be taken out of it ({why})")),
        Refused::Lost(lost) => lost,
    })
}

/// Puts those of the thread's files into its session that are not there yet. What cannot be put is said, and the program
/// does without.
async fn put_files(
    tool: &CodeInterpreter,
    place: &Place,
    room: &mut Open,
    shared: &Shared,
) -> Result<(), String> {
    for file in &place.files {
        if shared.is_stopped() {
            return Ok(());
        }
        if room.has(file) {
            continue;
        }
        match put_file(tool, &place.project, file, room).await {
            Ok(()) => drop(room.files.insert(file.id.clone(), file.name.clone())),
            Err(Put::Gone) => {}
            Err(Put::Refused(why)) => {
                shared.give(Given::Text(format!("[The file {} is not there: {why}.]\n", file.shown())));
            }
            Err(Put::Lost(lost)) => {
                room.give_up();
                return Err(lost_in_words(&lost));
            }
        }
    }
    Ok(())
}

/// Why a file is not in the session.
enum Put {
    /// It was deleted.
    Gone,
    Refused(String),
    Lost(Lost),
}

impl From<Lost> for Put {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

async fn put_file(
    tool: &CodeInterpreter,
    project: &Project,
    file: &InputFile,
    room: &mut Open,
) -> Result<(), Put> {
    let (about, mut content) = tool.files.open(project, &file.id).await.map_err(|fault| match fault {
        Fault::Refused(_) => Put::Gone,
        Fault::Broken(_) | Fault::Answered(_) | Fault::Unavailable(_) => {
            tracing::error!("a file could not be read for the code interpreter: {fault}");
            Put::Refused("it could not be read".to_owned())
        }
    })?;
    let size = u64::try_from(about.bytes).unwrap_or_default();
    let disk_mb = tool.setup.config.disk_mb;
    if size > disk_mb << 20 {
        return Err(Put::Refused(format!("it has {size} bytes, and there is room for {disk_mb} MB")));
    }
    let mut putting = room.session()?.put(file.id.as_str(), file.name.as_deref(), size).await?;
    loop {
        match content.try_next().await {
            Ok(Some(piece)) => putting.write(&piece).await?,
            Ok(None) => break,
            Err(error) => {
                tracing::error!("a file could not be read for the code interpreter: {error:#}");
                break;
            }
        }
    }
    putting.finish().await.map_err(|refused| match refused {
        Refused::File(why) => Put::Refused(why),
        Refused::Lost(lost) => Put::Lost(lost),
    })
}
