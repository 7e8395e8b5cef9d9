"""The suite's own tools are tested first: a checker that never complains proves nothing."""

from __future__ import annotations

import ast
import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import postgres, recorded, schema
from harness.scripted import BreakOff, Call, Model, ScriptedUpstream, Usage, Wire, chunk_bytes
from harness.sdk import httpx
from harness.server import ROOT
from harness.streams import Checker, Event, check_bytes

pytestmark = pytest.mark.once
Events = list[Event]


# -- the stream checker ----------------------------------------------------------------
@pytest.mark.parametrize("name", recorded.STREAMS)
def test_the_checker_accepts_what_the_real_api_sent(name: str) -> None:
    assert recorded.stream(name).violations == []


@pytest.mark.parametrize("name", recorded.STREAMS)
def test_the_checker_does_not_mind_how_bytes_are_split(name: str) -> None:
    checker = Checker(recorded.STREAMS[name], year=2024 if "2024" in name else 2025)
    for byte in recorded.stream_bytes(name):
        checker.feed(bytes([byte]))
    assert checker.close() == []


def rewritten(events: Events) -> bytes:
    def data(event: Event) -> str:
        return event.data if event.name == "done" else json.dumps(event.data)

    return "".join(f"event: {e.name}\ndata: {data(e)}\n\n" for e in events).encode()


def position(events: Events, name: str, number: int = 0) -> int:
    return [i for i, event in enumerate(events) if event.name == name][number]


def drop(name: str, number: int = 0) -> Callable[[Events], None]:
    return lambda events: events.pop(position(events, name, number)) and None


def swap(first: str, second: str) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        i, j = position(events, first), position(events, second)
        events[i], events[j] = events[j], events[i]

    return change


def repeat(name: str) -> Callable[[Events], None]:
    return lambda events: events.insert(position(events, name), events[position(events, name)])


def edit(name: str, change: Callable[[Any], Any], number: int = 0) -> Callable[[Events], None]:
    return lambda events: change(events[position(events, name, number)].data) and None


def part(data: Any) -> Any:
    return data["delta"]["content"][0]


def call(data: Any) -> Any:
    return data["delta"]["step_details"]["tool_calls"][0]


def found(data: Any) -> Any:
    return data["step_details"]["tool_calls"][0]["file_search"]["results"][0]


def mark(data: Any) -> Any:
    return part(data)["text"]["annotations"][0]


def cited(data: Any) -> Any:
    return mark(data)["file_citation"]


def rename(name: str, to: str) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        i = position(events, name)
        events[i] = Event(to, events[i].data)

    return change


def silence(events: Events) -> None:
    """The message completes, and nothing was said."""
    events[:] = [event for event in events if event.name != MESSAGE_DELTA]
    events[position(events, "thread.message.completed")].data["content"] = []


def without_steps(events: Events) -> None:
    events[:] = [event for event in events if not event.name.startswith("thread.run.step.")]


def write_again(events: Events) -> None:
    """The message begins a second time after its end."""
    end = position(events, "thread.message.completed")
    events.insert(end + 1, events[position(events, "thread.message.created")])


def prints(*outputs: Any) -> Callable[[Events], None]:
    """The program gives these, one delta each, before its step ends with `ab` and a plot."""

    def change(events: Events) -> None:
        end = position(events, "thread.run.step.completed")
        step = events[end].data
        plot = {"type": "image", "image": {"file_id": "file-1"}}
        ended = step["step_details"]["tool_calls"][0]["code_interpreter"]
        ended["outputs"] = [{"type": "logs", "logs": "ab"}, plot]
        for output in outputs:
            grown = {"index": 0, "type": "code_interpreter", "code_interpreter": {}}
            grown["code_interpreter"]["outputs"] = [output]
            details = {"type": "tool_calls", "tool_calls": [grown]}
            data = {"id": step["id"], "object": STEP_DELTA, "delta": {"step_details": details}}
            events.insert(position(events, "thread.run.step.completed"), Event(STEP_DELTA, data))

    return change


