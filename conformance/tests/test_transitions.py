"""The lifecycle of runs: each state with its times and nulls, what each state allows, and races."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from harness.ledger import Ledger
from harness.scripted import Answer, Model, ScriptedUpstream, Usage
from harness.sdk import http_client, httpx, openai_client
from harness.server import Adjutant
from harness.situations import SITUATIONS
from harness.story import TERMINAL, Story, function_tool, text_of, wait_for

Json = dict[str, Any]
pytestmark = pytest.mark.once
WEATHER = function_tool("weather")
HASTE = {"ADJUTANT_RUNS_EXPIRES_SECONDS": "2"}
ENDED = ["completed", "incomplete", "failed", "cancelled", "expired"]
LIVE = ["in_progress", "requires_action"]


def bring_to(story: Story, status: str) -> Any:
    """A run in this state, having called and been answered once before."""
    story.model.calls("weather", {"city": "Oslo"}, usage=Usage(10, 5, cached=4, reasoning=2))
    script = {
        "in_progress": lambda: story.model.says("Half a ", story.model.gate(), "sentence."),
        "requires_action": lambda: story.model.calls("weather", {"city": "Rome"}),
        "completed": lambda: story.model.says("Cold.", usage=Usage(20, 3, cached=16, reasoning=1)),
        "incomplete": lambda: story.model.says("Co", finish="length", usage=Usage(20, 3)),
        "failed": lambda: story.model.fails(401),
        "cancelled": lambda: story.model.says("Half a ", story.model.gate(), "sentence."),
        "expired": lambda: story.model.calls("weather", {"city": "Rome"}),
    }
    script[status]()
    run = story.ask("Hi", assistant=story.assistant(tools=[WEATHER], instructions="Be brief."))
    story.submit(run, "-5")
    if status in {"in_progress", "cancelled"}:
        story.wait(run, "in_progress")
        wait_for(lambda: story.steps(run), lambda steps: len(steps) == 2, "the second step")
    if status == "cancelled":
        story.cancel(run)
    return story.wait(run, status)


@pytest.fixture
def in_state(story: Story, servers: Any, db: str, connect: Any) -> Callable[[str], tuple]:
    """A state's name → a story and its run; those that expire have a server of their own."""

    def make(status: str) -> tuple[Story, Any]:
        one = connect(servers.shared(db, **HASTE)) if status == "expired" else story
        return one, bring_to(one, status)

    return make


def refusal(action: Callable[[], Any]) -> str | None:
    """The words of a refusal, or None where there was none."""
    try:
        action()
    except openai.BadRequestError as error:
        assert (error.body["type"], error.body["param"]) == ("invalid_request_error", None)
        return error.body["message"]
    return None


# -- times and nulls -------------------------------------------------------------------
RUN_FIELDS = (
    "started_at expires_at cancelled_at failed_at completed_at required_action last_error "
    "incomplete_details usage"
).split()
# Whether a cancelled or expired run keeps `expires_at` was never seen.
UNSEEN = {"cancelled": {"expires_at"}, "expired": {"expires_at", "last_error"}}
RUN_HAS = {
    "in_progress": {"started_at", "expires_at"},
    "requires_action": {"started_at", "expires_at", "required_action"},
    "completed": {"started_at", "completed_at", "usage"},
    "incomplete": {"started_at", "completed_at", "incomplete_details", "usage"},
    "failed": {"started_at", "failed_at", "last_error", "usage"},
    "cancelled": {"started_at", "cancelled_at", "usage"},
    "expired": {"started_at", "usage"},
}
STEP_FIELDS = "cancelled_at completed_at failed_at expired_at last_error usage".split()
# The second step of each run: of a message, of calls, or none at all.
LAST_STEP: dict[str, tuple[str, set[str]]] = {
    "in_progress": ("in_progress", set()),
    "requires_action": ("in_progress", set()),
    "completed": ("completed", {"completed_at", "usage"}),
    "incomplete": ("completed", {"completed_at", "usage"}),
    "failed": ("completed", {"completed_at", "usage"}),
    "cancelled": ("cancelled", {"cancelled_at"}),
    "expired": ("expired", {"expired_at"}),
}
MESSAGE_FIELDS = "completed_at incomplete_at incomplete_details".split()
MESSAGE_HAS: dict[str, tuple[str, set[str]]] = {
    "in_progress": ("in_progress", set()),
    "completed": ("completed", {"completed_at"}),
    "incomplete": ("incomplete", {"incomplete_at", "incomplete_details"}),
    "cancelled": ("incomplete", {"incomplete_at", "incomplete_details"}),
}


