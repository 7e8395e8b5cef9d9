"""Cancelling, expiring and locking: every run ends, and no thread stays locked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from harness.scripted import Answer
from harness.server import Adjutant
from harness.story import Story, function_tool

WEATHER = function_tool("weather")


def held_run(story: Story, **options: Any) -> tuple[Any, Any]:
    """A run whose model is thinking, and the gate that lets it speak."""
    gate = story.model.hold()
    story.model.says("Hello.")
    run = story.run(story.thread("Hi"), story.assistant(), **options)
    gate.wait_until_reached()
    return run, gate


def parked_run(story: Story) -> Any:
    story.model.calls("weather", {"city": "Oslo"})
    return story.ask("Weather?", assistant=story.assistant(tools=[WEATHER]))


def assert_thread_is_free(story: Story, thread_id: str) -> None:
    """The next message on the thread is taken and answered."""
    story.model.says("Back again.")
    story.threads.messages.create(thread_id, role="user", content="Still there?")
    thread = story.threads.retrieve(thread_id)
    assert story.wait(story.run(thread, story.assistant())).status == "completed"
    assert story.messages(thread_id)[-1] == ("assistant", "Back again.")


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(openai.BadRequestError) as error:
        action()
    return error.value.body["message"]


# -- cancel ----------------------------------------------------------------------------
def test_cancel_while_the_model_thinks(story: Story) -> None:
    run, gate = held_run(story)
    assert story.cancel(run).status in {"cancelling", "cancelled"}
    gone = story.wait(run, "cancelled")
    assert gone.cancelled_at is not None
    assert (gone.completed_at, gone.failed_at, gone.last_error) == (None, None, None)
    gate.open()
    assert_thread_is_free(story, run.thread_id)


def test_cancel_hangs_up_on_the_model(story: Story) -> None:
    """Nobody pays for words that nobody waits for."""
    run, _ = held_run(story)
    story.cancel(run)
    assert story.model.requests[0].gone.wait(10)
    story.wait(run, "cancelled")


def test_cancel_in_the_middle_of_an_answer_keeps_the_words_so_far(story: Story) -> None:
    gate = story.model.gate()
    story.model.says("Half a ", gate, "sentence.")
    thread, assistant = story.thread("Hi"), story.assistant()
    stream = story.runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True)
    events = []
    for event in stream:
        events.append(event)
        if event.event == "thread.message.delta":
            story.cancel(events[0].data)
    names = [name.removeprefix("thread.") for name in story.last_stream.names]
    ending = [n for n in names if n != "run.cancelling"][-4:]
    assert ending == ["message.incomplete", "run.step.cancelled", "run.cancelled", "done"]
    answer = story.threads.messages.list(thread.id).data[0]
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "run_cancelled")
    assert answer.content[0].text.value == "Half a "
    assert_thread_is_free(story, thread.id)


def test_cancel_while_the_program_is_waited_for(story: Story) -> None:
    """The call is void; its output comes too late."""
    run = parked_run(story)
    story.cancel(run)
    gone = story.wait(run, "cancelled")
    assert gone.required_action is None
    assert [step.status for step in story.steps(run)] == ["cancelled"]
    message = refusal(lambda: story.submit(run, "-5"))
    assert message == 'Runs in status "cancelled" do not accept tool outputs.'
    assert_thread_is_free(story, run.thread_id)


def test_cancel_at_once_after_creation(story: Story) -> None:
    """Whether still queued or already running, the run ends and the thread is free."""
    gate = story.model.gate()
    story.model.always(Answer(("Too ", gate, "late.")))
    run = story.run(story.thread("Hi"), story.assistant())
    story.cancel(run)
    story.wait(run, "cancelled")
    gate.open()
    assert_thread_is_free(story, run.thread_id)


def test_a_finished_run_cannot_be_cancelled(story: Story) -> None:
    story.model.says("Hello.")
    run = story.ask("Hi")
    assert refusal(lambda: story.cancel(run)) == "Cannot cancel run with status 'completed'."


def test_a_cancelled_run_cannot_be_cancelled_again(story: Story) -> None:
    run = parked_run(story)
    story.cancel(run)
    story.wait(run, "cancelled")
    assert refusal(lambda: story.cancel(run)) == "Cannot cancel run with status 'cancelled'."


# -- expiry ----------------------------------------------------------------------------
@pytest.fixture
def hasty(servers: Any, db: str, connect: Callable[[Adjutant], Story]) -> Story:
    """A server whose runs expire after two seconds instead of ten minutes."""
    return connect(servers.shared(db, ADJUTANT_RUNS_EXPIRES_SECONDS="2"))


def test_a_program_that_never_answers_lets_the_run_expire(hasty: Story) -> None:
    run = parked_run(hasty)
    assert run.expires_at == run.created_at + 2
    gone = hasty.wait(run, "expired")
    assert (gone.required_action, gone.completed_at, gone.failed_at) == (None, None, None)
    assert [step.status for step in hasty.steps(run)] == ["expired"]
    message = refusal(lambda: hasty.submit(run, "-5"))
    assert message == 'Runs in status "expired" do not accept tool outputs.'
    assert_thread_is_free(hasty, run.thread_id)


def test_a_model_that_never_answers_lets_the_run_expire(hasty: Story) -> None:
    run, _ = held_run(hasty)
    hasty.wait(run, "expired")
    assert hasty.model.requests[0].gone.wait(10)
    assert_thread_is_free(hasty, run.thread_id)


def test_a_stream_tells_of_the_expiry(hasty: Story) -> None:
    gate = hasty.model.gate()
    hasty.model.says("Half a ", gate, "sentence.")
    events = hasty.stream(hasty.thread("Hi"), hasty.assistant())
    names = [name.removeprefix("thread.") for name in hasty.last_stream.names]
    assert names[-4:] == ["message.incomplete", "run.step.expired", "run.expired", "done"]
    answer = hasty.threads.messages.list(events[-1].data.thread_id).data[0]
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "run_expired")


def test_a_run_that_waited_and_went_on_keeps_its_time_limit(hasty: Story) -> None:
    """Submitting does not start the ten minutes anew."""
    hasty.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    run = hasty.ask("Weather?", assistant=hasty.assistant(tools=[WEATHER]))
    assert hasty.submit(run, "-5").expires_at == run.expires_at
    hasty.wait(run, "completed")


# -- the lock --------------------------------------------------------------------------
def lock_refusals(story: Story, run: Any) -> list[str]:
    thread, assistant = story.threads.retrieve(run.thread_id), story.assistant()
    return [
        refusal(lambda: story.threads.messages.create(thread.id, role="user", content="And?")),
        refusal(lambda: story.run(thread, assistant)),
        refusal(lambda: story.run(thread, assistant, stream=True)),
    ]


def expected_refusals(run: Any) -> list[str]:
    active = f"Thread {run.thread_id} already has an active run {run.id}."
    add = f"Can't add messages to {run.thread_id} while a run {run.id} is active."
    return [add, active, active]


def test_a_busy_thread_takes_no_message_and_no_run(story: Story) -> None:
    run, gate = held_run(story)
    assert lock_refusals(story, run) == expected_refusals(run)
    gate.open()
    story.wait(run, "completed")
    assert_thread_is_free(story, run.thread_id)


def test_a_waiting_thread_takes_no_message_and_no_run(story: Story) -> None:
    run = parked_run(story)
    assert lock_refusals(story, run) == expected_refusals(run)
    story.cancel(run)
    story.wait(run, "cancelled")
    assert_thread_is_free(story, run.thread_id)


@pytest.mark.parametrize("streamed", [False, True], ids=["polled", "streamed"])
def test_of_many_runs_at_once_one_is_taken(story: Story, streamed: bool) -> None:
    """A user who presses the button again and again is answered once."""
    gate = story.model.hold()
    story.model.says("Hello.")
    thread, assistant = story.thread("Hi"), story.assistant()
    more = [{"role": "user", "content": "Well?"}]
    together = threading.Barrier(8)

    def begin(_: int) -> str | None:
        together.wait(10)
        try:
            story.run(thread, assistant, additional_messages=more, stream=streamed)
        except openai.BadRequestError as error:
            return error.body["message"]
        return None

    with ThreadPoolExecutor(8) as programs:
        told = list(programs.map(begin, range(8)))
    (run,) = story.runs.list(thread.id).data
    active = f"Thread {thread.id} already has an active run {run.id}."
    assert sorted(told, key=str) == sorted([None, *[active] * 7], key=str)
    gate.open()
    story.wait(run, "completed")
    expected = [("user", "Hi"), ("user", "Well?"), ("assistant", "Hello.")]
    assert story.messages(thread.id) == expected


def test_a_refused_run_leaves_nothing_behind(story: Story) -> None:
    """Its additional messages are not stored either."""
    run, gate = held_run(story)
    thread = story.threads.retrieve(run.thread_id)
    more = [{"role": "user", "content": "Never stored"}]
    refusal(lambda: story.run(thread, story.assistant(), additional_messages=more))
    gate.open()
    story.wait(run, "completed")
    assert story.messages(thread.id) == [("user", "Hi"), ("assistant", "Hello.")]
    assert [r.id for r in story.runs.list(thread.id)] == [run.id]


def test_the_sdk_does_not_retry_on_a_busy_thread(story: Story) -> None:
    """A locked thread is a 400: with 409 the SDK would ask again and again."""
    run, gate = held_run(story)
    before = len(story.ledger.exchanges)
    patient = story.client.with_options(max_retries=2)
    refusal(
        lambda: patient.beta.threads.messages.create(run.thread_id, role="user", content="And?")
    )
    assert len(story.ledger.exchanges) == before + 1
    gate.open()
    story.wait(run, "completed")


def test_a_live_run_cannot_be_modified(story: Story) -> None:
    run, gate = held_run(story)
    message = refusal(
        lambda: story.runs.update(run.id, thread_id=run.thread_id, metadata={"a": "b"})
    )
    assert message == "Cannot update run with status 'in_progress'."
    gate.open()
    story.wait(run, "completed")


def test_outputs_are_refused_while_the_model_thinks(story: Story) -> None:
    run, gate = held_run(story)
    outputs = [{"tool_call_id": "call_x", "output": ""}]
    message = refusal(
        lambda: story.runs.submit_tool_outputs(
            run.id, thread_id=run.thread_id, tool_outputs=outputs
        )
    )
    assert message == 'Runs in status "in_progress" do not accept tool outputs.'
    gate.open()
    story.wait(run, "completed")


def test_a_busy_thread_can_be_deleted(story: Story) -> None:
    """Its run goes with it, and the model is hung up on."""
    run, _ = held_run(story)
    story.threads.delete(run.thread_id)
    assert story.model.requests[0].gone.wait(10)
    with pytest.raises(openai.NotFoundError):
        story.look(run)


def test_the_assistant_of_a_live_run_can_be_deleted(story: Story) -> None:
    """The run has its own copy of everything it needs."""
    run, gate = held_run(story)
    story.client.beta.assistants.delete(run.assistant_id)
    gate.open()
    assert story.wait(run).status == "completed"
