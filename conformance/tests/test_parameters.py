"""What each parameter of a run does, seen where it matters: in what the model is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest

from harness import recorded
from harness.ledger import Ledger
from harness.scripted import Call, Model, ScriptedUpstream, Usage
from harness.sdk import httpx, openai_client
from harness.server import Adjutant
from harness.story import Story, function_tool

Json = dict[str, Any]
pytestmark = pytest.mark.once
WEATHER, CLOCK = function_tool("weather"), function_tool("clock")
ABSENT = object()
FORCED_WEATHER = {"type": "function", "function": {"name": "weather"}}
MATHS = {
    "type": "object",
    "properties": {"answer": {"type": "string"}},
    "required": ["answer"],
    "additionalProperties": False,
}
JSON_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "maths",
        "description": "A result",
        "schema": MATHS,
        "strict": True,
    },
}


@dataclass(frozen=True)
class Effect:
    """What a run is given, and what then stands in the request to the model."""

    given: Json
    asked: Json
    assistant: Json = field(default_factory=dict)


def sampled(key: str, value: float, asked: Any) -> dict[str, Effect]:
    """The same, whether the assistant or the run says it."""
    return {
        f"{key} {value}": Effect({key: value}, {key: asked}),
        f"{key} {value} of the assistant": Effect({}, {key: asked}, {key: value}),
        f"{key} {value} over the assistant's": Effect({key: value}, {key: asked}, {key: 0.5}),
    }


EFFECTS: dict[str, Effect] = {
    # 1 is what the API fills in where nobody said anything: the model's own default is better.
    **sampled("temperature", 0, 0),
    **sampled("temperature", 2, 2),
    **sampled("temperature", 1, ABSENT),
    **sampled("top_p", 0, 0),
    **sampled("top_p", 0.9, 0.9),
    **sampled("top_p", 1, ABSENT),
    "nothing said": Effect(
        {},
        dict.fromkeys(
            "temperature top_p response_format tools tool_choice parallel_tool_calls "
            "max_completion_tokens max_tokens reasoning_effort metadata".split(),
            ABSENT,
        ),
    ),
    # response_format
    "format auto": Effect({"response_format": "auto"}, {"response_format": ABSENT}),
    "format text": Effect(
        {"response_format": {"type": "text"}}, {"response_format": {"type": "text"}}
    ),
    "format json": Effect(
        {"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}
    ),
    "format schema": Effect({"response_format": JSON_SCHEMA}, {"response_format": JSON_SCHEMA}),
    "format of the assistant": Effect(
        {}, {"response_format": JSON_SCHEMA}, {"response_format": JSON_SCHEMA}
    ),
    "format over the assistant's": Effect(
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_object"}},
        {"response_format": JSON_SCHEMA},
    ),
    "format auto over the assistant's": Effect(
        {"response_format": "auto"}, {"response_format": ABSENT}, {"response_format": JSON_SCHEMA}
    ),
    # tools and their choice
    "choice auto": Effect({"tool_choice": "auto"}, {"tool_choice": ABSENT}, {"tools": [WEATHER]}),
    "choice none": Effect({"tool_choice": "none"}, {"tool_choice": "none"}, {"tools": [WEATHER]}),
    "choice required": Effect(
        {"tool_choice": "required"}, {"tool_choice": "required"}, {"tools": [WEATHER]}
    ),
    "choice of a function": Effect(
        {"tool_choice": FORCED_WEATHER}, {"tool_choice": FORCED_WEATHER}, {"tools": [WEATHER]}
    ),
    # Models' servers refuse a choice where there is nothing to choose from.
    "choice without tools": Effect({"tool_choice": "required"}, {"tool_choice": ABSENT}),
    "one call at a time": Effect(
        {"parallel_tool_calls": False}, {"parallel_tool_calls": False}, {"tools": [WEATHER]}
    ),
    "one call at a time without tools": Effect(
        {"parallel_tool_calls": False}, {"parallel_tool_calls": ABSENT}
    ),
    "no tools over the assistant's": Effect({"tools": []}, {"tools": ABSENT}, {"tools": [WEATHER]}),
    # reasoning
    **{
        f"effort {effort}": Effect({"reasoning_effort": effort}, {"reasoning_effort": effort})
        for effort in "none minimal low medium high xhigh max".split()
    },
    "effort of the assistant": Effect({}, {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    "effort over the assistant's": Effect(
        {"reasoning_effort": "high"}, {"reasoning_effort": "high"}, {"reasoning_effort": "low"}
    ),
    # what the model has no business with
    "metadata": Effect({"metadata": {"user": "ada"}}, {"metadata": ABSENT, "user": ABSENT}),
}


def asked(story: Story, given: Json, **assistant: Any) -> Json:
    """A whole run with one answer; returns the body in which the model was asked for it."""
    story.model.says("{}")
    made = story.assistant(**{key: v for key, v in assistant.items() if key != "reasoning_effort"})
    if "reasoning_effort" in assistant:
        body = {"reasoning_effort": assistant["reasoning_effort"]}
        story.client.beta.assistants.update(made.id, extra_body=body)
    run = story.run(story.thread("Answer in JSON."), made, extra_body=given)
    story.wait(run, "completed")
    (seen,) = story.model.requests
    return seen.body


@pytest.mark.parametrize("name", EFFECTS)
def test_effect(story: Story, name: str) -> None:
    effect = EFFECTS[name]
    body = asked(story, effect.given, **effect.assistant)
    told = {key: body.get(key, ABSENT) for key in effect.asked}
    assert told == effect.asked


@pytest.mark.parametrize("kind", ["parallel calls by default", "parallel calls asked for"])
def test_parallel_calls_are_not_forbidden(story: Story, kind: str) -> None:
    given = {"parallel_tool_calls": True} if "asked" in kind else {}
    body = asked(story, given, tools=[WEATHER])
    assert body.get("parallel_tool_calls", True) is True


def test_another_model_for_one_run(story: Story, upstream: ScriptedUpstream) -> None:
    """The run's model answers, and its name stands in the run; the assistant keeps its own."""
    other = upstream.model().says("I am the other one.")
    assistant = story.assistant()
    run = story.ask("Who are you?", assistant=assistant, model=other.name)
    assert run.model == other.name
    assert story.messages(run.thread_id)[-1] == ("assistant", "I am the other one.")
    assert story.client.beta.assistants.retrieve(assistant.id).model == story.model.name
    assert (len(other.requests), story.model.requests) == (1, [])


