"""Image files in messages reach the model as they are, or a note in words does."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.sdk import openai_client
from harness.server import Adjutant
from harness.story import Story

HEADS = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff\xe0",
    "gif": b"GIF89a",
    "webp": b"RIFF\x10\x00\x00\x00WEBP",
}


def upload(story: Story, content: bytes, name: str = "picture") -> str:
    # The name and its ending say nothing.
    return story.client.files.create(file=(name, content), purpose="vision").id


def ask(story: Story, *files: str, **image: str) -> list[Any]:
    """A run on a message with images; what the model reads of them."""
    story.model.says("I see.")
    images = [{"type": "image_file", "image_file": {"file_id": file, **image}} for file in files]
    content = [{"type": "text", "text": "What is this?"}, *images]
    thread = story.threads.create(messages=[{"role": "user", "content": content}])
    story.wait(story.run(thread, story.assistant()), "completed")
    read = story.model.requests[-1].messages[-1]["content"]
    if isinstance(read, str):
        return read.splitlines()[1:]
    assert read[0] == {"type": "text", "text": "What is this?"}
    return read[1:]


@pytest.mark.parametrize("kind", HEADS)
def test_the_model_sees_an_image_file(story: Story, kind: str) -> None:
    content = HEADS[kind] + bytes(range(256)) * 20
    seen = ask(story, upload(story, content), detail="low")
    url = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    assert seen == [{"type": "image_url", "image_url": {"url": url, "detail": "low"}}]


@pytest.mark.once
def test_images_stay_in_later_turns_and_in_their_order(story: Story) -> None:
    first, second = (upload(story, HEADS["gif"] + text) for text in (b"one", b"two"))
    thread = story.threads.create()
    assistant = story.assistant()
    for file in (first, second, first):
        story.model.says("I see.")
        content = [{"type": "image_file", "image_file": {"file_id": file}}]
        story.threads.messages.create(thread.id, role="user", content=content)
        story.wait(story.run(thread, assistant), "completed")
    said = [message for message in story.model.requests[-1].messages if message["role"] == "user"]
    seen = [message["content"][0]["image_url"]["url"].partition(",")[2] for message in said]
    assert [base64.b64decode(one)[6:] for one in seen] == [b"one", b"two", b"one"]


@pytest.mark.once
def test_what_cannot_be_shown_is_told_in_words(story: Story) -> None:
    deleted = upload(story, HEADS["png"])
    story.client.files.delete(deleted)
    text = upload(story, b"<svg/>", "picture.png")
    seen = ask(story, deleted, text, "file-unknown", "no id at all \x00")
    assert seen[:3] == [
        f"[The image {deleted} is no longer there.]",
        f"[The image {text} cannot be shown: it is no PNG, JPEG, GIF or WebP.]",
        "[The image file-unknown is no longer there.]",
    ]
    assert "is no longer there" in seen[3]


@pytest.mark.once
def test_too_large_an_image_is_told_in_words(
    servers: Any, db: str, connect: Any, ledger: Ledger
) -> None:
    server = servers.shared(db, ADJUTANT_RUNS_IMAGE_BYTES="1000")
    story = connect(server)
    fits, larger = (upload(story, HEADS["png"] + bytes(length)) for length in (992, 993))
    shown, note = ask(story, fits, larger)
    assert shown["type"] == "image_url"
    words = f"[The image {larger} cannot be shown: it has 1001 bytes, and 1000 are the most.]"
    assert note == {"type": "text", "text": words}


@pytest.mark.once
@pytest.mark.timeout(120)
def test_the_newest_images_are_shown_where_all_are_too_many(story: Story) -> None:
    """Fifty megabytes together, as at OpenAI."""
    story.model.says("I see.")
    thread = story.threads.create()
    for _ in range(3):
        file = upload(story, HEADS["png"] + bytes(18_000_000))
        content = [{"type": "image_file", "image_file": {"file_id": file}}]
        story.threads.messages.create(thread.id, role="user", content=content)
    story.wait(story.run(thread, story.assistant()), "completed")
    seen = [message["content"] for message in story.model.requests[-1].messages]
    assert "too much" in seen[0]
    assert [content[0]["type"] for content in seen[1:]] == ["image_url", "image_url"]


@pytest.mark.once
def test_no_model_sees_the_images_of_another_project(
    servers: Any, db: str, connect: Any, ledger: Ledger
) -> None:
    config = '[[keys]]\nkey = "key-a"\nproject = "a"\n[[keys]]\nkey = "key-b"\nproject = "b"\n'
    server: Adjutant = servers.new(db, config=config)
    story = connect(server)
    story.client = openai_client(server.base_url, ledger, "key-a")
    secret = upload(story, HEADS["png"])
    story.client = openai_client(server.base_url, ledger, "key-b")
    assert ask(story, secret) == [f"[The image {secret} is no longer there.]"]
    server.stop()


@pytest.mark.once
def test_an_image_counts_as_one_where_tokens_are_estimated(story: Story) -> None:
    """Its bytes are no words: a run with a limit is not ended by them."""
    file = upload(story, HEADS["png"] + bytes(3_000_000))
    story.model.says("I see.", usage=None)
    content = [{"type": "image_file", "image_file": {"file_id": file}}]
    thread = story.threads.create(messages=[{"role": "user", "content": content}])
    run = story.run(thread, story.assistant(), max_prompt_tokens=5000)
    assert story.wait(run, "completed").usage.prompt_tokens < 2000
