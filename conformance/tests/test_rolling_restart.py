"""Three copies behind a balancer are stopped and started one after the other, under load.

No call of the official SDK raises, every stream ends as it should, and nothing is
lost or told twice. The SDK's own two retries are all the help that its users have.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.balancer import Balancer
from harness.ledger import Ledger
from harness.scripted import Answer, Call, Model, Pause, Seen, Turn
from harness.sdk import openai_client
from harness.server import Adjutant
from harness.story import Story, function_tool, outputs_for, text_of, wait_for

pytestmark = [pytest.mark.once, pytest.mark.timeout(170)]
COPIES = 3
# Between restarts, so that there is something to lose whenever one comes.
ENTRIES_BETWEEN = 12
SETTINGS = {
    "ADJUTANT_STOP_DELAY_SECONDS": "1",
    "ADJUTANT_STOP_SECONDS": "12",
    # What is not handed over would be noticed: nobody takes it up in time.
    "ADJUTANT_RUNS_LEASE_SECONDS": "120",
    "ADJUTANT_LOG": "adjutant=debug",
}


def reply(seen: Seen) -> Turn:
    """A few words, slowly; or first a call, where the user wants one."""
    role, text = seen.said[-1]
    if role == "tool":
        return Answer(("It gave ", Pause(0.1), f"{text}."))
    if text.startswith("call"):
        return Answer(tool_calls=(Call("look", {"at": text}),))
    return Answer(("Answer ", Pause(0.1), "to ", Pause(0.1), f"{text}."))


class Load:
    """Programs that use the API again and again until they are told to end."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.counts: Counter[str] = Counter()
        self.errors: list[BaseException] = []
        self.notes: list[str] = []
        self.threads: dict[str, list[tuple[str, str]]] = {}
        self._ended = threading.Event()
        self._numbers = itertools.count(1)
        self._assistant = story.assistant(tools=[function_tool("look")])
        self._notes = story.thread()
        programs = [self.streams, self.streams, self.polls, self.calls, self.writes, self.uploads]
        self._programs = [
            threading.Thread(target=self._repeat, args=(program,), daemon=True)
            for program in programs
        ]
        for program in self._programs:
            program.start()

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    def end(self) -> None:
        self._ended.set()
        for program in self._programs:
            program.join(40)
            assert not program.is_alive(), "a program hangs"

    def _repeat(self, program: Callable[[], None]) -> None:
        while not self._ended.is_set() and not self.errors:
            try:
                program()
            except BaseException as error:
                error.add_note(f"in `{program.__name__}`")
                self.errors.append(error)
                return
            self.counts[program.__name__] += 1

    def _ids(self, text: str) -> dict[str, str]:
        return {"thread_id": self.story.thread(text).id, "assistant_id": self._assistant.id}

    def _expect(self, ids: dict[str, str], said: str, answer: str) -> None:
        self.threads[ids["thread_id"]] = [("user", said), ("assistant", answer)]

    # -- programs ----------------------------------------------------------------------------
    def streams(self) -> None:
        said = f"stream {next(self._numbers)}"
        ids = self._ids(said)
        with self.story.runs.stream(**ids) as stream:
            text = "".join(stream.text_deltas)
            assert stream.get_final_run().status == "completed"
        assert text == f"Answer to {said}."
        self._expect(ids, said, text)

    def polls(self) -> None:
        said = f"poll {next(self._numbers)}"
        ids = self._ids(said)
        run = self.story.runs.create_and_poll(**ids, poll_interval_ms=100)
        assert run.status == "completed", run
        self._expect(ids, said, f"Answer to {said}.")

    def calls(self) -> None:
        """Streamed to where the run waits, and its rest streamed as well."""
        said = f"call {next(self._numbers)}"
        ids = self._ids(said)
        with self.story.runs.stream(**ids) as stream:
            stream.until_done()
            run = stream.get_final_run()
        assert run.status == "requires_action", run
        ids_of_run = {"thread_id": run.thread_id, "tool_outputs": outputs_for(run, said)}
        with self.story.runs.submit_tool_outputs_stream(run_id=run.id, **ids_of_run) as stream:
            text = "".join(stream.text_deltas)
        assert text == f"It gave {said}."
        self._expect(ids, said, text)

    def writes(self) -> None:
        note = f"note {next(self._numbers)}"
        self.story.threads.messages.create(self._notes.id, role="user", content=note)
        self.notes.append(note)
        time.sleep(0.05)

    def uploads(self) -> None:
        content = f"file {next(self._numbers)} ".encode() * 1000
        files = self.story.client.files
        file = files.create(file=("a.txt", content), purpose="user_data")
        assert files.content(file.id).read() == content
        files.delete(file.id)
        time.sleep(0.05)

    # -- what must be true afterwards --------------------------------------------------------
    def check(self) -> None:
        listed = self.story.threads.messages.list(self._notes.id, order="asc", limit=100)
        assert [text_of(message) for message in listed] == self.notes
        for thread, expected in self.threads.items():
            assert self.story.messages(thread) == expected
            (run,) = self.story.runs.list(thread).data
            assert run.status == "completed"
            turns = 2 if expected[0][1].startswith("call") else 1
            steps = [step.status for step in self.story.steps(run)]
            assert steps == ["completed"] * turns


@pytest.fixture
def copies(servers: Any, db: str) -> Iterator[list[Adjutant]]:
    if db == "sqlite":
        pytest.skip("a SQLite database belongs to one process")
    settings = {**SETTINGS, **servers.blob_settings("s3"), "ADJUTANT_DOWNLOAD_UPLOADS": "true"}
    first = servers.new(db, settings=settings)
    copies = [first, *(servers.beside(first) for _ in range(COPIES - 1))]
    yield copies
    for server in copies:
        server.ask_to_stop()


def test_nobody_notices_a_rolling_restart(
    copies: list[Adjutant], model: Model, ledger: Ledger
) -> None:
    model.always(reply)
    balancer = Balancer(copies)
    everybody = set(range(COPIES))
    wait_for(lambda: balancer.ready, lambda ready: ready == everybody, "all copies")
    client = openai_client(balancer.base_url, ledger, max_retries=2)
    load = Load(Story(client, model, ledger))
    try:
        for number, copy in enumerate(copies):
            await_more(load)
            copy.stop()
            assert number not in balancer.ready, "the balancer was told too late"
            await_more(load)
            copy.start()
            wait_for(lambda: balancer.ready, lambda ready: ready == everybody, "all copies")
        await_more(load)
    finally:
        load.end()
    assert not load.errors, load.errors
    load.check()
    balancer.stop()
    print(f"done: {dict(load.counts)}; connections: {dict(balancer.connections)}")
    print(f"streams: {len(ledger.streams)}; handed back: {handed_back(copies)}")
    assert set(balancer.connections) == everybody


def await_more(load: Load) -> None:
    goal = load.done + ENTRIES_BETWEEN
    wait_for(lambda: load.errors or load.done >= goal, bool, "the load to go on", 40)
    assert not load.errors, load.errors


def handed_back(copies: list[Adjutant]) -> int:
    """How many runs did not end in time where they were. None should have had to."""
    return sum("were handed back unfinished" in line for copy in copies for line in copy.log)