def test_tools_of_one_run(story: Story) -> None:
    """They replace the assistant's, for the run alone."""
    story.model.calls("clock").then_says("Noon.")
    assistant = story.assistant(tools=[WEATHER])
    run = story.ask("Time?", assistant=assistant, tools=[CLOCK])
    assert [tool.function.name for tool in run.tools] == ["clock"]
    story.submit(run, "12:00")
    story.wait(run, "completed")
    for seen in story.model.requests:
        assert [tool["function"]["name"] for tool in seen.body["tools"]] == ["clock"]
    kept = story.client.beta.assistants.retrieve(assistant.id).tools
    assert [tool.function.name for tool in kept] == ["weather"]


def test_a_function_reaches_the_model_whole(story: Story) -> None:
    """Name, description, parameters and strictness, as the program wrote them."""
    function = {"name": "solve", "description": "수학", "parameters": MATHS, "strict": True}
    body = asked(story, {"tools": [{"type": "function", "function": function}]})
    assert body["tools"] == [{"type": "function", "function": function}]


@pytest.mark.parametrize("choice", ["required", FORCED_WEATHER], ids=["required", "function"])
def test_a_choice_is_forced_once(story: Story, choice: Any) -> None:
    """In the first question only, or the model would call for ever; the run still shows it."""
    story.model.calls("weather").then_calls("weather").then_says("Cold.")
    run = story.ask("Hi", assistant=story.assistant(tools=[WEATHER]), tool_choice=choice)
    for _ in range(2):
        story.submit(run, "-5")
        run = story.wait(run)
    assert run.status == "completed"
    told = [seen.body.get("tool_choice", "auto") for seen in story.model.requests]
    assert told == [choice, "auto", "auto"]
    shown = run.tool_choice if isinstance(choice, str) else run.tool_choice.model_dump()
    assert shown == choice