def logs(index: int, text: str, **more: Any) -> Any:
    return {"index": index, "type": "logs", "logs": text, **more}


def image(index: int) -> Any:
    return {"index": index, "type": "image", "image": {"file_id": "file-1"}}


TEXT, CALLS, SUBMIT, SEARCH, CODE = (
    "02_stream_text",
    "03_stream_function_requires_action",
    "04_stream_submit_tool_outputs",
    "06_stream_file_search",
    "05_stream_code_interpreter",
)
MESSAGE_DELTA, STEP_DELTA = "thread.message.delta", "thread.run.step.delta"
DAMAGE: list[tuple[str, str, Callable[[Events], None]]] = [
    (TEXT, "preamble", drop("thread.run.created")),
    (TEXT, "order", drop("thread.run.queued")),
    (TEXT, "order", drop("thread.run.in_progress")),
    (TEXT, "preamble", drop("thread.run.step.in_progress")),
    (TEXT, "created first", drop("thread.run.step.created")),
    (TEXT, "created first", drop("thread.message.created")),
    (TEXT, "preamble", drop("thread.message.in_progress")),
    (TEXT, "adds up", drop(MESSAGE_DELTA, 3)),
    (TEXT, "message block", drop("thread.message.completed")),
    (TEXT, "one at a time", drop("thread.run.step.completed")),
    (TEXT, "terminal", drop("thread.run.completed")),
    (TEXT, "done", drop("done")),
    (TEXT, "done", repeat("done")),
    (TEXT, "order", repeat("thread.run.completed")),
    (TEXT, "one at a time", repeat("thread.run.step.created")),
    (TEXT, "one at a time", repeat("thread.message.created")),
    (TEXT, "one at a time", swap("thread.message.completed", "thread.run.step.completed")),
    (TEXT, "names", rename("thread.run.queued", "thread.run.waiting")),
    (TEXT, "status", rename("thread.run.completed", "thread.run.failed")),
    (TEXT, "index", edit(MESSAGE_DELTA, lambda d: part(d).pop("index"))),
    (TEXT, "index", edit(MESSAGE_DELTA, lambda d: part(d).update(index=1))),
    (TEXT, "first delta", edit(MESSAGE_DELTA, lambda d: part(d)["text"].pop("annotations"))),
    (TEXT, "deltas", edit(MESSAGE_DELTA, lambda d: part(d)["text"].update(value=None), 4)),
    (TEXT, "no repeats", edit(MESSAGE_DELTA, lambda d: part(d)["text"].update(annotations=[]), 4)),
    (TEXT, "deltas", edit(MESSAGE_DELTA, lambda d: d.update(status="in_progress"))),
    (TEXT, "created first", edit(MESSAGE_DELTA, lambda d: d.update(id="msg_other"), 4)),
    (TEXT, "empty at first", edit("thread.message.created", lambda d: d.update(content=[{}]))),
    (TEXT, "constants", edit("thread.run.completed", lambda d: d.update(id="run_other"))),
    (TEXT, "constants", edit("thread.run.in_progress", lambda d: d.pop("metadata"))),
    (TEXT, "usage", edit("thread.run.step.completed", lambda d: d.update(usage=None))),
    (TEXT, "usage", edit("thread.run.completed", lambda d: d["usage"].update(total_tokens=1))),
    (TEXT, "nulls", edit("thread.run.completed", lambda d: d.update(completed_at=None))),
    (TEXT, "nulls", edit("thread.run.completed", lambda d: d.update(expires_at=1))),
    (TEXT, "nulls", edit("thread.run.in_progress", lambda d: d.update(started_at=None))),
    (TEXT, "error", rename("thread.run.queued", "error")),
    (TEXT, "objects", edit("thread.run.created", lambda d: d.update(object="thread"))),
    (TEXT, "at least one delta", silence),
    (TEXT, "created once", write_again),
    (CALLS, "required action", without_steps),
    (CALLS, "preamble", drop("thread.created")),
    (CALLS, "constants", edit("thread.created", lambda d: d.update(id="thread_other"))),
    (CALLS, "first delta", edit(STEP_DELTA, lambda d: call(d).pop("id"))),
    (CALLS, "no repeats", edit(STEP_DELTA, lambda d: call(d).update(id="call_1"), 1)),
    (CALLS, "no repeats", edit(STEP_DELTA, lambda d: call(d)["function"].update(name="f"), 1)),
    (CALLS, "deltas", edit(STEP_DELTA, lambda d: call(d)["function"].update(arguments=None), 1)),
    (CALLS, "index", edit(STEP_DELTA, lambda d: call(d).update(index=1))),
    (CALLS, "adds up", drop(STEP_DELTA, 1)),
    (CALLS, "created first", drop("thread.run.step.created")),
    (CALLS, "terminal", drop("thread.run.requires_action")),
    (SUBMIT, "preamble", drop("thread.run.step.completed")),
    (
        SUBMIT,
        "outputs",
        edit(
            "thread.run.step.completed",
            lambda d: d["step_details"]["tool_calls"][0]["function"].update(output=None),
        ),
    ),
    (SUBMIT, "order", drop("thread.run.queued")),
    (SEARCH, "adds up", drop(STEP_DELTA)),
    (SEARCH, "first delta", edit(STEP_DELTA, lambda d: call(d)["file_search"].pop("results"))),
    (SEARCH, "first delta", edit(STEP_DELTA, lambda d: call(d)["file_search"].update(results=[1]))),
    (SEARCH, "search", edit("thread.run.step.completed", lambda d: found(d).pop("score"))),
    (SEARCH, "search", edit("thread.run.step.completed", lambda d: found(d).update(page=1))),
    (SEARCH, "index", edit(MESSAGE_DELTA, lambda d: mark(d).pop("index"), 7)),
    (SEARCH, "annotations", edit(MESSAGE_DELTA, lambda d: mark(d).update(start_index=28), 7)),
    (SEARCH, "annotations", edit(MESSAGE_DELTA, lambda d: cited(d).pop("quote"), 7)),
    (SEARCH, "adds up", edit(MESSAGE_DELTA, lambda d: part(d)["text"].pop("annotations"), 7)),
    (CODE, "adds up", prints(logs(0, "a"), image(1))),
    (CODE, "index", prints(logs(0, "a"), logs(0, "b"), image(2))),
    (CODE, "index", prints(logs(0, "a"), image(1), logs(0, "b"))),
    (CODE, "index", prints({"type": "logs", "logs": "ab"}, image(1))),
    (CODE, "deltas", prints(logs(0, "a"), logs(0, "b", id="call_1"), image(1))),
    (CODE, "deltas", prints(logs(0, "ab"), image(1), image(1))),
    (CODE, "deltas", prints(logs(0, "ab"), image(0))),
]


