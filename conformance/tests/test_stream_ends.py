"""How streams end when runs do not complete: the order of events, and what is kept."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from harness import postgres
from harness.ledger import Ledger
from harness.scripted import BreakOff, Model, ScriptedUpstream
from harness.sdk import openai_client
from harness.server import Adjutant
from harness.situations import CALL_OPEN, PREAMBLE, RESUMED, SITUATIONS, half_a_call, names
from harness.story import MESSAGE, Story, function_tool, outputs_for

pytestmark = pytest.mark.once
WEATHER = function_tool("weather")
TURNS = ["first turn", "after an output"]
REASONS = {"failed": "run_failed", "cancelled": "run_cancelled", "expired": "run_expired"}


def begin(story: Story, turn: str, script: Callable[[], object]) -> Iterator[Any]:
    """The stream of a run that comes to the scripted situation in its first or second turn."""
    assistant = story.assistant(tools=[WEATHER])
    if turn == "first turn":
        script()
        thread = story.thread("Hi")
        return story.runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True)
    story.model.calls("weather", {"city": "Oslo"})
    script()
    run = story.ask("Hi", assistant=assistant)
    return story.runs.submit_tool_outputs(
        run.id, thread_id=run.thread_id, tool_outputs=outputs_for(run, "-5"), stream=True
    )


def read(stream: Iterator[Any], reached: str = "", act: Callable[[Any], Any] | None = None) -> list:
    """All events. At the first `reached`, something is done with the run."""
    events, run = [], None
    for event in stream:
        events.append(event)
        if event.data.object == "thread.run":
            run = event.data
        if act and event.event == reached:
            act(run)
            act = None
    assert act is None, f"the stream never told `{reached}`: {names(events)}"
    return events


def expected(situation: str, turn: str, status: str) -> list[str]:
    place = SITUATIONS[situation]
    before = PREAMBLE if turn == "first turn" else RESUMED
    cancelling = ["run.cancelling"] if status == "cancelled" else []
    return [*before, *place.told, *cancelling, *place.ending(status)]


def assert_stored_as_told(story: Story, events: list[Any], situation: str, status: str) -> None:
    """Run, step and message are read later as the stream has left them."""
    run = events[-1].data
    assert story.look(run) == run
    last = story.steps(run)[-1:]
    if SITUATIONS[situation].step_is_open:
        assert [step.status for step in last] == [status]
    if SITUATIONS[situation].message_is_open:
        message = story.threads.messages.list(run.thread_id).data[0]
        assert (message.status, message.incomplete_details.reason) == (
            "incomplete",
            REASONS[status],
        )
        assert (message.content[0].text.value, message.completed_at) == ("Half a ", None)


def assert_thread_is_free(story: Story, run: Any) -> None:
    story.threads.messages.create(run.thread_id, role="user", content="Still there?")


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_failed(story: Story, situation: str, turn: str) -> None:
    """The model's connection is lost, or it refuses."""
    place = SITUATIONS[situation]
    events = read(begin(story, turn, lambda: place.script(story.model, BreakOff())))
    assert names(events) == expected(situation, turn, "failed")
    assert events[-1].data.last_error.code == "server_error"
    assert_stored_as_told(story, events, situation, "failed")
    assert_thread_is_free(story, events[-1].data)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_cancelled(story: Story, situation: str, turn: str) -> None:
    """Another client cancels; the stream tells of it, and the model is hung up on."""
    place, gate = SITUATIONS[situation], story.model.gate()
    stream = begin(story, turn, lambda: place.script(story.model, gate))

    def cancel(run: Any) -> None:
        gate.wait_until_reached()
        assert story.cancel(run).status == "cancelling"

    events = read(stream, place.reached, cancel)
    assert names(events) == expected(situation, turn, "cancelled")
    assert story.model.requests[-1].gone.wait(10)
    assert_stored_as_told(story, events, situation, "cancelled")
    assert_thread_is_free(story, events[-1].data)


def test_expired(servers: Any, db: str, upstream: ScriptedUpstream, ledger: Ledger) -> None:
    """All situations at once, since each takes the same two seconds."""
    server: Adjutant = servers.shared(db, ADJUTANT_RUNS_EXPIRES_SECONDS="2")

    def expire(situation: str, turn: str) -> list[str]:
        model = upstream.model()
        story = Story(openai_client(server.base_url, ledger), model, ledger)
        place, gate = SITUATIONS[situation], model.gate()
        try:
            events = read(begin(story, turn, lambda: place.script(model, gate)))
            assert_stored_as_told(story, events, situation, "expired")
            assert_thread_is_free(story, events[-1].data)
            return names(events)
        finally:
            model.close()

    cases = [(situation, turn) for situation in SITUATIONS for turn in TURNS]
    with ThreadPoolExecutor(len(cases)) as pool:
        told = list(pool.map(lambda case: expire(*case), cases))
    assert told == [expected(*case, "expired") for case in cases]


# -- limits ----------------------------------------------------------------------------
INCOMPLETE = [*MESSAGE[:-2], "message.incomplete", "run.step.completed", "run.incomplete"]


@pytest.mark.parametrize("turn", TURNS)
def test_words_cut_by_the_limit(story: Story, turn: str) -> None:
    """The message is incomplete, its step is complete, and both are kept."""
    events = read(begin(story, turn, lambda: story.model.says("Once upon", finish="length")))
    before = PREAMBLE if turn == "first turn" else RESUMED
    assert names(events) == [*before, *INCOMPLETE]
    run = events[-1].data
    assert run.incomplete_details.reason == "max_completion_tokens"
    message = story.threads.messages.list(run.thread_id).data[0]
    assert (message.status, message.incomplete_details.reason) == ("incomplete", "max_tokens")
    assert_thread_is_free(story, run)