def test_at_most_one_call_where_parallel_calls_are_off(story: Story) -> None:
    """Also where the model does not keep to it: programs that asked for one cannot take two."""
    story.model.calls_all(Call("weather", {"city": "Oslo"}), Call("weather", {"city": "Rome"}))
    run = story.ask("Hi", assistant=story.assistant(tools=[WEATHER]), parallel_tool_calls=False)
    assert run.status == "requires_action"
    assert len(run.required_action.submit_tool_outputs.tool_calls) == 1
    story.cancel(run)


# -- instructions and messages ---------------------------------------------------------
@pytest.mark.parametrize(
    ("own", "given", "heard"),
    [
        ("Be brief.", {}, ["Be brief."]),
        ("Be brief.", {"instructions": "Rhyme."}, ["Rhyme."]),
        ("Be brief.", {"additional_instructions": "User: Ada."}, ["Be brief.", "User: Ada."]),
        (None, {"additional_instructions": "User: Ada."}, ["User: Ada."]),
        (None, {"instructions": "Rhyme."}, ["Rhyme."]),
        (None, {}, []),
    ],
)
def test_instructions(story: Story, own: str | None, given: Json, heard: list[str]) -> None:
    """One system message at most: what is in force, then what was added."""
    body = asked(story, given, instructions=own)
    told = [m["content"] for m in body["messages"] if m["role"] == "system"]
    assert [text.split("\n") for text in told] == ([heard] if heard else [])


def test_additional_instructions_are_for_one_run(story: Story) -> None:
    story.model.says("One.").then_says("Two.")
    assistant, thread = story.assistant(instructions="Be brief."), story.thread("Hi")
    story.wait(story.run(thread, assistant, additional_instructions="User: Ada."))
    story.wait(story.run(thread, assistant))
    assert story.model.requests[1].said[0] == ("system", "Be brief.")
    assert story.client.beta.assistants.retrieve(assistant.id).instructions == "Be brief."


def test_additional_messages_are_whole_messages(story: Story) -> None:
    """Stored with metadata and parts before the model is asked, readable while it thinks."""
    gate = story.model.hold()
    story.model.says("A cat.")
    url = "https://example.com/cat.png"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    more = [
        {"role": "assistant", "content": "Show me.", "metadata": {"n": "1"}},
        {"role": "user", "content": parts},
    ]
    thread = story.thread("Hi")
    run = story.run(thread, story.assistant(), additional_messages=more)
    gate.wait_until_reached()
    listed = list(story.threads.messages.list(thread.id, order="asc"))
    assert [(m.role, m.metadata, m.run_id) for m in listed] == [
        ("user", {}, None),
        ("assistant", {"n": "1"}, None),
        ("user", {}, None),
    ]
    gate.open()
    story.wait(run, "completed")
    heard = story.model.requests[0].messages
    assert [m["role"] for m in heard] == ["user", "assistant", "user"]
    assert heard[2]["content"] == parts


# -- what is left out ------------------------------------------------------------------
@pytest.mark.parametrize("newest", [1, 2, 3, 63, 64, 65, 130])
def test_last_messages(story: Story, newest: int) -> None:
    """Exactly so many of the newest, whoever wrote them; instructions do not count."""
    texts = [f"m{number}" for number in range(128)]
    messages = [
        {"role": "assistant" if number % 2 else "user", "content": text}
        for number, text in enumerate(texts)
    ]
    thread = story.threads.create(messages=messages)
    story.model.says("Ok.")
    story.wait(
        story.run(
            thread,
            story.assistant(instructions="Be brief."),
            truncation_strategy={"type": "last_messages", "last_messages": newest},
        )
    )
    heard = story.model.requests[0].said
    assert heard[0] == ("system", "Be brief.")
    assert [text for _, text in heard[1:]] == texts[-newest:]


