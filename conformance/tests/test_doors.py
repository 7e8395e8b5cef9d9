"""Other ways in: Azure's clients, browsers, clients without the beta header; who is kept out."""

from __future__ import annotations

from typing import Any

import pytest

from harness import recorded
from harness.ledger import Ledger
from harness.sdk import http_client, httpx
from harness.story import Story

pytestmark = pytest.mark.once
BETA_HEADER = "openai-beta"


def root(http: httpx.Client) -> str:
    return str(http.base_url).split("/v1")[0]


@pytest.mark.parametrize("prefix", ["/openai", "/openai/v1"])
def test_azure_clients_come_in_by_their_own_door(http: httpx.Client, prefix: str) -> None:
    """Another prefix, another header for the key, and a version in the query that nobody reads."""
    url = f"{root(http)}{prefix}/assistants"
    headers = {"api-key": "any", "authorization": "", BETA_HEADER: ""}
    query = {"api-version": "2024-05-01-preview"}
    made = http.post(url, params=query, headers=headers, json={"model": "gpt-4o"})
    assert made.status_code == 200
    listed = http.get(url, params=query, headers=headers).json()["data"]
    assert made.json()["id"] in [assistant["id"] for assistant in listed]


def test_azures_key_header_is_checked_like_openais(servers: Any, db: str, ledger: Ledger) -> None:
    guarded = servers.shared(db, ADJUTANT_API_KEYS="right-key-number-one,right-key-number-two")
    client = http_client(guarded.base_url, ledger, "unused")
    for key, status in [("right-key-number-two", 200), ("wrong-key-wrong-key", 401)]:
        answer = client.get("/assistants", headers={"authorization": "", "api-key": key})
        assert answer.status_code == status


def test_the_beta_header_may_be_missing(http: httpx.Client) -> None:
    assert http.get("/assistants", headers={BETA_HEADER: "other=v1"}).status_code == 200


def test_the_first_version_is_refused_as_recorded(http: httpx.Client) -> None:
    answer = http.get("/assistants", headers={BETA_HEADER: "other=v1, assistants=v1"})
    expected = recorded.http_errors()["OpenAI-Beta: assistants=v1 after 2024-12"]
    assert (answer.status_code, answer.json()) == (400, expected["body"])


def test_a_strict_server_wants_the_beta_header(servers: Any, db: str, ledger: Ledger) -> None:
    strict = servers.shared(db, ADJUTANT_REQUIRE_BETA_HEADER="true")
    client = http_client(strict.base_url, ledger)
    assert client.get("/assistants").status_code == 200
    answer = client.get("/assistants", headers={BETA_HEADER: ""})
    expected = recorded.http_errors()["assistants/threads call without OpenAI-Beta"]
    assert (answer.status_code, answer.json()) == (400, expected["body"])
    for path in ("/threads/thread_a", "/threads/thread_a/messages", "/threads/thread_a/runs/run_a"):
        answer = client.get(path, headers={BETA_HEADER: "realtime=v1"})
        assert (answer.status_code, answer.json()) == (400, expected["body"])
    for joined in ("realtime=v1,assistants=v2", "assistants=v2, realtime=v1"):
        assert client.get("/assistants", headers={BETA_HEADER: joined}).status_code == 200
    # SDKs send it with stores, and not with files; neither must have it.
    for path in ("/models", "/files", "/vector_stores"):
        assert client.get(path, headers={BETA_HEADER: ""}).status_code == 200


PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,openai-beta,x-stainless-lang",
}


def test_a_page_on_this_machine_may_call(http: httpx.Client) -> None:
    origin = {"origin": "http://localhost:5173"}
    asked = http.options("/threads", headers={**origin, **PREFLIGHT})
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == origin["origin"]
    assert "x-stainless-lang" in asked.headers["access-control-allow-headers"]
    made = http.post("/threads", headers=origin, json={})
    assert made.headers["access-control-allow-origin"] == origin["origin"]
    assert "x-request-id" in made.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://example.com"},
        {"origin": "null"},
        {"origin": "http://localhost.example.com"},
        {"host": "rebound.example.com:8080"},
    ],
)
def test_without_keys_another_machines_page_is_kept_out(
    http: httpx.Client, headers: dict[str, str]
) -> None:
    """A browser on this machine is inside loopback, and so is every page that it shows."""
    before = len(http.get("/assistants", params={"limit": 100}).json()["data"])
    answer = http.post("/assistants", headers=headers, json={"model": "m"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin")
    assert "access-control-allow-origin" not in answer.headers
    assert len(http.get("/assistants", params={"limit": 100}).json()["data"]) == before


def test_with_a_key_any_page_may_call(servers: Any, db: str, ledger: Ledger) -> None:
    guarded = servers.shared(db, ADJUTANT_API_KEYS="right-key-number-one,right-key-number-two")
    client = http_client(guarded.base_url, ledger, "right-key-number-one")
    origin = {"origin": "https://example.com"}
    assert client.options("/threads", headers={**origin, **PREFLIGHT}).status_code == 200
    made = client.post("/threads", headers=origin, json={})
    assert made.status_code == 200
    assert made.headers["access-control-allow-origin"] == origin["origin"]


def test_answers_carry_openais_headers(http: httpx.Client) -> None:
    answer = http.post("/threads", json={})
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["openai-organization"]
    assert int(answer.headers["openai-processing-ms"]) >= 0


def test_pollers_are_told_when_to_look_again(story: Story, http: httpx.Client) -> None:
    """SDKs poll every one to five seconds unless the answer says otherwise."""
    gate = story.model.hold()
    story.model.says("Hello.")
    run = story.run(story.thread("Hi"), story.assistant())
    path = f"/threads/{run.thread_id}/runs/{run.id}"
    assert int(http.get(path).headers["openai-poll-after-ms"]) <= 1000
    gate.open()
    story.wait(run)
    assert "openai-poll-after-ms" not in http.get(path).headers
