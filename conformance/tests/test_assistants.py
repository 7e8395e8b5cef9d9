"""Assistants: made, read, changed, listed, deleted, as the real API does it."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from harness.sdk import httpx
from harness.story import Story, function_tool

Json = dict[str, Any]


def test_an_assistant_comes_back_with_every_default_filled_in(http: httpx.Client) -> None:
    """A new assistant has all keys of the real API, in its order, with its defaults."""
    assistant = http.post("/assistants", json={"model": "gpt-4o"}).json()
    assert assistant.pop("id").startswith("asst_")
    assert isinstance(assistant.pop("created_at"), int)
    assert assistant == {
        "object": "assistant",
        "name": None,
        "description": None,
        "model": "gpt-4o",
        "instructions": None,
        "tools": [],
        "top_p": 1.0,
        "temperature": 1.0,
        "reasoning_effort": None,
        "tool_resources": {},
        "metadata": {},
        "response_format": "auto",
    }


def test_everything_said_about_an_assistant_is_kept(http: httpx.Client) -> None:
    """Whatever a program stores it reads back unchanged, in any script."""
    said: Json = {
        "model": "gpt-4o",
        "name": "수학 선생님 🧮",
        "description": "Écrit en français",
        "instructions": "Use ≤ and \u0000-free text\n\tonly.",
        "metadata": {"ключ": "значение", "empty": ""},
        "temperature": 0.2,
        "top_p": 0.5,
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
    }
    said["instructions"] = said["instructions"].replace("\u0000", "")
    created = http.post("/assistants", json=said).json()
    read = http.get(f"/assistants/{created['id']}").json()
    assert created == read
    assert {key: read[key] for key in said} == said


TOOLS: list[tuple[Json, Json]] = [
    ({"type": "code_interpreter"}, {"type": "code_interpreter"}),
    (
        {"type": "function", "function": {"name": "now"}},
        {
            "type": "function",
            "function": {
                "name": "now",
                "description": None,
                "parameters": {"type": "object", "properties": {}},
                "strict": False,
            },
        },
    ),
    (
        {"type": "file_search"},
        {
            "type": "file_search",
            "file_search": {
                "ranking_options": {
                    "ranker": "default_2024_08_21",
                    "score_threshold": 0.0,
                    "hybrid_search": None,
                }
            },
        },
    ),
]


@pytest.mark.parametrize(("given", "stored"), TOOLS, ids=["code", "function", "file_search"])
def test_tools_are_normalised_as_recorded(http: httpx.Client, given: Json, stored: Json) -> None:
    """Clients that compare tools see the forms that the real API gives back."""
    tool = http.post("/assistants", json={"model": "m", "tools": [given]}).json()["tools"][0]
    if stored["type"] == "function":
        tool["function"].setdefault("description", None)
    assert tool == stored


@pytest.mark.parametrize(
    ("tools", "resources"),
    [
        (["code_interpreter"], {"code_interpreter": {"file_ids": []}}),
        (["file_search"], {"file_search": {"vector_store_ids": []}}),
        (
            ["file_search", "code_interpreter"],
            {"code_interpreter": {"file_ids": []}, "file_search": {"vector_store_ids": []}},
        ),
    ],
)
def test_hosted_tools_bring_their_resources(
    http: httpx.Client, tools: list[str], resources: Json
) -> None:
    """Clients look for the lists of files and stores where a tool works on them."""
    said = {"model": "m", "tools": [{"type": tool} for tool in tools]}
    made = http.post("/assistants", json=said).json()
    assert made["tool_resources"] == resources
    assert http.get(f"/assistants/{made['id']}").json() == made


def test_a_json_schema_keeps_its_key_order(http: httpx.Client) -> None:
    """Models read schemas; the order that the author chose is the author's."""
    properties = {"zebra": {"type": "string"}, "apple": {"type": "integer"}, "mango": {}}
    tool = function_tool("f", **properties)
    answer = http.post("/assistants", json={"model": "m", "tools": [tool]}).json()
    kept = answer["tools"][0]["function"]["parameters"]["properties"]
    assert list(kept) == ["zebra", "apple", "mango"]


