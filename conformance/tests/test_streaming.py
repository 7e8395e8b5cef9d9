"""Streamed runs as the official SDK sees them; `streams.py` checks every event besides."""

from __future__ import annotations

import asyncio
from typing import Any

from openai import AssistantEventHandler

from harness.ledger import Ledger
from harness.scripted import Model
from harness.sdk import async_openai_client, httpx
from harness.server import Adjutant
from harness.story import Story, outline, wait_for

PREAMBLE = ["run.created", "run.queued", "run.in_progress"]
MESSAGE = [
    "run.step.created",
    "run.step.in_progress",
    "message.created",
    "message.in_progress",
    "message.delta",
    "message.completed",
    "run.step.completed",
]
ENDING = ["run.completed", "done"]


def test_a_streamed_answer_in_the_recorded_order(story: Story) -> None:
    story.model.says("Hel", "lo", "!")
    story.stream(story.thread("Hi"), story.assistant())
    assert story.stream_names() == PREAMBLE + MESSAGE + ENDING


def test_each_delta_of_the_model_is_one_event(story: Story) -> None:
    """Words reach the client in the pieces in which the model wrote them."""
    pieces = ["서", "울", "은", " 🌮", "!"]
    story.model.says(*pieces)
    events = story.stream(story.thread("Hi"), story.assistant())
    deltas = [event.data for event in events if event.event == "thread.message.delta"]
    assert [delta.delta.content[0].text.value for delta in deltas] == pieces


def test_words_arrive_before_the_model_has_finished(story: Story) -> None:
    """Streaming is real: the first word is read while the model still waits at the second."""
    gate = story.model.gate()
    story.model.says("First", gate, " second")
    stream = story.runs.create(
        thread_id=story.thread("Hi").id, assistant_id=story.assistant().id, stream=True
    )
    for event in stream:
        if event.event == "thread.message.delta":
            assert event.data.delta.content[0].text.value == "First"
            break
    gate.open()
    rest = [event.event for event in stream]
    assert rest[0] == "thread.message.delta" and rest[-1] == "thread.run.completed"


def test_what_was_streamed_is_what_is_stored(story: Story) -> None:
    """The objects in the last events are those that a later request reads."""
    story.model.says("Hello", ".")
    events = {e.event: e.data for e in story.stream(story.thread("Hi"), story.assistant())}
    run = events["thread.run.completed"]
    message = events["thread.message.completed"]
    assert story.look(run) == run
    assert story.threads.messages.retrieve(message.id, thread_id=run.thread_id) == message
    (step,) = story.steps(run)
    # Recorded: a finished step has no `expires_at` by request, though its event had.
    told = events["thread.run.step.completed"].model_dump(exclude={"expires_at"})
    assert step.model_dump(exclude={"expires_at"}) == told


def test_a_thread_and_its_run_in_one_stream(story: Story) -> None:
    story.model.says("Hello.")
    thread = {"messages": [{"role": "user", "content": "Hi"}]}
    assistant = story.assistant()
    list(story.threads.create_and_run(assistant_id=assistant.id, thread=thread, stream=True))
    assert story.stream_names() == ["created", *PREAMBLE, *MESSAGE, *ENDING]


class Handler(AssistantEventHandler):
    """Notes what the SDK tells a program."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    def on_text_created(self, text: Any) -> None:
        self.heard.append(("created", text.value))

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.heard.append((delta.value, snapshot.value))

    def on_text_done(self, text: Any) -> None:
        self.heard.append(("done", text.value))

    def on_message_done(self, message: Any) -> None:
        self.heard.append(("message", message.status))

    def on_end(self) -> None:
        self.heard.append("end")


def test_the_sdk_tells_its_handler_everything(story: Story) -> None:
    story.model.says("Hel", "lo")
    handler = Handler()
    thread, assistant = story.thread("Hi"), story.assistant()
    stream = story.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    )
    with stream as s:
        s.until_done()
    assert handler.heard == [
        ("created", "Hel"),
        ("Hel", "Hel"),
        ("lo", "Hello"),
        ("done", "Hello"),
        ("message", "completed"),
        "end",
    ]
    assert s.get_final_run().status == "completed"
    assert [message.content[0].text.value for message in s.get_final_messages()] == ["Hello"]


def test_the_asynchronous_sdk_streams_alike(server: Adjutant, ledger: Ledger, story: Story) -> None:
    story.model.says("Hel", "lo")
    thread, assistant = story.thread("Hi"), story.assistant()

    async def read() -> str:
        async with async_openai_client(server.base_url, ledger) as client:
            stream = client.beta.threads.runs.stream(thread_id=thread.id, assistant_id=assistant.id)
            async with stream as s:
                return "".join([text async for text in s.text_deltas])

    assert asyncio.run(read()) == "Hello"


def test_an_incomplete_answer_streams_to_its_end(story: Story) -> None:
    story.model.says("Once upon", finish="length")
    story.stream(story.thread("Hi"), story.assistant())
    assert story.stream_names() == [
        *PREAMBLE,
        *MESSAGE[:5],
        "message.incomplete",
        "run.step.completed",
        "run.incomplete",
        "done",
    ]


def test_a_client_that_leaves_does_not_stop_the_run(story: Story, http: httpx.Client) -> None:
    """The answer is there when the user comes back."""
    gate = story.model.gate()
    story.model.says("Half", gate, " and whole.")
    assistant, thread = story.assistant(), story.thread("Hi")
    body = {"assistant_id": assistant.id, "stream": True}
    with http.stream("POST", f"/threads/{thread.id}/runs", json=body) as answer:
        for line in answer.iter_lines():
            if line == "event: thread.message.delta":
                break
    gate.open()
    run = wait_for(
        lambda: story.runs.list(thread.id).data[0],
        lambda run: run.status == "completed",
        "the abandoned run",
    )
    assert not story.model.requests[0].gone.is_set()
    assert story.messages(run.thread_id)[-1] == ("assistant", "Half and whole.")


def test_stream_false_is_an_ordinary_answer(story: Story) -> None:
    story.model.says("Hello.")
    run = story.run(story.thread("Hi"), story.assistant(), stream=False)
    assert story.wait(run).status == "completed"


def test_streams_of_many_clients_do_not_mix(story: Story, model: Model) -> None:
    """Each of several open streams gets its own words only."""
    gates = []
    streams = []
    for number in range(5):
        gate = model.gate()
        gates.append(gate)
        model.says(f"a{number}", gate, f"b{number}")
        thread, assistant = story.thread("Hi"), story.assistant()
        streams.append(
            story.runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True)
        )
        gate.wait_until_reached()
    for gate in reversed(gates):
        gate.open()
    for number, stream in enumerate(streams):
        deltas = [e.data for e in stream if e.event == "thread.message.delta"]
        assert [d.delta.content[0].text.value for d in deltas] == [f"a{number}", f"b{number}"]
    assert all(outline(s.names)[-1] == "done" for s in story.ledger.streams)
