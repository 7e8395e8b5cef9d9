"""The SDK's polling: each call comes back when the run rests, however it came to (contract §7)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.story import Story, function_tool, outputs_for, wait_for

WEATHER = function_tool("weather")


def script(story: Story, status: str) -> None:
    """What the model does that leaves a run in this state."""
    match status:
        case "completed":
            story.model.says("Cold.")
        case "requires_action":
            story.model.calls("weather", {"city": "Oslo"})
        case "incomplete":
            story.model.says("Co", finish="length")
        case "failed":
            story.model.fails(401)
        case "cancelled" | "expired":
            story.model.says("Half a ", story.model.gate(), "sentence.")


@pytest.mark.parametrize(
    "status", ["completed", "requires_action", "incomplete", "failed", "cancelled", "expired"]
)
def test_polling_ends_in_every_state_of_rest(
    servers: Any, db: str, connect: Any, story: Story, status: str
) -> None:
    """Nobody waits for ever, and nobody is told of a run that is still at work."""
    if status == "expired":
        story = connect(servers.shared(db, ADJUTANT_RUNS_EXPIRES_SECONDS="2"))
    script(story, status)
    thread, assistant = story.thread("Hi"), story.assistant(tools=[WEATHER])
    with ThreadPoolExecutor(1) as programs:
        polled = programs.submit(
            story.runs.create_and_poll,
            thread_id=thread.id,
            assistant_id=assistant.id,
            poll_interval_ms=50,
        )
        if status == "cancelled":
            run = wait_for(lambda: story.runs.list(thread.id).data, bool, "the run")[0]
            story.cancel(run)
        rested = polled.result(30)
    assert rested.status == status
    assert rested == story.look(rested)


def test_a_thread_and_its_run_are_polled(story: Story) -> None:
    story.model.says("Hello.")
    run = story.threads.create_and_run_poll(
        assistant_id=story.assistant().id,
        thread={"messages": [{"role": "user", "content": "Hi"}]},
        poll_interval_ms=50,
    )
    assert run.status == "completed"
    assert story.messages(run.thread_id)[-1] == ("assistant", "Hello.")


def test_a_run_that_is_polled_tells_how_often(story: Story) -> None:
    """Without an interval of its own, the SDK asks as often as the answers say."""
    story.model.calls("weather", {"city": "Oslo"}).then_calls("weather", {"city": "Rome"})
    story.model.says("Cold and warm.")
    run = story.runs.create_and_poll(
        thread_id=story.thread("Hi").id, assistant_id=story.assistant(tools=[WEATHER]).id
    )
    for output in ("-5", "18"):
        assert run.status == "requires_action"
        run = story.runs.submit_tool_outputs_and_poll(
            run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs_for(run, output)
        )
    assert run.status == "completed"
    assert story.runs.poll(run_id=run.id, thread_id=run.thread_id) == run
