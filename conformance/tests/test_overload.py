"""More than a server takes on: who is beyond is told when to come again, and all others are served as ever."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from harness.ledger import Ledger
from harness.scripted import Gate, Model, ScriptedUpstream, Vectors
from harness.sdk import http_client, httpx, openai_client
from harness.server import Adjutant
from harness.shelf import Shelf
from harness.story import MESSAGE, Story, function_tool, wait_for

pytestmark = pytest.mark.once
Connect = Callable[[Adjutant], Story]
BEGUN = ["run.created", "run.queued", "run.in_progress"]
MANY_TRIES = 20


def told_when(answer: httpx.Response) -> bool:
    """Whether it says when to come again, in both of the ways that SDKs know."""
    seconds, milliseconds = (
        float(answer.headers[name]) for name in ("retry-after", "retry-after-ms")
    )
    return 0 < seconds <= 60 and seconds <= milliseconds / 1000 <= 2 * seconds


# -- requests at once --------------------------------------------------------------------
class Crowd:
    """A server that handles two requests at once, and both are here to stay: searches whose query a model has yet
    to embed."""

    def __init__(self, servers: Any, db: str, upstream: ScriptedUpstream, ledger: Ledger) -> None:
        self.embedder = upstream.model().always(Vectors())
        settings = {
            "ADJUTANT_CONNECTIONS_REQUESTS_AT_ONCE": "2",
            "ADJUTANT_EMBEDDINGS_MODEL": self.embedder.name,
        }
        self.server: Adjutant = servers.new(db, settings=settings)
        self._client = openai_client(self.server.base_url, ledger)
        self._store = Shelf(self._client).store("A few words.")
        self._gates: list[Gate] = []
        self._inside = ThreadPoolExecutor(2)

    def comes(self) -> None:
        self._gates = []
        for number in range(2):
            self._gates.append(self.embedder.hold())
            self.embedder.then(Vectors())
            self._inside.submit(self._search, f"question {number} of {time.monotonic()}")
            self._gates[-1].wait_until_reached()

    def _search(self, query: str) -> None:
        path = f"/vector_stores/{self._store}/search"
        self._client.post(path, cast_to=object, body={"query": query})

    def goes(self) -> None:
        for gate in self._gates:
            gate.open()

    def end(self) -> None:
        self.goes()
        self._inside.shutdown()
        self.embedder.close()
        self.server.stop()


@pytest.fixture
def crowd(servers: Any, db: str, upstream: ScriptedUpstream, ledger: Ledger) -> Iterator[Crowd]:
    crowd = Crowd(servers, db, upstream, ledger)
    yield crowd
    crowd.end()


def test_requests_beyond_are_told_to_come_again(crowd: Crowd, ledger: Ledger) -> None:
    """In OpenAI's words, and on a connection that is good for the next try."""
    ledger.expected_statuses.add(503)
    http = http_client(crowd.server.base_url, ledger)
    crowd.comes()
    answer = http.get("/assistants")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "server_overloaded"
    assert told_when(answer)
    assert "connection" not in answer.headers
    for path in ("/health/live", "/health/ready"):
        assert httpx.get(f"{crowd.server.address}{path}").text == "ok"
    crowd.goes()
    look = lambda: http.get("/assistants").status_code  # noqa: E731
    wait_for(look, lambda status: status == 200, "a place")


def test_streams_go_on_meanwhile(crowd: Crowd, connect: Connect, ledger: Ledger) -> None:
    """One that has begun takes no place, however many come after it."""
    ledger.expected_statuses.add(503)
    story = connect(crowd.server)
    gate = story.model.gate()
    story.model.says("Half a ", gate, "sentence.")
    thread, assistant = story.thread("Hi"), story.assistant()
    heard = threading.Thread(target=lambda: story.stream(thread, assistant))
    heard.start()
    gate.wait_until_reached()
    crowd.comes()
    http = http_client(crowd.server.base_url, ledger)
    assert http.get("/assistants").status_code == 503
    gate.open()
    heard.join(20)
    assert story.stream_names() == [*BEGUN, *MESSAGE, "run.completed", "done"]


