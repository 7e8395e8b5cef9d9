"""Reads any event stream of a run and enforces every rule that clients rely on.

The official SDKs add up deltas with little checking of their own: a repeated id
is glued to itself, a missing index crashes them, a run without a terminal event
hangs them. Each rule below is one such assumption. `Checker` is fed the raw
bytes and the head of the answer, and collects violations as `rule: what`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Json = dict[str, Any]


class Event(NamedTuple):
    name: str
    data: Any


RUN_STATES = {
    "thread.run.created": "queued",
    "thread.run.queued": "queued",
    "thread.run.in_progress": "in_progress",
    "thread.run.requires_action": "requires_action",
    "thread.run.completed": "completed",
    "thread.run.incomplete": "incomplete",
    "thread.run.failed": "failed",
    "thread.run.cancelling": "cancelling",
    "thread.run.cancelled": "cancelled",
    "thread.run.expired": "expired",
}
TERMINAL = {"completed", "incomplete", "failed", "cancelled", "expired"}
STEP_ENDS = {
    "thread.run.step.completed": "completed",
    "thread.run.step.failed": "failed",
    "thread.run.step.cancelled": "cancelled",
    "thread.run.step.expired": "expired",
}
MESSAGE_ENDS = {
    "thread.message.completed": "completed",
    "thread.message.incomplete": "incomplete",
}
OTHER_NAMES = {
    "thread.created",
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.run.step.delta",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "error",
    "done",
}
NAMES = RUN_STATES.keys() | STEP_ENDS.keys() | MESSAGE_ENDS.keys() | OTHER_NAMES

# What may follow a run event, by run events alone.
RUN_ORDER: dict[str | None, set[str]] = {
    None: {"created", "queued"},
    "created": {"queued"},
    "queued": {"in_progress", "cancelling", "cancelled", "expired", "failed"},
    "in_progress": TERMINAL | {"requires_action", "cancelling"},
    "cancelling": {"cancelled", "completed", "failed", "incomplete", "expired"},
}
# The one time field that tells when a run came to its present state.
RUN_TIMES = {
    "completed": "completed_at",
    "failed": "failed_at",
    "cancelled": "cancelled_at",
}


@dataclass
class SseReader:
    """Splits bytes into events; strict about the form that the contract fixes."""

    violate: Callable[[str, str], None]
    newline: str = "\n"
    may_have_ids: bool = False
    comments: int = 0
    _buffer: bytes = b""
    _lines: list[str] = field(default_factory=list)

    def feed(self, data: bytes) -> Iterator[Event]:
        self._buffer += data
        newline = self.newline.encode()
        while newline in self._buffer:
            line, _, self._buffer = self._buffer.partition(newline)
            if line:
                self._lines.append(line.decode("utf-8"))
            else:
                lines, self._lines = self._lines, []
                event = self._event(lines)
                if event:
                    yield event

    @property
    def is_between_events(self) -> bool:
        return not self._buffer and all(line.startswith(":") for line in self._lines)

    def _event(self, lines: list[str]) -> Event | None:
        fields = [line for line in lines if not line.startswith(":")]
        self.comments += len(lines) - len(fields)
        if self.may_have_ids:
            fields = [line for line in fields if not line.startswith("id: ")]
        if not fields:
            if lines:
                self.violate("form", "an empty line ends no event, and SDKs may take it for one")
            return None
        shapes = [line.partition(": ")[0] for line in fields]
        if shapes != ["event", "data"]:
            self.violate("form", f"expected one `event: ` and one `data: ` line, got {fields!r}")
            return None
        name, data = (line.partition(": ")[2] for line in fields)
        if name == "done":
            return Event(name, data)
        try:
            return Event(name, json.loads(data))
        except ValueError:
            self.violate("form", f"the data of `{name}` is not JSON: {data!r}")
            return None


@dataclass
class OpenMessage:
    created: Json
    content: list[Json] = field(default_factory=list)
    in_progress: bool = False
    deltas: int = 0


@dataclass
class OpenStep:
    created: Json
    calls: list[Json] = field(default_factory=list)
    in_progress: bool = False
    message_ended: bool = False


class Checker:
    """The rules. `kind` is `run`, `thread_and_run`, `submit` or `attach`."""

    def __init__(self, kind: str, *, year: int = 2025, newline: str = "\n") -> None:
        self.kind = kind
        self.year = year
        self.violations: list[str] = []
        self.events: list[Event] = []
        self._reader = SseReader(self._violate, newline, may_have_ids=kind == "attach")
        self._run: Json | None = None
        self._run_event: str | None = None
        self._thread_id: str | None = None
        self._message: OpenMessage | None = None
        self._step: OpenStep | None = None
        self._ended: set[str] = set()
        self._step_usage: list[Json] = []
        self._is_over = False

    # -- the way in ------------------------------------------------------------
    def head(self, status: int, content_type: str) -> None:
        self._require(status == 200, "head", f"status {status}")
        expected = "text/event-stream; charset=utf-8"
        self._require(content_type == expected, "head", f"content type {content_type!r}")

    def feed(self, data: bytes) -> None:
        for event in self._reader.feed(data):
            self.events.append(event)
            self._check(event)

    def close(self, *, by_client: bool = False) -> list[str]:
        """Call at the end of the bytes; a client that left needs no ending."""
        if not by_client:
            self._require(self._is_over, "done", "the stream ended without `done`")
            between = self._reader.is_between_events
            self._require(between, "form", "the stream ended inside an event")
        return self.violations

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    @property
    def comments(self) -> int:
        """How many comment lines, which keep quiet connections open, came between events."""
        return self._reader.comments

    # -- helpers -----------------------------------------------------------------
    def _violate(self, rule: str, what: str) -> None:
        where = f"event {len(self.events)}"
        self.violations.append(f"{rule}: {what} ({where})")

    def _require(self, held: object, rule: str, what: str) -> bool:
        if not held:
            self._violate(rule, what)
        return bool(held)

    # -- one event -----------------------------------------------------------------
    def _check(self, event: Event) -> None:
        name, data = event
        self._require(not self._is_over, "done", f"`{name}` after `done`")
        if not self._require(name in NAMES, "names", f"unknown event `{name}`"):
            return
        if name == "done":
            return self._check_done(data)
        if not self._require(isinstance(data, dict), "form", f"`{name}` carries no object"):
            return
        if name == "error":
            return self._violate("error", f"the server gave up: {data}")
        self._check_first(name)
        if name == "thread.created":
            self._check_thread(data)
        elif name in RUN_STATES:
            self._check_run(name, data)
        elif name.startswith("thread.run.step."):
            self._check_step_event(name, data)
        else:
            self._check_message_event(name, data)

    def _check_first(self, name: str) -> None:
        if len(self.events) != 1 or self.kind == "attach":
            return
        first = {
            "run": "thread.run.created",
            "thread_and_run": "thread.created",
            "submit": "thread.run.step.completed",
        }[self.kind]
        self._require(name == first, "preamble", f"begins with `{name}`, not `{first}`")

    def _check_done(self, data: object) -> None:
        self._is_over = True
        self._require(data == "[DONE]", "done", f"`done` carries {data!r}")
        state = (self._run or {}).get("status")
        ended = state in TERMINAL or state == "requires_action"
        self._require(ended, "terminal", f"`done` while the run is {state}")

    def _check_thread(self, thread: Json) -> None:
        is_first = len(self.events) == 1
        self._require(is_first, "preamble", "`thread.created` is not the first event")
        self._require(thread.get("object") == "thread", "objects", "no thread in `thread.created`")
        self._thread_id = thread.get("id")

    # -- runs ------------------------------------------------------------------------
    def _check_run(self, name: str, run: Json) -> None:
        self._require(run.get("object") == "thread.run", "objects", f"no run in `{name}`")
        self._check_run_status(name, run)
        self._check_run_order(name)
        self._check_run_constants(run)
        self._check_run_nulls(run)
        self._run, self._run_event = run, name.removeprefix("thread.run.")
        if run.get("status") in TERMINAL or run.get("status") == "requires_action":
            self._check_nothing_open(name)
        if run.get("status") == "requires_action":
            self._check_required_action(run)
        if run.get("status") in TERMINAL:
            self._check_usage(run)

    def _check_run_status(self, name: str, run: Json) -> None:
        status, expected = run.get("status"), {RUN_STATES[name]}
        if self.year < 2025 and name == "thread.run.completed":
            expected.add("incomplete")
        self._require(status in expected, "status", f"`{name}` carries status {status}")

    def _check_run_order(self, name: str) -> None:
        new, before = name.removeprefix("thread.run."), self._run_event
        allowed = RUN_ORDER.get(before, set())
        if self.kind == "attach" and before is None:
            return
        self._require(new in allowed, "order", f"`{name}` after run event `{before}`")

    def _check_run_constants(self, run: Json) -> None:
        if self._thread_id:
            same = run.get("thread_id") == self._thread_id
            self._require(same, "constants", f"thread {run.get('thread_id')} is another one")
        if not self._run:
            return
        for key in (
            "id",
            "thread_id",
            "assistant_id",
            "created_at",
            "model",
            "instructions",
            "tools",
        ):
            same = run.get(key) == self._run.get(key)
            self._require(same, "constants", f"run.{key} changed to {run.get(key)!r}")
        self._require(list(run) == list(self._run), "constants", "the run's keys changed")

    def _check_run_nulls(self, run: Json) -> None:
        status = run.get("status")
        has_action = run.get("required_action") is not None
        self._require(
            has_action == (status == "requires_action"), "nulls", f"required_action while {status}"
        )
        failed = run.get("last_error") is not None
        self._require(
            failed == (status == "failed") or status == "expired",
            "nulls",
            f"last_error while {status}",
        )
        details = run.get("incomplete_details") is not None
        self._require(
            details == (status == "incomplete"), "nulls", f"incomplete_details while {status}"
        )
        if status not in TERMINAL:
            self._require(run.get("usage") is None, "nulls", f"usage while {status}")
            self._require(
                run.get("expires_at") is not None, "nulls", f"no expires_at while {status}"
            )
        if status in {"completed", "failed", "incomplete"}:
            self._require(run.get("expires_at") is None, "nulls", f"expires_at while {status}")
        if status in {"in_progress", "requires_action", "completed"}:
            self._require(
                run.get("started_at") is not None, "nulls", f"no started_at while {status}"
            )
        for state, key in RUN_TIMES.items():
            # Recorded: an incomplete run has its end in `completed_at`.
            may_be_set = key == "completed_at" and status == "incomplete"
            is_set = run.get(key) is not None
            as_expected = is_set == (status == state) or may_be_set
            self._require(as_expected, "nulls", f"{key} while {status}")

    def _check_nothing_open(self, name: str) -> None:
        self._require(self._message is None, "one at a time", f"a message is open at `{name}`")
        if name != "thread.run.requires_action":
            self._require(self._step is None, "one at a time", f"a step is open at `{name}`")

    def _check_required_action(self, run: Json) -> None:
        if self.kind == "attach" and len(self.events) == 1:
            return  # Taken up where the run waits: its calls were told of before.
        calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        if self._require(self._step, "required action", "no open tool step"):
            # Calls that the server runs itself are none of the client's business.
            functions = [call for call in self._step.calls if call["type"] == "function"]
            streamed = [_without(call, "output") for call in functions]
            same = [_plain(call) for call in calls] == streamed
            self._require(same, "adds up", f"calls {calls} are not the streamed {streamed}")

    def _check_usage(self, run: Json) -> None:
        usage = run.get("usage")
        if run["status"] not in {"completed", "incomplete", "failed"}:
            return
        if not self._require(usage is not None, "usage", f"no usage though {run['status']}"):
            return
        if self.kind in {"run", "thread_and_run"}:
            for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
                total = sum(step[key] for step in self._step_usage)
                same = usage[key] == total or run["status"] != "completed"
                self._require(same, "usage", f"{key} is {usage[key]}, its steps sum to {total}")

    # -- steps -------------------------------------------------------------------------
    def _check_step_event(self, name: str, step: Json) -> None:
        if name == "thread.run.step.delta":
            return self._check_step_delta(step)
        self._require(step.get("object") == "thread.run.step", "objects", f"no step in `{name}`")
        if name == "thread.run.step.created":
            self._check_step_created(step)
        elif name == "thread.run.step.in_progress":
            self._check_step_in_progress(step)
        else:
            self._check_step_end(name, step)

    def _check_step_created(self, step: Json) -> None:
        self._require(self._step is None, "one at a time", "a step begins while another is open")
        # A stream that is taken up within a step begins with that step.
        taken_up = self.kind == "attach" and self._run_event is None
        self._require(
            taken_up or self._run_event == "in_progress",
            "order",
            f"a step begins while {self._run_event}",
        )
        self._require(step.get("id") not in self._ended, "created once", f"{step.get('id')} again")
        self._require(
            step.get("status") == "in_progress", "status", f"a new step is {step.get('status')}"
        )
        details = step.get("step_details") or {}
        if step.get("type") == "tool_calls":
            self._require(details.get("tool_calls") == [], "empty at first", "a new step has calls")
        self._require(
            details.get("type") == step.get("type"), "objects", "step type is not its details'"
        )
        self._step = OpenStep(step)

    def _check_step_in_progress(self, step: Json) -> None:
        if self._is_open_step(step, "thread.run.step.in_progress"):
            same = step == self._step.created and not self._step.in_progress
            self._require(same, "preamble", "`step.in_progress` is not the created step, once")
            self._step.in_progress = True

    def _is_open_step(self, step: Json, name: str) -> bool:
        is_open = self._step is not None and self._step.created.get("id") == step.get("id")
        return self._require(
            is_open, "created first", f"`{name}` for {step.get('id')}, which is not open"
        )

    def _check_step_end(self, name: str, step: Json) -> None:
        status = step.get("status")
        self._require(status == STEP_ENDS[name], "status", f"`{name}` carries {status}")
        ended = {
            "completed": "completed_at",
            "failed": "failed_at",
            "cancelled": "cancelled_at",
        }.get(status)
        if ended:
            self._require(step.get(ended) is not None, "nulls", f"{ended} is null in `{name}`")
        if step.get("usage"):
            self._step_usage.append(step["usage"])
        self._require(
            step.get("usage") or status != "completed", "usage", "a completed step has no usage"
        )
        continues = (
            self.kind in {"submit", "attach"}
            and self._step is None
            and step.get("type") == "tool_calls"
        )
        if continues and step.get("id") not in self._ended and self._run_event is None:
            self._check_outputs(step)
        elif self._is_open_step(step, name):
            self._check_step_adds_up(name, step)
        self._ended.add(step.get("id", ""))
        self._step = None

    def _check_outputs(self, step: Json) -> None:
        if step.get("status") != "completed":
            return
        for call in step["step_details"]["tool_calls"]:
            if call["type"] == "function":
                self._require(
                    isinstance(call["function"].get("output"), str),
                    "outputs",
                    f"no output in {call}",
                )

    def _check_step_adds_up(self, name: str, step: Json) -> None:
        self._require(self._step.in_progress, "preamble", f"`{name}` without `step.in_progress`")
        self._require(self._message is None, "one at a time", f"`{name}` before its message ended")
        for key in ("run_id", "thread_id", "assistant_id", "created_at", "type"):
            same = step.get(key) == self._step.created.get(key)
            self._require(same, "constants", f"step.{key} changed")
        if step.get("type") == "message_creation":
            told = step["step_details"] == self._step.created["step_details"]
            self._require(told, "constants", "the step's message changed")
            wrote = self._step.message_ended or step["status"] != "completed"
            self._require(wrote, "message block", "a message step completed without its message")
        elif step["status"] == "completed":
            final = [_plain(call) for call in step["step_details"]["tool_calls"]]
            streamed = self._step.calls
            same = [_comparable(call) for call in final] == [_comparable(call) for call in streamed]
            self._require(same, "adds up", f"step ends with {final}, streamed was {streamed}")
            for call in step["step_details"]["tool_calls"]:
                self._check_search(call)

    def _check_search(self, call: Json) -> None:
        if call.get("type") != "file_search":
            return
        for problem in search_problems(call["file_search"]):
            self._violate("search", problem)

    def _check_step_delta(self, data: Json) -> None:
        self._check_delta_shape(data, "thread.run.step.delta")
        if not self._is_open_step(data, "thread.run.step.delta"):
            return
        self._require(self._step.in_progress, "preamble", "a step delta before `step.in_progress`")
        details = data["delta"].get("step_details") or {}
        is_calls = (
            self._step.created.get("type") == "tool_calls" and details.get("type") == "tool_calls"
        )
        if self._require(is_calls, "deltas", f"a step delta of type {details.get('type')}"):
            for part in details.get("tool_calls") or []:
                self._add_call(part)

    def _add_call(self, part: Json) -> None:
        index, calls = part.get("index"), self._step.calls
        if not self._require(isinstance(index, int), "index", f"a tool call without index: {part}"):
            return
        if index == len(calls):
            self._require(part.get("id"), "first delta", f"a tool call begins without id: {part}")
            self._require(
                part.get("type"), "first delta", f"a tool call begins without type: {part}"
            )
            calls.append(_without(part, "index"))
            self._check_call_begin(part)
            return
        if not self._require(
            0 <= index < len(calls), "index", f"index {index} after {len(calls)} calls"
        ):
            return
        self._require("id" not in part, "no repeats", f"the id comes again: {part}")
        self._require(
            part.get("type") == calls[index]["type"], "deltas", f"a call changes type: {part}"
        )
        self._grow_call(calls[index], part)

    def _check_call_begin(self, part: Json) -> None:
        if part.get("type") == "function":
            function = part.get("function") or {}
            self._require(
                function.get("name"), "first delta", f"a function call without name: {part}"
            )
            is_text = isinstance(function.get("arguments"), str)
            self._require(is_text, "first delta", f"a function call without arguments: {part}")
            no_output = "output" in function and function["output"] is None
            self._require(no_output, "first delta", f"output is not null: {part}")
        if part.get("type") == "file_search":
            search = part.get("file_search") or {}
            as_recorded = list(search) == ["ranking_options", "results"]
            self._require(as_recorded, "first delta", f"a search with keys {list(search)}")
            self._require(search.get("results") == [], "first delta", f"results at once: {part}")

    def _grow_call(self, call: Json, part: Json) -> None:
        kind = part.get("type", "")
        growth, grown = part.get(kind) or {}, call.get(kind) or {}
        allowed = {"function": {"arguments"}, "code_interpreter": {"input", "outputs"}}.get(
            kind, set()
        )
        extra = set(growth) - allowed
        self._require(not extra, "no repeats", f"{sorted(extra)} in a later delta")
        for key in ("arguments", "input"):
            if key in growth:
                is_text = isinstance(growth[key], str)
                if self._require(is_text, "deltas", f"{key} is {growth[key]!r}"):
                    grown[key] = grown.get(key, "") + growth[key]
        for output in growth.get("outputs") or []:
            self._grow_outputs(grown.setdefault("outputs", []), output)

    def _grow_outputs(self, outputs: list[Json], output: Json) -> None:
        """The last text may grow; a plot comes whole, and what follows it is another output."""
        index = output.get("index")
        if index == len(outputs):
            outputs.append(_without(output, "index"))
            return
        is_last = index == len(outputs) - 1
        if not self._require(is_last, "index", f"an output with index {index}"):
            return
        is_text = outputs[-1]["type"] == output.get("type") == "logs"
        only_text = is_text and set(output) == {"index", "type", "logs"}
        if self._require(only_text, "deltas", f"an output cannot grow by {output}"):
            outputs[-1]["logs"] += output["logs"]

    # -- messages ----------------------------------------------------------------------
    def _check_message_event(self, name: str, message: Json) -> None:
        if name == "thread.message.delta":
            return self._check_message_delta(message)
        self._require(
            message.get("object") == "thread.message", "objects", f"no message in `{name}`"
        )
        if name == "thread.message.created":
            self._check_message_created(message)
        elif self._is_open_message(message, name):
            if name == "thread.message.in_progress":
                self._check_message_in_progress(message)
            else:
                self._check_message_end(name, message)

    def _check_message_created(self, message: Json) -> None:
        self._require(
            self._message is None, "one at a time", "a message begins while another is open"
        )
        self._require(message.get("content") == [], "empty at first", "a new message has content")
        self._require(
            message.get("status") == "in_progress",
            "status",
            f"a new message is {message.get('status')}",
        )
        self._require(
            message.get("role") == "assistant", "objects", "a new message is not the assistant's"
        )
        self._require(
            message.get("id") not in self._ended, "created once", f"{message.get('id')} again"
        )
        self._require(self._is_in_its_step(message), "message block", "a message outside its step")
        same = self._run is None or message.get("run_id") == self._run.get("id")
        self._require(same, "constants", "a message of another run")
        self._message = OpenMessage(message)

    def _is_in_its_step(self, message: Json) -> bool:
        if self._step is None or not self._step.in_progress:
            return False
        details = self._step.created["step_details"]
        return details.get("message_creation", {}).get("message_id") == message.get("id")

    def _is_open_message(self, message: Json, name: str) -> bool:
        is_open = self._message is not None and self._message.created.get("id") == message.get("id")
        return self._require(
            is_open, "created first", f"`{name}` for {message.get('id')}, which is not open"
        )

    def _check_message_in_progress(self, message: Json) -> None:
        same = message == self._message.created and not self._message.in_progress
        self._require(same, "preamble", "`message.in_progress` is not the created message, once")
        self._message.in_progress = True

    def _check_message_delta(self, data: Json) -> None:
        self._check_delta_shape(data, "thread.message.delta")
        if not self._is_open_message(data, "thread.message.delta"):
            return
        self._require(self._message.in_progress, "preamble", "a delta before `message.in_progress`")
        self._message.deltas += 1
        for part in data["delta"].get("content") or []:
            self._add_content(part)

    def _check_delta_shape(self, data: Json, name: str) -> None:
        self._require(
            list(data) == ["id", "object", "delta"], "deltas", f"keys {list(data)} in `{name}`"
        )
        self._require(
            data.get("object") == name, "deltas", f"object {data.get('object')} in `{name}`"
        )

    def _add_content(self, part: Json) -> None:
        index, content = part.get("index"), self._message.content
        if not self._require(isinstance(index, int), "index", f"content without index: {part}"):
            return
        if not self._require(
            0 <= index <= len(content), "index", f"index {index} after {len(content)} parts"
        ):
            return
        if index == len(content):
            self._begin_content(part)
        else:
            self._grow_content(content[index], part)

    def _begin_content(self, part: Json) -> None:
        kept = _without(part, "index")
        if part.get("type") == "text":
            text = part.get("text") or {}
            self._require(isinstance(text.get("value"), str), "first delta", f"no text in {part}")
            annotations = text.get("annotations")
            self._require(isinstance(annotations, list), "first delta", f"no annotations in {part}")
            kept["text"] = {"value": text.get("value") or "", "annotations": []}
            self._add_annotations(kept, annotations or [])
        self._message.content.append(kept)

    def _grow_content(self, whole: Json, part: Json) -> None:
        if part.get("type") == whole["type"] == "refusal":
            is_text = isinstance(part.get("refusal"), str)
            if self._require(is_text, "deltas", f"no refusal in {part}"):
                whole["refusal"] += part["refusal"]
            return
        if not self._require(
            part.get("type") == whole["type"] == "text", "deltas", f"cannot grow by {part}"
        ):
            return
        text = part.get("text") or {}
        self._require(
            set(text) <= {"value", "annotations"},
            "no repeats",
            f"keys {sorted(text)} in a later delta",
        )
        if "value" in text:
            is_text = isinstance(text["value"], str)
            if self._require(is_text, "deltas", f"the value is {text['value']!r}"):
                whole["text"]["value"] += text["value"]
        if "annotations" in text:
            self._require(text["annotations"], "no repeats", "empty annotations come again")
            self._add_annotations(whole, text["annotations"] or [])

    def _add_annotations(self, whole: Json, annotations: list[Json]) -> None:
        kept = whole["text"]["annotations"]
        for annotation in annotations:
            indexed = annotation.get("index") == len(kept)
            self._require(indexed, "index", f"an annotation with index {annotation.get('index')}")
            kept.append(_without(annotation, "index"))
            quoted = "file_citation" not in annotation or "quote" in annotation["file_citation"]
            self._require(quoted, "annotations", f"no quote in the delta {annotation}")
            self._check_place(whole["text"]["value"], annotation)

    def _check_place(self, text: str, annotation: Json) -> None:
        """An annotation comes with its marker and stands where it says, in characters."""
        there = text[annotation.get("start_index", 0) : annotation.get("end_index", 0)]
        same = there and there == annotation.get("text")
        self._require(same, "annotations", f"{annotation} stands at {there!r}")

    def _check_message_end(self, name: str, message: Json) -> None:
        opened = self._message
        self._require(opened.in_progress, "preamble", f"`{name}` without `message.in_progress`")
        self._require(
            message.get("status") == MESSAGE_ENDS[name],
            "status",
            f"`{name}` is {message.get('status')}",
        )
        ended = "completed_at" if name == "thread.message.completed" else "incomplete_at"
        self._require(message.get(ended) is not None, "nulls", f"{ended} is null in `{name}`")
        told = (message.get("incomplete_details") is not None) == (
            name == "thread.message.incomplete"
        )
        self._require(told, "nulls", f"incomplete_details in `{name}`")
        if name == "thread.message.completed":
            self._require(
                opened.deltas > 0, "at least one delta", "a message completed without a delta"
            )
        for key in ("run_id", "thread_id", "assistant_id", "created_at", "role"):
            same = message.get(key) == opened.created.get(key)
            self._require(same, "constants", f"message.{key} changed")
        final = [_without_quotes(part) for part in message.get("content") or []]
        streamed = [_without_quotes(part) for part in opened.content]
        self._require(final == streamed, "adds up", f"content is {final}, streamed was {streamed}")
        self._ended.add(message.get("id", ""))
        self._message = None
        if self._step:
            self._step.message_ended = True


def search_problems(search: Json) -> list[str]:
    """What is wrong with the search of a finished step, as it was recorded."""
    found = []
    if list(search) != ["ranking_options", "results"]:
        found.append(f"a search with keys {list(search)}")
    for result in search.get("results", []):
        keys = [key for key in result if key != "content"]
        if keys != ["file_id", "file_name", "score", "attributes"]:
            found.append(f"a result with keys {list(result)}")
        if not 0 <= result.get("score", -1) <= 1:
            found.append(f"a result with score {result.get('score')}")
    scores = [result.get("score") for result in search.get("results", [])]
    if scores != sorted(scores, reverse=True):
        found.append(f"results in the order {scores}")
    return found


def _without(value: Json, *keys: str) -> Json:
    """A copy two levels deep, without some keys on both."""
    return {
        key: _without(inner, *keys) if isinstance(inner, dict) else inner
        for key, inner in value.items()
        if key not in keys
    }


def _plain(call: Json) -> Json:
    return _without(call)


def _comparable(call: Json) -> Json:
    """What of a call is streamed: outputs of functions and results of searches come later."""
    if call.get("type") == "function":
        return _without(call, "output")
    if call.get("type") == "file_search":
        return {"id": call.get("id"), "type": "file_search"}
    return call


def _without_quotes(part: Json) -> Json:
    """OpenAI's completed messages left the quotes of citations out; ours keep them."""
    if part.get("type") != "text":
        return part
    annotations = [_without(a, "quote") for a in part["text"]["annotations"]]
    return {"type": "text", "text": {"value": part["text"]["value"], "annotations": annotations}}


def kind_of(path: str) -> str:
    """Which rules hold for the beginning of a stream, by the request's path."""
    path = path.partition("?")[0]
    if path.endswith("/submit_tool_outputs"):
        return "submit"
    if path.endswith("/threads/runs"):
        return "thread_and_run"
    return "attach" if path.endswith("/stream") else "run"


def check_bytes(data: bytes, kind: str, **options: Any) -> Checker:
    checker = Checker(kind, **options)
    checker.feed(data)
    checker.close()
    return checker
