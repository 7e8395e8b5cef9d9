"""Limits, each at its last accepted value and at the first refused one, in characters.

A row names a request whose body has a hole; what goes into the hole decides. The parameter
that a refusal names follows from where the hole is. Limits of `POST /assistants` that
`test_errors.py` already tests on both sides are not repeated here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.scripted import Answer
from harness.sdk import http_client, httpx
from harness.shelf import Shelf
from harness.story import Story, function_tool

Json = dict[str, Any]
pytestmark = pytest.mark.once


class Here:
    """The hole in a request's body."""


class Made(str):
    """The kind of an object, where the id of one that is there has to stand."""


HERE = Here()
SCRIPTS = {"Korean": "한", "beyond the BMP": "🌮"}


@dataclass(frozen=True)
class Refused:
    """`says` None: the wording was never seen, so only status, code and parameter count."""

    value: Any
    code: str
    says: str | None


@dataclass(frozen=True)
class Limit:
    """What fits into the hole and what does not, by name."""

    fits: dict[str, Any]
    refuses: dict[str, Refused]


def longest(most: int) -> Limit:
    """Characters count, whatever they weigh in bytes."""
    says = (
        f"string too long. Expected a string with maximum length {most}, "
        f"but got a string with length {most + 1} instead."
    )
    return Limit(
        {script: letter * most for script, letter in SCRIPTS.items()},
        {
            script: Refused(letter * (most + 1), "string_above_max_length", says)
            for script, letter in SCRIPTS.items()
        },
    )


def most_items(most: int, item: Callable[[int], Any]) -> Limit:
    says = (
        f"array too long. Expected an array with maximum length {most}, "
        f"but got an array with length {most + 1} instead."
    )
    too_many = Refused([item(i) for i in range(most + 1)], "array_above_max_length", says)
    return Limit({"most": [item(i) for i in range(most)]}, {"more": too_many})


def numbers(noun: str, fits: list[Any], below: list[Any], above: list[Any]) -> Limit:
    least, most = min(fits), max(fits)

    def refused(value: Any, side: str, bound: str) -> Refused:
        says = f"{noun} {side} value. Expected a value {bound}, but got {value} instead."
        side_of_code = "below_min" if side == "below minimum" else "above_max"
        return Refused(value, f"{noun}_{side_of_code}_value", says)

    low = {str(v): refused(v, "below minimum", f">= {least}") for v in below}
    high = {str(v): refused(v, "above maximum", f"<= {most}") for v in above}
    return Limit({str(v): v for v in fits}, low | high)


def pairs() -> Limit:
    """Up to 16 pairs, keys to 64 and values to 512 characters."""
    many = (
        "too many properties. Expected an object with at most 16 properties, "
        "but got an object with 17 properties instead."
    )
    return Limit(
        {
            "16 pairs": {f"key-{number}": "" for number in range(16)},
            "Korean": {"열" * 64: "값" * 512},
            "beyond the BMP": {"🔑" * 64: "🌮" * 512},
        },
        {
            "17 pairs": Refused(
                {f"key-{number}": "" for number in range(17)}, "object_above_max_properties", many
            ),
            "Korean key": Refused({"열" * 65: ""}, "string_above_max_length", None),
            "key beyond the BMP": Refused({"🔑" * 65: ""}, "string_above_max_length", None),
        },
    )


PATTERN = (
    "string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
)
FUNCTION_NAME = Limit(
    {"64": "f" * 64, "1": "f", "every kind of letter": "get_Weather-2"},
    {
        "65": Refused(
            "f" * 65,
            "string_above_max_length",
            "string too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead.",
        ),
        "a space": Refused("a b", "invalid_value", PATTERN),
        "a dot": Refused("a.b", "invalid_value", PATTERN),
        "Korean": Refused("날씨", "invalid_value", PATTERN),
        "a last newline": Refused("f\n", "invalid_value", PATTERN),
        "nothing": Refused("", "empty_string", None),
    },
)
NAME, DESCRIPTION, INSTRUCTIONS = longest(256), longest(512), longest(256_000)
CONTENT, METADATA_VALUE, METADATA = longest(256_000), longest(512), pairs()
FUNCTION_DESCRIPTION = longest(1024)
TOOLS = most_items(128, lambda number: function_tool(f"f{number}"))
TEMPERATURE = numbers("decimal", [0, 0.5, 2], [-0.1], [2.1])
TOP_P = numbers("decimal", [0, 0.5, 1], [-0.1], [1.1])
# The document says 256; a recorded run was accepted with 16, and recordings win.
TOKENS = numbers("integer", [16], [15, 0, -1], [])
LAST_MESSAGES = numbers("integer", [1], [0, -1], [])
RESULTS = numbers("integer", [1, 50], [0], [51])
SCORE = numbers("decimal", [0, 0.5, 1], [-0.1], [1.1])
FILES = most_items(20, lambda _: Made("file"))
STORES = most_items(1, lambda _: Made("store"))

