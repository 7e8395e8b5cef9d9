"""`/chat/completions`, `/embeddings` and `/models`: one base_url serves a whole program."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from harness.ledger import Ledger
from harness.scripted import Answer, Failure, Model, Usage
from harness.sdk import httpx
from harness.story import Story, function_tool


def chat(story: Story, **options: Any) -> Any:
    messages = [{"role": "user", "content": "Hi 🌮"}]
    return story.client.chat.completions.create(
        model=story.model.name, messages=messages, **options
    )


def test_a_chat_completion(story: Story) -> None:
    story.model.says("Hello", ".", usage=Usage(5, 2))
    answer = chat(story, temperature=0.5)
    assert answer.choices[0].message.content == "Hello."
    assert answer.usage.total_tokens == 7
    assert story.model.requests[0].body["temperature"] == 0.5


def test_a_streamed_chat_completion(story: Story) -> None:
    """Words come as they are said, not all at the end."""
    gate = story.model.gate()
    story.model.says("Hel", gate, "lo")
    words = []
    for chunk in chat(story, stream=True):
        words.append(chunk.choices[0].delta.content)
        if words[-1] == "Hel":
            gate.open()
    assert [word for word in words if word] == ["Hel", "lo"]


def test_chat_tools_and_unknown_parameters_reach_the_upstream(story: Story) -> None:
    """Adjutant does not judge what it only passes on."""
    story.model.calls("weather", {"city": "Oslo"})
    answer = chat(story, tools=[function_tool("weather")], extra_body={"min_p": 0.1, "top_k": 5})
    call = answer.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    body = story.model.requests[0].body
    assert (body["min_p"], body["top_k"], len(body["tools"])) == (0.1, 5, 1)


def test_the_bytes_of_a_chat_body_arrive_unchanged(http: httpx.Client, model: Model) -> None:
    model.says("Hi")
    body = {
        "model": model.name,
        "messages": [{"role": "user", "content": "é\u2028"}],
        "z": 1,
        "a": 2.50,
    }
    assert http.post("/chat/completions", json=body).status_code == 200
    assert list(model.requests[0].body) == list(body)
    assert model.requests[0].body == body


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429])
def test_errors_of_the_upstream_come_through(story: Story, ledger: Ledger, status: int) -> None:
    """A client learns what the model's server said, not that something went wrong."""
    story.model.always(Failure(status, message="Says the upstream.", code="some_code"))
    with pytest.raises(openai.APIStatusError) as error:
        chat(story)
    # An upstream that refuses our key is our trouble, not the caller's.
    assert error.value.status_code in ({status, 502, 500} if status == 401 else {status})
    assert "Says the upstream." in error.value.body["message"]


def test_clients_learn_when_to_ask_again(http: httpx.Client, model: Model) -> None:
    """SDKs ask again after a 429 when its headers say; waiting does not fill an empty purse."""
    body = {"model": model.name, "messages": []}
    model.fails(429, code="rate_limit_exceeded", headers=(("retry-after", "7"),))
    busy = http.post("/chat/completions", json=body)
    assert (busy.headers["retry-after"], busy.headers.get("x-should-retry")) == ("7", None)
    model.fails(429, code="insufficient_quota", type="insufficient_quota")
    broke = http.post("/chat/completions", json=body)
    assert (broke.status_code, broke.headers["x-should-retry"]) == (429, "false")
    assert broke.json()["error"]["code"] == "insufficient_quota"


@pytest.fixture(autouse=True)
def broken_upstreams_show_as_5xx(ledger: Ledger) -> None:
    ledger.expected_statuses |= {500, 502, 503, 504}


def test_a_broken_upstream_is_an_error_with_a_body(story: Story) -> None:
    story.model.always(Failure(500, message="Says the upstream."))
    with pytest.raises(openai.InternalServerError):
        chat(story)


def test_a_client_that_hangs_up_is_passed_on(http: httpx.Client, model: Model) -> None:
    model.says("Half", model.gate())
    body = {"model": model.name, "messages": [], "stream": True}
    with http.stream("POST", "/chat/completions", json=body) as answer:
        next(answer.iter_lines())
    assert model.requests[0].gone.wait(10)


@pytest.mark.parametrize("input", ["한국", ["a", "b", "c"]])
def test_embeddings(story: Story, input: str | list[str]) -> None:
    story.model.always(Answer())
    answer = story.client.embeddings.create(model=story.model.name, input=input)
    assert [item.embedding for item in answer.data] == [[0.25, -0.5, 1.0]] * len(answer.data)
    assert len(answer.data) == (1 if isinstance(input, str) else 3)
    assert story.model.requests[0].body["input"] == input


def test_models(story: Story) -> None:
    listed = {model.id: model for model in story.client.models.list()}
    assert listed, "at least one model is listed"
    some = next(iter(listed))
    assert story.client.models.retrieve(some).id == some


def test_models_say_what_they_are_for_if_they_are_asked(servers: Any, upstream: Any) -> None:
    """By the settings, or by their names; nothing more is known of most."""
    for name in ("gpt-of-somebody", "Nomic-Embed-Text", "bge-m3"):
        upstream.model(name)
    server = servers.new(db="sqlite")
    with httpx.Client(base_url=server.base_url) as client:
        asked = client.get("/models", params={"uses": "true"}).json()["data"]
        uses = {model["id"]: model["use"] for model in asked}
        assert (
            uses["scripted-embedder"] == uses["Nomic-Embed-Text"] == uses["bge-m3"] == "embeddings"
        )
        assert uses["gpt-of-somebody"] == "chat"
        for query in ({}, {"uses": "false"}):
            assert all(
                "use" not in model for model in client.get("/models", params=query).json()["data"]
            )
        assert "use" not in client.get("/models/bge-m3", params={"uses": "true"}).json()
        assert client.get("/models", params={"uses": "1"}).json()["error"]["param"] == "uses"


def test_a_models_name_may_have_slashes(http: httpx.Client, upstream: Any, servers: Any) -> None:
    """As the names on model hubs have; some clients escape them, others do not."""
    upstream.model("somebody/some-model")
    server = servers.new(db="sqlite")
    for name in ("somebody/some-model", "somebody%2Fsome-model"):
        assert http.get(f"{server.base_url}/models/{name}").json()["id"] == "somebody/some-model"


def test_a_model_is_not_deleted(http: httpx.Client, story: Story) -> None:
    """OpenAI deleted models that were tuned there; those of other servers are not ours."""
    listed = [model.id for model in story.client.models.list()]
    with pytest.raises(openai.PermissionDeniedError, match="cannot be deleted here") as error:
        story.client.models.delete(listed[0])
    assert (error.value.param, error.value.type) == ("model", "invalid_request_error")
    answer = http.delete("/models/fake_id")
    assert answer.json() == http.get("/models/fake_id").json()
    assert answer.status_code == 404
    assert [model.id for model in story.client.models.list()] == listed


def test_an_unknown_model_is_told_so(servers: Any, http: httpx.Client) -> None:
    """With one `--upstream` every name goes there, so only GET can tell."""
    answer = http.get("/models/fake_id")
    assert answer.status_code in {200, 404}
    if answer.status_code == 404:
        error = answer.json()["error"]
        assert (error["message"], error["param"], error["code"]) == (
            "The model 'fake_id' does not exist",
            "model",
            "model_not_found",
        )
