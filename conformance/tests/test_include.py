"""What steps and their streams show of a search with `include[]`, and without."""

from __future__ import annotations

from typing import Any

import pytest

from harness.scripted import Call
from harness.sdk import httpx
from harness.searching import (
    CONTENT,
    FOODS,
    SEARCH,
    content_of,
    results,
    searcher,
    searches,
)
from harness.shelf import Shelf
from harness.story import Story, function_tool


def test_the_text_of_passages_is_shown_when_it_is_included(story: Story, shelf: Shelf) -> None:
    story.model.calls_all(searches("cake")).then_says("Filip.")
    run = story.ask("Cake?", assistant=searcher(story, shelf.store(FOODS)))
    where = {"run_id": run.id, "thread_id": run.thread_id}
    listed, _ = story.runs.steps.list(**where, order="asc", include=[CONTENT])
    alone = story.runs.steps.retrieve(listed.id, **where, include=[CONTENT])
    for step in (listed, alone):
        [result] = results(step)
        assert content_of(result) == FOODS
    for step in (story.steps(run)[0], story.runs.steps.retrieve(listed.id, **where)):
        [result] = results(step)
        assert getattr(result, "content", None) is None


@pytest.mark.once
@pytest.mark.parametrize(
    "query", ["include[]={}", "include%5B%5D={}", "include={}", "include[0]={}"]
)
def test_include_is_read_in_every_spelling(
    story: Story, shelf: Shelf, http: httpx.Client, query: str
) -> None:
    story.model.calls_all(searches("cake")).then_says("Filip.")
    run = story.ask("Cake?", assistant=searcher(story, shelf.store(FOODS)))
    path = f"/threads/{run.thread_id}/runs/{run.id}/steps?order=asc&"
    told = http.get(path + query.format(CONTENT.replace("[", "%5B").replace("]", "%5D"))).json()
    [result] = told["data"][0]["step_details"]["tool_calls"][0]["file_search"]["results"]
    assert result["content"] == [{"type": "text", "text": FOODS}]


@pytest.mark.once
def test_nothing_else_can_be_included(story: Story, http: httpx.Client) -> None:
    story.model.says("Hello.")
    run = story.ask("Hi")
    steps = f"/threads/{run.thread_id}/runs/{run.id}/steps"
    step = story.steps(run)[0].id
    body = {"assistant_id": run.assistant_id}
    for method, path in [
        ("GET", steps),
        ("GET", f"{steps}/{step}"),
        ("POST", f"/threads/{run.thread_id}/runs"),
    ]:
        options = {"json": body} if method == "POST" else {}
        answer = http.request(method, f"{path}?include[]=everything", **options)
        assert answer.status_code == 400
        assert answer.json()["error"] == {
            "message": f"Invalid value: 'everything'. Supported values are: '{CONTENT}'.",
            "type": "invalid_request_error",
            "param": "include[0]",
            "code": "invalid_value",
        }


@pytest.mark.once
@pytest.mark.parametrize("included", [True, False])
def test_streams_show_what_is_included(
    story: Story, shelf: Shelf, http: httpx.Client, included: bool
) -> None:
    """On creating, with the thread, on submitting, and when a stream is taken up again."""
    tools = [SEARCH, function_tool("weather")]
    assistant = searcher(story, shelf.store(FOODS), tools=tools).id
    query = {"include[]": CONTENT} if included else {}

    def results_told(method: str, path: str, **body: Any) -> list[Any]:
        options = {"json": {**body, "stream": True}} if body else {}
        http.request(method, path, params=query, **options)
        ended = [
            event.data
            for event in story.last_stream.events
            if event.name == "thread.run.step.completed"
        ]
        calls = [call for step in ended for call in step["step_details"].get("tool_calls", [])]
        return [
            result for call in calls for result in call.get("file_search", {}).get("results", [])
        ]

    def as_expected(told: list[Any]) -> None:
        assert len(told) == 1 and ("content" in told[0]) == included

    story.model.calls_all(searches("cake")).then_says("Filip.")
    thread = story.thread("Cake?").id
    as_expected(results_told("POST", f"/threads/{thread}/runs", assistant_id=assistant))
    run = story.runs.list(thread).data[0]
    as_expected(results_told("GET", f"/threads/{thread}/runs/{run.id}/stream"))
    story.model.calls_all(searches("cake")).then_says("Filip.")
    as_expected(
        results_told(
            "POST",
            "/threads/runs",
            assistant_id=assistant,
            thread={"messages": [{"role": "user", "content": "Cake?"}]},
        )
    )
    story.model.calls_all(searches("cake"), Call("weather", {"city": "Oslo"})).then_says("Filip.")
    parked = story.ask("Cake?", assistant=story.client.beta.assistants.retrieve(assistant))
    [call] = parked.required_action.submit_tool_outputs.tool_calls
    path = f"/threads/{parked.thread_id}/runs/{parked.id}/submit_tool_outputs"
    outputs = [{"tool_call_id": call.id, "output": "-5"}]
    as_expected(results_told("POST", path, tool_outputs=outputs))