def present(shown: Json, fields: list[str]) -> set[str]:
    return {field for field in fields if shown[field] is not None}


@pytest.mark.parametrize("status", RUN_HAS)
def test_times_and_nulls(in_state: Any, status: str) -> None:
    """Of the run, of its last step and of its message, by request after it came there."""
    story, run = in_state(status)
    shown = story.runs.with_raw_response.retrieve(run.id, thread_id=run.thread_id)
    shown = shown.http_response.json()
    assert present(shown, RUN_FIELDS) - UNSEEN.get(status, set()) == RUN_HAS[status]
    times = [shown[key] for key in RUN_FIELDS if key.endswith("_at") and key != "expires_at"]
    assert all(time is None or time >= shown["created_at"] for time in times)

    steps = [step.model_dump() for step in story.steps(run)]
    told, has = LAST_STEP[status]
    # What had a usage of its own may keep it, whatever became of the step.
    extra = {"usage"} if told in {"in_progress", "expired"} else set()
    assert steps[-1]["status"] == told
    assert present(steps[-1], STEP_FIELDS) - extra == has
    assert (steps[0]["status"], steps[0]["usage"]["total_tokens"]) == ("completed", 15)

    if status in MESSAGE_HAS:
        message = story.threads.messages.list(run.thread_id, run_id=run.id).data[0].model_dump()
        told, has = MESSAGE_HAS[status]
        assert message["status"] == told
        assert present(message, MESSAGE_FIELDS) == has


def test_a_step_that_waits_shows_no_usage(story: Story) -> None:
    """Usage is null while anything is still to come; the run's end brings it."""
    run = bring_to(story, "requires_action")
    waiting = story.steps(run)[-1]
    assert (waiting.status, waiting.usage, waiting.completed_at) == ("in_progress", None, None)
    assert waiting.expires_at == run.expires_at
    story.cancel(run)
    story.wait(run, "cancelled")


@pytest.mark.parametrize("status", ENDED)
def test_usage_is_the_sum_of_the_steps(in_state: Any, status: str) -> None:
    """Every figure of it, however the run ended."""
    story, run = in_state(status)
    steps = [step.usage.model_dump() for step in story.steps(run) if step.usage]
    usage = run.usage.model_dump()
    for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert usage[key] == sum(step[key] for step in steps), key
    for key, figure in (
        ("prompt_token_details", "cached_tokens"),
        ("completion_tokens_details", "reasoning_tokens"),
    ):
        assert usage[key][figure] == sum(step[key][figure] for step in steps), key
    assert usage["prompt_tokens"] >= 10


