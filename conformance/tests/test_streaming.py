"""Streamed runs as the official SDK sees them; `streams.py` checks every event besides."""

from __future__ import annotations

import asyncio
from typing import Any

from openai import AssistantEventHandler, AsyncAssistantEventHandler, AsyncOpenAI

from harness.ledger import Ledger
from harness.scripted import Model
from harness.sdk import async_openai_client, httpx
from harness.server import Adjutant
from harness.story import MESSAGE, Story, function_tool, outline, outputs_for, wait_for

WEATHER = function_tool("weather")
PREAMBLE = ["run.created", "run.queued", "run.in_progress"]
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
    """Some clients say so in each of the three requests that can be streamed."""
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.").then_says("Hello.")
    assistant = story.assistant(tools=[WEATHER])
    run = story.wait(story.run(story.thread("Hi"), assistant, stream=False), "requires_action")
    submitted = story.runs.submit_tool_outputs(
        run.id, thread_id=run.thread_id, tool_outputs=outputs_for(run, "-5"), stream=False
    )
    assert submitted.status == "queued"
    story.wait(run, "completed")
    thread = {"messages": [{"role": "user", "content": "Hi"}]}
    run = story.threads.create_and_run(assistant_id=assistant.id, thread=thread, stream=False)
    assert run.status == "queued"
    story.wait(run, "completed")


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


# -- what the SDK tells a program ------------------------------------------------------
class Everything(AssistantEventHandler):
    """Notes every callback of the SDK by its name, and what matters of it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    def on_run_step_created(self, run_step: Any) -> None:
        self.heard.append(f"step created: {run_step.type}")

    def on_run_step_done(self, run_step: Any) -> None:
        self.heard.append(f"step done: {run_step.status}")

    def on_tool_call_created(self, tool_call: Any) -> None:
        self.heard.append(f"call created: {tool_call.function.name}")

    def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        if delta.function.arguments:
            self.heard.append(f"call so far: {snapshot.function.arguments}")

    def on_tool_call_done(self, tool_call: Any) -> None:
        self.heard.append(f"call done: {tool_call.function.arguments}")

    def on_message_created(self, message: Any) -> None:
        self.heard.append(f"message created: {message.content}")

    def on_text_done(self, text: Any) -> None:
        self.heard.append(f"text done: {text.value}")

    def on_message_done(self, message: Any) -> None:
        self.heard.append(f"message done: {message.content[0].text.value}")

    def on_exception(self, exception: Exception) -> None:
        self.heard.append(exception)

    def on_timeout(self) -> None:
        self.heard.append("timeout")

    def on_end(self) -> None:
        self.heard.append("end")


CALLED = [
    "step created: tool_calls",
    "call created: weather",
    'call so far: {"city":"Oslo"}',
    'call done: {"city":"Oslo"}',
]
SAID = [
    "step created: message_creation",
    "message created: []",
    "text done: Cold.",
    "message done: Cold.",
    "step done: completed",
    "end",
]


def without_repeats(heard: list[Any]) -> list[Any]:
    """Some SDKs tell of the end of a call more than once (contract §6)."""
    return [one for one, before in zip(heard, [None, *heard], strict=False) if one != before]


def test_each_callback_of_a_thread_and_its_run(story: Story) -> None:
    """`create_and_run_stream`, then `submit_tool_outputs_stream`, each with a handler."""
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold", ".")
    calling, going_on = Everything(), Everything()
    thread = {"messages": [{"role": "user", "content": "Hi"}]}
    with story.threads.create_and_run_stream(
        assistant_id=story.assistant(tools=[WEATHER]).id, thread=thread, event_handler=calling
    ) as stream:
        stream.until_done()
        run = stream.current_run
    assert run.status == "requires_action"
    heard = without_repeats([one for one in calling.heard if not one.startswith("call so far")])
    assert heard == [*CALLED[:2], CALLED[3], "end"]
    assert CALLED[2] in calling.heard
    with story.runs.submit_tool_outputs_stream(
        thread_id=run.thread_id,
        run_id=run.id,
        tool_outputs=outputs_for(run, "-5"),
        event_handler=going_on,
    ) as stream:
        stream.until_done()
        assert stream.get_final_run().status == "completed"
        assert [step.type for step in stream.get_final_run_steps()][-1] == "message_creation"
    heard = [one for one in going_on.heard if not str(one).startswith("call ")]
    assert heard == ["step done: completed", *SAID]


class AsyncWeatherman(AsyncAssistantEventHandler):
    """Answers the call from inside its event handler, before the first stream has ended."""

    def __init__(self, client: AsyncOpenAI) -> None:
        super().__init__()
        self.client = client
        self.text = ""

    async def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value

    async def on_event(self, event: Any) -> None:
        if event.event == "thread.run.requires_action":
            again = AsyncWeatherman(self.client)
            async with self.client.beta.threads.runs.submit_tool_outputs_stream(
                thread_id=event.data.thread_id,
                run_id=event.data.id,
                tool_outputs=outputs_for(event.data, "-5"),
                event_handler=again,
            ) as stream:
                await stream.until_done()
            self.text += again.text


def test_the_asynchronous_handler_submits_from_within(
    server: Adjutant, ledger: Ledger, story: Story
) -> None:
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold", ".")
    thread, assistant = story.thread("Hi"), story.assistant(tools=[WEATHER])

    async def answer() -> str:
        async with async_openai_client(server.base_url, ledger) as client:
            handler = AsyncWeatherman(client)
            async with client.beta.threads.runs.stream(
                thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
            ) as stream:
                await stream.until_done()
            return handler.text

    assert asyncio.run(answer()) == "Cold."
    assert [run.status for run in story.runs.list(thread.id)] == ["completed"]


def test_a_long_answer_in_many_deltas(story: Story) -> None:
    """More of them than any client keeps at once."""
    pieces = [f"{number} " for number in range(5000)]
    story.model.says(*pieces)
    thread, assistant = story.thread("Count."), story.assistant()
    with story.runs.stream(thread_id=thread.id, assistant_id=assistant.id) as stream:
        assert "".join(stream.text_deltas) == "".join(pieces)
        (message,) = stream.get_final_messages()
    assert message.content[0].text.value == "".join(pieces)
