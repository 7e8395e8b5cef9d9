"""Function tools: the model calls, the program answers, the model goes on."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai import AssistantEventHandler

from harness.scripted import Call, Usage
from harness.story import MESSAGE, Story, function_tool, outputs_for

WEATHER = function_tool("weather")
CLOCK = function_tool("clock", zone={"type": "string"})
PREAMBLE = ["run.created", "run.queued", "run.in_progress"]
STEP = ["run.step.created", "run.step.in_progress", "run.step.delta"]


def calls_of(run: Any) -> list[tuple[str, Any]]:
    calls = run.required_action.submit_tool_outputs.tool_calls
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


def weather_run(story: Story) -> Any:
    """A run that waits for the weather in Oslo."""
    run = story.ask("Weather in Oslo?", assistant=story.assistant(tools=[WEATHER]))
    assert run.status == "requires_action"
    return run


# -- by polling ------------------------------------------------------------------------
def test_the_program_answers_a_call(story: Story) -> None:
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    run = weather_run(story)
    assert calls_of(run) == [("weather", {"city": "Oslo"})]
    assert (run.usage, run.required_action.type) == (None, "submit_tool_outputs")
    resumed = story.submit(run, "-5 °C")
    assert (resumed.status, resumed.required_action) == ("queued", None)
    assert story.wait(run).status == "completed"
    assert story.messages(run.thread_id) == [("user", "Weather in Oslo?"), ("assistant", "Cold.")]


def test_the_model_hears_its_call_and_the_output(story: Story) -> None:
    """The upstream gets the tools, then its own call back with the output of the program."""
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    run = weather_run(story)
    story.submit(run, "-5 °C")
    story.wait(run)
    first, second = story.model.requests
    (tool,) = first.body["tools"]
    assert tool["type"] == "function"
    assert tool["function"]["name"] == "weather"
    assert tool["function"]["parameters"] == WEATHER["function"]["parameters"]
    asked, answered = second.messages[-2:]
    (call,) = asked["tool_calls"]
    assert asked["role"] == "assistant"
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    assert (answered["role"], answered["content"]) == ("tool", "-5 °C")
    assert answered["tool_call_id"] == call["id"]


def test_the_step_of_a_call_waits_and_then_keeps_its_output(story: Story) -> None:
    story.model.calls("weather", {"city": "Oslo"}, usage=Usage(10, 5)).then_says(
        "Cold.", usage=Usage(20, 2)
    )
    run = weather_run(story)
    (waiting,) = story.steps(run)
    assert (waiting.type, waiting.status, waiting.usage) == ("tool_calls", "in_progress", None)
    assert waiting.step_details.tool_calls[0].function.output is None
    story.submit(run, "-5 °C")
    done = story.wait(run)
    called, said = story.steps(run)
    assert (called.id, called.status, called.usage.total_tokens) == (waiting.id, "completed", 15)
    assert called.step_details.tool_calls[0].function.output == "-5 °C"
    assert (said.type, said.usage.total_tokens) == ("message_creation", 22)
    assert done.usage.total_tokens == 37


def test_several_calls_of_one_turn_share_a_step(story: Story) -> None:
    story.model.calls_all(
        Call("weather", {"city": "Oslo"}),
        Call("clock", {"zone": "CET"}),
        Call("weather", {"city": "서울"}),
    ).then_says("Cold, noon, mild.")
    run = story.ask("All?", assistant=story.assistant(tools=[WEATHER, CLOCK]))
    expected = [
        ("weather", {"city": "Oslo"}),
        ("clock", {"zone": "CET"}),
        ("weather", {"city": "서울"}),
    ]
    assert calls_of(run) == expected
    ids = [call.id for call in run.required_action.submit_tool_outputs.tool_calls]
    assert len(set(ids)) == 3 and all(id.startswith("call_") for id in ids)
    # The order of the outputs is the program's own affair.
    backwards = outputs_for(run, "-5", "12:00", "18")[::-1]
    story.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=backwards)
    story.wait(run, "completed")
    step = story.steps(run)[0]
    assert [c.function.output for c in step.step_details.tool_calls] == ["-5", "12:00", "18"]
    tools = {m["tool_call_id"]: m["content"] for m in story.model.requests[1].messages[-3:]}
    assert sorted(tools.values()) == ["-5", "12:00", "18"]


def test_several_rounds(story: Story) -> None:
    """A model may call again after it has seen the first output."""
    story.model.calls("weather", {"city": "Oslo"}, usage=Usage(1, 1))
    story.model.calls("weather", {"city": "Bergen"}, usage=Usage(2, 2))
    story.model.says("Cold and wet.", usage=Usage(3, 3))
    run = weather_run(story)
    story.submit(run, "-5")
    run = story.wait(run, "requires_action")
    assert calls_of(run) == [("weather", {"city": "Bergen"})]
    story.submit(run, "rain")
    done = story.wait(run, "completed")
    assert done.usage.total_tokens == 12
    assert [step.type for step in story.steps(run)] == [
        "tool_calls",
        "tool_calls",
        "message_creation",
    ]
    roles = [role for role, _ in story.model.requests[2].said]
    assert roles == ["user", "assistant", "tool", "assistant", "tool"]


def test_text_before_a_call_is_a_message_of_its_own(story: Story) -> None:
    story.model.calls_all(Call("weather", {"city": "Oslo"}), saying="Let me look.")
    story.model.says("Cold.")
    run = weather_run(story)
    assert story.messages(run.thread_id)[-1] == ("assistant", "Let me look.")
    story.submit(run, "-5")
    story.wait(run, "completed")
    assert [text for _, text in story.messages(run.thread_id)[1:]] == ["Let me look.", "Cold."]
    types = [step.type for step in story.steps(run)]
    assert types == ["message_creation", "tool_calls", "message_creation"]


def test_a_later_run_remembers_calls_of_earlier_runs(story: Story) -> None:
    """Whether or not tool messages are replayed, the words of the thread are."""
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.").then_says("I said: cold.")
    run = weather_run(story)
    story.submit(run, "-5")
    story.wait(run, "completed")
    thread = story.threads.retrieve(run.thread_id)
    story.threads.messages.create(thread.id, role="user", content="Again?")
    story.wait(story.run(thread, story.assistant(tools=[WEATHER])), "completed")
    said = [pair for pair in story.model.requests[2].said if pair[0] != "tool" and pair[1]]
    assert said == [("user", "Weather in Oslo?"), ("assistant", "Cold."), ("user", "Again?")]


@pytest.mark.parametrize("output", ["", "한국 🌮", "x" * 100_000, '{"json": [1, 2]}'])
def test_any_text_is_an_output(story: Story, output: str) -> None:
    story.model.calls("weather", {"city": "Oslo"}).then_says("Ok.")
    run = weather_run(story)
    story.submit(run, output)
    story.wait(run, "completed")
    assert story.model.requests[1].messages[-1]["content"] == output


def test_a_call_without_arguments(story: Story) -> None:
    """Some models send an empty text where they mean an empty object."""
    story.model.calls("weather", "").then_says("Ok.")
    run = weather_run(story)
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    assert json.loads(call.function.arguments or "{}") == {}
    story.submit(run, "fine")
    story.wait(run, "completed")


def test_submit_and_poll_of_the_sdk(story: Story) -> None:
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    run = weather_run(story)
    done = story.runs.submit_tool_outputs_and_poll(
        run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs_for(run, "-5")
    )
    assert done.status == "completed"


# -- streamed --------------------------------------------------------------------------
def test_a_streamed_call_in_the_recorded_order(story: Story) -> None:
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    events = story.stream(story.thread("Hi"), story.assistant(tools=[WEATHER]))
    assert story.stream_names() == [*PREAMBLE, *STEP, "run.requires_action", "done"]
    run = events[-1].data
    resumed = story.runs.submit_tool_outputs(
        run.id, thread_id=run.thread_id, tool_outputs=outputs_for(run, "-5"), stream=True
    )
    list(resumed)
    expected = ["run.step.completed", "run.queued", "run.in_progress", *MESSAGE]
    assert story.stream_names() == [*expected, "run.completed", "done"]


def test_a_program_may_submit_before_it_has_read_the_streams_end(story: Story) -> None:
    """`requires_action` is stored before it is told: submitting from within the loop works."""
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    thread, assistant = story.thread("Hi"), story.assistant(tools=[WEATHER])
    stream = story.runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True)
    for event in stream:
        if event.event == "thread.run.requires_action":
            story.submit(event.data, "-5")
    assert story.wait(event.data).status == "completed"


def test_text_before_a_call_streams_as_a_whole_message(story: Story) -> None:
    story.model.calls_all(Call("weather", {"city": "Oslo"}), saying="Let me look.")
    run = story.stream(story.thread("Hi"), story.assistant(tools=[WEATHER]))[-1].data
    assert story.stream_names() == [*PREAMBLE, *MESSAGE, *STEP, "run.requires_action", "done"]
    story.cancel(run)


def test_streamed_parallel_calls_and_rounds(story: Story) -> None:
    story.model.calls_all(Call("weather", {"city": "Oslo"}), Call("clock", {"zone": "CET"}))
    story.model.calls("weather", {"city": "Bergen"}).then_says("Done.")
    assistant = story.assistant(tools=[WEATHER, CLOCK])
    run = story.stream(story.thread("Hi"), assistant)[-1].data
    assert calls_of(run) == [("weather", {"city": "Oslo"}), ("clock", {"zone": "CET"})]
    for outputs in (["-5", "12:00"], ["rain"]):
        stream = story.runs.submit_tool_outputs(
            run.id, thread_id=run.thread_id, tool_outputs=outputs_for(run, *outputs), stream=True
        )
        run = list(stream)[-1].data
    assert run.status == "completed"
    second = [*STEP, "run.requires_action", "done"]
    names = ["run.step.completed", "run.queued", "run.in_progress", *second]
    assert [
        n.removeprefix("thread.") for n in dict.fromkeys(story.ledger.streams[1].names)
    ] == names


class Weatherman(AssistantEventHandler):
    """The program of OpenAI's guide: it submits from inside its event handler."""

    def __init__(self, story: Story) -> None:
        super().__init__()
        self.story = story
        self.arguments = ""
        self.text = ""

    def on_tool_call_delta(self, delta: Any, snapshot: Any) -> None:
        self.arguments += delta.function.arguments or ""

    def on_text_delta(self, delta: Any, snapshot: Any) -> None:
        self.text += delta.value or ""

    def on_event(self, event: Any) -> None:
        if event.event == "thread.run.requires_action":
            again = Weatherman(self.story)
            outputs = outputs_for(event.data, "-5")
            with self.story.runs.submit_tool_outputs_stream(
                thread_id=event.data.thread_id,
                run_id=event.data.id,
                tool_outputs=outputs,
                event_handler=again,
            ) as stream:
                stream.until_done()
            self.text += again.text


