//! The code interpreter as a tool of the model: Python in a session of the thread's own, behind the walls of
//! `adjutant_sandbox`, with the thread's files.

mod arguments;
mod program;
mod rooms;
mod setup;
mod wasm;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use adjutant_sandbox::python::{Refused, Session};
use adjutant_wire::files::{CreateFile, Purpose};
use adjutant_wire::id::Id;
use adjutant_wire::steps::CodeInterpreterCall;
use adjutant_wire::{FileId, ThreadId};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::watch;

pub use arguments::CodeReader;
pub use program::{Given, NEW_SESSION, Program, SESSION_LOST};
pub use setup::Setup;

use crate::config::{CodeEngine, CodeInterpreterConfig};
use crate::fault::Result;
use crate::files::{Files, Received, Unstored};
use crate::python::Listener;
use crate::store::{Project, Store};
use crate::upstream::chat::{ChatFunction, ChatTool};
use rooms::Rooms;

/// How long a call waits for packages that are being installed.
const PREPARING: Duration = Duration::from_secs(5 * 60);

/// More of an image or file is not kept: as much as a client may upload.
const LONGEST_FILE: u64 = 512 << 20;

/// Runs programs of the model.
pub struct CodeInterpreter {
    setup: Setup,
    store: Store,
    files: Arc<Files>,
    state: watch::Sender<State>,
}

#[derive(Clone)]
enum State {
    /// It runs no code, and no model is told of it.
    Off,
    /// It will run code once its walls are proven and its packages there; a call waits for that.
    Preparing,
    Ready(Arc<Rooms>),
    /// It cannot run code, for this reason.
    Failed(String),
}

/// A file that code can read, under its id and, if it has one there, its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Its id.
    pub id: FileId,
    /// Its name, if that is plain and no other file of the session has it.
    pub name: Option<String>,
}

impl InputFile {
    /// What it is called in the session.
    fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.id.as_str())
    }
}

/// Whose session.
#[derive(Clone, Debug)]
pub struct Place {
    /// The project.
    pub project: Project,
    /// The thread.
    pub thread: ThreadId,
    /// The files that are to be there.
    pub files: Vec<InputFile>,
    /// Whether the model has read what earlier code of this thread gave.
    pub goes_on: bool,
}

impl CodeInterpreter {
    /// Starts nothing.
    pub fn new(config: &CodeInterpreterConfig, data: &Path, store: Store, files: Arc<Files>) -> Arc<Self> {
        let state = match config.engine {
            CodeEngine::Off => State::Off,
            CodeEngine::Auto | CodeEngine::Native | CodeEngine::Wasm => State::Preparing,
        };
        let setup = Setup::new(config, data);
        Arc::new(Self { setup, store, files, state: watch::Sender::new(state) })
    }

    /// Whether models are told of it. While it is being prepared they are: a call waits, and reads how that ended.
    pub fn is_offered(&self) -> bool {
        match &*self.state.borrow() {
            State::Off | State::Failed(_) => false,
            State::Preparing | State::Ready(_) => true,
        }
    }

    /// Proves the walls, then makes the Python environment where that was not done before. Takes a minute the
    /// first time.
    ///
    /// # Errors
    /// Where code cannot be run here, in words.
    pub async fn prepare(&self, listener: Listener<'_>) -> anyhow::Result<()> {
        if matches!(*self.state.borrow(), State::Off) {
            return Ok(());
        }
        let prepared = self.setup.engine(listener).await;
        let state = match &prepared {
            Ok(engine) => {
                State::Ready(Rooms::new(Arc::clone(engine), self.store.clone(), &self.setup.config))
            }
            Err(fault) => State::Failed(format!("{fault:#}")),
        };
        self.state.send_replace(state);
        prepared.map(drop)
    }

    /// Holds a session ready: a model may soon call.
    pub fn expect(&self) {
        if let State::Ready(rooms) = &*self.state.borrow() {
            rooms.hold_ready();
        }
    }

    /// Starts a program in its thread's session. Never fails: what goes wrong is for the model to read.
    pub fn start(self: &Arc<Self>, place: Place, code: String) -> Program {
        Program::start(Arc::clone(self), place, code)
    }

