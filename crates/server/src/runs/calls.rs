//! The calls of a turn, from the model's first delta until all of them are known.

use adjutant_wire::events::{CallDelta, CallGrowth, Event};
use adjutant_wire::runs::{IncompleteRunReason, Usage};
use adjutant_wire::steps::{CalledTool, FunctionCall, Step, StepDetails, StepKind, ToolCall};

use super::executor::{Executor, Stop, Work, failed};
use super::machine::{self, End};
use super::storing::Change;
use super::tokens;
use super::turn::Turn;
use crate::ids::fresh;
use crate::tools::hosted::HostedTool;
use crate::tools::{file_search, functions};

/// What the model calls.
enum Callee {
    /// A function of the client.
    Function(String),
    /// A tool of ours.
    Hosted(HostedTool),
}

impl Executor {
    /// Takes a delta of a call. The first one opens the step of this turn's calls.
    pub(super) async fn take_call(
        &mut self,
        turn: &mut Turn,
        index: usize,
        name: Option<String>,
        arguments: &str,
    ) -> Result<(), Stop> {
        turn.estimate.completion_tokens += tokens::estimate(arguments);
        if index > 0 && !self.run.parallel_tool_calls {
            // Not every upstream keeps to one call a turn when it is told to.
            tracing::debug!(run.id = %self.run.id, "a call beside the one that the run allows was dropped");
            return Ok(());
        }
        let known = self.open_calls().map_or(0, |calls| calls.len());
        if index > known {
            return Err(Stop::End(failed("The model's server numbered the calls of its answer wrongly.")));
        }
        if index == known {
            let callee = self.callee(name)?;
            if !matches!(&self.open, Some(Work { message: None, .. })) {
                self.complete_message(turn, Usage::default());
                self.open_step_of_calls().await?;
            }
            self.begin_call(index, callee);
        }
        if !arguments.is_empty() {
            self.grow_call(turn, index, arguments);
        }
        Ok(())
    }

    fn callee(&self, name: Option<String>) -> Result<Callee, Stop> {
        let tools = &self.run.tools;
        let name =
            name.ok_or_else(|| Stop::End(failed("The model called a function without saying which.")))?;
        if functions::has(tools, &name) {
            return Ok(Callee::Function(name));
        }
        match HostedTool::named(tools, &name) {
            Some(_) if machine::must_answer(&self.steps) => {
                let message = format!(
                    "The model called `{name}` again and again, and did not answer when it was told to."
                );
                Err(Stop::End(failed(message)))
            }
            Some(tool) => Ok(Callee::Hosted(tool)),
            None => {
                Err(Stop::End(failed(format!("The model called `{name}`, which this run does not have."))))
            }
        }
    }

    async fn open_step_of_calls(&mut self) -> Result<(), Stop> {
        let now = self.engine.clock.seconds();
        let details = StepDetails::ToolCalls { tool_calls: Vec::new() };
        let step = self.new_step(StepKind::ToolCalls, details, now);
        self.store(Change::Step(&step, None, self.next_position)).await?;
        self.next_position += 1;
        self.announce_step(&step);
        self.open = Some(Work { step, message: None });
        Ok(())
    }

    fn open_calls(&mut self) -> Option<&mut Vec<ToolCall>> {
        match &mut self.open {
            Some(Work { step: Step { step_details: StepDetails::ToolCalls { tool_calls }, .. }, .. }) => {
                Some(tool_calls)
            }
            Some(_) | None => None,
        }
    }

