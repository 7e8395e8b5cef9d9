"""Refusals, in the real API's words: a table of requests and what they are answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from harness import recorded
from harness.sdk import httpx
from harness.story import Story, function_tool

Json = dict[str, Any]
pytestmark = pytest.mark.once


@dataclass(frozen=True)
class Row:
    """`message` None: the wording was never seen, so only status, code and param count."""

    method: str
    path: str
    body: Any
    message: str | None
    code: str | None = None
    param: str | None = None
    status: int = 400


def missing(kind: str, path: str, id: str, method: str = "GET", body: Any = None) -> Row:
    return Row(method, path, body, f"No {kind} found with id '{id}'.", status=404)


def wrong_id(path: str, param: str, prefix: str, id: str = "new") -> Row:
    message = f"Invalid '{param}': '{id}'. Expected an ID that begins with '{prefix}'."
    return Row("GET", path, None, message, "invalid_value", param)


def absent(path: str, body: Json, param: str) -> Row:
    message = f"Missing required parameter: '{param}'."
    return Row("POST", path, body, message, "missing_required_parameter", param)


def unknown(path: str, body: Json, param: str) -> Row:
    return Row("POST", path, body, f"Unknown parameter: '{param}'.", "unknown_parameter", param)


def mistyped(path: str, body: Json, param: str, wording: str | None = None) -> Row:
    message = f"Invalid type for '{param}': expected {wording} instead." if wording else None
    return Row("POST", path, body, message, "invalid_type", param)


def too_long(path: str, body: Json, param: str, most: int, got: int) -> Row:
    message = (
        f"Invalid '{param}': string too long. Expected a string with maximum length {most}, "
        f"but got a string with length {got} instead."
    )
    return Row("POST", path, body, message, "string_above_max_length", param)


def bad_choice(path: str, body: Json, param: str, message: str | None) -> Row:
    return Row("POST", path, body, message, "invalid_value", param)


def bad_limit(path: str, limit: str, code: str, message: str | None) -> Row:
    return Row("GET", f"{path}?limit={limit}", None, message, code, "limit")


def function(**parts: Any) -> Json:
    return {"model": "m", "tools": [{"type": "function", "function": {"name": "f", **parts}}]}


THREAD, RUN = "/threads/{thread}", "/threads/{thread}/runs/{run}"
MESSAGES, RUNS, SUBMIT = f"{THREAD}/messages", f"{THREAD}/runs", f"{RUN}/submit_tool_outputs"
HI = {"role": "user", "content": "Hi"}
BY = {"assistant_id": "{assistant}"}
MANY = {f"key-{number}": "value" for number in range(17)}
ABOVE = "integer above maximum value. Expected a value <= 100, but got"
BELOW = "integer below minimum value. Expected a value >= 1, but got"

TABLE: dict[str, Row] = {
    # missing objects
    "assistant": missing("assistant", "/assistants/asst_abc123", "asst_abc123"),
    "change assistant": missing("assistant", "/assistants/asst_abc123", "asst_abc123", "POST", {}),
    "delete assistant": missing("assistant", "/assistants/asst_abc123", "asst_abc123", "DELETE"),
    "thread": missing("thread", "/threads/thread_abc", "thread_abc"),
    "change thread": missing("thread", "/threads/thread_abc", "thread_abc", "POST", {}),
    "delete thread": missing("thread", "/threads/thread_abc", "thread_abc", "DELETE"),
    "its messages": missing("thread", "/threads/thread_abc/messages", "thread_abc"),
    "write to it": missing("thread", "/threads/thread_abc/messages", "thread_abc", "POST", HI),
    "its runs": missing("thread", "/threads/thread_abc/runs", "thread_abc"),
    "run on it": missing("thread", "/threads/thread_abc/runs", "thread_abc", "POST", BY),
    "message": missing("message", f"{MESSAGES}/msg_abc", "msg_abc"),
    "change message": missing("message", f"{MESSAGES}/msg_abc", "msg_abc", "POST", {}),
    "delete message": missing("message", f"{MESSAGES}/msg_abc", "msg_abc", "DELETE"),
    "run": missing("run", f"{RUNS}/run_abc", "run_abc"),
    "change run": missing("run", f"{RUNS}/run_abc", "run_abc", "POST", {}),
    "cancel run": missing("run", f"{RUNS}/run_abc/cancel", "run_abc", "POST"),
    "steps": missing("run", f"{RUNS}/run_abc/steps", "run_abc"),
    "step": missing("run step", f"{RUN}/steps/step_123", "step_123"),
    "submit to no run": missing(
        "run", f"{RUNS}/run_abc/submit_tool_outputs", "run_abc", "POST", {"tool_outputs": []}
    ),
    "run by nobody": missing(
        "assistant", RUNS, "asst_abc123", "POST", {"assistant_id": "asst_abc123"}
    ),
    "thread and run by nobody": missing(
        "assistant", "/threads/runs", "asst_abc123", "POST", {"assistant_id": "asst_abc123"}
    ),
    # ids of another kind
    "id of assistant": wrong_id("/assistants/new", "assistant_id", "asst"),
    "id of thread": wrong_id("/threads/new", "thread_id", "thread"),
    "id of thread above": wrong_id("/threads/new/messages", "thread_id", "thread"),
    "id of message": wrong_id(f"{MESSAGES}/new", "message_id", "msg"),
    "id of run": wrong_id(f"{RUNS}/new", "run_id", "run"),
    "id of step": wrong_id(f"{RUN}/steps/new", "step_id", "step"),
    "id of vector store": wrong_id("/vector_stores/new", "vector_store_id", "vs"),
    "id of batch": wrong_id("/vector_stores/vs_1/file_batches/new", "batch_id", "vsfb"),
    "id of another kind": wrong_id("/threads/asst_abc", "thread_id", "thread", "asst_abc"),
    "id of run among messages": wrong_id(f"{MESSAGES}?run_id=new", "run_id", "run"),
    "id in a body": Row(
        "POST",
        RUNS,
        {"assistant_id": "new"},
        "Invalid 'assistant_id': 'new'. Expected an ID that begins with 'asst'.",
        "invalid_value",
        "assistant_id",
    ),
    "id in other script": wrong_id("/threads/스레드", "thread_id", "thread", "스레드"),
    # missing parameters
    "no model": absent("/assistants", {}, "model"),
    "no assistant": absent(RUNS, {}, "assistant_id"),
    "no assistant for new thread": absent("/threads/runs", {"thread": {}}, "assistant_id"),
    "no content": absent(MESSAGES, {"role": "user"}, "content"),
    "no role": absent(MESSAGES, {"content": "Hi"}, "role"),
    "no role inside": absent("/threads", {"messages": [{"content": "Hi"}]}, "messages[0].role"),
    "no outputs": absent(SUBMIT, {}, "tool_outputs"),
    "no function": absent(
        "/assistants", {"model": "m", "tools": [{"type": "function"}]}, "tools[0].function"
    ),
    "no function name": absent(
        "/assistants",
        {"model": "m", "tools": [{"type": "function", "function": {}}]},
        "tools[0].function.name",
    ),
    # unknown parameters
    "unknown to assistants": unknown("/assistants", {"model": "m", "colour": "red"}, "colour"),
    "unknown to threads": unknown("/threads", {"colour": "red"}, "colour"),
    "unknown to messages": unknown(MESSAGES, {**HI, "file_ids": []}, "file_ids"),
    "unknown to runs": unknown(RUNS, {**BY, "colour": "red"}, "colour"),
    "stores for a run on a thread that is there": unknown(
        RUNS, {**BY, "tool_resources": {}}, "tool_resources"
    ),
    "unknown to outputs": unknown(SUBMIT, {"tool_outputs": [], "colour": 1}, "colour"),
    "unknown deep inside": unknown(
        "/assistants",
        {"model": "m", "tool_resources": {"file_search": {"file_ids": ["file-1"]}}},
        "tool_resources.file_search.file_ids",
    ),
    "unknown in a list": unknown("/threads", {"messages": [HI, {**HI, "x": 1}]}, "messages[1].x"),
    "unknown before mistyped": unknown("/assistants", {"model": 5, "colour": "red"}, "colour"),
    # wrong types
    "model true": mistyped("/assistants", {"model": True}, "model", "a string, but got a boolean"),
    "model number": mistyped("/assistants", {"model": 5}, "model", "a string, but got an integer"),
    "name object": mistyped(
        "/assistants", {"model": "m", "name": {}}, "name", "a string, but got an object"
    ),
    "name array": mistyped(
        "/assistants", {"model": "m", "name": []}, "name", "a string, but got an array"
    ),
    "metadata value": mistyped(
        "/threads",
        {"metadata": {"modified": True}},
        "metadata.modified",
        "a string, but got a boolean",
    ),
    "metadata text": mistyped(
        "/threads", {"metadata": "x"}, "metadata", "an object, but got a string"
    ),
    "temperature": mistyped("/assistants", {"model": "m", "temperature": "hot"}, "temperature"),
    "tools": mistyped("/assistants", {"model": "m", "tools": "all"}, "tools"),
    "stream": mistyped(RUNS, {**BY, "stream": "yes"}, "stream", "a boolean, but got a string"),
    "output": mistyped(
        SUBMIT,
        {"tool_outputs": [{"tool_call_id": "call_1", "output": 5}]},
        "tool_outputs[0].output",
        "a string, but got an integer",
    ),
    "text": mistyped(
        MESSAGES,
        {"role": "user", "content": [{"type": "text", "text": 5}]},
        "content[0].text",
        "a string, but got an integer",
    ),
    # too long, too many
    "name": too_long("/assistants", {"model": "m", "name": "n" * 257}, "name", 256, 257),
    "description": too_long(
        "/assistants", {"model": "m", "description": "d" * 513}, "description", 512, 513
    ),
    "instructions": too_long(
        "/assistants",
        {"model": "m", "instructions": "i" * 256_001},
        "instructions",
        256_000,
        256_001,
    ),
    "content": too_long(
        MESSAGES, {"role": "user", "content": "c" * 256_001}, "content", 256_000, 256_001
    ),
    "function description": too_long(
        "/assistants", function(description="d" * 1025), "tools[0].function.description", 1024, 1025
    ),
    "metadata long": too_long("/threads", {"metadata": {"k": "v" * 600}}, "metadata.k", 512, 600),
    "characters count, not bytes": too_long(
        "/assistants", {"model": "m", "name": "🌮" * 257}, "name", 256, 257
    ),
    "a model without a name": Row(
        "POST",
        "/assistants",
        {"model": ""},
        "Invalid 'model': empty string. Expected a string with minimum length 1, but got an empty "
        "string instead.",
        "empty_string",
        "model",
    ),
    "metadata many": Row(
        "POST",
        "/threads",
        {"metadata": MANY},
        "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
        "but got an object with 17 properties instead.",
        "object_above_max_properties",
        "metadata",
    ),
    "stores many": Row(
        "POST",
        "/threads",
        {"tool_resources": {"file_search": {"vector_stores": [{}, {}]}}},
        "Invalid 'tool_resources.file_search.vector_stores': array too long. Expected an array "
        "with maximum length 1, but got an array with length 2 instead.",
        "array_above_max_length",
        "tool_resources.file_search.vector_stores",
    ),
    "tools many": Row(
        "POST",
        "/assistants",
        {"model": "m", "tools": [function_tool(f"f{i}") for i in range(129)]},
        None,
        "array_above_max_length",
        "tools",
    ),
    # wrong values
    "role": bad_choice(
        MESSAGES,
        {"role": "system", "content": "Hi"},
        "role",
        "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
    ),
    "tool choice": bad_choice(
        RUNS,
        {**BY, "tool_choice": "bogus"},
        "tool_choice",
        "Invalid value: 'bogus'. Supported values are: 'none', 'auto', and 'required'.",
    ),
    "tool type": bad_choice(
        "/assistants", {"model": "m", "tools": [{"type": "magic"}]}, "tools[0].type", None
    ),
    "order": Row(
        "GET",
        f"{MESSAGES}?order=sideways",
        None,
        "Invalid value: 'sideways'. Supported values are: 'asc' and 'desc'.",
        "invalid_value",
        "order",
    ),
    # lists
    "limit 101": bad_limit(
        MESSAGES, "101", "integer_above_max_value", f"Invalid 'limit': {ABOVE} 101 instead."
    ),
    "limit 0": bad_limit(
        MESSAGES, "0", "integer_below_min_value", f"Invalid 'limit': {BELOW} 0 instead."
    ),
    "limit -1": bad_limit(
        "/assistants", "-1", "integer_below_min_value", f"Invalid 'limit': {BELOW} -1 instead."
    ),
    "limit ten": bad_limit(RUNS, "ten", "invalid_type", None),
    # states
    "cancel what is over": Row(
        "POST", f"{RUN}/cancel", None, "Cannot cancel run with status 'completed'."
    ),
    "submit to what is over": Row(
        "POST",
        SUBMIT,
        {"tool_outputs": [{"tool_call_id": "call_1", "output": ""}]},
        'Runs in status "completed" do not accept tool outputs.',
    ),
}


@pytest.fixture
def places(story: Story) -> dict[str, str]:
    """A thread with a finished run, for the paths of the table."""
    story.model.says("Hello.")
    run = story.ask("Hi")
    return {"thread": run.thread_id, "run": run.id, "assistant": run.assistant_id}


def placed(value: Any, places: dict[str, str]) -> Any:
    if isinstance(value, str):
        for name, id in places.items():
            value = value.replace(f"{{{name}}}", id)
        return value
    if isinstance(value, dict):
        return {key: placed(inner, places) for key, inner in value.items()}
    return value


@pytest.mark.parametrize("name", TABLE)
def test_refusal(http: httpx.Client, places: dict[str, str], name: str) -> None:
    row = TABLE[name]
    options = {} if row.body is None else {"json": placed(row.body, places)}
    answer = http.request(row.method, placed(row.path, places), **options)
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    told = (answer.status_code, error["code"], error["param"])
    assert told == (row.status, row.code, row.param), error["message"]
    if row.message is not None:
        assert error["message"] == row.message


def test_a_run_with_nothing_to_do_is_refused(http: httpx.Client, story: Story) -> None:
    """Neither a user's message nor instructions: there is nothing to do."""
    body = {"assistant_id": story.assistant().id}
    answer = http.post(f"/threads/{story.thread().id}/runs", json=body)
    assert answer.status_code == 400
    case = recorded.http_errors()["create run: empty thread and no instructions"]
    assert answer.json() == case["body"]