def test_those_that_wait_for_a_model_take_no_place(
    crowd: Crowd, model: Model, ledger: Ledger
) -> None:
    """Nobody knows how long one takes to answer; and it is not our work."""
    gates = []
    http = http_client(crowd.server.base_url, ledger)
    body = {"model": model.name, "messages": [{"role": "user", "content": "Hi"}]}
    with ThreadPoolExecutor(4) as clients:
        asked = []
        for _ in range(4):
            gates.append(model.hold())
            model.says("Hello.")
            asked.append(clients.submit(http.post, "/chat/completions", json=body))
            gates[-1].wait_until_reached()
        assert http.get("/assistants").status_code == 200
        for gate in gates:
            gate.open()
        assert {answer.result().status_code for answer in asked} == {200}


def test_the_sdk_gets_through_by_itself(crowd: Crowd, ledger: Ledger) -> None:
    """A short overload is no exception to anybody: the SDK comes again, at the latest when it was told to."""
    ledger.expected_statuses.add(503)
    client = openai_client(crowd.server.base_url, ledger, max_retries=MANY_TRIES)
    crowd.comes()
    with ThreadPoolExecutor(1) as clients:
        made = clients.submit(client.beta.threads.create)
        refused = lambda: [one for one in ledger.exchanges if one.status == 503]  # noqa: E731
        wait_for(refused, bool, "the SDK to be refused")
        crowd.goes()
        assert made.result().id.startswith("thread_")


# -- runs at once ------------------------------------------------------------------------
class Busy:
    """A server that works on one run at once, and a model that waits at a gate before each answer."""

    def __init__(self, servers: Any, db: str, connect: Connect, model: Model, waiting: int) -> None:
        settings = {
            "ADJUTANT_RUNS_AT_ONCE": "1",
            "ADJUTANT_RUNS_WAITING": str(waiting),
        }
        self.server: Adjutant = servers.new(db, settings=settings)
        self.story, self.model = connect(self.server), model
        self.assistant = self.story.assistant()

    def holds(self, *answers: str) -> list[Gate]:
        gates = []
        for answer in answers:
            gates.append(self.model.hold())
            self.model.says(answer)
        return gates

    def run(self, text: str, **options: Any) -> Any:
        return self.story.run(self.story.thread(text), self.assistant, **options)


@pytest.fixture
def busy(servers: Any, db: str, connect: Connect, model: Model) -> Iterator[Callable[..., Busy]]:
    made: list[Busy] = []

    def make(waiting: int = 100) -> Busy:
        made.append(Busy(servers, db, connect, model, waiting))
        return made[-1]

    yield make
    model.close()
    for one in made:
        one.server.stop()


def asked(model: Model) -> list[str]:
    return [seen.last_user_text for seen in model.requests]


def test_runs_beyond_are_queued_and_done_in_order(busy: Callable[..., Busy]) -> None:
    server = busy()
    names = ["first", "second", "third", "fourth"]
    gates = server.holds(*names)
    runs = [server.run(name) for name in names]
    for number, gate in enumerate(gates):
        gate.wait_until_reached()
        statuses = [server.story.look(run).status for run in runs]
        waiting = len(names) - number - 1
        assert statuses == ["completed"] * number + ["in_progress"] + ["queued"] * waiting
        gate.open()
        server.story.wait(runs[number], "completed")
    assert asked(server.model) == names


def test_a_stream_of_a_run_that_waits(busy: Callable[..., Busy]) -> None:
    """It is told that the run is queued, and all the rest when it is its turn."""
    server = busy()
    first, second = server.holds("One.", "Two.")
    run = server.run("first")
    first.wait_until_reached()
    stream = server.run("second", stream=True)
    told = []
    for event in stream:
        told.append(event.event)
        if event.event == "thread.run.queued":
            first.open()
        if event.event == "thread.run.in_progress":
            second.open()
    assert server.story.stream_names() == [*BEGUN, *MESSAGE, "run.completed", "done"]
    assert server.story.look(run).status == "completed"


