//! What a run does with the tools that this server runs itself: which of them can be used, and running the calls of
//! a turn, side by side.

use std::sync::Arc;
use std::time::Duration;

use adjutant_wire::runs::{Run, ToolChoice};
use adjutant_wire::steps::{CalledTool, StepDetails, StepStatus, ToolCall};
use adjutant_wire::tools::{FileSearchResources, ToolResources};
use futures_util::future::try_join_all;

use super::executor::{Executor, Stop, Work, failed};
use super::prompt::{self, Terms};
use super::storing::Change;
use super::{Engine, machine, tokens};
use crate::crash_point;
use crate::fault::{Fault, Result};
use crate::tools::file_search::{self, Limits};
use crate::tools::hosted::{self, HostedTool};

/// How long a run waits for the files that came with its thread (contract §5).
const INDEXING: Duration = Duration::from_secs(60);

/// The vector stores that a run may search.
#[derive(Clone, Debug, Default)]
pub(super) struct VectorStores {
    /// Of the assistant, or what the run has in place of them.
    assistants: Vec<String>,
    /// Of the thread.
    threads: Vec<String>,
}

impl VectorStores {
    fn all(&self) -> Vec<String> {
        let mut all = self.assistants.clone();
        all.extend(self.threads.iter().filter(|store| !self.assistants.contains(store)).cloned());
        all
    }

    /// The hosted tools of a run that the model may use: those that have something to work on.
    pub(super) fn usable(&self, run: &Run) -> Vec<HostedTool> {
        let has_stores = !self.assistants.is_empty() || !self.threads.is_empty();
        let search = HostedTool::FileSearch;
        let may_search = has_stores && search.is_among(&run.tools) && run.tool_choice != ToolChoice::None;
        if may_search { vec![search] } else { Vec::new() }
    }
}

impl Executor {
    /// The stores that the run's `file_search` works on, as the assistant and the thread have them now.
    pub(super) async fn vector_stores(&self) -> Result<VectorStores> {
        if !HostedTool::FileSearch.is_among(&self.run.tools) {
            return Ok(VectorStores::default());
        }
        let mut store = self.engine.store.read(self.lease.project()).await?;
        let of_thread = or_none(store.thread(&self.run.thread_id).await)?.map(|thread| thread.tool_resources);
        let of_run = (self.run.tool_resources.file_search.is_some()).then(|| self.run.tool_resources.clone());
        let in_its_place = match of_run {
            Some(resources) => Some(resources),
            None => or_none(store.assistant(&self.run.assistant_id).await)?
                .map(|assistant| assistant.tool_resources),
        };
        Ok(VectorStores { assistants: ids(in_its_place), threads: ids(of_thread) })
    }

    /// Before the first turn: a run whose stores cannot be searched ends in words, whether or not it would search
    /// them (contract §5), and the files that came with the thread are waited for.
    pub(super) async fn await_files(&mut self, stores: &VectorStores) -> Result<(), Stop> {
        let engine = Arc::clone(&self.engine);
        let project = self.lease.project().clone();
        let now = engine.clock.seconds();
        engine.search.refuse_unusable(&project, &stores.all(), now).await.map_err(search_failed)?;
        let indexed = engine.search.await_indexed(&project, &stores.threads, INDEXING);
        self.unless_stopped(indexed).await?.map_err(search_failed)
    }