@pytest.mark.parametrize("newest", [1, 2, 3])
def test_last_messages_keep_calls_and_answers_together(story: Story, newest: int) -> None:
    """An answer without its call, or a call without its answer, is refused by models' servers."""
    story.model.calls("weather").then_says("Cold.").then_says("As I said.")
    run = story.ask("Weather?", assistant=story.assistant(tools=[WEATHER]))
    story.submit(run, "-5")
    story.wait(run, "completed")
    thread = story.threads.retrieve(run.thread_id)
    story.threads.messages.create(thread.id, role="user", content="Again?")
    keep = {"type": "last_messages", "last_messages": newest}
    again = story.run(thread, story.assistant(tools=[WEATHER]), truncation_strategy=keep)
    story.wait(again, "completed")
    heard = story.model.requests[2].messages
    called = [call["id"] for m in heard for call in m.get("tool_calls") or []]
    answered = [m["tool_call_id"] for m in heard if m["role"] == "tool"]
    assert called == answered
    said = [text for role, text in story.model.requests[2].said if role != "tool" and text]
    assert said == ["Weather?", "Cold.", "Again?"][-newest:]


def test_the_calls_of_the_run_itself_are_never_left_out(story: Story) -> None:
    """However few messages are kept, the model hears what it has just called."""
    story.model.calls("weather").then_says("Cold.")
    keep = {"type": "last_messages", "last_messages": 1}
    assistant = story.assistant(tools=[WEATHER])
    run = story.ask("Weather?", assistant=assistant, truncation_strategy=keep)
    story.submit(run, "-5")
    story.wait(run, "completed")
    assert [m["role"] for m in story.model.requests[1].messages] == ["user", "assistant", "tool"]


def test_max_prompt_tokens_cuts_the_thread(story: Story) -> None:
    """`auto` leaves out what does not fit; instructions and the newest message stay."""
    texts = [f"Fact {number}: " + "the sky is blue and water is wet. " * 4 for number in range(60)]
    story.model.says("Ok.")
    assistant = story.assistant(instructions="Be brief.")
    run = story.wait(story.run(story.thread(*texts, "And now?"), assistant, max_prompt_tokens=500))
    assert run.status == "completed"
    heard = story.model.requests[0].said
    assert heard[0] == ("system", "Be brief.")
    assert heard[-1] == ("user", "And now?")
    # No tokenizer makes fewer than one token of seven such letters.
    assert sum(len(text) for _, text in heard) <= 500 * 7


# -- limits over the whole run ---------------------------------------------------------
def rounds(story: Story, *usages: Usage, **limits: int) -> Any:
    """A run whose model calls again and again, each turn at its price, until the run ends."""
    for usage in usages:
        story.model.calls("weather", usage=usage)
    run = story.ask("Hi", assistant=story.assistant(tools=[WEATHER]), **limits)
    while run.status == "requires_action":
        story.submit(run, "-5")
        run = story.wait(run)
    return run


def test_what_is_left_of_max_completion_tokens_is_passed_on(story: Story) -> None:
    """Each question of a run may be answered with what the earlier answers have left."""
    for usage in (Usage(completion=30), Usage(completion=20)):
        story.model.calls("weather", usage=usage)
    story.model.says("Cold.", usage=Usage(completion=10))
    assistant = story.assistant(tools=[WEATHER])
    run = story.ask("Hi", assistant=assistant, max_completion_tokens=100)
    for _ in range(2):
        story.submit(run, "-5")
        run = story.wait(run)
    assert run.status == "completed"
    bodies = [seen.body for seen in story.model.requests]
    left = [body.get("max_completion_tokens", body.get("max_tokens")) for body in bodies]
    assert left == [100, 70, 50]
    assert run.max_completion_tokens == 100