ASSISTANT, THREAD = "/assistants/{assistant}", "/threads/{thread}"
MESSAGES, RUNS, RUN = f"{THREAD}/messages", f"{THREAD}/runs", f"{THREAD}/runs/{{run}}"
MODEL = {"model": "m"}
BY = {"assistant_id": "{assistant}"}
WITH_THREAD = {**BY, "thread": {"messages": [{"role": "user", "content": "Hi"}]}}


def message(**parts: Any) -> Json:
    return {"role": "user", "content": "Hi", **parts}


def function(**parts: Any) -> list[Json]:
    return [{"type": "function", "function": {"name": "f", **parts}}]


def search(**parts: Any) -> list[Json]:
    return [{"type": "code_interpreter"}, {"type": "file_search", "file_search": parts}]


def ranking(threshold: Any) -> list[Json]:
    return search(ranking_options={"score_threshold": threshold})


def new_thread(**parts: Any) -> Json:
    return {**BY, "thread": {"messages": [message()], **parts}}


FILE_IDS = {"code_interpreter": {"file_ids": HERE}}
STORE_IDS = {"file_search": {"vector_store_ids": HERE}}
TEXT_PART = [{"type": "text", "text": "Hi"}, {"type": "text", "text": HERE}]

ROWS: list[tuple[str, Json, Limit]] = [
    # assistants
    ("/assistants", {**MODEL, "tools": function(name=HERE)}, FUNCTION_NAME),
    ("/assistants", {**MODEL, "metadata": HERE}, METADATA),
    ("/assistants", {**MODEL, "metadata": {"k": HERE}}, METADATA_VALUE),
    ("/assistants", {**MODEL, "temperature": HERE}, TEMPERATURE),
    ("/assistants", {**MODEL, "top_p": HERE}, TOP_P),
    ("/assistants", {**MODEL, "tools": search(max_num_results=HERE)}, RESULTS),
    ("/assistants", {**MODEL, "tools": ranking(HERE)}, SCORE),
    ("/assistants", {**MODEL, "tool_resources": FILE_IDS}, FILES),
    ("/assistants", {**MODEL, "tool_resources": STORE_IDS}, STORES),
    (ASSISTANT, {"name": HERE}, NAME),
    (ASSISTANT, {"description": HERE}, DESCRIPTION),
    (ASSISTANT, {"instructions": HERE}, INSTRUCTIONS),
    (ASSISTANT, {"tools": HERE}, TOOLS),
    (ASSISTANT, {"tools": function(name=HERE)}, FUNCTION_NAME),
    (ASSISTANT, {"tools": function(description=HERE)}, FUNCTION_DESCRIPTION),
    (ASSISTANT, {"metadata": HERE}, METADATA),
    (ASSISTANT, {"metadata": {"k": HERE}}, METADATA_VALUE),
    (ASSISTANT, {"temperature": HERE}, TEMPERATURE),
    (ASSISTANT, {"top_p": HERE}, TOP_P),
    (ASSISTANT, {"tools": search(max_num_results=HERE)}, RESULTS),
    (ASSISTANT, {"tools": ranking(HERE)}, SCORE),
    (ASSISTANT, {"tool_resources": FILE_IDS}, FILES),
    (ASSISTANT, {"tool_resources": STORE_IDS}, STORES),
    # threads
    ("/threads", {"metadata": HERE}, METADATA),
    ("/threads", {"metadata": {"k": HERE}}, METADATA_VALUE),
    ("/threads", {"tool_resources": FILE_IDS}, FILES),
    ("/threads", {"tool_resources": STORE_IDS}, STORES),
    ("/threads", {"messages": [message(), message(content=HERE)]}, CONTENT),
    ("/threads", {"messages": [message(metadata=HERE)]}, METADATA),
    (THREAD, {"metadata": HERE}, METADATA),
    (THREAD, {"metadata": {"k": HERE}}, METADATA_VALUE),
    (THREAD, {"tool_resources": FILE_IDS}, FILES),
    (THREAD, {"tool_resources": STORE_IDS}, STORES),
    # messages
    (MESSAGES, message(content=HERE), CONTENT),
    (MESSAGES, message(content=TEXT_PART), CONTENT),
    (MESSAGES, message(metadata=HERE), METADATA),
    (MESSAGES, message(metadata={"k": HERE}), METADATA_VALUE),
    (f"{MESSAGES}/{{message}}", {"metadata": HERE}, METADATA),
    (f"{MESSAGES}/{{message}}", {"metadata": {"k": HERE}}, METADATA_VALUE),
    # runs
    (RUNS, {**BY, "instructions": HERE}, INSTRUCTIONS),
    (RUNS, {**BY, "tools": HERE}, TOOLS),
    (RUNS, {**BY, "tools": function(name=HERE)}, FUNCTION_NAME),
    (RUNS, {**BY, "tools": function(description=HERE)}, FUNCTION_DESCRIPTION),
    (RUNS, {**BY, "tools": search(max_num_results=HERE)}, RESULTS),
    (RUNS, {**BY, "tools": ranking(HERE)}, SCORE),
    (RUNS, {**BY, "metadata": HERE}, METADATA),
    (RUNS, {**BY, "metadata": {"k": HERE}}, METADATA_VALUE),
    (RUNS, {**BY, "temperature": HERE}, TEMPERATURE),
    (RUNS, {**BY, "top_p": HERE}, TOP_P),
    (RUNS, {**BY, "max_prompt_tokens": HERE}, TOKENS),
    (RUNS, {**BY, "max_completion_tokens": HERE}, TOKENS),
    (
        RUNS,
        {**BY, "truncation_strategy": {"type": "last_messages", "last_messages": HERE}},
        LAST_MESSAGES,
    ),
    (RUNS, {**BY, "additional_messages": [message(content=HERE)]}, CONTENT),
    (RUNS, {**BY, "additional_messages": [message(), message(metadata=HERE)]}, METADATA),
    (RUN, {"metadata": HERE}, METADATA),
    (RUN, {"metadata": {"k": HERE}}, METADATA_VALUE),
    # a thread and its run at once
    ("/threads/runs", {**WITH_THREAD, "instructions": HERE}, INSTRUCTIONS),
    ("/threads/runs", {**WITH_THREAD, "tools": HERE}, TOOLS),
    ("/threads/runs", {**WITH_THREAD, "tools": function(name=HERE)}, FUNCTION_NAME),
    ("/threads/runs", {**WITH_THREAD, "metadata": HERE}, METADATA),
    ("/threads/runs", {**WITH_THREAD, "temperature": HERE}, TEMPERATURE),
    ("/threads/runs", {**WITH_THREAD, "top_p": HERE}, TOP_P),
    ("/threads/runs", {**WITH_THREAD, "max_prompt_tokens": HERE}, TOKENS),
    ("/threads/runs", {**WITH_THREAD, "max_completion_tokens": HERE}, TOKENS),
    (
        "/threads/runs",
        {**WITH_THREAD, "truncation_strategy": {"type": "last_messages", "last_messages": HERE}},
        LAST_MESSAGES,
    ),
    ("/threads/runs", {**WITH_THREAD, "tool_resources": FILE_IDS}, FILES),
    ("/threads/runs", {**WITH_THREAD, "tool_resources": STORE_IDS}, STORES),
    ("/threads/runs", new_thread(metadata=HERE), METADATA),
    ("/threads/runs", new_thread(tool_resources=FILE_IDS), FILES),
    ("/threads/runs", new_thread(tool_resources=STORE_IDS), STORES),
    ("/threads/runs", {**BY, "thread": {"messages": [message(content=HERE)]}}, CONTENT),
]