def test_a_run_that_fails_at_once_has_cost_nothing(story: Story) -> None:
    """Recorded: zeros, not null."""
    story.model.fails(401)
    run = story.ask("Hi")
    assert run.status == "failed"
    assert run.usage.model_dump() == {
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "total_tokens": 0,
        "prompt_token_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    assert story.steps(run) == []


# -- what each state allows ------------------------------------------------------------
@pytest.mark.parametrize("status", [*LIVE, *ENDED])
def test_what_a_state_allows(in_state: Any, status: str) -> None:
    """Whatever is refused is refused in the real API's words and changes nothing."""
    story, run = in_state(status)
    thread, assistant = story.threads.retrieve(run.thread_id), story.assistant()
    is_live = status in LIVE
    outputs = [{"tool_call_id": "call_x", "output": ""}]
    ids = {"thread_id": run.thread_id, "run_id": run.id}
    before = story.look(run)

    told = {
        "submit": refusal(lambda: story.runs.submit_tool_outputs(**ids, tool_outputs=outputs)),
        "submit a stream": refusal(
            lambda: story.runs.submit_tool_outputs(**ids, tool_outputs=outputs, stream=True)
        ),
        "update": refusal(lambda: story.runs.update(**ids, metadata={"a": "b"})),
    }
    if is_live:
        told["run"] = refusal(lambda: story.run(thread, assistant))
        told["write"] = refusal(
            lambda: story.threads.messages.create(thread.id, role="user", content="And?")
        )
        assert story.look(run) == before
        assert story.cancel(run).status == "cancelling"
        story.wait(run, "cancelled")
    else:
        told["cancel"] = refusal(lambda: story.cancel(run))
        assert story.look(run).model_dump() == {**before.model_dump(), "metadata": {"a": "b"}}

    outputs_refused = f'Runs in status "{status}" do not accept tool outputs.'
    if status == "requires_action":
        (call,) = run.required_action.submit_tool_outputs.tool_calls
        outputs_refused = f"Expected tool outputs for call_ids ['{call.id}'], got ['call_x']"
    expected = {
        "submit": outputs_refused,
        "submit a stream": outputs_refused,
        "update": f"Cannot update run with status '{status}'." if is_live else None,
    }
    if is_live:
        expected["run"] = f"Thread {thread.id} already has an active run {run.id}."
        expected["write"] = f"Can't add messages to {thread.id} while a run {run.id} is active."
    else:
        expected["cancel"] = f"Cannot cancel run with status '{status}'."
    assert told == expected

    story.model.says("Back again.")
    story.threads.messages.create(thread.id, role="user", content="Still there?")
    story.wait(story.run(thread, assistant), "completed")


@pytest.mark.parametrize("status", LIVE)
def test_a_locked_thread_may_be_changed_otherwise(in_state: Any, status: str) -> None:
    """What is locked is adding messages and runs; metadata and old messages are not."""
    story, run = in_state(status)
    first = story.threads.messages.list(run.thread_id, order="asc").data[0]
    assert story.threads.update(run.thread_id, metadata={"a": "b"}).metadata == {"a": "b"}
    changed = story.threads.messages.update(first.id, thread_id=run.thread_id, metadata={"c": "d"})
    assert changed.metadata == {"c": "d"}
    assert story.threads.messages.delete(first.id, thread_id=run.thread_id).deleted
    story.cancel(run)
    story.wait(run, "cancelled")


# -- cancelling ------------------------------------------------------------------------
@pytest.mark.parametrize("situation", SITUATIONS)
def test_cancel_by_polling(story: Story, situation: str) -> None:
    """Silent, in the middle of words or of a call: cancelled soon, the model hung up on."""
    place, gate = SITUATIONS[situation], story.model.gate()
    place.script(story.model, gate)
    run = story.run(story.thread("Hi"), story.assistant(tools=[WEATHER]))
    gate.wait_until_reached()
    answer = story.cancel(run)
    assert (answer.status, answer.usage, answer.cancelled_at) == ("cancelling", None, None)
    gone = story.wait(run, "cancelled")
    assert story.model.requests[0].gone.wait(10)
    assert gone.cancelled_at >= gone.started_at
    assert gone.required_action is None
    open_steps = [step for step in story.steps(run) if step.status == "in_progress"]
    assert open_steps == []


def test_a_run_that_ends_while_it_is_cancelled(story: Story) -> None:
    """Both at once, many times: one of the two wins, and everything agrees on which."""
    refused = 0
    for _ in range(12):
        gate = story.model.gate()
        story.model.says("Hello", gate, ".")
        run = story.run(story.thread("Hi"), story.assistant())
        wait_for(lambda run=run: story.steps(run), bool, "the first words")
        opening = threading.Thread(target=gate.open)
        opening.start()
        words = refusal(lambda run=run: story.cancel(run))
        opening.join()
        ended = story.wait(run)
        assert words in {None, "Cannot cancel run with status 'completed'."}
        refused += words is not None
        assert ended.status in ({"completed"} if words else {"completed", "cancelled"})
        times = present(ended.model_dump(), ["completed_at", "cancelled_at"])
        assert times == {f"{ended.status}_at"}
        (step,) = story.steps(run)
        if step is None:
            assert ended.status == "cancelled"
            continue
        message = story.threads.messages.list(run.thread_id, run_id=run.id).data[0]
        if ended.status == "completed":
            assert (step.status, message.status, text_of(message)) == (
                "completed",
                "completed",
                "Hello.",
            )
        else:
            # The words may all have come before the end was noticed.
            assert step.status in {"cancelled", "completed"}
            assert message.status == ("completed" if step.status == "completed" else "incomplete")
        story.threads.messages.create(run.thread_id, role="user", content="Still there?")


@pytest.fixture
def two_doors(
    servers: Any, db: str, tmp_path: Path, upstream: ScriptedUpstream, model: Model, ledger: Ledger
) -> Iterator[tuple[Story, Story, Adjutant]]:
    """Two processes on one database, and the first of them: what it works on, the other only knows by its row."""
    if db == "sqlite":
        pytest.skip("a SQLite database belongs to one process")
    # No lease runs out in the time of a test.
    settings = {"ADJUTANT_LOG": "info", "ADJUTANT_RUNS_LEASE_SECONDS": "120"}
    first = servers.new(db, settings=settings)
    second = Adjutant(
        tmp_path,
        upstream=upstream.base_url,
        database_url=first._database_url,
        settings=settings,
    )
    clients = (openai_client(server.base_url, ledger) for server in (first, second))
    here, there = (Story(client, model, ledger) for client in clients)
    yield here, there, first
    second.stop()
    first.stop()


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_model_that_ends_after_the_run_was_cancelled(
    two_doors: tuple[Story, Story, Adjutant], situation: str
) -> None:
    """Cancelled through another process while its worker sleeps, the run is `cancelling` until that wakes.

    Until then nothing else is allowed; what the model still says does not undo it.
    """
    here, there, worker = two_doors
    place, gate = SITUATIONS[situation], here.model.gate()
    place.script(here.model, gate)
    run = here.run(here.thread("Hi"), here.assistant(tools=[WEATHER]))
    gate.wait_until_reached()
    # The worker may not have read yet what came before the gate.
    stored = place.told.count("run.step.created")
    wait_for(lambda: here.steps(run), lambda steps: len(steps) == stored, "what was said so far")
    worker.pause()
    assert there.cancel(run).status == "cancelling"
    assert there.cancel(run).status == "cancelling"
    shown = there.look(run)
    assert (shown.status, shown.usage, shown.required_action) == ("cancelling", None, None)
    assert shown.started_at is not None and shown.expires_at is not None
    ids = {"thread_id": run.thread_id, "run_id": run.id}
    thread = there.threads.retrieve(run.thread_id)
    told = [
        refusal(lambda: there.runs.submit_tool_outputs(**ids, tool_outputs=[])),
        refusal(lambda: there.runs.update(**ids, metadata={})),
        refusal(lambda: there.threads.messages.create(thread.id, role="user", content="And?")),
        refusal(lambda: there.run(thread, there.assistant())),
    ]
    assert told == [
        'Runs in status "cancelling" do not accept tool outputs.',
        "Cannot update run with status 'cancelling'.",
        f"Can't add messages to {thread.id} while a run {run.id} is active.",
        f"Thread {thread.id} already has an active run {run.id}.",
    ]
    gate.open()
    worker.go_on()
    there.wait(run, "cancelled")
    assert {step.status for step in there.steps(run)} <= {"cancelled", "completed"}
    there.threads.messages.create(thread.id, role="user", content="Still there?")


def test_a_stream_whose_worker_was_away_too_long(
    servers: Any, tmp_path: Path, upstream: ScriptedUpstream, model: Model, ledger: Ledger, db: str
) -> None:
    """Another process has taken the run over: the stream says so, and SDKs raise what it says."""
    if db == "sqlite":
        pytest.skip("a SQLite database belongs to one process")
    settings = {"ADJUTANT_LOG": "info", "ADJUTANT_RUNS_LEASE_SECONDS": "2"}
    away = servers.new(db, settings=settings)
    other = Adjutant(
        tmp_path, upstream=upstream.base_url, database_url=away._database_url, settings=settings
    )
    try:
        # The checkers would call a broken stream what it is.
        here = Story(openai_client(away.base_url, Ledger()), model, ledger)
        gate = model.gate()
        model.says("Half a ", gate, "sentence.").then_says("Whole.")
        thread = here.thread("Hi")
        stream = here.runs.create(
            thread_id=thread.id, assistant_id=here.assistant().id, stream=True
        )
        gate.wait_until_reached()
        os.kill(away.pid, signal.SIGSTOP)
        model.wait_for_requests(2)
        there = Story(openai_client(other.base_url, ledger), model, ledger)
        run = there.wait(there.runs.list(thread.id).data[0], "completed")
        os.kill(away.pid, signal.SIGCONT)
        gate.open()
        with pytest.raises(openai.APIError, match=f"interrupted, the run was not: .*{run.id}"):
            list(stream)
        assert there.messages(thread.id) == [("user", "Hi"), ("assistant", "Whole.")]
    finally:
        other.stop()


def test_cancel_a_waiting_run_from_another_process(two_doors: tuple[Story, Story, Adjutant]) -> None:
    """A parked run has no worker: any process can end it at once."""
    here, there, _ = two_doors
    here.model.calls("weather", {"city": "Oslo"})
    run = here.ask("Hi", assistant=here.assistant(tools=[WEATHER]))
    assert there.cancel(run).status == "cancelling"
    here.wait(run, "cancelled")


# -- expiry ----------------------------------------------------------------------------
@pytest.mark.parametrize("situation", ["silence", "words", "waiting"])
def test_a_run_expires_while_no_server_is_there(
    servers: Any, db: str, connect: Any, situation: str
) -> None:
    """Its time was over before anybody came back to it."""
    server: Adjutant = servers.new(db, settings=HASTE)
    story: Story = connect(server)
    if situation == "waiting":
        story.model.calls("weather", {"city": "Oslo"})
        run = story.ask("Hi", assistant=story.assistant(tools=[WEATHER]))
    else:
        gate = story.model.gate()
        SITUATIONS[situation].script(story.model, gate)
        run = story.run(story.thread("Hi"), story.assistant())
        gate.wait_until_reached()
    server.kill()
    # It may come back in time to go on; then it must still not outlive its time.
    story.model.always(Answer((story.model.gate(), "Too late.")))
    server.start()
    story = connect(server)
    gone = story.wait(run, "expired")
    assert (gone.completed_at, gone.failed_at, gone.cancelled_at) == (None, None, None)
    assert all(step.status == "expired" for step in story.steps(run))
    story.threads.messages.create(run.thread_id, role="user", content="Still there?")
    server.stop()


# -- deletion --------------------------------------------------------------------------
def test_a_deleted_thread_takes_a_waiting_run_along(story: Story) -> None:
    run = bring_to(story, "requires_action")
    story.threads.delete(run.thread_id)
    for action in (
        lambda: story.look(run),
        lambda: story.cancel(run),
        lambda: story.submit(run, "-5"),
        lambda: story.steps(run),
        lambda: story.runs.list(run.thread_id),
    ):
        with pytest.raises(openai.NotFoundError):
            action()


def test_a_run_goes_on_without_its_assistant(story: Story) -> None:
    """Deleted while the run waits: it is answered all the same, but no new run can begin."""
    run = bring_to(story, "requires_action")
    story.client.beta.assistants.delete(run.assistant_id)
    story.model.says("Cold.")
    story.submit(run, "-5")
    done = story.wait(run, "completed")
    assert (done.assistant_id, done.instructions) == (run.assistant_id, "Be brief.")
    with pytest.raises(openai.NotFoundError) as error:
        story.runs.create(thread_id=run.thread_id, assistant_id=run.assistant_id)
    assert error.value.body["message"] == f"No assistant found with id '{run.assistant_id}'."


def test_each_way_to_end_frees_the_thread(story: Story) -> None:
    """One after the other on one thread; the list shows how each of them ended."""
    thread, assistant = story.thread("Hi"), story.assistant(tools=[WEATHER])
    story.model.says("One.").says("Tw", finish="length").fails(401)
    story.model.calls("weather", {"city": "Oslo"}).says("Four.")
    for status in ("completed", "incomplete", "failed", "requires_action", "completed"):
        run = story.wait(story.run(thread, assistant), status)
        if status == "requires_action":
            story.cancel(run)
            story.wait(run, "cancelled")
    listed = [run.status for run in story.runs.list(thread.id)]
    assert listed == ["completed", "cancelled", "failed", "incomplete", "completed"]
    assert set(listed) <= TERMINAL


# -- starting --------------------------------------------------------------------------
def test_the_way_through_a_run(http: httpx.Client, story: Story) -> None:
    """As every answer on the way shows it: queued, at work, waiting, queued again, done."""
    gates = [story.model.hold()]
    story.model.calls("weather", {"city": "Oslo"})
    gates.append(story.model.hold())
    story.model.says("Cold.")
    assistant, thread = story.assistant(tools=[WEATHER]), story.thread("Hi")
    path = f"/threads/{thread.id}/runs"
    seen = [http.post(path, json={"assistant_id": assistant.id}).json()]
    path = f"{path}/{seen[0]['id']}"
    gates[0].wait_until_reached()
    seen.append(http.get(path).json())
    gates[0].open()
    story.wait(story.runs.retrieve(seen[0]["id"], thread_id=thread.id), "requires_action")
    seen.append(http.get(path).json())
    (call,) = seen[-1]["required_action"]["submit_tool_outputs"]["tool_calls"]
    outputs = {"tool_outputs": [{"tool_call_id": call["id"]}]}
    seen.append(http.post(f"{path}/submit_tool_outputs", json=outputs).json())
    gates[1].wait_until_reached()
    seen.append(http.get(path).json())
    gates[1].open()
    story.wait(story.runs.retrieve(seen[0]["id"], thread_id=thread.id), "completed")
    seen.append(http.get(path).json())
    assert [run["status"] for run in seen] == [
        "queued",
        "in_progress",
        "requires_action",
        "queued",
        "in_progress",
        "completed",
    ]
    assert [run["required_action"] is None for run in seen] == [True, True, False, True, True, True]
    assert [run["usage"] is None for run in seen] == [True] * 5 + [False]
    assert [run["expires_at"] for run in seen] == [seen[0]["created_at"] + 600] * 5 + [None]
    assert seen[0]["started_at"] is None and seen[4]["started_at"] >= seen[2]["started_at"]
    # A missing output is an empty one.
    assert story.model.requests[1].messages[-1]["content"] == ""


def test_a_run_that_goes_on_starts_anew(servers: Any, db: str, connect: Any) -> None:
    """Recorded: queued again it shows its first start, then a new one, and expires no later."""
    server: Adjutant = servers.new(db)
    story: Story = connect(server)
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    parked = story.ask("Hi", assistant=story.assistant(tools=[WEATHER]))
    server.restart_later(300)
    story = connect(server)
    queued = story.submit(parked, "-5")
    assert (queued.status, queued.started_at) == ("queued", parked.started_at)
    done = story.wait(parked, "completed")
    assert done.started_at >= parked.started_at + 300
    assert done.created_at == parked.created_at
    assert queued.expires_at == parked.expires_at == parked.created_at + 600
    server.stop()


def test_another_key_of_the_lock(servers: Any, db: str, ledger: Ledger, story: Story) -> None:
    """A thread is busy for everybody who may see it, whichever client began the run."""
    gate = story.model.gate()
    story.model.says(gate, "Hello.")
    run = story.run(story.thread("Hi"), story.assistant())
    gate.wait_until_reached()
    other = http_client(servers.shared(db).base_url, ledger, "another")
    said = {"role": "user", "content": "And?"}
    answer = other.post(f"/threads/{run.thread_id}/messages", json=said)
    assert answer.status_code == 400
    gate.open()
    story.wait(run, "completed")
