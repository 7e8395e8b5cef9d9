"""What the model of a run was asked, shown to whoever wanted that when the run was created."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.scripted import Model, ScriptedUpstream
from harness.sdk import http_client, httpx
from harness.server import Adjutant
from harness.story import Story, function_tool, wait_for

pytestmark = pytest.mark.once
KEPT = {"include[]": "model_requests"}
CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def kept(http: httpx.Client, run: Any) -> list[dict[str, Any]]:
    answer = http.get(f"/threads/{run.thread_id}/runs/{run.id}/model_requests")
    assert (answer.status_code, answer.json()["object"]) == (200, "list"), answer.text
    return answer.json()["data"]


def bodies(http: httpx.Client, run: Any) -> list[dict[str, Any]]:
    return [request["body"] for request in kept(http, run)]


def test_each_request_is_kept_as_it_was_sent(story: Story, http: httpx.Client) -> None:
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    assistant = story.assistant(tools=[function_tool("weather")], instructions="Be brief.")
    run = story.ask("오슬로 날씨?", assistant=assistant, extra_query=KEPT)
    story.wait(story.submit(run, "-5"), "completed")
    assert bodies(http, run) == [seen.body for seen in story.model.requests]
    first = kept(http, run)[0]
    assert list(first) == "object created_at thread_id run_id upstream model body".split()
    about = {key: first[key] for key in ("object", "thread_id", "run_id", "upstream", "model")}
    assert about == {
        "object": "thread.run.model_request",
        "thread_id": run.thread_id,
        "run_id": run.id,
        "upstream": "upstream",
        "model": story.model.name,
    }
    assert run.created_at <= first["created_at"] <= run.created_at + 60


def test_nothing_is_kept_unless_it_is_asked_for(story: Story, http: httpx.Client) -> None:
    story.model.says("Hello.").then_says("Hello.")
    for query in ({}, {"include[]": CONTENT}):
        assert kept(http, story.ask("Hi", extra_query=query)) == []


def test_a_streamed_run_and_one_with_its_thread_keep_them_too(
    story: Story, http: httpx.Client
) -> None:
    story.model.says("Hello.").then_says("Hello.")
    assistant, thread = story.assistant(), story.thread("Hi")
    story.stream(thread, assistant, extra_query={"include[]": [CONTENT, "model_requests"]})
    run = story.threads.create_and_run_poll(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": "Hi"}]},
        poll_interval_ms=20,
        extra_query=KEPT,
    )
    for kept_of in (story.runs.list(thread.id).data[0], run):
        [body] = bodies(http, kept_of)
        assert body["messages"][-1] == {"role": "user", "content": "Hi"}


def test_what_a_models_server_refused_can_be_seen(story: Story, http: httpx.Client) -> None:
    """That is when it is needed most."""
    story.model.fails(400, message="Context too long.")
    run = story.wait(story.run(story.thread("Hi"), story.assistant(), extra_query=KEPT), "failed")
    assert [body["model"] for body in bodies(http, run)] == [story.model.name]


def test_no_key_is_among_what_is_kept(
    servers: Any,
    db: str,
    upstream: ScriptedUpstream,
    connect: Callable[[Adjutant], Story],
    ledger: Ledger,
) -> None:
    config = (
        '[[upstreams]]\nname = "hosted"\nkey_env = "HOSTED_KEY"\n'
        f'base_url = "{upstream.base_url}"\n'
    )
    server = servers.new(
        db,
        upstream="",
        config=config,
        settings={"ADJUTANT_EMBEDDINGS_UPSTREAM": "hosted"},
        environment={"HOSTED_KEY": "sk-very-secret"},
    )
    story = connect(server)
    story.model.says("Hello.")
    run = story.ask("Hi", extra_query=KEPT)
    [seen] = story.model.requests
    assert "sk-very-secret" in seen.headers["authorization"]
    answer = http_client(server.base_url, ledger).get(
        f"/threads/{run.thread_id}/runs/{run.id}/model_requests"
    )
    assert '"upstream":"hosted"' in answer.text and "secret" not in answer.text


def test_long_texts_are_shortened_and_images_named(story: Story, http: httpx.Client) -> None:
    story.model.says("Hello.")
    image = story.client.files.create(file=("dot.png", PIXEL), purpose="vision").id
    long = "한국어 " + "word " * 20_000 + "z"
    content = [
        {"type": "text", "text": long},
        {"type": "image_file", "image_file": {"file_id": image}},
    ]
    thread = story.threads.create(messages=[{"role": "user", "content": content}])
    run = story.wait(story.run(thread, story.assistant(), extra_query=KEPT), "completed")
    [body] = bodies(http, run)
    text, picture = body["messages"][-1]["content"]
    assert text["text"].startswith("한국어 word") and text["text"].endswith("word z")
    assert f"[… {len(long) - 65_536} characters …]" in text["text"]
    sent = story.model.requests[0].messages[-1]["content"][1]["image_url"]["url"]
    assert sent.startswith("data:image/png;base64,")
    length = len(sent.partition(",")[2])
    assert picture["image_url"]["url"] == f"data:image/png;base64,[… {length} characters …]"


def test_a_run_that_another_process_takes_up_keeps_them_on(
    own_server: Adjutant, connect: Callable[[Adjutant], Story], ledger: Ledger
) -> None:
    story = connect(own_server)
    story.model.calls("weather").then_says("Cold.")
    assistant = story.assistant(tools=[function_tool("weather")])
    run = story.ask("Hi", assistant=assistant, extra_query=KEPT)
    own_server.kill()
    own_server.start()
    story = connect(own_server)
    story.wait(story.submit(run, "-5"), "completed")
    assert len(kept(http_client(own_server.base_url, ledger), run)) == 2


def test_they_go_with_their_thread_and_belong_to_their_project(
    projects: tuple[httpx.Client, httpx.Client], model: Model
) -> None:
    one, two = projects
    model.says("Hello.")
    assistant = one.post("/assistants", json={"model": model.name}).json()["id"]
    thread = {"messages": [{"role": "user", "content": "Hi"}]}
    run = one.post(
        "/threads/runs", params=KEPT, json={"assistant_id": assistant, "thread": thread}
    ).json()
    path = f"/threads/{run['thread_id']}/runs/{run['id']}/model_requests"
    wait_for(lambda: one.get(path).json()["data"], bool, "the request to be kept")
    # It is kept before it is sent.
    model.wait_for_requests(1)
    assert two.get(path).status_code == 404
    assert one.delete(f"/threads/{run['thread_id']}").status_code == 200
    assert one.get(path).status_code == 404


def test_only_what_creates_a_run_takes_the_word(story: Story, http: httpx.Client) -> None:
    """Elsewhere it is refused as any other word, and no refusal names it."""
    story.model.calls("weather")
    run = story.ask("Hi", assistant=story.assistant(tools=[function_tool("weather")]))
    of_run = f"/threads/{run.thread_id}/runs/{run.id}"
    [call] = run.required_action.submit_tool_outputs.tool_calls
    outputs = {"tool_outputs": [{"tool_call_id": call.id, "output": "-5"}]}
    for answer in (
        http.get(f"{of_run}/steps", params=KEPT),
        http.post(f"{of_run}/submit_tool_outputs", params=KEPT, json=outputs),
    ):
        message = f"Invalid value: 'model_requests'. Supported values are: '{CONTENT}'."
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, message)
    body = {"assistant_id": run.assistant_id}
    query = {"include[]": ["model_requests", "everything"]}
    error = http.post(f"/threads/{run.thread_id}/runs", params=query, json=body).json()["error"]
    assert error["message"] == f"Invalid value: 'everything'. Supported values are: '{CONTENT}'."
    assert error["param"] == "include[1]"
    story.wait(story.cancel(run), "cancelled")