def test_used_up_completion_tokens_end_the_run(story: Story) -> None:
    """The model is not asked again when nothing is left for its answer."""
    run = rounds(story, Usage(completion=60), Usage(completion=40), max_completion_tokens=100)
    assert run.status == "incomplete"
    assert run.incomplete_details.reason == "max_completion_tokens"
    assert run.usage.completion_tokens == 100


def test_used_up_prompt_tokens_end_the_run(story: Story) -> None:
    """Prompts of all questions of the run count together."""
    run = rounds(story, Usage(prompt=200), Usage(prompt=400), max_prompt_tokens=500)
    assert run.status == "incomplete"
    assert run.incomplete_details.reason == "max_prompt_tokens"
    assert run.usage.prompt_tokens == 600


def test_an_answer_cut_short_after_a_call_is_kept(story: Story) -> None:
    """The limit may fall into a later turn: earlier steps stay whole, the last words are kept."""
    story.model.calls("weather", usage=Usage(10, 90))
    story.model.says("It is co", finish="length", usage=Usage(20, 10))
    assistant = story.assistant(tools=[WEATHER])
    run = story.ask("Hi", assistant=assistant, max_completion_tokens=100)
    story.submit(run, "-5")
    run = story.wait(run, "incomplete")
    assert run.incomplete_details.reason == "max_completion_tokens"
    assert [step.status for step in story.steps(run)] == ["completed", "completed"]
    answer = story.threads.messages.list(run.thread_id).data[0]
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_tokens")
    assert answer.content[0].text.value == "It is co"
    assert run.usage.total_tokens == 130


# -- copied at creation ----------------------------------------------------------------
def test_later_edits_of_the_assistant_do_not_touch_the_run(story: Story) -> None:
    """Every value that a run takes from its assistant is as it was when the run began."""
    story.model.calls("weather").then_says("{}")
    assistant = story.assistant(
        instructions="Be brief. JSON.",
        tools=[WEATHER],
        temperature=0.25,
        top_p=0.75,
        response_format={"type": "json_object"},
        extra_body={"reasoning_effort": "low"},
        metadata={"of": "the assistant"},
    )
    run = story.ask("Hi", assistant=assistant)
    story.client.beta.assistants.update(
        assistant.id,
        model="another",
        instructions="Shout!",
        tools=[CLOCK],
        temperature=1.5,
        top_p=0.1,
        response_format="auto",
        extra_body={"reasoning_effort": "high"},
    )
    story.submit(run, "-5")
    done = story.wait(run, "completed")
    first, second = ({**seen.body, "messages": None} for seen in story.model.requests)
    assert first == second
    assert story.model.requests[1].said[0] == ("system", "Be brief. JSON.")
    before = run.model_dump(exclude={"status", "required_action", "usage"})
    changed = {
        key: value
        for key, value in done.model_dump(exclude={"status", "required_action", "usage"}).items()
        if value != before[key] and not key.endswith("_at")
    }
    assert changed == {}
    assert done.metadata == {}


def test_a_thread_and_its_run_take_the_same_parameters(
    http: httpx.Client, story: Story, upstream: ScriptedUpstream
) -> None:
    """All that `POST /threads/runs` knows has the effect that it has on a run of its own."""
    other: Model = upstream.model().says("{}")
    body = {
        "assistant_id": story.assistant(instructions="Shout!", tools=[CLOCK]).id,
        "thread": {
            "messages": [{"role": "user", "content": t} for t in ("Old.", "Older.", "Answer.")],
            "metadata": {"t": "1"},
        },
        "model": other.name,
        "instructions": "Be brief. JSON.",
        "tools": [WEATHER],
        "metadata": {"r": "2"},
        "temperature": 0.25,
        "top_p": 0.75,
        "max_prompt_tokens": 1000,
        "max_completion_tokens": 500,
        "truncation_strategy": {"type": "last_messages", "last_messages": 1},
        "tool_choice": FORCED_WEATHER,
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
    }
    made = http.post("/threads/runs", json=body).json()
    run = story.wait(story.runs.retrieve(made["id"], thread_id=made["thread_id"]), "completed")
    assert run.metadata == {"r": "2"}
    assert story.threads.retrieve(run.thread_id).metadata == {"t": "1"}
    (seen,) = other.requests
    assert seen.said == [("system", "Be brief. JSON."), ("user", "Answer.")]
    told = {key: seen.body.get(key, ABSENT) for key in body if key in EFFECT_KEYS}
    assert told == {key: body[key] for key in told} | {"model": other.name}
    assert [tool["function"]["name"] for tool in seen.body["tools"]] == ["weather"]