    /// The sessions, once they can be had; else why not.
    async fn rooms(&self) -> std::result::Result<Arc<Rooms>, String> {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, State::Preparing));
        let settled = tokio::time::timeout(PREPARING, settled).await;
        match settled.map(|state| state.map(|state| state.clone())) {
            Ok(Ok(State::Ready(rooms))) => Ok(rooms),
            Ok(Ok(State::Failed(why))) => {
                tracing::error!("code was not run: {why}");
                Err("Code cannot be run on this server; its log says why.".to_owned())
            }
            Ok(Ok(State::Off | State::Preparing) | Err(_)) => Err("Code cannot be run here.".to_owned()),
            Err(_) => Err("The code interpreter is still being installed. Try again later.".to_owned()),
        }
    }

    /// Whether the thread has no session in this process, though it could have one.
    pub async fn lacks_session(&self, project: &Project, thread: &ThreadId) -> bool {
        let Ok(rooms) = self.rooms().await else { return false };
        rooms.opened(&(project.clone(), thread.clone())).await.is_none()
    }

    /// The thread's session is not what the model takes it for, and its next program says so.
    pub async fn doubt_session(&self, project: &Project, thread: &ThreadId) {
        let Ok(rooms) = self.rooms().await else { return };
        if let Some(mut room) = rooms.opened(&(project.clone(), thread.clone())).await {
            room.doubt();
        }
    }

    /// Takes a figure's bytes. Whoever stores what names it stores the file.
    ///
    /// # Errors
    /// Where the database or the blob store fails.
    pub async fn keep_image(&self, png: Vec<u8>) -> Result<Unstored> {
        let mut incoming = self.files.receive().await?;
        incoming.write(Bytes::from(png)).await?;
        Ok(self.files.prepare(output("figure.png"), incoming.finish().await?))
    }

    /// Takes the bytes of a file of a thread's session, if it is there and has at most so many. Whoever stores what
    /// names it stores the file.
    ///
    /// # Errors
    /// Where the database or the blob store fails.
    pub async fn keep_file(
        &self,
        project: &Project,
        thread: &ThreadId,
        path: &str,
        most: u64,
    ) -> Result<Option<Unstored>> {
        let Ok(rooms) = self.rooms().await else { return Ok(None) };
        let whose = (project.clone(), thread.clone());
        let Some(mut room) = rooms.opened(&whose).await else { return Ok(None) };
        let Ok(session) = room.session() else { return Ok(None) };
        let received = match self.fetch(session, path, most.min(LONGEST_FILE)).await? {
            Ok(received) => received,
            Err(Refused::File(_)) => return Ok(None),
            Err(Refused::Lost(lost)) => {
                tracing::info!("a session was lost with a file that was linked: {lost}");
                // The next program says so.
                room.end();
                return Ok(None);
            }
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        Ok(Some(self.files.prepare(output(name), received)))
    }

    async fn fetch(
        &self,
        session: &mut Session,
        path: &str,
        most: u64,
    ) -> Result<std::result::Result<Received, Refused>> {
        let mut fetching = match session.fetch(path, most).await {
            Ok(fetching) => fetching,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut incoming = self.files.receive().await?;
        loop {
            match fetching.next().await {
                Ok(Some(piece)) => incoming.write(Bytes::from(piece)).await?,
                Ok(None) => return Ok(Ok(incoming.finish().await?)),
                Err(lost) => return Ok(Err(lost.into())),
            }
        }
    }

    /// Ends the session of a thread that is gone.
    pub fn forget(&self, project: &Project, thread: &ThreadId) {
        if let State::Ready(rooms) = &*self.state.borrow() {
            rooms.forget(&(project.clone(), thread.clone()));
        }
    }
}

fn output(name: &str) -> CreateFile {
    CreateFile { filename: name.to_owned(), purpose: Purpose::AssistantsOutput, expires_after: None }
}

/// What the model is told. Plain words with an example, since small models read them too.
pub(super) fn describe(name: String, files: &[InputFile]) -> ChatTool {
    let mut description = "Runs Python and gives what it prints and the value of its last line. Use it for every \
                           calculation, for data and for plots; do not guess results. Variables stay until the next \
                           call. numpy, pandas, matplotlib, scipy, scikit-learn, sympy, pillow, openpyxl, python-docx and \
                           pypdf are installed. There is no network, and no other program can be started. Files are \
                           in /mnt/data. To give the user a file, write it there and link it in your answer: \
                           [name](sandbox:/mnt/data/name). plt.show() shows a plot to the user.\nExample, to solve \
                           2x + 1 = 5: {\"code\": \"from sympy import symbols, solve\\nx = symbols('x')\\nprint(solve(2*x + 1 - \
                           5, x))\"}"
        .to_owned();
    if !files.is_empty() {
        description.push_str("\nFiles that are there:");
        for file in files {
            description.push_str("\n/mnt/data/");
            description.push_str(file.shown());
        }
    }
    let code = json!({"type": "string", "description": "The Python program. Print what you need to know."});
    ChatTool::Function {
        function: ChatFunction {
            name,
            description: Some(description),
            parameters: json!({
                "type": "object",
                "properties": {"code": code},
                "required": ["code"],
                "additionalProperties": false,
            }),
            strict: None,
        },
    }
}

/// A call before the model has said what to run.
pub(super) fn begin() -> CodeInterpreterCall {
    CodeInterpreterCall { input: String::new(), outputs: Vec::new(), pending: true }
}

/// A file's name in the session, if it can have its own: a plain name, and no more.
pub fn plain_name(filename: &str) -> Option<String> {
    let name = filename.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_plain =
        !name.is_empty() && !name.starts_with('.') && name.len() <= 200 && !name.contains(char::is_control);
    is_plain.then(|| name.to_owned())
}
