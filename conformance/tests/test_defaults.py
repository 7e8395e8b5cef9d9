"""Null for an optional parameter is its absence, in every request that makes something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.scripted import Answer, Call
from harness.sdk import httpx
from harness.shelf import Shelf
from harness.story import Story, function_tool

Json = dict[str, Any]
pytestmark = pytest.mark.once

TOOLS = [
    {"type": "function", "function": {"name": "f", **dict.fromkeys(("description", "parameters"))}},
    {"type": "file_search", "file_search": None},
]
BARE_TOOLS = [{"type": "function", "function": {"name": "f"}}, {"type": "file_search"}]
RUN = (
    "model instructions tools metadata temperature top_p stream max_prompt_tokens "
    "max_completion_tokens truncation_strategy tool_choice parallel_tool_calls response_format"
).split()
ASSISTANT = (
    "name description instructions tools tool_resources metadata temperature top_p "
    "response_format reasoning_effort"
).split()
MESSAGE = {"role": "user", "content": "Hi"}
NO_MORE = dict.fromkeys(("attachments", "metadata"))
NO_STORE = {"vector_store_ids": None, "vector_stores": None}

# The request with nulls, and the same without; `{…}` stands for the id of what is there.
PAIRS: dict[str, tuple[str, Json, Json]] = {
    "assistant": ("/assistants", {"model": "m", **dict.fromkeys(ASSISTANT)}, {"model": "m"}),
    "tools": ("/assistants", {"model": "m", "tools": TOOLS}, {"model": "m", "tools": BARE_TOOLS}),
    "resources": (
        "/assistants",
        {"model": "m", "tool_resources": {"code_interpreter": None, "file_search": None}},
        {"model": "m"},
    ),
    "resources within": (
        "/threads",
        {"tool_resources": {"code_interpreter": {"file_ids": None}, "file_search": NO_STORE}},
        {"tool_resources": {"code_interpreter": {}, "file_search": {}}},
    ),
    "thread": ("/threads", dict.fromkeys(("messages", "tool_resources", "metadata")), {}),
    "message": ("/threads/{thread}/messages", {**MESSAGE, **NO_MORE}, MESSAGE),
    "run": (
        "/threads/{thread}/runs",
        {
            "assistant_id": "{assistant}",
            **dict.fromkeys(RUN),
            "additional_instructions": None,
            "additional_messages": None,
            "reasoning_effort": None,
        },
        {"assistant_id": "{assistant}"},
    ),
    "additional message": (
        "/threads/{thread}/runs",
        {"assistant_id": "{assistant}", "additional_messages": [{**MESSAGE, **NO_MORE}]},
        {"assistant_id": "{assistant}", "additional_messages": [MESSAGE]},
    ),
    "truncation": (
        "/threads/{thread}/runs",
        {
            "assistant_id": "{assistant}",
            "truncation_strategy": {"type": "auto", "last_messages": None},
        },
        {"assistant_id": "{assistant}"},
    ),
    "thread and run": (
        "/threads/runs",
        {
            "assistant_id": "{assistant}",
            **dict.fromkeys(RUN),
            "thread": {"messages": [MESSAGE], "metadata": None, "tool_resources": None},
            "tool_resources": None,
        },
        {"assistant_id": "{assistant}", "thread": {"messages": [MESSAGE]}},
    ),
    "no thread": (
        "/threads/runs",
        {"assistant_id": "{assistant}", "thread": None, "instructions": "Speak."},
        {"assistant_id": "{assistant}", "instructions": "Speak."},
    ),
    "store": (
        "/vector_stores",
        dict.fromkeys("name description file_ids expires_after chunking_strategy metadata".split()),
        {},
    ),
    "file of a store": (
        "/vector_stores/{store}/files",
        {"file_id": "{file}", "attributes": None, "chunking_strategy": None},
        {"file_id": "{file}"},
    ),
    "batch": (
        "/vector_stores/{store}/file_batches",
        {"file_ids": ["{file}"], "files": None, "attributes": None, "chunking_strategy": None},
        {"file_ids": ["{file}"]},
    ),
}
# What differs from one object to the next.
OWN = {"id", "created_at", "thread_id", "vector_store_id", "expires_at", "completed_at"}
OWN |= {"last_active_at", "usage_bytes", "status", "file_counts"}


def placed(value: Any, there: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: placed(inner, there) for key, inner in value.items()}
    if isinstance(value, list):
        return [placed(item, there) for item in value]
    if isinstance(value, str) and "{" in value:
        before, _, rest = value.partition("{")
        name, _, after = rest.partition("}")
        return f"{before}{there(name)}{after}"
    return value


@pytest.mark.parametrize("kind", PAIRS)
def test_null_is_absence(http: httpx.Client, story: Story, kind: str) -> None:
    """Typed clients send null for whatever their program left out."""
    story.model.always(Answer(("Ok.",)))
    shelf = Shelf(story.client)
    assistant = story.assistant(name="Ada", temperature=0.5, metadata={"a": "1"}).id
    made: list[Json] = []
    path, *bodies = PAIRS[kind]
    for body in bodies:
        ids: dict[str, str] = {"assistant": assistant}
        makers = {
            "thread": lambda: story.thread("Hi").id,
            "store": shelf.store,
            "file": lambda: shelf.file("words"),
        }

        def there(name: str, ids: dict[str, str] = ids, makers: Any = makers) -> str:
            if name not in ids:
                ids[name] = makers[name]()
            return ids[name]

        answer = http.post(placed(path, there), json=placed(body, there))
        assert answer.status_code == 200, answer.text
        made.append({k: v for k, v in answer.json().items() if k not in OWN})
    assert made[0] == made[1]


def test_null_is_absence_in_outputs(http: httpx.Client, story: Story) -> None:
    """An output that is null is an empty one, as one that is missing."""
    story.model.calls_all(Call("f"), Call("f")).then_says("Ok.")
    run = story.ask("Hi", assistant=story.assistant(tools=[function_tool("f")]))
    one, two = run.required_action.submit_tool_outputs.tool_calls
    outputs = [{"tool_call_id": one.id, "output": None}, {"tool_call_id": two.id}]
    path = f"/threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"
    answer = http.post(path, json={"tool_outputs": outputs, "stream": None})
    assert answer.json()["status"] == "queued"
    story.wait(run, "completed")
    assert [m["content"] for m in story.model.requests[1].messages[-2:]] == ["", ""]
