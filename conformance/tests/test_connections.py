"""What connections may take, over raw sockets: slow, long, many, idle; and whether the server is well."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness import postgres
from harness.ledger import Ledger
from harness.sdk import httpx
from harness.server import Adjutant
from harness.story import Story, wait_for

pytestmark = pytest.mark.once
SHORT = {
    "ADJUTANT_CONNECTIONS_HEAD_SECONDS": "1",
    "ADJUTANT_CONNECTIONS_IDLE_SECONDS": "2",
    "ADJUTANT_CONNECTIONS_HEAD_BYTES": "4096",
    "ADJUTANT_CONNECTIONS_HEAD_FIELDS": "20",
}
GET = b"GET /v1/assistants HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def short(servers: Any, db: str) -> Adjutant:
    return servers.shared(db, **SHORT)


@contextlib.contextmanager
def connected(server: Adjutant) -> Iterator[socket.socket]:
    with socket.create_connection(server.host_and_port, timeout=20) as connection:
        yield connection


def answer_on(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The next answer whole: its status, headers and body."""
    told = b""
    while b"\r\n\r\n" not in told:
        piece = connection.recv(65536)
        assert piece, f"closed after {told!r}"
        told += piece
    head, _, body = told.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {
        name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)
    }
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65536)
    return int(status.split()[1]), headers, body


def seconds_until_closed(connection: socket.socket) -> float:
    began = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        assert connection.recv(65536) == b""
    return time.monotonic() - began


@pytest.mark.parametrize("sent", [b"", b"G", GET])
def test_whoever_never_ends_a_head_is_hung_up_on(short: Adjutant, sent: bytes) -> None:
    with connected(short) as connection:
        connection.sendall(sent)
        assert seconds_until_closed(connection) < 10