    fn begin_call(&mut self, index: usize, callee: Callee) {
        let Some(Work { step, .. }) = &mut self.open else { return };
        let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return };
        // Ids of ours: upstreams give the same ones again in another turn, and the model is shown ours.
        let id = fresh();
        let tool = match callee {
            Callee::Function(name) => CalledTool::Function {
                function: FunctionCall { name, arguments: String::new(), output: None },
            },
            Callee::Hosted(tool) => tool.begin(&self.run.tools),
        };
        let growth = match &tool {
            CalledTool::Function { function } => CallGrowth::Function { id: &id, name: &function.name },
            CalledTool::FileSearch { file_search } => {
                CallGrowth::FileSearch { id: &id, ranking_options: &file_search.ranking_options }
            }
            CalledTool::CodeInterpreter { .. } => CallGrowth::CodeInterpreter { id: &id },
        };
        self.listener.emit(&Event::StepDelta(&step.id, CallDelta { index, growth }));
        tool_calls.push(ToolCall { id, tool });
    }

    fn grow_call(&mut self, turn: &mut Turn, index: usize, more: &str) {
        let Some(Work { step, .. }) = &mut self.open else { return };
        let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return };
        match tool_calls.get_mut(index).map(|call| &mut call.tool) {
            Some(CalledTool::Function { function }) => {
                function.arguments.push_str(more);
                let growth = CallGrowth::Arguments(more);
                self.listener.emit(&Event::StepDelta(&step.id, CallDelta { index, growth }));
            }
            Some(CalledTool::CodeInterpreter { code_interpreter }) => {
                let more = turn.programs.entry(index).or_default().read(more);
                if !more.is_empty() {
                    code_interpreter.input.push_str(&more);
                    let growth = CallGrowth::Code(&more);
                    self.listener.emit(&Event::StepDelta(&step.id, CallDelta { index, growth }));
                }
            }
            // Clients do not see what a search is asked while that is written (recorded).
            Some(CalledTool::FileSearch { .. }) => {
                turn.hosted_arguments.entry(index).or_default().push_str(more);
            }
            None => {}
        }
    }

    /// Checks the calls, now that they are whole. Their step stays in progress until all are answered.
    pub(super) fn end_calls(&mut self, turn: &mut Turn) -> Result<(), Stop> {
        for index in 0..self.open_calls().map_or(0, |calls| calls.len()) {
            let Some(call) = self.open_calls().and_then(|calls| calls.get_mut(index)) else { continue };
            match &mut call.tool {
                CalledTool::Function { function } if function.arguments.trim().is_empty() => {
                    // Some models write nothing for a function without parameters.
                    self.grow_call(turn, index, "{}");
                }
                CalledTool::Function { function } if !functions::are_arguments(&function.arguments) => {
                    let message = format!(
                        "The model called `{}` with arguments that are not a JSON object.",
                        function.name
                    );
                    return Err(Stop::End(failed(message)));
                }
                CalledTool::FileSearch { file_search } => {
                    let arguments = turn.hosted_arguments.remove(&index).unwrap_or_default();
                    file_search.queries = file_search::queries(&arguments, &turn.question);
                }
                CalledTool::CodeInterpreter { .. } => self.end_program(turn, index),
                CalledTool::Function { .. } => {}
            }
        }
        if let Some(work) = self.open.take() {
            self.close(work);
        }
        Ok(())
    }

    /// The call of a program is whole: what could not be understood before is now.
    fn end_program(&mut self, turn: &mut Turn, index: usize) {
        let rest = turn.programs.remove(&index).unwrap_or_default().finish();
        let Some(Work { step, .. }) = &mut self.open else { return };
        let StepDetails::ToolCalls { tool_calls } = &mut step.step_details else { return };
        let Some(CalledTool::CodeInterpreter { code_interpreter }) =
            tool_calls.get_mut(index).map(|call| &mut call.tool)
        else {
            return;
        };
        if !rest.is_empty() {
            code_interpreter.input.push_str(&rest);
            let growth = CallGrowth::Code(&rest);
            self.listener.emit(&Event::StepDelta(&step.id, CallDelta { index, growth }));
        }
    }

    /// The token limit fell into a call: what there is of it cannot be answered.
    pub(super) fn drop_cut_calls(&mut self, reason: IncompleteRunReason) -> Result<(), Stop> {
        let now = self.engine.clock.seconds();
        if let Some(mut work) = self.open.take() {
            machine::end_step(
                &mut work.step,
                &failed("The model reached its token limit within a call."),
                now,
            );
            self.close(work);
        }
        Err(Stop::End(End::Incomplete(reason)))
    }
}
