"""Runs that search files, in few words, for tests of any SDK generation."""

from __future__ import annotations

from typing import Any

from harness.scripted import Call, Model
from harness.story import Story

SEARCH = {"type": "file_search"}
CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
FOODS = "The favorite food of several people:\n- Effie: pizza\n- Filip: cake"
FRUIT = "필립은 사과를 좋아합니다. 에피는 배를 좋아합니다."


def searcher(story: Story, *stores: str, tool: dict[str, Any] | None = None, **options: Any) -> Any:
    """An assistant that searches these stores."""
    resources = {"file_search": {"vector_store_ids": list(stores)}}
    options.setdefault("tools", [tool or SEARCH])
    return story.assistant(tool_resources=resources, **options)


def searches(*queries: str) -> Call:
    return Call("file_search", {"queries": list(queries)})


def results(step: Any) -> list[Any]:
    return [result for call in step.step_details.tool_calls for result in call.file_search.results]


def content_of(result: Any) -> str:
    return (
        result.content[0].text if hasattr(result.content[0], "text") else result.content[0]["text"]
    )


def heard(model: Model, request: int = -1) -> list[str]:
    """What the model read of its calls' results."""
    return [text for role, text in model.requests[request].said if role == "tool"]


def tools_told(model: Model, request: int = -1) -> list[str]:
    told = model.requests[request].body.get("tools", [])
    return [tool["function"]["name"] for tool in told]


def last_text(story: Story, thread_id: str) -> Any:
    return story.threads.messages.list(thread_id).data[0].content[0].text
