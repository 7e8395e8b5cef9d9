"""Streams taken up again, or begun late: every event with an id, nothing missed, nothing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness import streams
from harness.ledger import Ledger
from harness.scripted import Model, Pause
from harness.sdk import httpx, openai_client
from harness.story import MESSAGE, Story, function_tool

pytestmark = pytest.mark.once
Frame = tuple[str, str, Any]


def path_of(run: Any) -> str:
    return f"/threads/{run.thread_id}/runs/{run.id}/stream"


def frames(lines: Iterator[str]) -> Iterator[Frame]:
    """(id, event, data) of each event."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line and "event" in fields:
            data = fields["data"]
            yield (
                fields.get("id", ""),
                fields["event"],
                json.loads(data) if data != "[DONE]" else data,
            )
            fields = {}
        name, _, value = line.partition(": ")
        fields[name] = value


def follow(http: httpx.Client, run: Any, last: str | None = None) -> list[Frame]:
    headers = {"last-event-id": last} if last else {}
    with http.stream("GET", path_of(run), headers=headers) as answer:
        assert answer.status_code == 200
        return list(frames(answer.iter_lines()))


def names(told: list[Frame]) -> list[str]:
    return [event.removeprefix("thread.") for _, event, _ in told]


def text(told: list[Frame]) -> str:
    deltas = [data for _, event, data in told if event == "thread.message.delta"]
    return "".join(part["text"]["value"] for delta in deltas for part in delta["delta"]["content"])


def test_a_finished_run_is_told_again_whole(story: Story, http: httpx.Client) -> None:
    story.model.says("안녕", "하세요 ", "👋🏽")
    run = story.ask("Hi")
    told = follow(http, run)
    begun = ["run.created", "run.queued", "run.in_progress"]
    assert names(told) == [*begun, *MESSAGE, "run.completed", "done"]
    assert text(told) == "안녕하세요 👋🏽"
    assert all(id for id, _, _ in told)


def test_a_late_client_hears_what_was_said_and_then_the_rest(
    story: Story, http: httpx.Client
) -> None:
    """The words so far come as one delta, the others as the model says them."""
    gate = story.model.gate()
    story.model.says("One, ", "two, ", gate, "three.")
    first = story.runs.create(
        thread_id=story.thread("Count").id, assistant_id=story.assistant().id, stream=True
    )
    heard = ""
    for event in first:
        if event.event == "thread.message.created":
            run_id, thread_id = event.data.run_id, event.data.thread_id
        if event.event == "thread.message.delta":
            heard += event.data.delta.content[0].text.value
        if heard == "One, two, ":
            break
    run = story.runs.retrieve(run_id, thread_id=thread_id)
    with http.stream("GET", path_of(run)) as answer:
        told = []
        for frame in frames(answer.iter_lines()):
            told.append(frame)
            if frame[1] == "thread.message.in_progress":
                gate.open()
    assert text(told) == "One, two, three."
    assert names(told)[-2:] == ["run.completed", "done"]
    list(first)


def test_a_client_goes_on_after_the_last_event_it_heard(story: Story, http: httpx.Client) -> None:
    """Within a step it hears the step again, so that SDKs can add up; between, only the rest."""
    story.model.says("Hello.")
    run = story.ask("Hi")
    whole = follow(http, run)
    for position, (last, event, _) in enumerate(whole[:-1]):
        told = follow(http, run, last)
        after = names(whole)[position + 1 :]
        if event == "thread.run.in_progress" or event.endswith("step.completed"):
            assert names(told) == after
        else:
            assert names(told)[-len(after) :] == after
            assert text(told) in {"", "Hello."}


def test_a_waiting_run_is_told_and_goes_on_after_its_outputs(
    story: Story, http: httpx.Client
) -> None:
    story.model.calls("weather", {"city": "부산"}, saying="Let me look.").then_says("Sunny.")
    assistant = story.assistant(tools=[function_tool("weather")])
    parked = story.wait(story.run(story.thread("Weather?"), assistant), "requires_action")
    told = follow(http, parked)
    assert names(told)[-2:] == ["run.requires_action", "done"]
    arguments = [
        call["function"].get("arguments", "")
        for _, event, data in told
        if event == "thread.run.step.delta"
        for call in data["delta"]["step_details"]["tool_calls"]
    ]
    assert json.loads("".join(arguments)) == {"city": "부산"}
    last = told[-1][0]
    assert names(follow(http, parked, last)) == ["run.requires_action", "done"]
    story.wait(story.submit(parked, "sunny"), "completed")
    rest = names(follow(http, parked, last))
    assert rest[:3] == ["run.step.completed", "run.queued", "run.in_progress"]
    assert rest[3:] == [*MESSAGE, "run.completed", "done"]


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_runs_that_ended_badly_are_told_too(story: Story, http: httpx.Client, end: str) -> None:
    gate = story.model.gate()
    story.model.says("Half a ", gate, "sentence", finish="length" if end == "failed" else None)
    run = story.run(story.thread("Hi"), story.assistant())
    with http.stream("GET", path_of(run)) as answer:
        told = []
        for frame in frames(answer.iter_lines()):
            told.append(frame)
            if frame[1] == "thread.message.delta" and end == "cancelled":
                story.cancel(run)
            if frame[1] == "thread.message.delta":
                gate.open()
    ending = {"failed": "run.incomplete", "cancelled": "run.cancelled"}[end]
    assert names(told)[-2:] == [ending, "done"]
    assert "message.incomplete" in names(told)