def test_the_handler_of_the_guide(story: Story) -> None:
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold", ".")
    handler = Weatherman(story)
    thread, assistant = story.thread("Hi"), story.assistant(tools=[WEATHER])
    with story.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    assert json.loads(handler.arguments) == {"city": "Oslo"}
    assert handler.text == "Cold."


# -- refused ---------------------------------------------------------------------------
def test_outputs_must_be_the_whole_set(story: Story) -> None:
    """A wrong set is refused with the real API's words, and the run goes on waiting."""
    story.model.calls_all(Call("weather", {"city": "Oslo"}), Call("weather", {"city": "Rome"}))
    story.model.says("Ok.")
    run = weather_run(story)
    outputs = outputs_for(run, "-5", "20")
    a, b = (output["tool_call_id"] for output in outputs)
    refused = {
        f"Expected tool outputs for call_ids ['{a}', '{b}'], got ['{a}']": outputs[:1],
        f"Expected tool outputs for call_ids ['{a}', '{b}'], got []": [],
        f"Expected tool outputs for call_ids ['{a}', '{b}'], got ['{a}', 'call_x']": [
            outputs[0],
            {"tool_call_id": "call_x", "output": ""},
        ],
        f"Expected tool outputs for call_ids ['{a}', '{b}'], got ['{a}', '{a}']": [outputs[0]] * 2,
        f"Expected tool outputs for call_ids ['{a}', '{b}'], got ['{a}', '{b}', '{b}']": [
            *outputs,
            outputs[1],
        ],
    }
    for message, wrong in refused.items():
        with pytest.raises(openai.BadRequestError) as error:
            story.runs.submit_tool_outputs(run.id, thread_id=run.thread_id, tool_outputs=wrong)
        assert error.value.body["message"] == message
    assert story.look(run).status == "requires_action"
    story.submit(run, "-5", "20")
    assert story.wait(run).status == "completed"