def test_the_checker_lets_outputs_grow() -> None:
    events = copy.deepcopy(recorded.stream(CODE).events)
    prints(logs(0, "a"), logs(0, "b"), image(1))(events)
    assert check_bytes(rewritten(events), "run").violations == []


@pytest.mark.parametrize(
    ("name", "rule", "damage"),
    DAMAGE,
    ids=[f"{n[:2]}-{r}-{i}" for i, (n, r, _) in enumerate(DAMAGE)],
)
def test_the_checker_catches(name: str, rule: str, damage: Callable[[Events], None]) -> None:
    events = copy.deepcopy(recorded.stream(name).events)
    damage(events)
    checker = Checker(recorded.STREAMS[name])
    checker.feed(rewritten(events))
    checker.close()
    broken = {violation.partition(":")[0] for violation in checker.violations}
    assert rule in broken


def test_each_rule_of_the_checker_has_bitten() -> None:
    """What no damage ever broke would prove nothing; form and head have tests of their own."""
    tree = ast.parse((ROOT / "conformance/harness/streams.py").read_text())
    place = {"_violate": 0, "_require": 1}
    calls = [
        (node.func.attr, node.args)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    told = [args[place[name]] for name, args in calls if name in place]
    rules = {rule.value for rule in told if isinstance(rule, ast.Constant)}
    assert rules - {"form", "head"} == {rule for _, rule, _ in DAMAGE}


@pytest.mark.parametrize(
    "form",
    [
        b"data: [DONE]\n\n",
        b"event: done\ndata: [DONE]\n",
        b"event: done\r\ndata: [DONE]\r\n\r\n",
        b'event: thread.run.created\ndata: {"id":\ndata: 1}\n\n',
        b"event: thread.run.created\ndata: {]\n\n",
        b": keep-alive\n\nevent: done\ndata: [DONE]\n\n",
        b"id: 1\nevent: done\ndata: [DONE]\n\n",
    ],
)
def test_the_checker_is_strict_about_the_form_of_events(form: bytes) -> None:
    checker = Checker("run")
    checker.feed(form)
    assert any(violation.startswith("form") for violation in checker.close())


def test_the_checker_wants_the_right_content_type() -> None:
    checker = Checker("run")
    checker.head(200, "application/json")
    assert checker.violations


# -- the schemas -----------------------------------------------------------------------
def test_recorded_answers_fit_the_schemas_once_the_documented_keys_are_added() -> None:
    """What the document requires and the real API leaves out is known exactly, so we can add it."""
    wrong = [
        problem
        for exchange in (x for xs in recorded.exchanges(REST).values() for x in xs)
        for problem in rest_problems(exchange)
    ]
    assert wrong == []


REST = "01_rest_run_text_and_function_polling"


def rest_problems(exchange: dict[str, Any]) -> list[str]:
    request, answer = exchange["request"], completed(copy.deepcopy(exchange["response"]))
    return schema.answer_problems(request["method"], request["path"], exchange["status"], answer)


def completed(answer: Any) -> Any:
    for item in answer.get("data", [answer]):
        if item["object"] == "thread.message":
            head = {key: item.pop(key) for key in list(item)[:6]}
            item.pop("file_ids", None)
            rest = {**item, "attachments": [], "metadata": item.pop("metadata")}
            rest["metadata"] = rest.pop("metadata")
            nulls = {"incomplete_details": None, "incomplete_at": None, "completed_at": None}
            item.clear()
            item.update({**head, "status": "completed", **nulls, **rest})
    return answer


@pytest.mark.parametrize("case", recorded.http_errors())
def test_recorded_errors_fit_the_schema(case: str) -> None:
    theirs = recorded.http_errors()[case]
    path = "/files" if "file" in case.lower() else "/threads"
    if theirs["status"] == 429:
        # A model's server says that; ours passes it on.
        path = "/chat/completions"
    assert schema.error_problems(path, theirs["status"], theirs["body"]) == []


WELL = {"message": "No.", "type": "invalid_request_error", "param": None, "code": None}
ILL: dict[str, tuple[int, Any]] = {
    "bare": (400, WELL),
    "a text": (400, {"error": "No."}),
    "nothing": (400, {}),
    "without a code": (400, {"error": {key: WELL[key] for key in list(WELL)[:3]}}),
    "in another order": (400, {"error": dict(reversed(WELL.items()))}),
    "more within": (400, {"error": {**WELL, "status": 400}}),
    "more beside": (400, {"error": WELL, "status": 400}),
    "detail of no file": (400, {"error": WELL, "detail": {"message": "No.", "code": None}}),
    "no words": (400, {"error": {**WELL, "message": ""}}),
    "a code in words": (400, {"error": {**WELL, "code": "Not found"}}),
    "an unknown type": (400, {"error": {**WELL, "type": "bad_request"}}),
    "our fault and not ours": (500, {"error": WELL}),
    "asked again and again": (409, {"error": WELL}),
}


@pytest.mark.parametrize("case", ILL)
def test_the_schemas_catch_an_ill_formed_refusal(case: str) -> None:
    status, body = ILL[case]
    assert schema.error_problems("/threads", 400, {"error": WELL}) == []
    assert schema.error_problems("/threads", status, body)


def test_the_schemas_catch_a_wrong_type_a_missing_key_and_a_wrong_order() -> None:
    thread = {
        "id": "thread_1",
        "object": "thread",
        "created_at": 1,
        "metadata": {},
        "tool_resources": {},
    }

    def wrong(value: Any) -> list[str]:
        return schema.answer_problems("GET", "/v1/threads/thread_1", 200, value)

    assert wrong(thread) == []
    assert wrong({**thread, "created_at": "now"})
    assert wrong({key: thread[key] for key in list(thread)[1:]})
    assert wrong(dict(reversed(thread.items())))
    assert wrong({**thread, "created_at": 1_700_000_000_000})
    assert schema.answer_problems("POST", "/v1/threads", 201, thread)
    assert schema.answer_problems("GET", "/v1/unheard-of", 200, {})


def test_the_schemas_catch_a_page_that_names_others() -> None:
    run = recorded.stream(TEXT).events[0].data
    run = {**run, "instructions": "", "reasoning_effort": None}
    page = {"object": "list", "data": [run], "first_id": run["id"], "last_id": run["id"]}
    page["has_more"] = False

    def wrong(value: Any) -> list[str]:
        return schema.answer_problems("GET", "/v1/threads/thread_1/runs", 200, value)

    assert wrong(page) == []
    assert wrong({**page, "last_id": None})
    assert wrong({**page, "data": [run, run]})
    assert wrong({key: page[key] for key in ("object", "data")})
    models = {"object": "list", "data": []}
    assert schema.answer_problems("GET", "/v1/models", 200, models) == []
    assert schema.answer_problems("GET", "/v1/models", 200, {**models, "has_more": False})


# -- the contract, line by line --------------------------------------------------------
LINES = schema.CONTRACT / "lines.md"
ROWS = [line for line in LINES.read_text().splitlines() if line.startswith("| ")]
NAMED = re.compile(r"`([\w/.-]+)::([^`]+)`")
FOLDERS = {"test_": "conformance/tests", ".test.mjs": "conformance/node", ".rs": "crates"}


def file_of(name: str) -> Path:
    folder = next((f for mark, f in FOLDERS.items() if mark in name), "conformance/harness")
    return ROOT / folder / name


def definition(file: str, name: str) -> str:
    """What stands in the file where the thing of this name is made."""
    if file.endswith(".mjs"):
        return rf"^test\('{re.escape(name)}', "
    if file.endswith(".rs"):
        return rf"#\[test\]\n\s*fn {name}\(\)"
    return rf"^\s*def {name.rpartition('.')[2]}\("


@pytest.mark.parametrize("number", range(1, 8))
def test_each_section_of_the_contract_has_its_lines(number: int) -> None:
    sections = re.split(r"^## (\d)\. ", LINES.read_text(), flags=re.MULTILINE)
    rows = sections[sections.index(str(number)) + 1].count("\n| ")
    assert rows > 10


@pytest.mark.parametrize("row", ROWS, ids=[row.split("|")[1].strip()[:60] for row in ROWS])
def test_each_line_names_what_is_there(row: str) -> None:
    """Tests that exist, or the reason why there is none."""
    _, line, evidence, tests, _ = (cell.strip() for cell in row.split("|"))
    if line == "Line":
        return
    assert set(evidence.split(", ")) <= set("RSGQTLI")
    assert NAMED.search(tests) or tests.startswith("—")
    for file, name in NAMED.findall(tests):
        text = file_of(file).read_text()
        assert re.search(definition(file, name), text, re.MULTILINE), f"{file} has no {name}"


def test_a_line_may_not_name_what_is_not_there() -> None:
    for row in ("| x | S | `test_node.py::test_nothing` |", "| x | S | nothing |", "| x | X | — |"):
        with pytest.raises(AssertionError):
            test_each_line_names_what_is_there(row)


# -- the scripted upstream -------------------------------------------------------------
def ask(upstream: ScriptedUpstream, model: Model, **options: Any) -> httpx.Response:
    body = {"model": model.name, "messages": [{"role": "user", "content": "Hi"}], **options}
    return httpx.post(f"{upstream.base_url}/chat/completions", json=body)


def streamed(answer: httpx.Response) -> list[Any]:
    datas = [
        line.partition(":")[2].strip()
        for line in answer.text.splitlines()
        if line.startswith("data")
    ]
    assert datas[-1] == "[DONE]"
    return [json.loads(data) for data in datas[:-1]]


def test_the_scripted_model_says_what_the_test_wrote(
    upstream: ScriptedUpstream, model: Model
) -> None:
    model.says("안녕", " 🌮", usage=Usage(prompt=3, completion=2))
    chunks = streamed(ask(upstream, model, stream=True, stream_options={"include_usage": True}))
    words = [c["choices"][0]["delta"].get("content") for c in chunks if c["choices"]]
    assert words == ["", "안녕", " 🌮", None]
    assert chunks[-1]["usage"]["total_tokens"] == 5
    assert model.requests[0].last_user_text == "Hi"


def test_the_scripted_model_calls_functions(upstream: ScriptedUpstream, model: Model) -> None:
    model.calls_all(Call("f", {"a": "a long argument"}), Call("g", "{broken"), saying="Let me see.")
    chunks = streamed(ask(upstream, model, stream=True))
    parts = [part for c in chunks for part in c["choices"][0]["delta"].get("tool_calls", [])]
    text = ["".join(p["function"]["arguments"] for p in parts if p["index"] == i) for i in (0, 1)]
    assert text == ['{"a":"a long argument"}', "{broken"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_odd_bytes_do_not_change_the_words(
    upstream: ScriptedUpstream, model: Model, size: int
) -> None:
    wire = Wire(newline="\r\n", space="", comment_before_each=True, bytes_per_write=size)
    model.says("한국", "🌮", wire=wire)
    chunks = streamed(ask(upstream, model, stream=True))
    assert [c["choices"][0]["delta"].get("content") for c in chunks] == ["", "한국", "🌮", None]


def test_the_scripted_model_breaks_off(upstream: ScriptedUpstream, model: Model) -> None:
    model.sends(chunk_bytes(model.name, "Half"), BreakOff())
    with pytest.raises(httpx.TransportError):
        ask(upstream, model, stream=True)


def test_the_scripted_model_notices_that_its_client_left(
    upstream: ScriptedUpstream, model: Model
) -> None:
    model.says("Hello", model.gate())
    body = {"model": model.name, "messages": [], "stream": True}
    with httpx.stream("POST", f"{upstream.base_url}/chat/completions", json=body):
        model.wait_for_requests(1)
    assert model.requests[0].gone.wait(5)


def test_a_model_is_asked_only_what_was_scripted(upstream: ScriptedUpstream) -> None:
    model = upstream.model()
    assert ask(upstream, model).status_code == 400
    assert len(model.unscripted) == 1


# -- PostgreSQL ------------------------------------------------------------------------
def test_postgres_starts_serves_and_leaves_nothing_behind() -> None:
    count = "import os, sys; print(os.environ['ADJUTANT_TEST_POSTGRES'])"
    command = [sys.executable, "-m", "harness.postgres", sys.executable, "-c", count]
    environment = {k: v for k, v in os.environ.items() if k != postgres.VARIABLE}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=schema.CONTRACT.parent
    )
    assert done.returncode == 0, done.stderr
    port = int(done.stdout.strip().rpartition(":")[2])
    with pytest.raises(subprocess.CalledProcessError):
        postgres.create_database(f"postgres://adjutant@127.0.0.1:{port}", "too_late")
