"""Citations: markers with annotations, in any script, however the model's words arrive."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from harness.sdk import httpx
from harness.searching import (
    FOODS,
    FRUIT,
    last_text,
    results,
    searcher,
    searches,
)
from harness.shelf import Shelf
from harness.story import MESSAGE, Story

STREAMED = [
    "run.created", "run.queued", "run.in_progress",
    "run.step.created", "run.step.in_progress", "run.step.delta", "run.step.completed",
    *MESSAGE, "run.completed", "done",
]  # fmt: skip


@pytest.mark.parametrize("split", [1, 2, 3, 100])
def test_citations_stream_in_any_script(story: Story, shelf: Shelf, split: int) -> None:
    """However the words are cut, deltas add up, and a marker comes whole with its place."""
    store = shelf.store(FRUIT, FOODS)
    tool = {"type": "file_search", "file_search": {"max_num_results": 2}}
    said = (
        "👩‍👩‍👧 필립은 사과를 [1], 에피는 배를 좋아합니다[1, 2]. "
        "`a[1]` 🍎【9:9†source】(출처 2) [7]"
    )
    story.model.calls_all(searches("필립은 사과를", "Filip"))
    story.model.says(*[said[at : at + split] for at in range(0, len(said), split)])
    thread = story.thread("누가 사과를 좋아해?")
    events = story.stream(thread, searcher(story, store, tool=tool))
    assert story.stream_names() == STREAMED
    found = results(story.steps(story.runs.list(thread.id).data[0])[0])
    one, two = (f"【4:{place}†{result.file_name}】" for place, result in enumerate(found))
    expected = f"👩‍👩‍👧 필립은 사과를 {one}, 에피는 배를 좋아합니다{one}{two}. `a[1]` 🍎{two} [7]"
    deltas = [
        event.data.delta.content[0].text
        for event in events
        if event.event.endswith("message.delta")
    ]
    assert "".join(delta.value for delta in deltas) == expected
    marked = [delta for delta in deltas if delta.annotations]
    assert [delta.value for delta in marked] == [one, one, two, two]
    assert [delta.annotations[0].index for delta in marked] == [0, 1, 2, 3]
    quotes = {
        delta.value: delta.annotations[0].file_citation.model_dump()["quote"] for delta in marked
    }
    assert quotes[one if "text-0" in one else two] == "필립은 사과를 좋아합니다."
    text = last_text(story, thread.id)
    assert text.value == expected
    for annotation, marker in zip(text.annotations, [one, one, two, two], strict=True):
        assert (
            text.value[annotation.start_index : annotation.end_index] == annotation.text == marker
        )


def test_the_helper_of_the_sdk_reads_a_search(story: Story, shelf: Shelf) -> None:
    """The event handler of OpenAI's guide to file search."""

    class Handler(openai.AssistantEventHandler):
        def __init__(self) -> None:
            super().__init__()
            self.told: list[str] = []

        def on_text_created(self, text: Any) -> None:
            self.told.append("text")

        def on_tool_call_created(self, tool_call: Any) -> None:
            self.told.append(tool_call.type)

        def on_message_done(self, message: Any) -> None:
            content = message.content[0].text
            for number, annotation in enumerate(content.annotations):
                content.value = content.value.replace(annotation.text, f"[{number}]")
            cited = [annotation.file_citation.file_id for annotation in content.annotations]
            self.told += [content.value, *cited]

    file = shelf.file(FOODS, "foods.txt")
    store = shelf.store()
    shelf.attach(store, file)
    story.model.calls_all(searches("cake")).then_says("Filip likes cake [1].")
    handler = Handler()
    thread, assistant = story.thread("Cake?"), searcher(story, store)
    with story.runs.stream(
        thread_id=thread.id, assistant_id=assistant.id, event_handler=handler
    ) as stream:
        stream.until_done()
    assert handler.told == ["file_search", "text", "Filip likes cake [0].", file]


def test_a_message_of_nothing_but_an_invented_marker(story: Story, shelf: Shelf) -> None:
    """It has a delta all the same, or SDKs fail on it."""
    story.model.calls_all(searches("cake")).then_says("【9:9†source】")
    thread = story.thread("Cake?")
    story.stream(thread, searcher(story, shelf.store(FOODS)))
    assert story.stream_names() == STREAMED
    assert last_text(story, thread.id).value == ""


def test_json_is_left_as_the_model_wrote_it(story: Story, shelf: Shelf) -> None:
    said = '{"passages": [1], "text": "cake [1]"}'
    story.model.calls_all(searches("cake")).then_says(said)
    thread = story.thread("Cake? Answer in JSON.")
    run = story.run(
        thread, searcher(story, shelf.store(FOODS)), response_format={"type": "json_object"}
    )
    story.wait(run, "completed")
    assert last_text(story, thread.id).value == said


@pytest.mark.once
def test_a_stream_taken_up_again_has_the_search_and_the_citations(
    story: Story, shelf: Shelf, http: httpx.Client
) -> None:
    gate = story.model.gate()
    story.model.calls_all(searches("cake")).says("Filip [1] ", gate, "and Effie [1].")
    run = story.run(story.thread("Cake?"), searcher(story, shelf.store(FOODS)))
    path = f"/threads/{run.thread_id}/runs/{run.id}/stream"
    gate.wait_until_reached()
    with http.stream("GET", path) as answer:
        for line in answer.iter_lines():
            if line == "event: thread.message.delta":
                gate.open()
    told = story.last_stream
    assert not told.violations
    http.get(path)
    again = story.last_stream
    for stream in (told, again):
        deltas = [
            e.data["delta"]["content"][0]["text"]
            for e in stream.events
            if e.name.endswith("message.delta")
        ]
        marker = "【4:0†text-0.txt】"
        assert "".join(d["value"] for d in deltas) == f"Filip {marker} and Effie {marker}."
        indexes = [a["index"] for d in deltas for a in d.get("annotations", [])]
        assert indexes == [0, 1]
    names = [name for name in again.names if "step" in name]
    assert names[:4] == [
        f"thread.run.step.{state}" for state in ("created", "in_progress", "delta", "completed")
    ]
