"""Everything before a handler: keys, projects, paths, methods, bodies, headers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from harness import postgres, recorded
from harness.ledger import Ledger
from harness.sdk import BETA, http_client, httpx, openai_client
from harness.server import BINARY, Adjutant
from harness.shelf import Shelf
from harness.story import Story, function_tool, wait_for

pytestmark = pytest.mark.once
Client = Callable[[str], httpx.Client]


# -- keys ------------------------------------------------------------------------------
@pytest.fixture
def guarded(servers: Any, db: str) -> Adjutant:
    return servers.shared(db, ADJUTANT_API_KEYS="right-key-number-one,right-key-number-two")


@pytest.fixture
def as_key(guarded: Adjutant, ledger: Ledger) -> Client:
    return lambda key: http_client(guarded.base_url, ledger, key)


@pytest.mark.parametrize("key", ["right-key-number-one", "right-key-number-two"])
def test_configured_keys_are_accepted(as_key: Client, key: str) -> None:
    assert as_key(key).get("/assistants").status_code == 200


def test_another_key_gets_the_recorded_answer(as_key: Client) -> None:
    """The message shows the key's first eight and last four characters and nothing between."""
    key = "not-a-re" + "X" * 26 + "ized"
    answer = as_key(key).post("/assistants", json={"model": "m"})
    assert answer.status_code == 401
    assert answer.json() == recorded.http_errors()["POST any, wrong key"]["body"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/threads/thread_abc"),
        ("POST", "/threads/new/messages"),
        ("GET", "/models"),
        ("POST", "/chat/completions"),
        ("POST", "/embeddings"),
    ],
)
def test_nothing_answers_without_the_right_key(as_key: Client, method: str, path: str) -> None:
    answer = as_key("wrong-key-wrong-key").request(method, path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("header", ["", "Bearer", "Basic cmlnaHQ6a2V5", "right-key-number-one"])
def test_a_missing_or_odd_key_is_unauthorized(as_key: Client, header: str) -> None:
    answer = as_key("x").get("/assistants", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_short_wrong_keys_are_not_repeated_whole(as_key: Client) -> None:
    for key in ("s3cret", "s3cret-s3cret"):
        assert key not in as_key(key).get("/assistants").text


def test_the_sdk_raises_its_authentication_error(guarded: Adjutant, ledger: Ledger) -> None:
    with pytest.raises(openai.AuthenticationError):
        openai_client(guarded.base_url, ledger, key="wrong-key-wrong-key").beta.threads.create()


def test_on_loopback_any_key_will_do(server: Adjutant, ledger: Ledger) -> None:
    for key in ("anything", "sk-proj-123", "🔑".encode().decode("latin-1")):
        answer = http_client(server.base_url, ledger).get(
            "/assistants", headers={"Authorization": f"Bearer {key}".encode("latin-1")}
        )
        assert answer.status_code == 200


def test_an_open_address_without_keys_is_refused(tmp_path: Path) -> None:
    """Nobody opens a server to the network by accident: it does not start, and says why."""
    command = [BINARY, "serve", "--listen", "0.0.0.0:0", "--data", tmp_path / "data"]
    command += ["--upstream", "http://127.0.0.1:9/v1"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert "key" in done.stderr.lower()


# -- projects --------------------------------------------------------------------------
PROJECTS = """
[[keys]]
key = "key-of-ada-0000000"
project = "ada"

[[keys]]
key = "key-of-bob-0000000"
project = "bob"

[[keys]]
key = "other-key-of-ada-0"
project = "ada"
"""


@pytest.fixture(scope="module")
def divided(servers: Any, db: str) -> Adjutant:
    return servers.new(db, config=PROJECTS)


def test_a_project_does_not_see_another(divided: Adjutant, ledger: Ledger) -> None:
    """Objects of another project are not there: not to read, change, list, run or delete."""
    ada = http_client(divided.base_url, ledger, "key-of-ada-0000000")
    bob = http_client(divided.base_url, ledger, "key-of-bob-0000000")
    assistant = ada.post("/assistants", json={"model": "m"}).json()["id"]
    thread = ada.post("/threads", json={"messages": [{"role": "user", "content": "Hi"}]}).json()[
        "id"
    ]
    bobs = bob.post("/assistants", json={"model": "m"}).json()["id"]
    bobs_thread = bob.post("/threads").json()["id"]
    attempts = [
        bob.get(f"/assistants/{assistant}"),
        bob.post(f"/assistants/{assistant}", json={"name": "mine"}),
        bob.delete(f"/assistants/{assistant}"),
        bob.get(f"/threads/{thread}"),
        bob.post(f"/threads/{thread}", json={"metadata": {"a": "b"}}),
        bob.delete(f"/threads/{thread}"),
        bob.get(f"/threads/{thread}/messages"),
        bob.post(f"/threads/{thread}/messages", json={"role": "user", "content": "Hi"}),
        bob.get(f"/threads/{thread}/runs"),
        bob.post(f"/threads/{thread}/runs", json={"assistant_id": bobs}),
        bob.post(f"/threads/{bobs_thread}/runs", json={"assistant_id": assistant}),
        bob.post("/threads/runs", json={"assistant_id": assistant}),
    ]
    assert [answer.status_code for answer in attempts] == [404] * len(attempts)
    assert [item["id"] for item in bob.get("/assistants").json()["data"]] == [bobs]
    assert ada.get(f"/assistants/{assistant}").json()["name"] is None


def test_keys_of_one_project_share_everything(divided: Adjutant, ledger: Ledger) -> None:
    one = http_client(divided.base_url, ledger, "key-of-ada-0000000")
    other = http_client(divided.base_url, ledger, "other-key-of-ada-0")
    thread = one.post("/threads").json()
    assert other.get(f"/threads/{thread['id']}").json() == thread


# -- ids -------------------------------------------------------------------------------
def test_ids_have_the_recorded_forms(story: Story, client: openai.OpenAI) -> None:
    """A prefix and 24 letters and digits; newer kinds have 32 hexadecimal digits."""
    story.model.calls("f").then_says("Hello.")
    run = story.ask("Hi", assistant=story.assistant(tools=[function_tool("f")]))
    (call,) = run.required_action.submit_tool_outputs.tool_calls
    run = story.wait(story.submit(run, ""), "completed")
    shelf = Shelf(client)
    file, store = shelf.file("text"), shelf.store()
    batch = shelf.stores.file_batches.create(store, file_ids=[file])
    upload = client.uploads.create(
        bytes=1, filename="a.txt", mime_type="text/plain", purpose="assistants"
    )
    part = client.uploads.parts.create(upload.id, data=b"a")
    told = [
        run.assistant_id,
        run.thread_id,
        run.id,
        story.threads.messages.list(run.thread_id).data[0].id,
        story.steps(run)[0].id,
        call.id,
        file,
        *[store, batch.id, upload.id, part.id],
    ]
    forms = [
        *(f"{kind}_[0-9A-Za-z]{{24}}" for kind in "asst thread run msg step call".split()),
        "file-[0-9A-Za-z]{22}",
        *(f"{kind}_[0-9a-f]{{32}}" for kind in "vs vsfb upload part".split()),
    ]
    wrong = [id for id, form in zip(told, forms, strict=True) if not re.fullmatch(form, id)]
    assert not wrong


# -- faults of ours --------------------------------------------------------------------
@pytest.fixture
def broken(servers: Any, db: str) -> Adjutant:
    """A server whose database somebody has destroyed."""
    server = servers.new(db)
    if db == "sqlite":
        (file,) = (server.folder / "data").glob("*.db")
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.execute("drop table assistants")
    else:
        postgres.execute(server._database_url, "drop table assistants")
    return server


def test_a_fault_of_ours_is_told_as_recorded(broken: Adjutant, ledger: Ledger) -> None:
    """Its cause stands in the log, under the id that the client is told, and nowhere else."""
    ledger.expected_statuses.add(500)
    answer = http_client(broken.base_url, ledger).get("/assistants")
    error, theirs = answer.json()["error"], recorded.http_errors()["server error"]["body"]["error"]
    beginning = theirs["message"].partition(" You can")[0]
    assert (answer.status_code, error["message"].startswith(beginning)) == (500, True)
    assert {**error, "message": None} == {**theirs, "message": None}
    id = answer.headers["x-request-id"]
    assert id in error["message"] and "assistants" not in error["message"]
    wait_for(broken.tail, lambda log: f"{id}" in log, "the log to say why")


# -- paths, methods, headers -----------------------------------------------------------
@pytest.mark.parametrize(
    "path", ["/nowhere", "/threads/thread_a/b/c", "/assistants/asst_a/files", "/"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_path_is_told_so(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert f"{method} /v1{path}" in error["message"]
    assert (error["type"], error["param"]) == ("invalid_request_error", None)


METHODS = [
    ("PUT", "/assistants"),
    ("PATCH", "/threads/thread_a"),
    ("DELETE", "/threads"),
    ("DELETE", "/threads/thread_a/runs/run_a"),
    ("GET", "/threads/thread_a/runs/run_a/cancel"),
    ("GET", "/threads/runs"),
]


@pytest.mark.parametrize(("method", "path"), METHODS)
def test_an_unknown_method_is_told_so(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    # `GET /threads/runs` may also be read as a thread whose id is wrong.
    assert answer.status_code in ({405, 400} if path == "/threads/runs" else {405})
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_every_answer_says_json_and_names_its_request(http: httpx.Client) -> None:
    for answer in (http.get("/assistants"), http.get("/threads/thread_abc"), http.get("/nowhere")):
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers.get("x-request-id")


def test_the_server_says_when_it_is_ready(server: Adjutant, ledger: Ledger) -> None:
    assert http_client(server.address, ledger).get("/health/ready").status_code == 200


@pytest.mark.parametrize(
    "beta", ["assistants=v2", "assistants=v2,realtime=v1", "realtime=v1, assistants=v2"]
)
def test_beta_headers_may_be_joined(http: httpx.Client, beta: str) -> None:
    assert http.get("/assistants", headers={"OpenAI-Beta": beta}).status_code == 200


# -- bodies ----------------------------------------------------------------------------
BROKEN = [
    b"{",
    b"",
    b"not json",
    b'{"model": "m",}',
    b"\xff\xfe",
    b'{"model": "\xed\xa0\x80"}',
    b"[]",
    b'"text"',
    b"null",
    b"5",
]
POSTS = ["/assistants", "/threads", "/threads/runs", "/chat/completions"]


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", BROKEN)
def test_a_body_that_is_no_json_object_is_refused(
    http: httpx.Client, path: str, body: bytes
) -> None:
    answer = http.post(path, content=body, headers={"Content-Type": "application/json"})
    if path == "/threads" and body in {b"", b"null"}:
        # A thread may be made of nothing; whether null is nothing was never seen.
        assert answer.status_code in ({200} if body == b"" else {200, 400})
        return
    # What is merely passed on may also be refused by the model's server.
    assert answer.status_code in ({400, 404} if path == "/chat/completions" else {400})
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_very_deep_json_is_refused(http: httpx.Client) -> None:
    body = b'{"model":"m","metadata":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001
    assert http.post("/assistants", content=body).status_code == 400


def test_a_body_without_a_content_type_is_read(http: httpx.Client) -> None:
    """curl -d says it is a form; the real API reads JSON all the same."""
    for kind in ("application/x-www-form-urlencoded", "text/plain"):
        body = json.dumps({"model": "m"}).encode()
        answer = http.post("/assistants", content=body, headers={"Content-Type": kind})
        assert answer.status_code in {200, 400}
    assert http.post("/assistants", content=b'{"model":"m"}').status_code == 200


def test_too_large_a_body_is_refused_before_it_is_read(server: Adjutant) -> None:
    """The server does not wait for a gigabyte that it will not take."""
    host, _, port = server.address.removeprefix("http://").partition(":")
    head = (
        f"POST /v1/threads HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        "Authorization: Bearer anything\r\nOpenAI-Beta: assistants=v2\r\n"
        f"Content-Length: {2**30}\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode() + b" " * 65536)
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 413"), answer
    assert "invalid_request_error" in answer


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/assistants/new"),
        ("POST", "/threads/thread_abc"),
        ("POST", "/threads/thread_abc/runs/run_abc/cancel"),
        ("POST", "/nowhere"),
        ("PUT", "/assistants"),
        ("DELETE", "/threads/thread_abc"),
    ],
)
def test_a_refusal_leaves_the_connection_usable(http: httpx.Client, method: str, path: str) -> None:
    """A body that nobody wanted to read must not break the next request."""
    for size in (10, 100_000):
        for _ in range(10):
            answer = http.request(method, path, json={"model": "x" * size})
            assert answer.status_code in {400, 404, 405}
            assert http.get("/assistants?limit=1").status_code == 200


def test_a_body_that_never_ends_is_cut_off(http: httpx.Client) -> None:
    """The same without a length told in advance."""
    chunk = b" " * (1 << 20)

    def endless() -> Any:
        for _ in range(512):
            yield chunk

    try:
        status = http.post("/threads", content=endless()).status_code
    except httpx.TransportError:
        return  # Hung up on: it was refused, too.
    assert status == 413


@pytest.mark.parametrize("path", ["/assistants", "/files", "/vector_stores", "/models"])
def test_a_body_where_none_is_wanted_does_no_harm(server: Adjutant, path: str) -> None:
    """The connection stays, and the next request on it is answered."""
    host = server.address.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    for _ in range(3):
        connection.request("GET", f"/v1{path}", body=b" " * (1 << 20))
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, None)
        answer.read()


# -- doors for other clients -----------------------------------------------------------
STAINLESS = {
    "Lang": "python",
    "Package-Version": "3.54.0",
    "OS": "Linux",
    "Arch": "x64",
    "Runtime": "CPython",
    "Runtime-Version": "3.12.3",
    "Async": "async:asyncio",
    "Retry-Count": "1",
    "Read-Timeout": "600",
    "Timeout": "600",
    "Poll-Helper": "true",
    "Custom-Poll-Interval": "50",
    "Stream-Helper": "threads.runs.stream",
    "Custom-Event-Handler": "true",
    "Raw-Response": "stream",
    "Helper-Method": "stream",
}


def test_ignored_headers_are_ignored(http: httpx.Client, story: Story) -> None:
    """Neither what SDKs tell of themselves nor whom a program names changes an answer."""
    story.model.says("Hello.")
    headers = {
        **BETA,
        **{f"X-Stainless-{name}": value for name, value in STAINLESS.items()},
        "OpenAI-Organization": "org-of-mine",
        "OpenAI-Project": "proj_of_mine",
    }
    assistant, thread = story.assistant(), story.thread("Hi")
    path, body = f"/threads/{thread.id}/runs", {"assistant_id": assistant.id}
    made = http.post(path, headers=headers, json=body)
    assert (made.status_code, made.json()["status"]) == (200, "queued")
    story.wait(story.runs.retrieve(made.json()["id"], thread_id=thread.id), "completed")
    for asked in ("/assistants", f"{path}/{made.json()['id']}"):
        assert http.get(asked, headers=headers).json() == http.get(asked).json()


@pytest.mark.parametrize("name", ["include[]", "include%5B%5D", "include"])
def test_array_queries_are_taken_in_every_spelling(http: httpx.Client, name: str) -> None:
    value = "step_details.tool_calls[*].file_search.results[*].content"
    answer = http.get(f"/threads/thread_abc/runs/run_abc/steps?{name}={value}")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith("No ")
