"""`Idempotency-Key`: a request that creates is carried out once, however often it is sent."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.scripted import Answer
from harness.sdk import http_client, httpx
from harness.server import Adjutant
from harness.story import Story, function_tool, outputs_for, wait_for

pytestmark = pytest.mark.once


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


def post(http: httpx.Client, key: str, path: str, body: dict[str, Any]) -> httpx.Response:
    return http.post(path, json=body, headers={"Idempotency-Key": key})


@pytest.fixture(params=["assistant", "thread", "message", "run", "thread and run"])
def creation(request: Any, story: Story) -> tuple[str, dict[str, Any]]:
    """A request of each kind that creates something."""
    kind = request.param
    if "run" in kind:
        story.model.always(Answer(("Hello.",)))
    assistant = {"assistant_id": story.assistant().id}
    message = {"role": "user", "content": "Hi"}
    thread = story.thread("Before").id
    return {
        "assistant": ("/assistants", {"model": story.model.name, "name": "Ada"}),
        "thread": ("/threads", {"messages": [message]}),
        "message": (f"/threads/{thread}/messages", message),
        "run": (f"/threads/{thread}/runs", assistant),
        "thread and run": ("/threads/runs", {**assistant, "thread": {"messages": [message]}}),
    }[kind]


def count(http: httpx.Client, path: str, made: dict[str, Any]) -> int:
    """How many objects there are where the request makes one."""
    if path in {"/threads", "/threads/runs"}:
        thread = made.get("thread_id", made["id"])
        path = f"/threads/{thread}/messages"
    return len(http.get(path, params={"limit": 100}).json()["data"])


def test_the_same_answer_byte_for_byte(
    http: httpx.Client, story: Story, key: str, creation: tuple[str, dict[str, Any]]
) -> None:
    path, body = creation
    first = post(http, key, path, body)
    assert first.status_code == 200
    made = first.json()
    if made["object"] == "thread.run":
        story.wait(story.runs.retrieve(made["id"], thread_id=made["thread_id"]))
    before = count(http, path, made)
    for _ in range(3):
        again = post(http, key, path, body)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["content-type"] == "application/json"
    assert count(http, path, made) == before
    other = post(http, uuid.uuid4().hex, path, body)
    assert other.json()["id"] != made["id"]


def test_many_at_once(
    http: httpx.Client, story: Story, key: str, creation: tuple[str, dict[str, Any]]
) -> None:
    """Whoever comes second waits for the first and reads its answer."""
    path, body = creation
    together = threading.Barrier(8)

    def send(_: int) -> httpx.Response:
        together.wait(10)
        return post(http, key, path, body)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(8)))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.content for answer in answers}) == 1
    made = answers[0].json()
    if made["object"] == "thread.run":
        story.wait(story.runs.retrieve(made["id"], thread_id=made["thread_id"]))
        assert len(story.runs.list(made["thread_id"]).data) == 1


def test_a_changed_object_does_not_change_the_answer(http: httpx.Client, key: str) -> None:
    first = post(http, key, "/threads", {"metadata": {"state": "new"}})
    http.post(f"/threads/{first.json()['id']}", json={"metadata": {"state": "old"}})
    assert post(http, key, "/threads", {"metadata": {"state": "new"}}).content == first.content
    http.delete(f"/threads/{first.json()['id']}")
    assert post(http, key, "/threads", {"metadata": {"state": "new"}}).content == first.content


def test_a_key_stands_for_one_request(http: httpx.Client, key: str) -> None:
    assert post(http, key, "/threads", {"metadata": {"a": "1"}}).status_code == 200
    others = [("/threads", {"metadata": {"a": "2"}}), ("/assistants", {"model": "m"})]
    for path, body in others:
        answer = post(http, key, path, body)
        error = answer.json()["error"]
        assert answer.status_code == 400
        assert (error["type"], error["param"]) == ("invalid_request_error", None)
        assert error["code"] == "idempotency_key_reused"


def test_a_refused_request_may_be_mended_under_its_key(http: httpx.Client, key: str) -> None:
    """Nothing was created, so there is nothing to repeat."""
    assert post(http, key, "/assistants", {"name": "Ada"}).status_code == 400
    assert post(http, key, "/threads/thread_none/messages", {}).status_code == 400
    missing = post(http, key, "/threads/thread_none/messages", {"role": "user", "content": "Hi"})
    assert missing.status_code == 404
    assert post(http, key, "/assistants", {"name": "Ada", "model": "m"}).status_code == 200


@pytest.mark.parametrize(("length", "status"), [(0, 400), (1, 200), (255, 200), (256, 400)])
def test_keys_have_a_length(http: httpx.Client, key: str, length: int, status: int) -> None:
    text = (key * 8)[:length]
    answer = post(http, text, "/threads", {"metadata": {"length": str(length)}})
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["error"]["code"] == "invalid_idempotency_key"


def test_a_key_of_other_letters_is_refused(http: httpx.Client) -> None:
    answer = http.post("/threads", json={}, headers={"Idempotency-Key": "schlüssel".encode()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_idempotency_key")


def test_streams_know_no_keys(http: httpx.Client, story: Story, key: str) -> None:
    """Each is a run of its own: what was streamed is not kept to be streamed again."""
    story.model.says("Hello.").says("Hello again.")
    body = {"assistant_id": story.assistant().id, "stream": True}
    path = f"/threads/{story.thread('Hi').id}/runs"
    for _ in range(2):
        with http.stream("POST", path, json=body, headers={"Idempotency-Key": key}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            answer.read()
    assert len(http.get(path).json()["data"]) == 2


def test_each_project_has_keys_of_its_own(
    projects: tuple[httpx.Client, httpx.Client], key: str
) -> None:
    one, two = projects
    first = post(one, key, "/threads", {"metadata": {"of": "one"}})
    other = post(two, key, "/threads", {"metadata": {"of": "two"}})
    assert (first.status_code, other.status_code) == (200, 200)
    assert first.json()["id"] != other.json()["id"]


@pytest.fixture
def mortal(servers: Any, db: str) -> Iterator[Adjutant]:
    server = servers.new(db)
    yield server
    server.stop()


def test_after_a_crash_each_request_was_carried_out_once_or_not_at_all(
    mortal: Adjutant, ledger: Ledger
) -> None:
    """The power fails amid many requests. Their senders, not knowing, send all of them again."""
    http = http_client(mortal.base_url, ledger)
    notes = http.post("/threads", json={}).json()["id"]
    path = f"/threads/{notes}/messages"
    known: dict[int, bytes] = {}

    def send(number: int) -> None:
        body = {"role": "user", "content": f"note {number}"}
        try:
            answer = post(http, f"note-{number}", path, body)
        except httpx.TransportError:
            return
        assert answer.status_code == 200
        known[number] = answer.content

    with ThreadPoolExecutor(8) as pool:
        sent = pool.map(send, range(5000))
        wait_for(lambda: len(known), lambda n: n >= 50, "fifty answers")
        mortal.kill()
        list(sent)
    before = dict(known)
    assert 50 <= len(before) < 5000
    mortal.start()
    http = http_client(mortal.base_url, ledger)
    beyond = max(before) + 40
    for number in range(beyond):
        send_again = post(
            http, f"note-{number}", path, {"role": "user", "content": f"note {number}"}
        )
        assert send_again.status_code == 200
        assert before.get(number, send_again.content) == send_again.content
    texts, after = [], {}
    while True:
        page = http.get(path, params={"limit": 100, **after}).json()
        texts += [message["content"][0]["text"]["value"] for message in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert sorted(texts) == sorted(f"note {number}" for number in range(beyond))


def test_outputs_are_submitted_once(story: Story, http: httpx.Client, key: str) -> None:
    """Whoever heard no answer and sends them again reads the same one, and not that nobody waits for them."""
    story.model.calls("look", {"at": "sky"}).then_says("Blue.")
    assistant = story.assistant(tools=[function_tool("look")])
    run = story.wait(story.run(story.thread("Colour?"), assistant), "requires_action")
    path = f"/threads/{run.thread_id}/runs/{run.id}/submit_tool_outputs"
    body = {"tool_outputs": outputs_for(run, "blue")}
    first, second = post(http, key, path, body), post(http, key, path, body)
    assert first.status_code == second.status_code == 200 and first.json() == second.json()
    story.wait(run, "completed")
    assert post(http, key, path, body).json() == first.json()
    assert post(http, uuid.uuid4().hex, path, body).status_code == 400
    assert story.messages(run.thread_id)[-1] == ("assistant", "Blue.")