def test_numbers_are_kept_to_the_last_digit(http: httpx.Client) -> None:
    """However often they are written and read; a parser that rounds would let them drift."""
    said = {"model": "m", "top_p": 5.960464477539063e-08, "temperature": 1.1000000000000003}
    parameters = {"type": "object", "properties": {"x": {"maximum": 2.2250738585072011e-308}}}
    function = {"name": "f", "parameters": parameters}
    said["tools"] = [{"type": "function", "function": function}]
    made = http.post("/assistants", json=said).json()
    for _ in range(3):
        read = http.post(f"/assistants/{made['id']}", json={}).json()
    assert (read["top_p"], read["temperature"]) == (said["top_p"], said["temperature"])
    assert read["tools"][0]["function"]["parameters"] == parameters


def test_a_change_touches_only_what_it_names(story: Story) -> None:
    """Absent leaves alone, null clears, a value sets."""
    made = story.assistant(name="Ada", description="A helper", metadata={"a": "1"})
    changed = story.client.beta.assistants.update(made.id, name="Grace")
    assert (changed.name, changed.description, changed.metadata) == (
        "Grace",
        "A helper",
        {"a": "1"},
    )
    cleared = story.client.beta.assistants.update(made.id, extra_body={"description": None})
    assert (cleared.name, cleared.description) == ("Grace", None)
    assert (cleared.id, cleared.created_at) == (made.id, made.created_at)


CHANGES: Json = {
    "model": "another",
    "name": "Grace",
    "description": "Another",
    "instructions": "Be long.",
    "tools": [
        {"type": "function", "function": {"name": "now"}},
        {"type": "file_search", "file_search": {"max_num_results": 3}},
    ],
    "metadata": {"b": "2"},
    "temperature": 0.1,
    "top_p": 0.2,
    "response_format": {"type": "text"},
    "reasoning_effort": "high",
}


@pytest.mark.parametrize("field", CHANGES)
def test_each_field_can_be_changed_alone(http: httpx.Client, field: str) -> None:
    """And is read back as it was answered; everything else stays as it was."""
    said = {"model": "m", "name": "Ada", "instructions": "Be brief.", "metadata": {"a": "1"}}
    made = http.post("/assistants", json=said).json()
    path = f"/assistants/{made['id']}"
    changed = http.post(path, json={field: CHANGES[field]}).json()
    assert changed == http.get(path).json()
    others = {"tools", "tool_resources"} if field == "tools" else {field}
    assert {k: v for k, v in changed.items() if k not in others} == {
        k: v for k, v in made.items() if k not in others
    }
    if field == "tools":
        assert json.dumps(changed["tools"]) == json.dumps(NORMALISED)
        assert changed["tool_resources"] == {"file_search": {"vector_store_ids": []}}
    else:
        assert changed[field] == CHANGES[field]


RANKING = {"ranker": "default_2024_08_21", "score_threshold": 0.0, "hybrid_search": None}
# With the keys in the order in which they were recorded.
NORMALISED: list[Json] = [
    {
        "type": "function",
        "function": {
            "name": "now",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
    },
    {"type": "file_search", "file_search": {"max_num_results": 3, "ranking_options": RANKING}},
]


def test_metadata_is_replaced_as_a_whole(story: Story) -> None:
    made = story.assistant(metadata={"a": "1", "b": "2"})
    assert story.client.beta.assistants.update(made.id, metadata={"c": "3"}).metadata == {"c": "3"}
    assert story.client.beta.assistants.update(made.id, metadata={}).metadata == {}


def test_a_deleted_assistant_is_gone(story: Story) -> None:
    made = story.assistant()
    gone = story.client.beta.assistants.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "assistant.deleted", True)
    with pytest.raises(openai.NotFoundError):
        story.client.beta.assistants.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        story.client.beta.assistants.delete(made.id)


def test_null_for_an_optional_field_means_its_default(http: httpx.Client) -> None:
    said = {"model": "m", "name": None, "tools": None, "metadata": None, "temperature": None}
    answer = http.post("/assistants", json=said).json()
    assert answer["tools"] == [] and answer["metadata"] == {} and answer["temperature"] == 1.0


def test_deleting_an_assistant_leaves_its_threads(story: Story) -> None:
    assistant = story.assistant(instructions="Be brief.")
    story.model.says("Hello.")
    run = story.ask("Hi", assistant=assistant)
    story.client.beta.assistants.delete(assistant.id)
    assert story.messages(run.thread_id) == [("user", "Hi"), ("assistant", "Hello.")]
    assert story.look(run).status == "completed"
