"""Messages and runs for a thread on which a run is at work: refused, queued, or let through."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import openai
import pytest

from harness.server import Adjutant
from harness.story import Story, wait_for

pytestmark = pytest.mark.once
Connect = Callable[[Adjutant], Story]
QUEUE = {"Adjutant-Busy-Thread": "queue"}
INTERRUPT = {"Adjutant-Busy-Thread": "interrupt"}


def say(story: Story, thread: Any, text: str, headers: dict[str, str]) -> Any:
    return story.threads.messages.create(
        thread.id, role="user", content=text, extra_headers=headers
    )


def test_queued_messages_and_runs_wait_their_turn_in_order(story: Story) -> None:
    gate = story.model.hold()
    story.model.says("First.").then_says("Second.")
    thread, assistant = story.thread("one"), story.assistant()
    first = story.run(thread, assistant)
    story.model.wait_for_requests(1)
    with ThreadPoolExecutor() as clients:
        message: Future[Any] = clients.submit(say, story, thread, "two", QUEUE)
        gate.open()
        message.result()
        second = story.run(thread, assistant, extra_headers=QUEUE)
        assert story.wait(first).status == story.wait(second).status == "completed"
    assert [text for _, text in story.messages(thread.id)] == ["one", "First.", "two", "Second."]


def test_a_queued_request_waits_and_is_not_lost(story: Story) -> None:
    """Nothing is stored before the live run has ended, and then it is."""
    gate = story.model.hold()
    story.model.says("First.")
    thread = story.thread("one")
    run = story.run(thread, story.assistant())
    story.model.wait_for_requests(1)
    with ThreadPoolExecutor() as clients:
        message = clients.submit(say, story, thread, "two", QUEUE)
        assert story.messages(thread.id) == [("user", "one")]
        assert story.look(run).status == "in_progress" and not message.done()
        gate.open()
        assert message.result().content[0].text.value == "two"


def test_an_interrupting_run_cancels_the_one_at_work(story: Story) -> None:
    story.model.hold()
    story.model.says("Never.").then_says("Instead.")
    thread, assistant = story.thread("one"), story.assistant()
    first = story.run(thread, assistant)
    story.model.wait_for_requests(1)
    second = story.run(thread, assistant, extra_headers=INTERRUPT)
    assert story.wait(second).status == "completed"
    assert story.look(first).status == "cancelled"


def test_an_interrupting_message_frees_a_thread_that_waits_for_outputs(story: Story) -> None:
    story.model.calls("weather", {"city": "Oslo"})
    tools = [{"type": "function", "function": {"name": "weather"}}]
    thread = story.thread("Weather?")
    parked = story.wait(story.run(thread, story.assistant(tools=tools)), "requires_action")
    say(story, thread, "Never mind.", INTERRUPT)
    assert story.look(parked).status == "cancelled"


def test_the_setting_holds_for_requests_that_say_nothing(
    servers: Any, db: str, connect: Connect
) -> None:
    story = connect(servers.shared(db, ADJUTANT_RUNS_BUSY_THREADS="interrupt"))
    story.model.hold()
    story.model.says("Never.").then_says("Instead.")
    thread, assistant = story.thread("one"), story.assistant()
    first = story.run(thread, assistant)
    story.model.wait_for_requests(1)
    with pytest.raises(openai.BadRequestError):
        say(story, thread, "two", {"Adjutant-Busy-Thread": "reject"})
    second = story.run(thread, assistant)
    assert story.wait(second).status == "completed"
    wait_for(lambda: story.look(first).status, lambda status: status == "cancelled", "the end")


def test_another_word_is_refused(story: Story) -> None:
    with pytest.raises(openai.BadRequestError, match="'reject', 'queue', and 'interrupt'"):
        say(story, story.thread("one"), "two", {"Adjutant-Busy-Thread": "hurry"})
