"""Files and stores that assistants, threads and messages name for their tools (contract §8)."""

from __future__ import annotations

from typing import Any

import pytest

from harness.sdk import httpx
from harness.shelf import Shelf
from harness.story import Story

DAY = 86_400
# Recorded where a store was to be given it.
MISSING_FILES = "Files [file-none] were not found"


def test_a_store_is_made_for_an_assistant(story: Story, shelf: Shelf) -> None:
    file = shelf.file("for the assistant")
    made = {"file_search": {"vector_stores": [{"file_ids": [file], "metadata": {"a": "b"}}]}}
    assistant = story.assistant(tools=[{"type": "file_search"}], tool_resources=made)
    [store] = assistant.tool_resources.file_search.vector_store_ids
    kept = shelf.stores.retrieve(store)
    assert (kept.file_counts.total, kept.metadata) == (1, {"a": "b"})
    assert kept.expires_after is None


def test_a_store_is_made_for_a_thread(story: Story, shelf: Shelf) -> None:
    file = shelf.file("for the thread")
    thread = story.thread(tool_resources={"file_search": {"vector_stores": [{"file_ids": [file]}]}})
    [store] = thread.tool_resources.file_search.vector_store_ids
    assert shelf.stores.retrieve(store).file_counts.total == 1


def test_a_messages_file_goes_into_its_threads_store(story: Story, shelf: Shelf) -> None:
    one, two, three = (shelf.file(f"attached {n}", f"{n}.txt") for n in range(3))
    search, code = {"type": "file_search"}, {"type": "code_interpreter"}
    said: dict[str, Any] = {
        "role": "user",
        "content": "Read these.",
        "attachments": [{"file_id": one, "tools": [search, code]}],
    }
    thread = story.threads.create(messages=[said])
    resources = story.threads.retrieve(thread.id).tool_resources
    assert thread.tool_resources == resources
    assert resources.code_interpreter.file_ids == [one]
    [store] = resources.file_search.vector_store_ids
    kept = shelf.stores.retrieve(store)
    assert (kept.expires_after.anchor, kept.expires_after.days) == ("last_active_at", 7)
    attachments = [{"file_id": two, "tools": [search]}, {"file_id": three, "tools": [code]}]
    message = story.threads.messages.create(
        thread.id, role="user", content="And these.", attachments=attachments
    )
    echoed = [attachment.model_dump(exclude_none=True) for attachment in message.attachments]
    assert echoed == attachments
    resources = story.threads.retrieve(thread.id).tool_resources
    assert resources.code_interpreter.file_ids == [one, three]
    assert resources.file_search.vector_store_ids == [store]
    held = {file.id for file in shelf.stores.files.list(store)}
    assert held == {one, two}


@pytest.mark.once
@pytest.mark.parametrize("of", ["assistant", "thread"])
def test_resources_are_changed(http: httpx.Client, story: Story, shelf: Shelf, of: str) -> None:
    """The new ones are answered, read back and kept when something else is changed."""
    first, second = shelf.file("one"), shelf.file("two")
    store = shelf.store()
    before = {"code_interpreter": {"file_ids": [first]}}
    body = {"tool_resources": before, **({"model": "m"} if of == "assistant" else {})}
    made = http.post(f"/{of}s", json=body).json()
    assert made["tool_resources"] == before
    path = f"/{of}s/{made['id']}"
    after = {
        "code_interpreter": {"file_ids": [second]},
        "file_search": {"vector_store_ids": [store]},
    }
    changed = http.post(path, json={"tool_resources": after}).json()
    assert changed["tool_resources"] == after
    assert http.post(path, json={"metadata": {"a": "b"}}).json()["tool_resources"] == after
    assert http.get(path).json()["tool_resources"] == after


@pytest.mark.once
def test_what_is_not_there_is_refused(http: httpx.Client, story: Story) -> None:
    thread = story.thread().id
    stores = {"tool_resources": {"file_search": {"vector_store_ids": ["vs_none"]}}}
    files = {"tool_resources": {"code_interpreter": {"file_ids": ["file-none"]}}}
    attached = {"file_id": "file-none", "tools": [{"type": "file_search"}]}
    said = {"role": "user", "content": "Hi", "attachments": [attached]}
    for path, body in [
        ("/assistants", {"model": "m", **stores}),
        ("/assistants", {"model": "m", **files}),
        ("/threads", stores),
        ("/threads", {"messages": [said]}),
        (f"/threads/{thread}", stores),
        (f"/threads/{thread}/messages", said),
    ]:
        answer = http.post(path, json=body)
        assert answer.status_code == 404, (path, body, answer.text)
        stores_missing = "vs_none" in str(body)
        words = "No vector store found with id 'vs_none'." if stores_missing else MISSING_FILES
        error = answer.json()["error"]
        assert (error["message"], error["param"]) == (words, None)
    assert http.get(f"/threads/{thread}/messages").json()["data"] == []
    both = {"vector_store_ids": ["vs_1"], "vector_stores": [{}]}
    answer = http.post("/threads", json={"tool_resources": {"file_search": both}})
    assert answer.json()["error"]["code"] == "mutually_exclusive_parameters"


def test_a_deleted_store_leaves_its_assistant_and_thread(story: Story, shelf: Shelf) -> None:
    """Recorded: the assistant's list is empty afterwards."""
    store = shelf.stores.create().id
    resources = {"file_search": {"vector_store_ids": [store]}}
    assistant = story.assistant(tools=[{"type": "file_search"}], tool_resources=resources)
    thread = story.thread(tool_resources=resources)
    shelf.stores.delete(store)
    kept = story.client.beta.assistants.retrieve(assistant.id)
    assert kept.tool_resources.file_search.vector_store_ids == []
    kept = story.threads.retrieve(thread.id)
    assert kept.tool_resources.file_search.vector_store_ids == []
