"""Recorded traffic of the real API, replayed: same requests, same events, same keys in order."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness import recorded, schema
from harness.recorded import Normal, words
from harness.scripted import Call, Model, ScriptedUpstream, Usage
from harness.sdk import httpx
from harness.shelf import Shelf
from harness.story import Story, wait_for
from harness.streams import Checker

pytestmark = pytest.mark.once
Json = dict[str, Any]
INCLUDE = "include[]=step_details.tool_calls%5B*%5D.file_search.results%5B*%5D.content"
ADDED = schema.BEYOND_RECORDED
# REST answers of messages lacked what their events carry; the contract wants both alike.
ADDED_IN_REST = {
    **ADDED,
    "thread.message": {"status", "incomplete_details", "incomplete_at", "completed_at"},
}


@pytest.fixture
def gpt(upstream: ScriptedUpstream) -> Iterator[Model]:
    """The recordings were made with this model name."""
    model = upstream.model("gpt-4o")
    yield model
    model.close()
    assert not model.unscripted and not model.unused_turns


def comparable(checker: Checker, normal: Normal | None = None) -> list[Any]:
    normal = normal or Normal(ADDED)
    return [(event.name, instructions_as_null(normal(event.data))) for event in checker.events]


def instructions_as_null(value: Any) -> Any:
    """A client for Rust fails on null instructions, so we may say "" where OpenAI said null."""
    if not isinstance(value, list):
        return value
    return [(k, None if (k, v) == ("instructions", "") else v) for k, v in value]


def usage_of(checker: Checker) -> list[Usage]:
    """The figures of the model calls behind a recorded stream."""
    ended = [e.data for e in checker.events if e.name == "thread.run.step.completed"]
    return [Usage(s["usage"]["prompt_tokens"], s["usage"]["completion_tokens"]) for s in ended]


def assert_same(ours: list[Any], theirs: list[Any]) -> None:
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    for number, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        assert our == their, f"event {number}, `{their[0]}`"


def test_02_a_streamed_answer(gpt: Model, story: Story, http: httpx.Client) -> None:
    theirs = recorded.stream("02_stream_text")
    gpt.says(*words(theirs), usage=usage_of(theirs)[0])
    assistant = http.post("/assistants", json={"model": "gpt-4o"}).json()["id"]
    path = f"/threads/{story.thread('Hello, assistant!').id}/runs"
    http.post(path, json={"assistant_id": assistant, "stream": True})
    assert_same(comparable(story.last_stream), comparable(theirs))


def test_03_and_04_a_streamed_call_and_its_output(
    gpt: Model, story: Story, http: httpx.Client
) -> None:
    """Both streams of one conversation; ids are followed from the first into the second."""
    calling = recorded.stream("03_stream_function_requires_action")
    going_on = recorded.stream("04_stream_submit_tool_outputs")
    usages = usage_of(going_on)
    gpt.calls_all(Call("get_current_weather", "{}"), usage=usages[0])
    gpt.says(*words(going_on), usage=usages[1])

    function = {"name": "get_current_weather", "description": "Gets the user's current weather"}
    tools = [{"type": "function", "function": function}]
    assistant = http.post("/assistants", json={"model": "gpt-4o", "tools": tools}).json()["id"]
    thread = {"messages": [{"role": "user", "content": "What should I wear outside?"}]}
    body = {"assistant_id": assistant, "thread": thread, "stream": True}
    http.post("/threads/runs", json=body)
    first = story.last_stream
    run = first.events[-2].data
    call = run["required_action"]["submit_tool_outputs"]["tool_calls"][0]
    outputs = [{"tool_call_id": call["id"], "output": "warm and sunny"}]
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
    http.post(path, json={"tool_outputs": outputs, "stream": True})

    ours, theirs = Normal(ADDED), Normal(ADDED)
    assert_same(comparable(first, ours), comparable(calling, theirs))
    assert_same(comparable(story.last_stream, ours), comparable(going_on, theirs))


def test_06_a_streamed_search(gpt: Model, story: Story, http: httpx.Client, shelf: Shelf) -> None:
    """With `include[]`, as recorded; only what a ranker makes of the words is its own."""
    theirs = recorded.stream("06_stream_file_search")
    searched, answered = usage_of(theirs)
    gpt.calls_all(Call("file_search", {"queries": ["Filip's favorite food"]}), usage=searched)
    gpt.says(*["[1]" if word.startswith("【") else word for word in words(theirs)], usage=answered)
    ended = [e.data for e in theirs.events if e.name == "thread.run.step.completed"]
    [call] = ended[0]["step_details"]["tool_calls"]
    [result] = call["file_search"]["results"]
    file = shelf.file(result["content"][0]["text"], result["file_name"])
    body = {
        "model": "gpt-4o",
        "tools": [{"type": "file_search"}],
        "tool_resources": {"file_search": {"vector_stores": [{"file_ids": [file]}]}},
    }
    assistant = http.post("/assistants", json=body).json()
    [store] = assistant["tool_resources"]["file_search"]["vector_store_ids"]
    shelf.attach(store, file)
    path = f"/threads/{story.thread('Filip?').id}/runs?{INCLUDE}"
    http.post(path, json={"assistant_id": assistant["id"], "stream": True})
    assert_same(comparable(story.last_stream), comparable(theirs))


def test_08_steps_of_a_search(gpt: Model, http: httpx.Client, shelf: Shelf) -> None:
    """The recorded program: one file is in its assistant's store and in its thread's."""
    exchanges = recorded.exchanges("08_rest_steps_file_search_and_code_interpreter")
    replay = Replay(http)
    text = (
        "This file describes the favorite foods of several people.\n\n"
        "Summanus Ferdinand: tacos\nTekakwitha Effie: pizza\nFilip Carola: cake"
    )
    replay.knows("file-DLCAr5NoVMw44WT3FrWWva", shelf.file(text, "favorite_foods.txt"))
    # Its score must pass the recorded threshold, so it is looked for by all its words.
    gpt.calls_all(Call("file_search", {"queries": [text]}), usage=Usage(830, 19))
    gpt.says("Filip's favorite food is cake[1].", usage=Usage(1270, 20))
    for exchange in exchanges["file_search_with_include"]:
        theirs = with_each_result_once(exchange["response"])
        if theirs.get("status") == "completed" and theirs["object"] == "thread.run":
            done = wait_for(
                lambda exchange=exchange: replay.send(exchange),
                lambda run: run["status"] == "completed",
                "the run to complete",
            )
            replay.compare(done, theirs)
        else:
            replay.compare(replay.send(exchange), theirs)


def with_each_result_once(answer: Json) -> Json:
    """OpenAI listed a passage twice that was in both stores."""
    answer = copy.deepcopy(answer)
    for item in answer.get("data", [answer]):
        for call in (item.get("step_details") or {}).get("tool_calls", []):
            del call["file_search"]["results"][1:]
    return answer


def test_07_an_answer_cut_short(story: Story) -> None:
    """As recorded in 2024, but for the last event, whose name came later."""
    theirs = recorded.stream("07_stream_incomplete_2024-04")
    story.model.says(*words(theirs), finish="length", usage=Usage(27, 16))
    story.stream(story.thread("Hi"), story.assistant())
    expected = [*theirs.names[:-2], "thread.run.incomplete", "done"]
    assert story.last_stream.names == expected
    message = [e.data for e in story.last_stream.events if e.name == "thread.message.incomplete"]
    recorded_message = [e.data for e in theirs.events if e.name == "thread.message.incomplete"]
    assert message[0]["content"] == recorded_message[0]["content"]
    assert message[0]["incomplete_details"] == recorded_message[0]["incomplete_details"]


class Replay:
    """Sends recorded requests with our ids in the place of theirs."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._ours: dict[str, str] = {}
        self._normal_ours, self._normal_theirs = Normal(ADDED_IN_REST), Normal(ADDED_IN_REST)

    def knows(self, theirs: str, ours: str) -> None:
        """Something that was there before the recording began."""
        self._ours[theirs] = ours

    def send(self, exchange: Json) -> Json:
        request = exchange["request"]
        path, body = self._translated(request["path"]), self._translated(request["body"])
        options = {} if body is None else {"json": body}
        answer = self._http.request(request["method"], path.removeprefix("/v1"), **options)
        assert answer.status_code == exchange["status"], answer.text
        return answer.json()

    def compare(self, ours: Json, theirs: Json) -> None:
        self._learn(theirs, ours)
        mine = instructions_as_null(self._normal_ours(ours))
        assert mine == self._normal_theirs(_with_attachments(theirs))

    def _translated(self, value: Any) -> Any:
        text = json.dumps(value)
        for theirs, ours in self._ours.items():
            text = text.replace(theirs, ours)
        return json.loads(text)

    def _learn(self, theirs: Any, ours: Any) -> None:
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for key in theirs.keys() & ours.keys():
                self._learn(theirs[key], ours[key])
        elif isinstance(theirs, list) and isinstance(ours, list):
            for their, our in zip(theirs, ours, strict=False):
                self._learn(their, our)
        elif isinstance(theirs, str) and recorded.ID.match(theirs):
            self._ours[theirs] = ours