@pytest.mark.parametrize("turn", TURNS)
def test_a_call_cut_by_the_limit(story: Story, turn: str) -> None:
    """Half a call cannot be answered: its step ends without it, and nobody is asked to act."""
    events = read(
        begin(story, turn, lambda: story.model.sends(*half_a_call(story.model, finish="length")))
    )
    before = PREAMBLE if turn == "first turn" else RESUMED
    assert names(events) == [*before, *CALL_OPEN, "run.step.failed", "run.incomplete"]
    run = events[-1].data
    assert run.incomplete_details.reason == "max_completion_tokens"
    assert run.required_action is None
    assert_thread_is_free(story, run)


def test_used_up_tokens_end_the_stream_after_an_output(story: Story) -> None:
    """Nothing is left for the next turn: the output is taken, then the run is incomplete."""
    story.model.calls("weather", {"city": "Oslo"})
    assistant = story.assistant(tools=[WEATHER])
    run = story.ask("Hi", assistant=assistant, max_completion_tokens=35)
    stream = story.runs.submit_tool_outputs(
        run.id, thread_id=run.thread_id, tool_outputs=outputs_for(run, "-5"), stream=True
    )
    assert names(read(stream)) == [*RESUMED, "run.incomplete"]


def test_a_filtered_answer_says_so(story: Story) -> None:
    """The words so far are kept, marked with the reason why they end."""
    events = read(
        begin(story, "first turn", lambda: story.model.says("Half", finish="content_filter"))
    )
    told = names(events)
    assert told[:-2] == [*PREAMBLE, *MESSAGE[:-2], "message.incomplete"]
    message = story.threads.messages.list(events[-1].data.thread_id).data[0]
    assert (message.status, message.incomplete_details.reason) == ("incomplete", "content_filter")


# -- faults of ours --------------------------------------------------------------------
@pytest.fixture
def own(servers: Any, db: str) -> Iterator[Adjutant]:
    server = servers.new(db, settings={"ADJUTANT_RUNS_LEASE_SECONDS": "2"})
    yield server
    server.stop()


def in_database(server: Adjutant, statement: str) -> None:
    if server._database_url:
        postgres.execute(server._database_url, statement)
        return
    with contextlib.closing(sqlite3.connect(server.folder / "data/adjutant.db")) as database:
        database.execute(statement)
        database.commit()


def test_a_stream_that_the_server_gives_up(own: Adjutant, model: Model, ledger: Ledger) -> None:
    """Its database fails: SDKs raise what the last event says, and the run ends another time."""
    # The checkers would call a broken stream what it is.
    cut = Ledger()
    story = Story(openai_client(own.base_url, cut), model, cut)
    gate = model.gate()
    model.says("Half a ", gate, "sentence.").then_says("Whole.")
    thread = story.thread("Hi")
    stream = story.runs.create(thread_id=thread.id, assistant_id=story.assistant().id, stream=True)
    with pytest.raises(openai.APIError, match="interrupted, the run was not: ") as raised:
        for event in stream:
            if event.event == "thread.message.in_progress":
                gate.wait_until_reached()
                in_database(own, "alter table messages rename to away")
                gate.open()
    in_database(own, "alter table away rename to messages")
    # Wrapped for the SDKs, bare for another client (contract §6).
    *_, told, done = cut.streams[-1].events
    bare = {"message": raised.value.message, "type": "server_error", "param": None, "code": None}
    assert (told.name, told.data, done.name) == ("error", {"error": bare, **bare}, "done")
    assert list(told.data) == ["error", *bare] and list(told.data["error"]) == list(bare)
    story = Story(openai_client(own.base_url, ledger), model, ledger)
    story.wait(story.runs.list(thread.id).data[0], "completed")
    assert story.messages(thread.id) == [("user", "Hi"), ("assistant", "Whole.")]


# -- the end of everything -------------------------------------------------------------
@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_stream_of_a_deleted_thread(story: Story, situation: str) -> None:
    """Whoever listens hears that the run was cancelled; after that, there is nothing to read."""
    place, gate = SITUATIONS[situation], story.model.gate()
    stream = begin(story, "first turn", lambda: place.script(story.model, gate))

    def delete(run: Any) -> None:
        gate.wait_until_reached()
        story.threads.delete(run.thread_id)

    events = read(stream, place.reached, delete)
    told = [name for name in names(events) if name != "run.cancelling"]
    assert told == [*PREAMBLE, *place.told, *place.ending("cancelled")]
    assert story.model.requests[0].gone.wait(10)


def test_a_client_that_comes_too_late_to_cancel(story: Story) -> None:
    """The end was told; cancelling afterwards changes nothing of it."""
    stream = begin(story, "first turn", lambda: story.model.says("Hello."))
    refused: list[str] = []

    def cancel(run: Any) -> None:
        with pytest.raises(openai.BadRequestError) as error:
            story.cancel(run)
        refused.append(error.value.body["message"])

    events = read(stream, "thread.run.completed", cancel)
    assert names(events) == [*PREAMBLE, *MESSAGE, "run.completed"]
    assert refused == ["Cannot cancel run with status 'completed'."]