def test_a_stream_has_ids_when_it_is_asked_for_them(story: Story, server: Any) -> None:
    """`Adjutant-Event-Ids: true` on the request that starts the run, or goes on with it."""
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    assistant = story.assistant(tools=[function_tool("weather")])
    thread = story.thread("Weather?")
    asked = {"adjutant-event-ids": "true"}
    with httpx.Client(base_url=server.base_url, headers=asked, timeout=20) as client:
        body = {"assistant_id": assistant.id, "stream": True}
        first = client.post(f"/threads/{thread.id}/runs", json=body).content
        run = story.runs.list(thread.id).data[0]
        (call,) = run.required_action.submit_tool_outputs.tool_calls
        outputs = [{"tool_call_id": call.id, "output": "cold"}]
        path = f"/threads/{thread.id}/runs/{run.id}/submit_tool_outputs"
        second = client.post(path, json={"tool_outputs": outputs, "stream": True}).content
    assert not streams.check_bytes(first, "attach").violations
    assert not streams.check_bytes(second, "attach").violations
    told = list(frames(iter(second.decode().split("\n"))))
    assert names(told)[0] == "run.step.completed" and text(told) == "Cold."
    assert all(id for id, _, _ in told)


def test_sdks_read_on_after_a_comment_between_events_with_ids(
    servers: Any, db: str, model: Model, ledger: Ledger
) -> None:
    """They keep the last id, and take an empty line after a comment for an event that has it."""
    server = servers.shared(db, ADJUTANT_RUNS_KEEPALIVE_SECONDS="1")
    # It takes streams with ids only from the path that always has some.
    unchecked = Ledger()
    story = Story(openai_client(server.base_url, unchecked), model, ledger)
    model.says("At ", Pause(2.5), "last.")
    thread, assistant = story.thread("Hi"), story.assistant()
    asked = {"Adjutant-Event-Ids": "true"}
    events = story.stream(thread, assistant, extra_headers=asked)
    assert events[-1].event == "thread.run.completed"
    assert unchecked.streams[-1].comments >= 2


def test_a_stream_that_begins_with_its_thread_has_ids_too(
    story: Story, server: Any, http: httpx.Client
) -> None:
    """Whoever heard of the thread alone goes on at the run's beginning."""
    story.model.says("Hello.")
    body = {
        "assistant_id": story.assistant().id,
        "thread": {"messages": [{"role": "user", "content": "Hi"}], "metadata": {"of": "mine"}},
        "stream": True,
    }
    asked = {"adjutant-event-ids": "true"}
    with httpx.Client(base_url=server.base_url, headers=asked, timeout=20) as client:
        first = client.post("/threads/runs", json=body).content
    assert not streams.check_bytes(first, "attach").violations
    told = list(frames(iter(first.decode().split("\n"))))
    assert names(told)[:2] == ["created", "run.created"] and text(told) == "Hello."
    assert all(id for id, _, _ in told)
    thread = told[0][2]
    assert thread == http.get(f"/threads/{thread['id']}").json()
    run = story.runs.list(thread["id"]).data[0]
    assert names(follow(http, run, told[0][0])) == names(told)[1:]
    assert names(follow(http, run)) == names(told)[1:]


def test_a_stream_has_no_ids_otherwise(story: Story, server: Any) -> None:
    story.model.says("Hello.")
    body = {"assistant_id": story.assistant().id, "stream": True}
    path = f"/threads/{story.thread('Hi').id}/runs"
    with httpx.Client(base_url=server.base_url, timeout=20) as client:
        assert b"id: " not in client.post(path, json=body).content.replace(b'"id": ', b"")


@pytest.mark.parametrize("last", ["x", "1", "1.x", "-1.2", "1.2.3", ""])
def test_an_id_of_no_event_is_refused(story: Story, http: httpx.Client, last: str) -> None:
    story.model.says("Hello.")
    answer = http.get(path_of(story.ask("Hi")), headers={"last-event-id": last})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "Last-Event-ID"


def test_a_missing_run_has_no_stream(http: httpx.Client) -> None:
    thread = http.post("/threads", json={}).json()["id"]
    assert http.get(f"/threads/{thread}/runs/run_missing/stream").status_code == 404
