"""Stopping politely: what is at work ends, what cannot is handed over, and clients are told."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from harness.ledger import Ledger
from harness.scripted import Answer, Model
from harness.sdk import http_client, httpx, openai_client
from harness.server import Adjutant
from harness.story import Story, function_tool, wait_for

pytestmark = pytest.mark.once
Connect = Callable[[Adjutant], Story]
PATIENT = {"ADJUTANT_STOP_SECONDS": "60", "ADJUTANT_RUNS_LEASE_SECONDS": "60"}


def ready(server: Adjutant) -> int:
    """What a new connection is told; 0 where there is none to be had."""
    try:
        return httpx.get(f"{server.address}/health/ready").status_code
    except httpx.TransportError:
        return 0


@pytest.fixture
def patient(servers: Any, db: str) -> Iterator[Adjutant]:
    """A server that lets what is at work end, however long that takes."""
    server = servers.new(db, settings=PATIENT)
    yield server
    if server.is_running:
        server.kill()


def test_a_stream_is_told_to_its_end(patient: Adjutant, connect: Connect, model: Model) -> None:
    """Its run ends before the server does; nobody else is let in meanwhile."""
    story = connect(patient)
    gate = model.gate()
    model.says("Hello, ", gate, "world.")
    stream = story.runs.create(
        thread_id=story.thread("Hi").id, assistant_id=story.assistant().id, stream=True
    )
    for event in stream:
        if event.event == "thread.message.delta" and ready(patient) == 200:
            patient.ask_to_stop()
            wait_for(lambda: ready(patient), lambda status: status == 0, "the door to be closed")
            gate.open()
    assert story.stream_names()[-2:] == ["run.completed", "done"]
    assert patient.wait_until_ended() == 0


def test_a_run_that_nobody_listens_to_ends_too(
    patient: Adjutant, connect: Connect, model: Model
) -> None:
    story = connect(patient)
    gate = model.hold()
    model.says("Hello.")
    run = story.run(story.thread("Hi"), story.assistant())
    gate.wait_until_reached()
    patient.ask_to_stop()
    wait_for(lambda: ready(patient), lambda status: status == 0, "the door to be closed")
    gate.open()
    assert patient.wait_until_ended() == 0
    patient.start()
    story = connect(patient)
    assert story.look(run).status == "completed"


def test_idle_connections_hold_nothing_up(patient: Adjutant, ledger: Ledger) -> None:
    """Nor does one on which nothing ever came, or half a request."""
    client = http_client(patient.base_url, ledger)
    assert client.get("/assistants").status_code == 200
    with (
        socket.create_connection(patient.host_and_port) as silent,
        socket.create_connection(patient.host_and_port) as halting,
    ):
        halting.sendall(b"GET /v1/assistants HTTP/1.1\r\nHost")
        began = time.monotonic()
        patient.ask_to_stop(signal.SIGINT)
        assert patient.wait_until_ended() == 0
        assert time.monotonic() - began < 5
        assert silent.recv(1) == b""


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    patient: Adjutant, connect: Connect, model: Model, by: signal.Signals
) -> None:
    """The run is handed back all the same: the next start takes it up at once, though the lease is long."""
    story = connect(patient)
    gate = model.hold()
    model.says("Never told.").then_says("Hello.")
    run = story.run(story.thread("Hi"), story.assistant())
    gate.wait_until_reached()
    patient.ask_to_stop(by)
    wait_for(lambda: ready(patient), lambda status: status == 0, "the door to be closed")
    patient.ask_to_stop(by)
    assert patient.wait_until_ended(5) == 0
    gate.open()
    patient.start()
    story = connect(patient)
    assert story.wait(run, "completed").id == run.id
    assert story.messages(run.thread_id) == [("user", "Hi"), ("assistant", "Hello.")]


@pytest.mark.parametrize("kind", ["its own", "a follower's", "a follower's with ids"])
def test_a_stream_that_cannot_end_says_where_the_rest_is(
    servers: Any, db: str, model: Model, ledger: Ledger, kind: str
) -> None:
    server = servers.new(db, settings={**PATIENT, "ADJUTANT_STOP_SECONDS": "0"})
    gate = model.gate()
    model.says("Half a ", gate, "never told").then_says("A whole sentence.")
    # The checkers would call a broken stream what it is.
    cut = Ledger()
    story = Story(openai_client(server.base_url, cut), model, cut)
    thread = story.thread("Hi")
    path = f"/threads/{thread.id}/runs"
    lines: list[str] = []
    body = {"assistant_id": story.assistant().id, "stream": True}
    headers = {"adjutant-event-ids": "true"} if kind.endswith("ids") else {}
    client = http_client(server.base_url, cut)
    if kind == "a follower's":
        run = story.runs.create(thread_id=thread.id, assistant_id=body["assistant_id"])
        request = client.stream("GET", f"{path}/{run.id}/stream")
    else:
        request = client.stream("POST", path, json=body, headers=headers)
    with request as answer:
        for line in answer.iter_lines():
            lines.append(line)
            if line == "event: thread.message.delta" and ready(server) == 200:
                server.ask_to_stop()
    assert server.wait_until_ended() == 0
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert names[-2:] == ["error", "done"]
    error = lines[lines.index("event: error") + 1]
    (rest,) = set(re.findall(rf"/v1({path}/\w+/stream)", error))
    gate.open()
    server.start()
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    ids = [line.removeprefix("id: ") for line in lines if line.startswith("id: ")]
    assert bool(ids) == (kind != "its own")
    # Where the client was told ids, it goes on after the last one; else it hears all of it.
    headers = {"last-event-id": ids[-1]} if ids else {}
    client = http_client(server.base_url, ledger)
    client.get(rest, headers=headers)
    assert story.stream_names()[-2:] == ["run.completed", "done"]
    assert story.messages(thread.id) == [("user", "Hi"), ("assistant", "A whole sentence.")]
    server.stop()


def test_an_sdk_raises_what_the_broken_stream_says(
    servers: Any, db: str, model: Model, ledger: Ledger
) -> None:
    server = servers.new(db, settings={"ADJUTANT_STOP_SECONDS": "0"})
    gate = model.gate()
    model.says("Half a ", gate, "never told").then_says("Whole.")
    story = Story(openai_client(server.base_url, Ledger()), model, ledger)
    ids = {"thread_id": story.thread("Hi").id, "assistant_id": story.assistant().id}
    with pytest.raises(openai.APIError, match="interrupted, the run was not"):
        for event in story.runs.create(**ids, stream=True):
            if event.event == "thread.message.delta":
                server.ask_to_stop()
    gate.open()
    assert server.wait_until_ended() == 0
    server.start()
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    story.wait(story.runs.list(ids["thread_id"]).data[0], "completed")
    server.stop()


# -- with other copies -----------------------------------------------------------------------
@pytest.fixture
def two(servers: Any, db: str) -> Iterator[tuple[Adjutant, Adjutant]]:
    """Copies whose leases outlast any test: what is not handed over does not go on."""
    if db == "sqlite":
        pytest.skip("a SQLite database belongs to one process")
    leases = {"ADJUTANT_RUNS_LEASE_SECONDS": "120"}
    first = servers.new(db, settings={**leases, "ADJUTANT_STOP_SECONDS": "3"})
    second = servers.beside(first)
    yield first, second
    for server in (first, second):
        server.stop()


def test_another_copy_goes_on_at_once(
    two: tuple[Adjutant, Adjutant], connect: Connect, model: Model
) -> None:
    """Whoever follows the run through that other copy hears no error."""
    here, there = two
    story, other = connect(here), connect(there)
    gate = model.gate()
    model.says("Half a ", gate, "never told").then_says("Whole.")
    run = story.run(story.thread("Hi"), story.assistant())
    gate.wait_until_reached()
    client = http_client(there.base_url, story.ledger)
    with client.stream("GET", f"/threads/{run.thread_id}/runs/{run.id}/stream") as answer:
        for line in answer.iter_lines():
            if line == "event: thread.message.in_progress" and ready(here) == 200:
                here.ask_to_stop()
    assert other.stream_names()[-2:] == ["run.completed", "done"]
    gate.open()
    assert here.wait_until_ended() == 0
    assert other.messages(run.thread_id) == [("user", "Hi"), ("assistant", "Whole.")]


def test_what_is_asked_while_it_stops_is_left_to_another(
    two: tuple[Adjutant, Adjutant], connect: Connect, model: Model, ledger: Ledger
) -> None:
    """On connections that are still busy: created or answered, another copy takes the run up."""
    here, there = two
    story = connect(there)
    model.calls("weather", {"city": "Oslo"})
    model.always(lambda seen: Answer(("Hello." if seen.said[-1] == ("user", "Hi") else "Cold.",)))
    assistant = story.assistant(tools=[function_tool("weather")])
    parked = story.ask("Weather?", assistant=assistant)
    outputs = [
        {"tool_call_id": call.id, "output": "-10"}
        for call in parked.required_action.submit_tool_outputs.tool_calls
    ]
    requests = [
        (f"/threads/{parked.thread_id}/runs/{parked.id}/submit_tool_outputs", outputs),
        (f"/threads/{story.thread('Hi').id}/runs", None),
    ]
    connections = [begin_post(here, path) for path, _ in requests]
    here.ask_to_stop()
    wait_for(lambda: ready(here), lambda status: status == 0, "the door to be closed")
    for connection, (_, given) in zip(connections, requests, strict=True):
        body = b'{"assistant_id": "%s"}' % assistant.id.encode()
        if given:
            body = httpx.Request("POST", "http://h", json={"tool_outputs": given}).content
        connection.send(body.ljust(BODY_BYTES))
        answer = connection.getresponse()
        run = answer.read()
        assert (answer.status, answer.getheader("connection")) == (200, "close"), run
    assert here.wait_until_ended() == 0
    story.wait(parked, "completed")
    thread = requests[1][0].split("/")[2]
    wait_for(lambda: story.messages(thread)[-1], lambda last: last[1] == "Hello.", "the run to end")


BODY_BYTES = 1000


def begin_post(server: Adjutant, path: str) -> http.client.HTTPConnection:
    """A request whose head has come, and whose body has not."""
    connection = http.client.HTTPConnection(*server.host_and_port, timeout=20)
    connection.putrequest("POST", f"/v1{path}")
    for name, value in {
        "Authorization": "Bearer any",
        "OpenAI-Beta": "assistants=v2",
        "Content-Length": str(BODY_BYTES),
        "Expect": "100-continue",
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    # It says so when it begins to read the body: then the head has come.
    assert connection.sock.recv(4096).startswith(b"HTTP/1.1 100")
    return connection


def test_a_balancer_is_given_time_to_notice(servers: Any, db: str, connect: Connect) -> None:
    """For so long requests are served, on new connections too, though it says that it is not ready."""
    if db == "sqlite":
        pytest.skip("without another copy nobody would be sent elsewhere")
    server = servers.new(db, settings={"ADJUTANT_STOP_DELAY_SECONDS": "60"})
    story = connect(server)
    story.model.says("Hello.")
    server.ask_to_stop()
    wait_for(lambda: ready(server), lambda status: status == 503, "it not to be ready")
    assert httpx.get(f"{server.address}/health/live").status_code == 200
    assert story.ask("Hi").status == "completed"
    answer = http_client(server.base_url, story.ledger).get("/assistants")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    server.ask_to_stop()
    assert server.wait_until_ended(5) == 0