# -- requests from rows ----------------------------------------------------------------
def hole(body: Any, path: str = "") -> Iterator[str]:
    """Where the hole is, as a refusal would name it."""
    if body is HERE:
        yield path
    elif isinstance(body, dict):
        for key, inner in body.items():
            yield from hole(inner, f"{path}.{key}" if path else key)
    elif isinstance(body, list):
        for index, inner in enumerate(body):
            yield from hole(inner, f"{path}[{index}]")


def filled(body: Any, value: Any, places: Places) -> Any:
    if body is HERE:
        if isinstance(value, list):
            return [places[item] if isinstance(item, Made) else item for item in value]
        return value
    if isinstance(body, dict):
        return {key: filled(inner, value, places) for key, inner in body.items()}
    if isinstance(body, list):
        return [filled(inner, value, places) for inner in body]
    return body.format_map(places) if isinstance(body, str) else body


class Places(dict[str, str]):
    """Objects for the paths of a row, each made when the row first names it."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def __missing__(self, kind: str) -> str:
        story = self._story
        if kind == "assistant":
            self[kind] = story.assistant().id
        elif kind == "run":
            run = story.runs.create(thread_id=self["thread"], assistant_id=self["assistant"])
            self[kind] = story.wait(run, "completed").id
        elif kind == "file":
            self[kind] = Shelf(story.client).file("words")
        elif kind == "store":
            self[kind] = Shelf(story.client).store()
        else:
            # A row may start a run, and a second one must not find the first at work.
            thread = story.thread("Hi")
            self["thread"] = thread.id
            self["message"] = story.threads.messages.list(thread.id).data[0].id
        return self[kind]


def name_of(row: tuple[str, Json, Limit]) -> str:
    path, body, _ = row
    return f"{path.replace('/{', '/').replace('}', '')} {next(hole(body))}"


@pytest.fixture
def places(story: Story) -> Places:
    story.model.always(Answer(("Ok.",)))
    return Places(story)


@pytest.mark.parametrize(("path", "body", "limit"), ROWS, ids=map(name_of, ROWS))
def test_limit(http: httpx.Client, places: Places, path: str, body: Json, limit: Limit) -> None:
    """What fits is taken; what does not is refused by code, parameter and words."""
    (param,) = hole(body)
    wrong: list[str] = []

    def post(value: Any) -> Any:
        return http.post(path.format_map(places), json=filled(body, value, places))

    for name, refused in limit.refuses.items():
        answer = post(refused.value)
        error = answer.json().get("error", {})
        expected = (400, refused.code, param)
        told = (answer.status_code, error.get("code"), error.get("param"))
        in_words = (
            refused.says is None or error.get("message") == f"Invalid '{param}': {refused.says}"
        )
        if told != expected or not in_words:
            wrong.append(f"{name}: {told} is not {expected}: {answer.text[:300]}")
    for name, value in limit.fits.items():
        answer = post(value)
        if path == RUNS:
            places.pop("thread", None)
        if answer.status_code != 200:
            wrong.append(f"{name} should fit: {answer.status_code} {answer.text[:300]}")
    assert not wrong, "\n".join(wrong)


def test_messages_of_one_request_have_a_limit(http: httpx.Client) -> None:
    """A thread takes 100,000 messages; one more in the request that makes it is refused."""
    answer = http.post("/threads", json={"messages": [message(content="x")] * 100_001})
    error = answer.json().get("error", {})
    told = (answer.status_code, error.get("code"), error.get("param"))
    assert told == (400, "array_above_max_length", "messages")


# -- lists -----------------------------------------------------------------------------
LISTS = ["/assistants", MESSAGES, RUNS, f"{RUN}/steps"]
LIST_LIMIT = numbers("integer", [1, 100], [0, -1], [101])


@pytest.mark.parametrize("path", LISTS)
def test_the_limit_of_a_list(http: httpx.Client, places: Places, path: str) -> None:
    """From 1 to 100 on every list, with the same words beyond."""
    path = path.format_map(places)
    for value in LIST_LIMIT.fits.values():
        answer = http.get(path, params={"limit": value})
        assert answer.status_code == 200 and len(answer.json()["data"]) <= value
    for refused in LIST_LIMIT.refuses.values():
        error = http.get(path, params={"limit": refused.value}).json()["error"]
        assert (error["code"], error["param"]) == (refused.code, "limit")
        assert error["message"] == f"Invalid 'limit': {refused.says}"


# -- outputs of tools ------------------------------------------------------------------
def test_outputs_at_their_limit(servers: Any, db: str, connect: Any, ledger: Ledger) -> None:
    """Together they stay below 512 kB; each alone is counted in characters."""
    server = servers.shared(db, ADJUTANT_CONTEXT_TOKENS="1000000")
    story, http = connect(server), http_client(server.base_url, ledger)
    story.model.calls("weather", {"city": "Oslo"}).then_says("Ok.")
    run = story.ask("Hi", assistant=story.assistant(tools=[function_tool("weather")]))
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    path = f"/threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"

    def submit(output: str) -> Json:
        outputs = [{"tool_call_id": call.id, "output": output}]
        return http.post(path, json={"tool_outputs": outputs}).json()

    for letter in SCRIPTS.values():
        error = submit(letter * 1_048_577)["error"]
        assert (error["code"], error["param"]) == (
            "string_above_max_length",
            "tool_outputs[0].output",
        )
        assert error["message"] == (
            "Invalid 'tool_outputs[0].output': string too long. Expected a string with maximum "
            "length 1048576, but got a string with length 1048577 instead."
        )
    error = submit("x" * 512 * 1024)["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "tool_outputs")
    largest = "x" * (512 * 1024 - 1)
    assert submit(largest)["status"] == "queued"
    story.wait(run, "completed")
    assert story.model.requests[1].messages[-1]["content"] == largest
