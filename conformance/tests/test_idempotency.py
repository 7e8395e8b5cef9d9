"""`Idempotency-Key`: a request that creates something may be sent again, and creates nothing again."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.sdk import http_client, httpx
from harness.story import Story

pytestmark = pytest.mark.once


def key() -> dict[str, str]:
    return {"idempotency-key": uuid.uuid4().hex}


def test_the_same_request_gets_the_same_answer(http: httpx.Client) -> None:
    headers, body = key(), {"model": "m", "metadata": {"mark": uuid.uuid4().hex}}
    first = http.post("/assistants", headers=headers, json=body)
    again = http.post("/assistants", headers=headers, json=body)
    assert first.content == again.content and again.status_code == 200
    assert again.headers["content-type"].startswith("application/json")
    listed = http.get("/assistants", params={"limit": 100}).json()["data"]
    assert [one["id"] for one in listed if one["metadata"] == body["metadata"]] == [
        first.json()["id"]
    ]


def test_two_at_once_create_one(http: httpx.Client) -> None:
    thread = http.post("/threads", json={}).json()["id"]
    path, body = f"/threads/{thread}/messages", {"role": "user", "content": "Hi"}
    for _ in range(10):
        headers = key()
        with ThreadPoolExecutor(8) as clients:
            sent = [clients.submit(http.post, path, headers=headers, json=body) for _ in range(8)]
            answers = {one.result().content for one in sent}
        assert len(answers) == 1
    assert len(http.get(path, params={"limit": 100}).json()["data"]) == 10


def test_another_body_under_the_same_key_is_refused(http: httpx.Client) -> None:
    headers = key()
    assert http.post("/threads", headers=headers, json={}).status_code == 200
    answer = http.post("/threads", headers=headers, json={"metadata": {"a": "b"}})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "idempotency_key_reused")


def test_a_run_is_started_once(story: Story, http: httpx.Client) -> None:
    story.model.says("Once.")
    body = {"assistant_id": story.assistant().id}
    path, headers = f"/threads/{story.thread('Hi').id}/runs", key()
    first = http.post(path, headers=headers, json=body).json()
    again = http.post(path, headers=headers, json=body).json()
    assert first == again and first["status"] == "queued"
    run = story.runs.retrieve(first["id"], thread_id=first["thread_id"])
    assert story.wait(run).status == "completed"
    assert http.post(path, headers=headers, json=body).json() == first
    assert len(story.model.requests) == 1


def test_a_refused_request_may_be_mended_under_its_key(http: httpx.Client) -> None:
    headers = key()
    assert http.post("/assistants", headers=headers, json={}).status_code == 400
    assert http.post("/assistants", headers=headers, json={"model": "m"}).status_code == 200


def test_keys_of_another_project_are_others(
    servers: Any, db: str, ledger: Ledger
) -> None:
    entries = (
        'keys = [{key = "k1-0123456789", project = "a"}, {key = "k2-0123456789", project = "b"}]'
    )
    server = servers.new(db, config=entries)
    headers = key()
    made = [
        http_client(server.base_url, ledger, name)
        .post("/threads", headers=headers, json={})
        .json()["id"]
        for name in ("k1-0123456789", "k2-0123456789")
    ]
    assert made[0] != made[1]


@pytest.mark.parametrize("bad", ["", "x" * 256])
def test_a_key_has_a_length(http: httpx.Client, bad: str) -> None:
    answer = http.post("/threads", headers={"idempotency-key": bad}, json={})
    assert answer.status_code == 400