def test_dripping_does_not_help(short: Adjutant) -> None:
    """The time is for the whole head, not for each of its bytes."""
    with connected(short) as connection:
        began = time.monotonic()
        with pytest.raises(OSError):
            for byte in GET + b"X-Long: " + b"x" * 10_000:
                connection.sendall(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - began < 10


def test_an_idle_connection_is_closed(short: Adjutant) -> None:
    """After its time, and not before; other requests come in between."""
    with connected(short) as connection:
        for _ in range(2):
            connection.sendall(GET + b"\r\n")
            assert answer_on(connection)[0] == 200
        idle = seconds_until_closed(connection)
        assert 1 < idle < 10


def test_a_stream_is_not_idle(servers: Any, db: str, connect: Any) -> None:
    """However long the model is silent: neither limit is for answers."""
    short = servers.shared(db, **SHORT)
    story: Story = connect(short)
    gate = story.model.hold()
    story.model.says("Hello.")
    thread, assistant = story.thread("Hi"), story.assistant()
    heard = threading.Thread(target=lambda: story.stream(thread, assistant))
    heard.start()
    gate.wait_until_reached()
    with connected(short) as connection:
        connection.sendall(GET + b"\r\n")
        answer_on(connection)
        # That one was idle for longer than allowed, so the stream has been silent for longer.
        seconds_until_closed(connection)
    gate.open()
    heard.join(20)
    assert story.stream_names()[-2:] == ["run.completed", "done"]


@pytest.mark.parametrize(
    ("head", "has_body"),
    [
        (b"X-Long: " + b"x" * 5000 + b"\r\n", True),
        (b"".join(b"X-%d: x\r\n" % number for number in range(25)), True),
        (b"X-Long: " + b"x" * 100_000 + b"\r\n", False),
        (b"".join(b"X-%d: x\r\n" % number for number in range(100)), False),
    ],
)
def test_too_long_a_head_is_refused(short: Adjutant, head: bytes, has_body: bool) -> None:
    """Up to twice the limits in OpenAI's words, beyond them in none; then the connection is closed."""
    with connected(short) as connection:
        connection.sendall(GET + head + b"\r\n")
        status, headers, body = answer_on(connection)
        assert status == 431
        assert headers["connection"] == "close"
        if has_body:
            error = json.loads(body)["error"]
            assert error["code"] == "request_headers_too_large"
            assert headers["x-request-id"]


def test_a_long_path_counts(short: Adjutant) -> None:
    with connected(short) as connection:
        connection.sendall(GET.replace(b"/assistants", b"/" + b"a" * 5000) + b"\r\n")
        assert answer_on(connection)[0] == 431


def test_a_head_within_the_limits_is_read(short: Adjutant) -> None:
    fields = b"".join(b"X-%d: x\r\n" % number for number in range(15))
    with connected(short) as connection:
        connection.sendall(GET + fields + b"X-Long: " + b"x" * 3500 + b"\r\n\r\n")
        assert answer_on(connection)[0] == 200


def test_connections_beyond_the_most_are_told_so(servers: Any, db: str, ledger: Ledger) -> None:
    """At once, and when to come again; health is answered all the same. When one ends, there is room."""
    server = servers.new(db, settings={"ADJUTANT_CONNECTIONS_AT_ONCE": "3"})
    with contextlib.ExitStack() as opened:
        first, *_ = [opened.enter_context(connected(server)) for _ in range(3)]
        beyond = opened.enter_context(connected(server))
        beyond.sendall(GET + b"\r\n")
        status, headers, body = answer_on(beyond)
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        assert json.loads(body)["error"]["code"] == "server_overloaded"
        assert seconds_until_closed(beyond) < 5
        assert httpx.get(f"{server.address}/health/live").text == "ok"
        assert httpx.get(f"{server.address}/health/ready").text == "ok"
        first.close()
        look = lambda: httpx.get(f"{server.address}/v1/assistants").status_code  # noqa: E731
        wait_for(look, lambda status: status == 200, "room")
    server.stop()


def test_too_many_open_files_are_survived(servers: Any, db: str) -> None:
    """The server waits until there are some again, without spinning, and then goes on."""
    few = ("sh", "-c", 'ulimit -n 100; exec "$@"', "sh")
    server = servers.new(db, inside=few)
    with contextlib.ExitStack() as opened:
        for _ in range(120):
            opened.enter_context(connected(server))
        wait_for(server.tail, lambda log: "no connection can be accepted" in log, "the log")
        spent = processor_seconds(server)
        time.sleep(1)
        assert processor_seconds(server) - spent < 0.5
    assert httpx.get(f"{server.address}/v1/assistants", timeout=20).status_code == 200
    server.stop()


def processor_seconds(server: Adjutant) -> float:
    with open(f"/proc/{server.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- health ----------------------------------------------------------------------------------
def test_health_is_plain(server: Adjutant) -> None:
    for path in ("/health/live", "/health/ready"):
        answer = httpx.get(f"{server.address}{path}")
        assert (answer.status_code, answer.text) == (200, "ok")


def is_ready(server: Adjutant) -> int:
    return httpx.get(f"{server.address}/health/ready", timeout=20).status_code


def test_a_lost_database_is_not_ready_but_lives(servers: Any, db: str) -> None:
    """And is ready again once the database is back."""
    if db == "sqlite":
        pytest.skip("a file does not go away")
    server = servers.new(db)
    elsewhere, _, name = server.database_url.rpartition("/")
    connections = f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"
    for allowed, status in (("false", 503), ("true", 200)):
        sql = f'alter database "{name}" with allow_connections {allowed}'
        postgres.execute(f"{elsewhere}/postgres", sql)
        postgres.execute(f"{elsewhere}/postgres", connections)
        wait_for(lambda: is_ready(server), lambda told, s=status: told == s, f"it to tell {status}")
        assert httpx.get(f"{server.address}/health/live").text == "ok"
    server.stop()


def test_a_silent_database_makes_nobody_wait_long(servers: Any, db: str) -> None:
    """Many who ask share one look, or the last of them would wait for a minute."""
    if db == "sqlite":
        pytest.skip("a file does not fall silent")
    server = servers.new(db)
    _, _, name = server.database_url.rpartition("/")
    backends = backends_of(name)
    assert backends
    # And what would let in new connections, before the others.
    silenced = [parent_of(backends[0]), *backends]
    try:
        for pid in silenced:
            os.kill(pid, signal.SIGSTOP)
        # What was seen a moment ago is told for a moment.
        wait_for(lambda: is_ready(server), lambda status: status == 503, "it not to be ready")
        began = time.monotonic()
        with ThreadPoolExecutor(30) as probes:
            told = list(probes.map(lambda _: is_ready(server), range(30)))
        assert set(told) == {503}
        assert time.monotonic() - began < 10
        assert httpx.get(f"{server.address}/health/live").text == "ok"
    finally:
        for pid in silenced:
            os.kill(pid, signal.SIGCONT)
    wait_for(lambda: is_ready(server), lambda status: status == 200, "it to be ready again")
    server.stop()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def backends_of(database: str) -> list[int]:
    """PostgreSQL's processes that serve a database, by the names that they give themselves."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split()
            if words[:1] == [b"postgres:"] and database.encode() in words:
                found.append(int(folder.name))
    return found
