"""Where a run may stand when something happens to it, and how each place looks in a stream.

situation = SITUATIONS["words"]
situation.script(model, model.gate())       # the model halts there until the gate opens
situation.script(model, BreakOff())         # or its connection is lost there
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from harness.scripted import BreakOff, Gate, Model, event_bytes
from harness.story import MESSAGE, outline

Json = dict[str, Any]
Halt = Gate | BreakOff

PREAMBLE = ["run.created", "run.queued", "run.in_progress"]
RESUMED = ["run.step.completed", "run.queued", "run.in_progress"]
STEP_OPEN = ["run.step.created", "run.step.in_progress"]
MESSAGE_OPEN = MESSAGE[:-2]
CALL_OPEN = [*STEP_OPEN, "run.step.delta"]


@dataclass(frozen=True)
class Situation:
    """`told` is what a stream has told by then, `reached` its last event."""

    script: Callable[[Model, Halt], object]
    reached: str
    told: list[str]
    message_is_open: bool = False
    step_is_open: bool = False

    def ending(self, status: str) -> list[str]:
        """What a stream tells of the end, after a `cancelling` if there is one."""
        message = ["message.incomplete"] if self.message_is_open else []
        step = [f"run.step.{status}"] if self.step_is_open else []
        return [*message, *step, f"run.{status}"]


def _silence(model: Model, halt: Halt) -> None:
    if isinstance(halt, Gate):
        model.says(halt, "Too late.")
    else:
        # A lost connection would be tried again, since nothing of the answer was heard.
        model.fails(401)


def _words(model: Model, halt: Halt) -> None:
    model.says("Half a ", halt, "sentence.")


def _call(model: Model, halt: Halt) -> None:
    model.sends(*half_a_call(model), halt)


def _words_and_call(model: Model, halt: Halt) -> None:
    model.sends(*half_a_call(model, saying="Let me look."), halt)


SITUATIONS = {
    "silence": Situation(_silence, "thread.run.in_progress", []),
    "words": Situation(
        _words, "thread.message.delta", MESSAGE_OPEN, message_is_open=True, step_is_open=True
    ),
    "call": Situation(_call, "thread.run.step.delta", CALL_OPEN, step_is_open=True),
    "words and call": Situation(
        _words_and_call, "thread.run.step.delta", [*MESSAGE, *CALL_OPEN], step_is_open=True
    ),
}


def half_a_call(
    model: Model, *, saying: str | None = None, finish: str | None = None
) -> list[bytes]:
    """A model's answer that ends inside the arguments of a call, with a reason or without."""

    def chunk(delta: Json, finish: str | None = None) -> bytes:
        return event_bytes(
            {
                "id": "chatcmpl-scripted",
                "object": "chat.completion.chunk",
                "created": 1_700_000_000,
                "model": model.name,
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
        )

    function = {"name": "weather", "arguments": ""}
    begin = {"index": 0, "id": "call_scripted", "type": "function", "function": function}
    grow = {"index": 0, "function": {"arguments": '{"city": "Os'}}
    parts = [
        chunk({"role": "assistant", "content": saying}),
        chunk({"tool_calls": [begin]}),
        chunk({"tool_calls": [grow]}),
    ]
    return [*parts, chunk({}, finish), event_bytes("[DONE]")] if finish else parts


def names(events: Iterable[Any]) -> list[str]:
    """The outline of a stream that an SDK has read; it keeps `done` to itself."""
    return outline(event.event for event in events)