def _with_attachments(value: Json) -> Json:
    """One recorded answer still has v1's `file_ids` where v2 has `attachments`."""
    return {("attachments" if key == "file_ids" else key): inner for key, inner in value.items()}


@pytest.mark.parametrize("name", ["text_run", "function_run", "thread_and_message_crud"])
def test_01_by_polling(gpt: Model, http: httpx.Client, name: str) -> None:
    """Whole recorded programs. Polls are repeated until the run is where it was recorded."""
    exchanges = recorded.exchanges("01_rest_run_text_and_function_polling")[name]
    gates = script_of_01(gpt, name)
    replay = Replay(http)
    for exchange in exchanges:
        theirs = exchange["response"]
        if lists_runs(theirs):
            assert replay.send(exchange)["data"][0]["id"].startswith("run_")
            continue
        if theirs["object"] != "thread.run" or exchange["request"]["method"] == "POST":
            replay.compare(replay.send(exchange), theirs)
            continue
        if theirs["status"] in {"requires_action", "completed"} and gates:
            gates.pop(0).open()
        if theirs["status"] == "queued":
            continue  # Ours may already be further.
        seen = wait_for(
            lambda exchange=exchange: replay.send(exchange),
            lambda run, theirs=theirs: run["status"] == theirs["status"],
            f"a run that is {theirs['status']}",
        )
        replay.compare(seen, theirs)
    for gate in gates:
        gate.open()


def lists_runs(answer: Json) -> bool:
    """A listed run was still queued when recorded; ours may already be further."""
    return any(item["object"] == "thread.run" for item in answer.get("data", []))


def script_of_01(gpt: Model, name: str) -> list[Any]:
    """The model of each recorded program, held where a poll saw the run in progress."""
    if name == "text_run":
        gates = [gpt.hold()]
        gpt.says("Hello! How can I assist you today?", usage=Usage(32, 11))
        return gates
    if name == "function_run":
        gates = [gpt.hold()]
        arguments = '{"day_of_week":"Thursday"}'
        gpt.calls_all(Call("get_favorite_food_for_day_of_week", arguments), usage=Usage(300, 17))
        gates.append(gpt.hold())
        gpt.says("You should eat tacos on Thursday! 🌮", usage=Usage(327, 17))
        return gates
    return []
