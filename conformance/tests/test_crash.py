"""The power fails amid fifty runs. Afterwards every run ends, and no word is lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from harness.ledger import Ledger
from harness.scripted import Answer, Call, Gate, Model, Seen, Turn
from harness.sdk import http_client, httpx, openai_client
from harness.server import Adjutant
from harness.situations import half_a_call
from harness.story import Story, function_tool, text_of, wait_for

pytestmark = [pytest.mark.once, pytest.mark.timeout(180)]
KINDS = ["done", "parked", "thinking", "speaking", "fresh"]
EACH = 10


class World:
    """What the model says, before the crash and after it."""

    def __init__(self, model: Model) -> None:
        self.after_crash = False
        self.gates: list[Gate] = []
        self._model = model
        model.always(self.reply)

    def reply(self, seen: Seen) -> Turn:
        role, text = seen.said[-1]
        kind = seen.last_user_text.partition(" ")[0]
        if role == "tool":
            return Answer((f"Output {text}.",))
        if kind == "parked":
            return Answer(tool_calls=(Call("look", {"what": text}),))
        if self.after_crash or kind == "done":
            return Answer(("Answer to ", text, "."))
        gate = self._model.gate()
        self.gates.append(gate)
        return Answer(
            ("Answer ", gate, "never told") if kind == "speaking" else (gate, "never told")
        )


@pytest.fixture
def server(servers: Any, db: str) -> Iterator[Adjutant]:
    server = servers.new(db, settings={"ADJUTANT_RUNS_LEASE_SECONDS": "2"})
    yield server
    server.stop()


def begin_all(story: Story, http: httpx.Client, world: World) -> dict[str, Any]:
    """Fifty runs, ten of a kind, brought to where the crash shall find them."""
    assistant = story.assistant(tools=[function_tool("look")])
    runs: dict[str, Any] = {}
    for kind in KINDS[:3]:
        for number in range(EACH):
            name = f"{kind} {number}"
            runs[name] = story.run(story.thread(name), assistant)
    for number in range(EACH):
        name = f"speaking {number}"
        runs[name] = begin_stream(story, http, name, assistant.id)
    for name, run in runs.items():
        if name.startswith(("done", "parked")):
            story.wait(run)
    wait_for(lambda: len(world.gates), lambda n: n == 2 * EACH, "the model to be asked by all")
    for number in range(EACH):
        name = f"fresh {number}"
        runs[name] = story.run(story.thread(name), assistant)
    return runs


def begin_stream(story: Story, http: httpx.Client, name: str, assistant_id: str) -> Any:
    """A client that reads its stream until the crash cuts it off."""
    thread = story.thread(name)
    body = {"assistant_id": assistant_id, "stream": True}
    has_spoken = threading.Event()

    def read() -> None:
        try:
            with http.stream("POST", f"/threads/{thread.id}/runs", json=body) as answer:
                for line in answer.iter_lines():
                    if line == "event: thread.message.delta":
                        has_spoken.set()
        except httpx.TransportError:
            pass

    threading.Thread(target=read, daemon=True).start()
    assert has_spoken.wait(20), f"`{name}` never spoke"
    return story.runs.list(thread.id).data[0]


class Writer:
    """Writes messages one after the other until the server is gone; knows which were taken."""

    def __init__(self, http: httpx.Client, thread_id: str) -> None:
        self.taken: list[str] = []
        self._http, self._path = http, f"/threads/{thread_id}/messages"
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        for number in range(100_000):
            text = f"note {number}"
            try:
                answer = self._http.post(self._path, json={"role": "user", "content": text})
            except httpx.TransportError:
                return
            assert answer.status_code == 200
            self.taken.append(text)

    def wait(self) -> list[str]:
        self._thread.join(10)
        assert not self._thread.is_alive(), "the writer noticed no crash"
        return self.taken


def test_kill_minus_nine_amid_fifty_runs(server: Adjutant, model: Model, ledger: Ledger) -> None:
    world = World(model)
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    http = http_client(server.base_url, ledger)
    notes = story.thread()
    writer = Writer(http_client(server.base_url, ledger), notes.id)
    runs = begin_all(story, http, world)
    assert len(runs) == EACH * len(KINDS)

    server.kill()
    taken = writer.wait()
    # The streams that the crash cut off have no endings; that is the crash, not the contract.
    ledger.problems = [p for p in ledger.problems if "stream:" not in p]
    world.after_crash = True
    for gate in world.gates:
        gate.open()
    server.start()

    after = Story(openai_client(server.base_url, ledger), model, ledger)
    submit_all_parked(after, runs)
    for name, run in runs.items():
        assert after.wait(run).status == "completed", name
        assert_told_once(after, name, run)
    assert_notes_kept(after, notes.id, taken)


def submit_all_parked(story: Story, runs: dict[str, Any]) -> None:
    """A program that waited for a run before the crash can answer it after."""
    for name, run in runs.items():
        if name.startswith("parked"):
            waiting = story.look(run)
            assert waiting.status == "requires_action", name
            story.submit(waiting, name)


def assert_told_once(story: Story, name: str, run: Any) -> None:
    messages = story.threads.messages.list(run.thread_id, order="asc").data
    answer = f"Output {name}." if name.startswith("parked") else f"Answer to {name}."
    said = [(message.role, text_of(message)) for message in messages]
    assert said == [("user", name), ("assistant", answer)]
    assert messages[1].status == "completed"
    ended = [step.status for step in story.steps(run) if step.type == "message_creation"]
    assert ended.count("completed") == 1 and "in_progress" not in ended


def assert_notes_kept(story: Story, thread_id: str, taken: list[str]) -> None:
    """Whatever was acknowledged is there once; the one under way may be there, too."""
    pages = story.threads.messages.list(thread_id, order="asc", limit=100)
    kept = [text_of(message) for message in pages]
    assert kept[: len(taken)] == taken
    assert len(kept) - len(taken) in {0, 1}
    assert len(taken) > 0


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_a_stream_that_a_crash_cuts_off(
    server: Adjutant, model: Model, ledger: Ledger, end: str
) -> None:
    """Its client notices that it was not whole; the run ends all the same, and is told whole."""
    gate = model.gate()
    model.says("Half a ", gate, "sentence.").then_says("A whole sentence.")
    # The checkers would call a broken stream what it is.
    cut = Ledger()
    story = Story(openai_client(server.base_url, cut), model, cut)
    thread = story.thread("Hi")
    stream = story.runs.create(thread_id=thread.id, assistant_id=story.assistant().id, stream=True)
    told = []
    with pytest.raises((httpx.TransportError, openai.APIError)):
        for event in stream:
            told.append(event)
            if event.event == "thread.message.delta":
                server.kill() if end == "killed" else server.stop()
    assert [event.event for event in told][-2:] == [
        "thread.message.in_progress",
        "thread.message.delta",
    ]
    (seen,) = cut.streams
    assert "done" not in seen.names or "error" in seen.names
    gate.open()
    server.start()
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    http = http_client(server.base_url, ledger)
    run = story.wait(story.runs.list(thread.id).data[0], "completed")
    assert run.id == told[0].data.id
    http.get(f"/threads/{thread.id}/runs/{run.id}/stream")
    assert ledger.streams[-1].names[-2:] == ["thread.run.completed", "done"]
    assert story.messages(thread.id) == [("user", "Hi"), ("assistant", "A whole sentence.")]


def test_a_crash_while_runs_are_parked_costs_nothing(
    server: Adjutant, model: Model, ledger: Ledger
) -> None:
    """Several crashes in a row, too: a parked run is only a row."""
    model.calls("look", {"what": "here"})
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    run = story.ask("parked", assistant=story.assistant(tools=[function_tool("look")]))
    for _ in range(3):
        server.kill()
        server.start()
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    model.says("Here.")
    seen = story.look(run)
    assert seen == run
    story.submit(seen, "found")
    story.wait(run, "completed")


def test_a_polite_stop_loses_nothing_either(server: Adjutant, model: Model, ledger: Ledger) -> None:
    """Stopped as a service manager does it, with a run on its way; started again, it ends."""
    gate = model.hold()
    model.always(Answer(("Hello.",)))
    model.says("Hello.")
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    run = story.run(story.thread("Hi"), story.assistant())
    gate.wait_until_reached()
    server.stop()
    gate.open()
    server.start()
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    assert story.wait(run).status == "completed"
    assert story.messages(run.thread_id) == [("user", "Hi"), ("assistant", "Hello.")]


def test_words_before_calls_that_a_crash_cuts_off_are_said_again(
    server: Adjutant, model: Model, ledger: Ledger
) -> None:
    """The words were whole, the calls were not: the turn begins again, and the run calls what it meant to."""
    gate = model.gate()
    model.sends(*half_a_call(model, saying="Let me look."), gate)
    model.calls("weather", {"city": "Oslo"}, saying="Let me look.").then_says("Cold.")
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    run = story.run(story.thread("Hi"), story.assistant(tools=[function_tool("weather")]))
    wait_for(lambda: len(story.steps(run)), lambda number: number == 2, "the call to have begun")
    server.kill()
    gate.open()
    server.start()
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    waiting = story.wait(run, "requires_action")
    story.submit(waiting, "cold")
    story.wait(run, "completed")
    said = [("user", "Hi"), ("assistant", "Let me look."), ("assistant", "Cold.")]
    assert story.messages(run.thread_id) == said