def test_outputs_are_taken_while_there_is_no_room(busy: Callable[..., Busy]) -> None:
    """The run that goes on with them waits like the others, whatever its queue may have."""
    server = busy(waiting=0)
    server.assistant = server.story.assistant(tools=[function_tool("weather")])
    server.model.calls("weather", {"city": "Oslo"})
    parked = server.story.wait(server.run("Weather?"), "requires_action")
    (gate,) = server.holds("Hello.")
    other = server.run("Hi")
    gate.wait_until_reached()
    server.model.says("Sunny.")
    assert server.story.submit(parked, "sunny").status == "queued"
    gate.open()
    server.story.wait(parked, "completed")
    server.story.wait(other, "completed")


def test_a_run_that_waits_can_be_cancelled(busy: Callable[..., Busy]) -> None:
    server = busy()
    (gate,) = server.holds("One.")
    server.run("first")
    gate.wait_until_reached()
    waiting = server.run("second")
    server.story.cancel(waiting)
    server.story.wait(waiting, "cancelled")
    gate.open()


# -- runs that wait ----------------------------------------------------------------------
def full(busy: Callable[..., Busy]) -> tuple[Busy, list[Gate], list[Any]]:
    """A server with one run at work and two that wait, which are all it takes."""
    server = busy(waiting=2)
    gates = server.holds("One.", "Two.", "Three.")
    runs = [server.run(name) for name in ("first", "second", "third")]
    gates[0].wait_until_reached()
    return server, gates, runs


def test_no_more_runs_wait_than_may(busy: Callable[..., Busy], ledger: Ledger) -> None:
    """Whoever would create one more is refused, and nothing of the request is left."""
    server, gates, runs = full(busy)
    http = http_client(server.server.base_url, ledger)
    by = {"assistant_id": server.assistant.id}
    thread = server.story.thread("fourth").id
    before = http.get("/threads").json()
    message = {"role": "user", "content": "Not told."}
    for path, body in (
        (f"/threads/{thread}/runs", {**by, "additional_messages": [message]}),
        ("/threads/runs", {**by, "thread": {"messages": [message]}}),
        (f"/threads/{thread}/runs", {**by, "stream": True}),
    ):
        answer = http.post(path, json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"]) == (
            429,
            "requests",
            "rate_limit_exceeded",
        )
        assert told_when(answer)
    assert http.get("/threads").json() == before
    assert server.story.messages(thread) == [("user", "fourth")]
    assert http.get(f"/threads/{thread}/runs").json()["data"] == []
    for gate in gates:
        gate.open()
    for run in runs:
        server.story.wait(run, "completed")
    server.model.says("Four.")
    run = http.post(f"/threads/{thread}/runs", json=by).json()
    wait_for(
        lambda: http.get(f"/threads/{thread}/runs/{run['id']}").json()["status"],
        lambda status: status == "completed",
        "the run to be done",
    )


def test_the_sdk_waits_until_a_run_may(busy: Callable[..., Busy], ledger: Ledger) -> None:
    server, gates, _ = full(busy)
    server.model.says("Four.")
    client = openai_client(server.server.base_url, ledger, max_retries=MANY_TRIES)
    thread = server.story.thread("fourth")
    with ThreadPoolExecutor(1) as clients:
        created = clients.submit(
            client.beta.threads.runs.create,
            thread_id=thread.id,
            assistant_id=server.assistant.id,
        )
        refused = lambda: [one for one in ledger.exchanges if one.status == 429]  # noqa: E731
        wait_for(refused, bool, "the SDK to be refused")
        for gate in gates:
            gate.open()
        server.story.wait(created.result(), "completed")


