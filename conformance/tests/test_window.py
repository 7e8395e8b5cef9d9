"""What the model reads of a thread that is longer than it can read, and what a run may cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.scripted import Usage
from harness.server import Adjutant
from harness.story import Story, function_tool

pytestmark = pytest.mark.once
Connect = Callable[[Adjutant], Story]


@pytest.fixture
def small(servers: Any, db: str, connect: Connect) -> Story:
    """A server whose models read and write 2,000 tokens at once."""
    return connect(servers.shared(db, ADJUTANT_CONTEXT_TOKENS="2000"))


def texts(story: Story, request: int = -1) -> list[str]:
    return [message.get("content") for message in story.model.requests[request].body["messages"]]


def test_a_thread_that_fits_is_read_whole(small: Story) -> None:
    small.model.says("Yes.")
    small.wait(
        small.run(small.thread("one", "둘", "three"), small.assistant(instructions="Be brief."))
    )
    assert texts(small) == ["Be brief.", "one", "둘", "three"]


@pytest.mark.parametrize("filler", ["filler words ", "채우는 말 "])
def test_a_long_thread_keeps_its_first_message_and_its_newest(small: Story, filler: str) -> None:
    """The middle is dropped: what the thread is about stays, and what was said last."""
    told = [f"{number}: {filler * 20}" for number in range(60)]
    small.model.says("Yes.")
    run = small.wait(small.run(small.thread(*told), small.assistant(instructions="Be brief.")))
    assert run.status == "completed"
    read = texts(small)
    assert read[:2] == ["Be brief.", told[0]]
    newest = read[2:]
    assert newest == told[-len(newest) :] and 5 < len(newest) < 40


def test_what_is_read_never_exceeds_the_window(small: Story) -> None:
    """Counted as bytes of English, of which a token has four or so: far below the window's end."""
    small.model.says("Yes.")
    small.wait(small.run(small.thread(*["word " * 100] * 100), small.assistant()))
    words = sum(len(text.split()) for text in texts(small))
    assert 1000 < words < 2000


def test_a_call_is_never_read_without_its_output(small: Story) -> None:
    """Calls stay in the conversation of later runs, each with its answer, or not at all."""
    assistant = small.assistant(tools=[function_tool("weather")])
    thread = small.thread("How is the weather?")
    for number in range(12):
        small.model.calls("weather", {"city": f"City {number}"}).then_says("Noted.")
        parked = small.wait(small.run(thread, assistant), "requires_action")
        small.submit(parked, "sunny " * 150)
        small.wait(parked, "completed")
        small.threads.messages.create(thread.id, role="user", content=f"And number {number}?")
    last = small.model.requests[-1].body["messages"]
    asked = [call["id"] for message in last for call in message.get("tool_calls", [])]
    answered = [message["tool_call_id"] for message in last if message["role"] == "tool"]
    assert asked == answered and 0 < len(asked) < 12


def test_a_message_longer_than_the_window_ends_the_run_in_words(small: Story) -> None:
    thread = small.thread("short", "long " * 4000)
    run = small.wait(small.run(thread, small.assistant()), "failed")
    assert run.last_error.code == "invalid_prompt"
    assert "2000 tokens" in run.last_error.message
    small.model.says("Better.")
    small.threads.messages.create(thread.id, role="user", content="Sorry.")
    again = small.run(thread, small.assistant())
    assert small.wait(again).status == "completed"


def test_max_prompt_tokens_cuts_the_thread(story: Story) -> None:
    told = [f"{number}: " + "word " * 50 for number in range(30)]
    story.model.says("Yes.")
    run = story.run(story.thread(*told), story.assistant(), max_prompt_tokens=400)
    assert story.wait(run).status == "completed"
    read = texts(story)
    assert read[-1] == told[-1] and 1 < len(read) < 9


def test_a_message_longer_than_max_prompt_tokens_ends_incomplete(story: Story) -> None:
    run = story.run(story.thread("word " * 2000), story.assistant(), max_prompt_tokens=256)
    ended = story.wait(run, "incomplete")
    assert ended.incomplete_details.reason == "max_prompt_tokens"


@pytest.mark.parametrize(
    ("limit", "usage", "reason"),
    [
        ("max_prompt_tokens", Usage(300, 5), "max_prompt_tokens"),
        ("max_completion_tokens", Usage(5, 300), "max_completion_tokens"),
    ],
)
def test_token_limits_are_for_the_whole_run(
    story: Story, limit: str, usage: Usage, reason: str
) -> None:
    """The first turn used it up: the model is not asked for a second one."""
    story.model.calls("weather", {"city": "Oslo"}, usage=usage)
    assistant = story.assistant(tools=[function_tool("weather")])
    parked = story.wait(story.run(story.thread("Weather?"), assistant, **{limit: 300}))
    assert parked.status == "requires_action"
    ended = story.wait(story.submit(parked, "cold"), "incomplete")
    assert ended.incomplete_details.reason == reason
    assert len(story.model.requests) == 1


def test_what_is_left_of_max_completion_tokens_is_passed_on(story: Story) -> None:
    story.model.calls("weather", {"city": "Oslo"}, usage=Usage(10, 40)).then_says("Cold.")
    assistant = story.assistant(tools=[function_tool("weather")])
    parked = story.wait(story.run(story.thread("Hi"), assistant, max_completion_tokens=300))
    story.wait(story.submit(parked, "cold"), "completed")
    asked = [request.body["max_completion_tokens"] for request in story.model.requests]
    assert asked == [300, 260]
