"""Few words for what nearly every test does: assistants, threads, runs, waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import openai

from harness.ledger import Ledger
from harness.scripted import Model
from harness.streams import Checker

T = TypeVar("T")
DEADLINE_SECONDS = 20.0
POLL_SECONDS = 0.02
TERMINAL = {"completed", "failed", "cancelled", "expired", "incomplete"}

# The outline of a message in a stream, with its step.
MESSAGE = [
    "run.step.created",
    "run.step.in_progress",
    "message.created",
    "message.in_progress",
    "message.delta",
    "message.completed",
    "run.step.completed",
]


def function_tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties or {"city": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def wait_for(
    look: Callable[[], T],
    holds: Callable[[T], bool],
    what: str,
    seconds: float = DEADLINE_SECONDS,
) -> T:
    """Asks again until something holds, and says what it saw last if it never does."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen):
            return seen
        assert time.monotonic() < deadline, f"waited in vain for {what}; last seen: {seen}"
        time.sleep(POLL_SECONDS)


class Story:
    """One user's program, told briefly, through the official SDK."""

    def __init__(self, client: openai.OpenAI, model: Model, ledger: Ledger) -> None:
        self.client = client
        self.model = model
        self.ledger = ledger

    @property
    def threads(self) -> Any:
        return self.client.beta.threads

    @property
    def runs(self) -> Any:
        return self.client.beta.threads.runs

    def assistant(self, **options: Any) -> Any:
        return self.client.beta.assistants.create(model=self.model.name, **options)

    def thread(self, *texts: str, **options: Any) -> Any:
        messages = [{"role": "user", "content": text} for text in texts]
        return self.threads.create(messages=messages, **options)

    def run(self, thread: Any, assistant: Any, **options: Any) -> Any:
        """Creates a run and returns at once."""
        return self.runs.create(thread_id=thread.id, assistant_id=assistant.id, **options)

    def ask(self, text: str, *, assistant: Any = None, **options: Any) -> Any:
        """A thread with one message and a run on it, waited for until it rests."""
        assistant = assistant or self.assistant()
        return self.wait(self.run(self.thread(text), assistant, **options))

    def look(self, run: Any) -> Any:
        return self.runs.retrieve(run.id, thread_id=run.thread_id)

    def wait(self, run: Any, *statuses: str) -> Any:
        """Waits until the run has one of these statuses; by default, until it rests."""
        wanted = set(statuses) or TERMINAL | {"requires_action"}
        what = f"run {run.id} to be {sorted(wanted)}"
        seen = wait_for(lambda: self.look(run), lambda r: r.status in wanted | TERMINAL, what)
        assert seen.status in wanted, f"{what}, but it is {seen.status}: {seen.last_error}"
        return seen

    def submit(self, run: Any, *outputs: str) -> Any:
        """Answers every call of a parked run, in order."""
        return self.runs.submit_tool_outputs(
            run.id, thread_id=run.thread_id, tool_outputs=outputs_for(run, *outputs)
        )

    def stream(self, thread: Any, assistant: Any, **options: Any) -> list[Any]:
        """Runs with `stream=True` and returns all events as the SDK saw them."""
        run = self.runs.create(
            thread_id=thread.id, assistant_id=assistant.id, stream=True, **options
        )
        return list(run)

    def stream_names(self) -> list[str]:
        """The event names of the last stream, deltas of one kind in a row told once."""
        return outline(self.last_stream.names)

    @property
    def last_stream(self) -> Checker:
        return self.ledger.streams[-1]

    def messages(self, thread_id: str) -> list[tuple[str, str]]:
        """The whole thread as (role, text), oldest first."""
        listed = self.threads.messages.list(thread_id, order="asc")
        return [(message.role, text_of(message)) for message in listed]

    def steps(self, run: Any) -> list[Any]:
        return list(self.runs.steps.list(run_id=run.id, thread_id=run.thread_id, order="asc"))

    def cancel(self, run: Any) -> Any:
        return self.runs.cancel(run.id, thread_id=run.thread_id)


def text_of(message: Any) -> str:
    return "".join(part.text.value for part in message.content if part.type == "text")


def outputs_for(run: Any, *outputs: str) -> list[dict[str, str]]:
    calls = run.required_action.submit_tool_outputs.tool_calls
    assert len(calls) == len(outputs), f"{len(outputs)} outputs for {len(calls)} calls"
    return [
        {"tool_call_id": call.id, "output": output}
        for call, output in zip(calls, outputs, strict=True)
    ]


def outline(names: Iterable[str]) -> list[str]:
    short = [name.removeprefix("thread.") for name in names]
    return [
        name
        for name, before in zip(short, [None, *short], strict=False)
        if name != before or "delta" not in name
    ]