    /// Runs the calls of the last turn that are this server's to run.
    pub(super) async fn run_tools(&mut self) -> Result<(), Stop> {
        // Stored first: a worker that takes the run up runs the calls, and asks no model for them again.
        self.store(Change::Nothing).await?;
        let Some(mut step) = self.steps.last().cloned() else { return Ok(()) };
        let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return Ok(()) };
        let workshop = self.workshop(tool_calls).await?;
        let answers = tool_calls.drain(..).map(|call| workshop.answer(call));
        *tool_calls = self.unless_stopped(try_join_all(answers)).await?.map_err(search_failed)?;
        self.run_programs(&mut step).await?;
        let StepDetails::ToolCalls { tool_calls } = &step.step_details else { return Ok(()) };
        if machine::pending(tool_calls).is_empty() {
            step.status = StepStatus::Completed;
            step.completed_at = Some(self.engine.clock.seconds());
        }
        if let Some(last) = self.steps.last_mut() {
            *last = step.clone();
        }
        self.done.push(Work { step, message: None });
        self.store(Change::Nothing).await?;
        self.listener.flush().await;
        Ok(())
    }

    async fn workshop(&self, calls: &[ToolCall]) -> Result<Workshop, Stop> {
        let stores = self.vector_stores().await?;
        let terms = self.terms(&stores).await?;
        let mut reading = self.engine.store.read(self.lease.project()).await?;
        let room = prompt::room_for_found(&mut reading, &self.run, &terms).await?;
        let limits = file_search::limits(&self.run.tools, &self.run.model, terms.emulated);
        let pending = calls.iter().filter(|call| hosted::is_pending(&call.tool)).count();
        let sharing = u64::try_from(pending).unwrap_or(u64::MAX).max(1);
        Ok(Workshop {
            engine: Arc::clone(&self.engine),
            project: self.lease.project().clone(),
            stores: stores.all(),
            limits: Limits { tokens: limits.tokens.min(room) / sharing, ..limits },
        })
    }

    /// On which terms the model is asked next.
    pub(super) async fn terms(&self, stores: &VectorStores) -> Result<Terms> {
        let mut hosted = stores.usable(&self.run);
        let code = HostedTool::CodeInterpreter;
        let may_run = code.is_among(&self.run.tools) && self.run.tool_choice != ToolChoice::None;
        if may_run && self.engine.code.is_offered() {
            hosted.push(code);
            self.engine.code.expect();
        }
        Ok(Terms {
            first: self.steps.is_empty(),
            room: self.room().await,
            hosted,
            code_files: self.code_files().await?,
            must_answer: machine::must_answer(&self.steps),
            emulated: self.engine.upstreams.emulates_calls(&self.run.model).await,
        })
    }
}

/// What hosted tools work with.
struct Workshop {
    engine: Arc<Engine>,
    project: crate::store::Project,
    stores: Vec<String>,
    limits: Limits,
}

impl Workshop {
    /// A call with its answer. The one place that knows how each hosted tool is run.
    async fn answer(&self, mut call: ToolCall) -> Result<ToolCall> {
        match &mut call.tool {
            CalledTool::FileSearch { file_search } if file_search.pending => {
                let place = file_search::Place {
                    search: &self.engine.search,
                    project: &self.project,
                    stores: &self.stores,
                    now: self.engine.clock.seconds(),
                };
                crash_point::reach("before a search");
                file_search.results =
                    file_search::search(&place, file_search, self.limits, tokens::count).await?;
                crash_point::reach("after a search");
                file_search.pending = false;
            }
            CalledTool::FileSearch { .. }
            | CalledTool::CodeInterpreter { .. }
            | CalledTool::Function { .. } => {}
        }
        Ok(call)
    }
}

fn ids(resources: Option<ToolResources>) -> Vec<String> {
    let search: Option<FileSearchResources> = resources.and_then(|resources| resources.file_search);
    search.map(|search| search.vector_store_ids).unwrap_or_default()
}

/// What is not there has no files: an assistant may have been deleted since.
pub(super) fn or_none<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Fault::Refused(_)) => Ok(None),
        Err(fault @ (Fault::Broken(_) | Fault::Answered(_) | Fault::Unavailable(_))) => Err(fault),
    }
}

/// A store that is gone or has expired ends the run in words (contract §5).
fn search_failed(fault: Fault) -> Stop {
    match fault {
        Fault::Refused(error) => Stop::End(failed(error.message)),
        Fault::Unavailable(_) => Stop::Broken(fault),
        Fault::Broken(_) | Fault::Answered(_) => {
            tracing::error!("a search failed: {fault}");
            Stop::End(failed("The files could not be searched: the server's log says why."))
        }
    }
}