def test_of_many_submissions_at_once_one_is_taken(story: Story) -> None:
    """The model hears one output, and nobody is told that another was taken."""
    gate = story.model.gate()
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.", gate)
    run = weather_run(story)
    together = threading.Barrier(8)

    def submit(number: int) -> bool:
        together.wait(10)
        try:
            story.submit(run, f"output {number}")
        except openai.BadRequestError as error:
            assert error.body["message"].endswith("do not accept tool outputs.")
            return False
        return True

    with ThreadPoolExecutor(8) as programs:
        taken = list(programs.map(submit, range(8)))
    assert taken.count(True) == 1
    gate.open()
    story.wait(run, "completed")
    output = f"output {taken.index(True)}"
    assert story.model.requests[1].messages[-1]["content"] == output
    assert story.steps(run)[0].step_details.tool_calls[0].function.output == output


def test_outputs_are_taken_once(story: Story) -> None:
    gate = story.model.gate()
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.", gate)
    run = weather_run(story)
    story.submit(run, "-5")
    gate.wait_until_reached()
    for status in ("in_progress", "completed"):
        with pytest.raises(openai.BadRequestError) as error:
            story.submit(run, "again")
        message = f'Runs in status "{status}" do not accept tool outputs.'
        assert error.value.body["message"] == message
        gate.open()
        story.wait(run, "completed")