EFFECT_KEYS = (
    "model temperature top_p max_completion_tokens tool_choice parallel_tool_calls response_format"
).split()


@pytest.mark.parametrize(
    "parameter", ["reasoning_effort", "additional_instructions", "additional_messages"]
)
def test_what_only_a_run_of_its_own_takes(http: httpx.Client, story: Story, parameter: str) -> None:
    body = {"assistant_id": story.assistant().id, parameter: "low"}
    error = http.post("/threads/runs", json=body).json()["error"]
    assert error["message"] == f"Unknown parameter: '{parameter}'."


# -- strict schemas --------------------------------------------------------------------
OPEN_OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
NOT_ALL = {**OPEN_OBJECT, "additionalProperties": False, "required": []}
NESTED = {**MATHS, "properties": {"answer": OPEN_OBJECT}}


def test_a_strict_function_is_refused_as_recorded(http: httpx.Client) -> None:
    name = "get_favorite_color_for_day_of_week"
    tool = {"type": "function", "function": {"name": name, "parameters": OPEN_OBJECT}}
    tool["function"]["strict"] = True
    answer = http.post("/assistants", json={"model": "m", "tools": [tool]})
    expected = recorded.http_errors()["strict function schema invalid"]
    assert (answer.status_code, answer.json()) == (400, expected["body"])
    tool["function"]["strict"] = False
    assert http.post("/assistants", json={"model": "m", "tools": [tool]}).status_code == 200


@pytest.mark.parametrize("schema", [OPEN_OBJECT, NOT_ALL, NESTED], ids=["open", "not all", "deep"])
@pytest.mark.parametrize("place", ["/assistants", "run"])
def test_strict_schemas_are_closed_and_require_all(
    http: httpx.Client, story: Story, schema: Json, place: str
) -> None:
    """For functions and for answers alike; the same schema is fine where nothing is strict."""
    base: Json = {"model": "m"}
    if place == "run":
        place, base = f"/threads/{story.thread('Hi').id}/runs", {"assistant_id": "asst_none"}
    function = {"name": "f", "parameters": schema, "strict": True}
    with_tool = {**base, "tools": [{"type": "function", "function": function}]}
    error = http.post(place, json=with_tool).json()["error"]
    expected = ("invalid_function_parameters", "tools[0].function.parameters")
    assert (error["code"], error["param"]) == expected
    form = {"type": "json_schema", "json_schema": {"name": "f", "schema": schema, "strict": True}}
    answer = http.post(place, json={**base, "response_format": form})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith("response_format")


def test_a_model_that_nobody_serves(
    tmp_path: Path, upstream: ScriptedUpstream, model: Model, ledger: Ledger
) -> None:
    """A strict server refuses the name when the run is made, in the real API's words."""
    config = f"""strict_models = true
    [[upstreams]]
    name = "scripted"
    base_url = "{upstream.base_url}"
    models = ["{model.name}"]
    """
    server = Adjutant(tmp_path, upstream=None, config=config)
    try:
        story = Story(openai_client(server.base_url, ledger), model, ledger)
        thread, assistant = story.thread("Hi"), story.assistant()
        with pytest.raises(openai.BadRequestError) as error:
            story.run(thread, assistant, model="nobody-knows")
        assert error.value.body == {
            "message": "The requested model 'nobody-knows' does not exist.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        }
        model.says("Hello.")
        story.wait(story.run(thread, assistant), "completed")
    finally:
        server.stop()