# -- at the limit, not beyond ----------------------------------------------------------
AT_THE_LIMIT: dict[str, tuple[str, Json]] = {
    "name": ("/assistants", {"model": "m", "name": "한" * 256}),
    "name beyond the BMP": ("/assistants", {"model": "m", "name": "🌮" * 256}),
    "description": ("/assistants", {"model": "m", "description": "글" * 512}),
    "instructions": ("/assistants", {"model": "m", "instructions": "é" * 256_000}),
    "metadata": ("/threads", {"metadata": {f"{i:064}": "값" * 512 for i in range(16)}}),
    "content": ("/threads", {"messages": [{"role": "user", "content": "🌮" * 256_000}]}),
    "function": ("/assistants", function(description="설" * 1024)),
    "tools": ("/assistants", {"model": "m", "tools": [function_tool(f"f{i}") for i in range(128)]}),
}


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_limits_count_characters_and_include_the_last(http: httpx.Client, name: str) -> None:
    path, body = AT_THE_LIMIT[name]
    answer = http.post(path, json=body)
    assert answer.status_code == 200, answer.text[:500]


def test_a_huge_tool_output_is_refused(http: httpx.Client, story: Story) -> None:
    """Larger than 512 kB in all: refused with the real API's words, and the run still waits."""
    story.model.calls("weather", {"city": "Oslo"})
    run = story.ask("Hi", assistant=story.assistant(tools=[function_tool("weather")]))
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    path = f"/threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"

    def submit(size: int) -> Json:
        outputs = [{"tool_call_id": call.id, "output": "x" * size}]
        answer = http.post(path, json={"tool_outputs": outputs})
        assert answer.status_code == 400
        return answer.json()

    case = recorded.http_errors()["all tool outputs > 512 kB"]
    assert submit(600 * 1024) == case["body"]
    assert submit(1_048_577)["error"]["code"] == "string_above_max_length"
    assert story.look(run).status == "requires_action"
    story.cancel(run)