def test_no_project_waits_for_the_runs_of_another(
    servers: Any, db: str, model: Model, ledger: Ledger
) -> None:
    """What one has in the queue leaves the others' share as it is."""
    config = "".join(
        f'[[keys]]\nkey = "key-of-{name}"\nproject = "{name}"\n' for name in ("one", "two")
    )
    settings = {"ADJUTANT_RUNS_AT_ONCE": "1", "ADJUTANT_RUNS_WAITING": "1"}
    server = servers.new(db, config=config, settings=settings)
    one, two = (
        Story(openai_client(server.base_url, ledger, f"key-of-{name}"), model, ledger)
        for name in ("one", "two")
    )
    gate = model.hold()
    model.says("One.").then_says("Two.").then_says("Three.")
    runs = [(one, one.run(one.thread("first"), one.assistant()))]
    gate.wait_until_reached()
    runs.append((one, one.run(one.thread("second"), one.assistant())))
    with pytest.raises(openai.RateLimitError):
        one.run(one.thread("third"), one.assistant())
    runs.append((two, two.run(two.thread("fourth"), two.assistant())))
    gate.open()
    for story, run in runs:
        story.wait(run, "completed")
    assert asked(model) == ["first", "second", "fourth"]
    server.stop()


# -- bodies ------------------------------------------------------------------------------
SLOW = {"ADJUTANT_CONNECTIONS_BODY_SECONDS": "1"}


def head(path: str, length: int, kind: str = "application/json") -> bytes:
    return (
        f"POST /v1{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


FORM = "multipart/form-data; boundary=x"
PART = (
    b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
)


def told_on(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and error of the answer after which the server closes the connection."""
    told = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            told += piece
    lines, _, body = told.partition(b"\r\n\r\n")
    return int(lines.split()[1]), json.loads(body)["error"]


@pytest.mark.parametrize("drips", [False, True], ids=["stops", "drips"])
@pytest.mark.parametrize(
    ("path", "kind", "begin"),
    [("/threads", "application/json", b'{"metadata": {"k": "'), ("/files", FORM, PART)],
    ids=["json", "form"],
)
def test_a_body_that_comes_too_slowly(
    servers: Any, db: str, path: str, kind: str, begin: bytes, drips: bool
) -> None:
    """Dripping does not help: what counts is how long we wait in all, and hardly anything comes for it."""
    server = servers.shared(db, **SLOW)
    with socket.create_connection(server.host_and_port, timeout=20) as connection:
        connection.sendall(head(path, 1 << 20, kind) + begin)
        connection.settimeout(0.02 if drips else 20)
        told = b""
        for _ in range(1000 if drips else 0):
            try:
                connection.sendall(b"x")
                told = connection.recv(1, socket.MSG_PEEK)
                break
            except TimeoutError:
                pass
        assert told or not drips
        status, error = told_on(connection)
    assert (status, error["code"]) == (408, "request_timeout")
    assert httpx.get(f"{server.base_url}/files").json()["data"] == []


def test_bodies_are_bounded_together(servers: Any, db: str, ledger: Ledger) -> None:
    """Of many that each may be long, and stop half-way, those are kept that there is memory for. Short requests
    that come meanwhile find some, too."""
    settings = {
        "ADJUTANT_REQUEST_BYTES": str(8 << 20),
        "ADJUTANT_CONNECTIONS_BODY_BYTES_AT_ONCE": str(16 << 20),
    }
    server = servers.new(db, settings=settings)
    long = b'{"metadata": {"k": "' + b"x" * (4 << 20)
    with contextlib.ExitStack() as opened:
        refused = 0
        for _ in range(6):
            connection = opened.enter_context(
                socket.create_connection(server.host_and_port, timeout=20)
            )
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(head("/threads", 7 << 20) + long)
            connection.settimeout(2)
            with contextlib.suppress(TimeoutError):
                status, error = told_on(connection)
                assert (status, error["code"]) == (503, "server_overloaded")
                refused += 1
        assert 0 < refused < 6
        assert http_client(server.base_url, ledger).get("/assistants").status_code == 200
    http = http_client(server.base_url, ledger)
    whole = {"metadata": {}, "messages": [{"role": "user", "content": "x" * 200_000}] * 20}
    look = lambda: http.post("/threads", json=whole).status_code  # noqa: E731
    ledger.expected_statuses.add(503)
    wait_for(look, lambda status: status == 200, "memory")
    server.stop()
