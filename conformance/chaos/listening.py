"""Streams as the official SDK reads them, and taken up again where they broke."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import openai
from openai.types.beta import AssistantStreamEvent
from openai.types.beta.threads import Run

from chaos.client import BACK_OFF_SECONDS, Client, Unanswered
from chaos.history import StreamTold, Told
from harness.story import TERMINAL, text_of

STEP_ENDS = {"completed", "failed", "cancelled", "expired"}
MESSAGE_ENDS = {"thread.message.completed", "thread.message.incomplete"}
# Some clients hang up in the middle.
HANG_UP = 0.05
MOST_PARTS = 20


class Numbered(openai.Stream[AssistantStreamEvent]):
    """The SDK's stream, which says the id of its last event."""

    last_id: str | None = None

    def _iter_events(self) -> Iterator[Any]:
        for event in super()._iter_events():
            self.last_id = event.id or self.last_id
            yield event


class Listener:
    def __init__(self, client: Client) -> None:
        self.client = client
        self.history = client.history

    def begin(self, thread: str, body: dict[str, Any]) -> StreamTold:
        """A new run's stream, told as far as it went, and gone on with as long as it breaks."""
        told = self._new()
        headers = {"OpenAI-Beta": "assistants=v2", "Adjutant-Event-Ids": "true"}

        def call(sdk: openai.OpenAI) -> None:
            events = sdk.post(
                f"/threads/{thread}/runs",
                body={**body, "stream": True},
                cast_to=Run,
                stream=True,
                stream_cls=Numbered,
                options={"headers": headers},
            )
            self.read(events, told)

        self._once("stream run with ids", call)
        part = told
        for _ in range(MOST_PARTS):
            if part.is_whole or part.run is None or part.last_id is None:
                break
            time.sleep(self.client.random.uniform(*BACK_OFF_SECONDS))
            part = self._resume(thread, part)
        if part.last_status:
            told.last_status = part.last_status
        return told

    def _resume(self, thread: str, broken: StreamTold) -> StreamTold:
        told = self._new(run=broken.run, last_id=broken.last_id, goes_on=broken)
        self.follow("resume run", thread, told)
        return told

    def follow_again(self, thread: str, run: str) -> None:
        """All events of a run, from its beginning."""
        self.follow("follow run", thread, self._new(run=run))

    def follow(self, name: str, thread: str, told: StreamTold) -> None:
        headers = {"Last-Event-ID": told.last_id} if told.last_id else {}
        path = f"/threads/{thread}/runs/{told.run}/stream"

        def call(sdk: openai.OpenAI) -> None:
            events = sdk.get(
                path, cast_to=Run, stream=True, stream_cls=Numbered, options={"headers": headers}
            )
            self.read(events, told)

        self._once(name, call)

    def listen(self, name: str, call: Any, run: str | None = None) -> StreamTold:
        """What a plain stream says."""
        told = self._new(run=run)
        self._once(name, lambda sdk: self.read(call(sdk), told))
        return told

    def _new(self, **known: Any) -> StreamTold:
        told = StreamTold(began=self.history.now(), **known)
        self.history.add(told)
        return told

    def _once(self, name: str, call: Any) -> None:
        try:
            self.client.once(name, call)
        except Unanswered:
            # What was told until then stands.
            return

    def read(self, events: openai.Stream[AssistantStreamEvent], told: StreamTold) -> None:
        with closing(events):
            for event in events:
                self.hear(event, told)
                told.last_id = getattr(events, "last_id", None) or told.last_id
                if not told.is_whole and self.client.random.random() < HANG_UP:
                    return

    def hear(self, event: Any, told: StreamTold) -> None:
        name, data = getattr(event, "event", None), getattr(event, "data", None)
        if name is None or data is None or name == "error":
            raise Unanswered(f"the stream said: {event}")
        if name.startswith("thread.run.step."):
            if name.rsplit(".", 1)[-1] in STEP_ENDS:
                told.ended_steps[data.id] = data.status
        elif name.startswith("thread.run."):
            told.run, told.last_status = data.id, data.status
            told.is_whole = data.status in TERMINAL | {"requires_action"}
            now = self.history.now()
            self.history.add(Told(data.id, data.status, now, now, "event"))
        elif name == "thread.message.delta":
            said = "".join(part.text.value for part in data.delta.content or [])
            told.texts[data.id] = told.texts.get(data.id, "") + said
        elif name in MESSAGE_ENDS:
            told.ended_texts[data.id] = text_of(data)
            if data.status == "incomplete":
                told.incomplete.add(data.id)
