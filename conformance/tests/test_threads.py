"""Threads and their messages: what is written stays, in order and unchanged."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from harness.sdk import httpx
from harness.story import Story, text_of

Json = dict[str, Any]


@pytest.mark.parametrize("body", [None, {}, {"messages": [], "metadata": None}])
def test_a_thread_can_be_made_of_nothing(http: httpx.Client, body: Json | None) -> None:
    """SDKs send `{}`, curl sends no body at all; both make an empty thread."""
    answer = http.post("/threads", json=body) if body is not None else http.post("/threads")
    thread = answer.json()
    assert thread.pop("id").startswith("thread_")
    assert isinstance(thread.pop("created_at"), int)
    assert thread == {"object": "thread", "metadata": {}, "tool_resources": {}}


def test_a_thread_begins_with_the_messages_it_was_given(story: Story) -> None:
    thread = story.threads.create(
        messages=[
            {"role": "user", "content": "What is 2 + 2?"},
            {"role": "assistant", "content": "4."},
            {"role": "user", "content": [{"type": "text", "text": "And twice that?"}]},
        ]
    )
    expected = [("user", "What is 2 + 2?"), ("assistant", "4."), ("user", "And twice that?")]
    assert story.messages(thread.id) == expected


def test_thread_metadata_changes_and_the_rest_stays(story: Story) -> None:
    thread = story.thread("Hi", metadata={"user": "ada"})
    changed = story.threads.update(thread.id, metadata={"user": "grace"})
    assert story.threads.retrieve(thread.id) == changed
    assert (changed.metadata, changed.created_at) == ({"user": "grace"}, thread.created_at)


def test_a_deleted_thread_takes_its_messages_along(story: Story) -> None:
    thread = story.thread("Hi")
    message = story.threads.messages.list(thread.id).data[0]
    gone = story.threads.delete(thread.id)
    assert (gone.id, gone.object, gone.deleted) == (thread.id, "thread.deleted", True)
    with pytest.raises(openai.NotFoundError):
        story.threads.retrieve(thread.id)
    with pytest.raises(openai.NotFoundError):
        story.threads.messages.retrieve(message.id, thread_id=thread.id)
    with pytest.raises(openai.NotFoundError):
        story.threads.messages.create(thread.id, role="user", content="Anybody there?")


def test_a_user_message_as_the_real_api_shows_it(http: httpx.Client, story: Story) -> None:
    thread = story.thread()
    said = {"role": "user", "content": "Hello, assistant!"}
    message = http.post(f"/threads/{thread.id}/messages", json=said).json()
    assert message.pop("id").startswith("msg_")
    created_at = message.pop("created_at")
    assert isinstance(created_at, int)
    # The time of completion of a user's message was never seen; null or its creation are both fine.
    assert message.pop("completed_at") in {None, created_at}
    assert message == {
        "object": "thread.message",
        "assistant_id": None,
        "thread_id": thread.id,
        "run_id": None,
        "status": "completed",
        "incomplete_details": None,
        "incomplete_at": None,
        "role": "user",
        "content": [{"type": "text", "text": {"value": "Hello, assistant!", "annotations": []}}],
        "attachments": [],
        "metadata": {},
    }


TEXTS = [
    "한국의 수도는?",
    "🌮👩‍👩‍👧‍👦 𝒳 \U0010ffff",
    "line\nbreak\r\nand\ttab",
    'quote " backslash \\ slash / <script>',
    "zero\u200bwidth \u202eright to left",
    " leading and trailing ",
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_back_to_the_letter(story: Story, text: str) -> None:
    """What a user writes is what the user reads, and what the model hears."""
    story.model.says(text)
    run = story.ask(text)
    assert story.messages(run.thread_id) == [("user", text), ("assistant", text)]
    assert story.model.requests[0].last_user_text == text


@pytest.mark.parametrize("where", ["content", "metadata"])
def test_a_null_character_is_kept_or_refused(http: httpx.Client, story: Story, where: str) -> None:
    """PostgreSQL cannot store U+0000 in a text; users must not pay for that with a 500."""
    said: Json = {"role": "user", "content": "Hi"}
    said |= {"content": "a\0b"} if where == "content" else {"metadata": {"k": "a\0b"}}
    path = f"/threads/{story.thread().id}/messages"
    answer = http.post(path, json=said)
    assert answer.status_code in {200, 400}
    if answer.status_code == 200:
        assert "a\\u0000b" in http.get(path).text


def test_content_parts_are_kept(http: httpx.Client, story: Story) -> None:
    """Images by address are stored with the default detail, in their place."""
    url = "https://example.com/cat.png"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    path = f"/threads/{story.thread().id}/messages"
    message = http.post(path, json={"role": "user", "content": parts}).json()
    assert message["content"] == [
        {"type": "text", "text": {"value": "What is this?", "annotations": []}},
        {"type": "image_url", "image_url": {"url": url, "detail": "auto"}},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    assert http.get(f"{path}/{message['id']}").json() == message


def test_an_uploaded_image_is_kept(http: httpx.Client, story: Story) -> None:
    """With the detail that it was given, else `auto`, as the real API fills it in."""
    parts = [
        {"type": "image_file", "image_file": {"file_id": "file-abc", **detail}}
        for detail in ({}, {"detail": "high"}, {"detail": None})
    ]
    path = f"/threads/{story.thread().id}/messages"
    message = http.post(path, json={"role": "user", "content": parts}).json()
    details = [part["image_file"] for part in message["content"]]
    assert details == [{"file_id": "file-abc", "detail": d} for d in ("auto", "high", "auto")]


def test_message_metadata_changes_and_the_text_stays(story: Story) -> None:
    thread = story.thread()
    made = story.threads.messages.create(thread.id, role="user", content="Hi", metadata={"a": "1"})
    changed = story.threads.messages.update(made.id, thread_id=thread.id, metadata={"b": "2"})
    assert story.threads.messages.retrieve(made.id, thread_id=thread.id) == changed
    assert (changed.metadata, text_of(changed)) == ({"b": "2"}, "Hi")


def test_a_deleted_message_is_forgotten_by_the_model_too(story: Story) -> None:
    thread = story.thread("My secret is 42.", "What did I say?")
    secret = story.threads.messages.list(thread.id, order="asc").data[0]
    gone = story.threads.messages.delete(secret.id, thread_id=thread.id)
    assert (gone.id, gone.object, gone.deleted) == (secret.id, "thread.message.deleted", True)
    story.model.says("Nothing.")
    story.wait(story.run(thread, story.assistant()))
    assert story.model.requests[0].said == [("user", "What did I say?")]


def test_a_message_belongs_to_its_thread_only(story: Story) -> None:
    mine, other = story.thread("Hi"), story.thread()
    message = story.threads.messages.list(mine.id).data[0]
    with pytest.raises(openai.NotFoundError, match="No message found"):
        story.threads.messages.retrieve(message.id, thread_id=other.id)


def test_messages_can_be_listed_by_run(story: Story) -> None:
    assistant, thread = story.assistant(), story.thread("Hi")
    story.model.says("One.").then_says("Two.")
    first, second = (story.wait(story.run(thread, assistant)) for _ in range(2))
    for run, text in ((first, "One."), (second, "Two.")):
        listed = story.threads.messages.list(thread.id, run_id=run.id)
        assert [text_of(message) for message in listed] == [text]
