"""Clients that read slowly, or not at all: their run goes on without them, nobody else notices, memory stays bounded."""

from __future__ import annotations

import contextlib
import json
import select
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.scripted import Answer, Raw, chunk_bytes, event_bytes
from harness.sdk import http_client, httpx
from harness.server import Adjutant
from harness.story import MESSAGE, Story, function_tool, wait_for

pytestmark = pytest.mark.once
Connect = Callable[[Adjutant], Story]
MANY = 200
# What is sent to a client that does not read ends in the kernel, in small buffers; a megabyte is more than that.
SMALL = (socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
WORD = "words " * 400
WORDS = (WORD,) * 400
LONG = Answer(WORDS)


@contextlib.contextmanager
def unread_request(server: Adjutant, path: str, body: Any = None) -> Iterator[socket.socket]:
    """Asks, and reads nothing of the answer. The kernel takes little for it."""
    content = b"" if body is None else json.dumps(body).encode()
    method = "GET" if body is None else "POST"
    head = (
        f"{method} /v1{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.socket() as connection:
        connection.setsockopt(*SMALL)
        connection.settimeout(20)
        connection.connect(server.host_and_port)
        connection.sendall(head.encode() + content)
        yield connection


def was_reset(connection: socket.socket) -> bool:
    """Whether the server has hung up, however much of its answer is unread."""
    poll = select.poll()
    poll.register(connection, 0)
    return any(told & (select.POLLERR | select.POLLHUP) for _, told in poll.poll(0))


def resident_bytes(server: Adjutant) -> int:
    with open(f"/proc/{server.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) << 10


def file_of(http: httpx.Client, content: bytes) -> str:
    file = {"file": ("a.txt", content), "purpose": (None, "user_data")}
    return http.post("/files", files=file).json()["id"]


@pytest.fixture
def impatient(servers: Any, db: str) -> Adjutant:
    return servers.shared(
        db, ADJUTANT_CONNECTIONS_UNREAD_SECONDS="1", ADJUTANT_DOWNLOAD_UPLOADS="true"
    )


def test_whoever_takes_nothing_is_hung_up_on(
    impatient: Adjutant, connect: Connect, ledger: Ledger
) -> None:
    """A download, and a run's stream; the run has its answer all the same."""
    http = http_client(impatient.base_url, ledger)
    file = file_of(http, b"x" * (16 << 20))
    with unread_request(impatient, f"/files/{file}/content") as connection:
        wait_for(lambda: was_reset(connection), bool, "the server to hang up")
    story = connect(impatient)
    story.model.then(LONG)
    thread, assistant = story.thread("Hi"), story.assistant()
    body = {"assistant_id": assistant.id, "stream": True}
    with unread_request(impatient, f"/threads/{thread.id}/runs", body) as connection:
        wait_for(lambda: was_reset(connection), bool, "the server to hang up")
    (run,) = story.runs.list(thread.id)
    story.wait(run, "completed")


def test_who_has_nothing_to_read_is_left_alone(impatient: Adjutant, connect: Connect) -> None:
    """A stream may be silent for longer than a client may read nothing."""
    story = connect(impatient)
    gate = story.model.gate()
    story.model.says("Half a ", gate, "sentence.")
    thread, assistant = story.thread("Hi"), story.assistant()
    http = http_client(impatient.base_url, story.ledger)
    file = file_of(http, b"x" * (16 << 20))
    body = {"assistant_id": assistant.id, "stream": True}
    with http.stream("POST", f"/threads/{thread.id}/runs", json=body) as answer:
        lines = answer.iter_lines()
        gate.wait_until_reached()
        with unread_request(impatient, f"/files/{file}/content") as connection:
            # As long as that one is waited for.
            wait_for(lambda: was_reset(connection), bool, "the server to hang up")
        gate.open()
        assert "event: thread.run.completed" in list(lines)


# -- streams of slow readers -----------------------------------------------------------------
BEGUN = ["run.created", "run.queued", "run.in_progress"]


def slow_client(story: Story) -> httpx.Client:
    base_url = str(story.client.base_url)
    return http_client(base_url, story.ledger, socket_options=[SMALL])


@contextlib.contextmanager
def unread_stream(story: Story, **options: Any) -> Iterator[tuple[Any, Iterator[str]]]:
    """A run whose stream is not read yet, and the lines to be read of it."""
    thread, assistant = story.thread("Hi"), story.assistant(**options)
    body = {"assistant_id": assistant.id, "stream": True}
    path = f"/threads/{thread.id}/runs"
    with slow_client(story).stream("POST", path, json=body) as answer:
        (run,) = story.runs.list(thread.id)
        yield run, answer.iter_lines()


def words_in(lines: list[str]) -> str:
    data = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    deltas = [one["delta"]["content"] for one in data if one["object"] == "thread.message.delta"]
    return "".join(part["text"]["value"] for parts in deltas for part in parts)


def test_a_run_does_not_wait_for_a_slow_reader(story: Story) -> None:
    """It is done before its client has read the first word; and the client misses nothing of it."""
    story.model.then(LONG)
    with unread_stream(story) as (run, lines):
        story.wait(run, "completed")
        read = list(lines)
    assert words_in(read) == "".join(WORDS)
    assert story.stream_names() == [*BEGUN, *MESSAGE, "run.completed", "done"]


def test_a_reader_that_catches_up_hears_the_rest_as_it_comes(story: Story) -> None:
    gate = story.model.gate()
    story.model.says(*WORDS, gate, "The end.")
    with unread_stream(story) as (run, lines):
        gate.wait_until_reached()
        read = []
        for line in lines:
            read.append(line)
            if len(words_in(read[-1:])) and words_in(read) == "".join(WORDS):
                gate.open()
    assert words_in(read) == "".join((*WORDS, "The end."))
    assert story.stream_names() == [*BEGUN, *MESSAGE, "run.completed", "done"]


def test_a_slow_reader_is_told_of_calls(story: Story) -> None:
    """As whoever reads at once, to the state in which the run waits for it."""
    story.model.calls("weather", {"city": "Oslo"}, saying=WORDS)
    with unread_stream(story, tools=[function_tool("weather")]) as (run, lines):
        parked = story.wait(run, "requires_action")
        read = list(lines)
    assert words_in(read) == "".join(WORDS)
    calls = ["run.step.created", "run.step.in_progress", "run.step.delta", "run.requires_action"]
    assert story.stream_names() == [*BEGUN, *MESSAGE, *calls, "done"]
    arguments = [
        call["function"].get("arguments", "")
        for line in read
        if line.startswith("data: {") and "thread.run.step.delta" in line
        for call in json.loads(line[6:])["delta"]["step_details"]["tool_calls"]
    ]
    assert json.loads("".join(arguments)) == {"city": "Oslo"}
    story.model.says("Cold.")
    story.wait(story.submit(parked, "-5"), "completed")


def test_arguments_that_come_while_the_reader_is_behind(story: Story) -> None:
    """What was told of a call before is not told again."""
    long = {"city": "Oslo " * 100_000}
    text = json.dumps(long)
    pieces = [text[at : at + 2000] for at in range(0, len(text), 2000)]
    story.model.then(Raw((calling(pieces),)))
    with unread_stream(story, tools=[function_tool("weather")]) as (run, lines):
        story.wait(run, "requires_action")
        read = list(lines)
    arguments = [
        call["function"].get("arguments", "")
        for line in read
        if line.startswith("data: {") and "thread.run.step.delta" in line
        for call in json.loads(line[6:])["delta"]["step_details"]["tool_calls"]
    ]
    assert json.loads("".join(arguments)) == long


def calling(pieces: list[str]) -> bytes:
    """A whole answer that calls a function, its arguments in these pieces."""

    def chunk(delta: Any, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event_bytes({"object": "chat.completion.chunk", "choices": [choice]})

    first = {"index": 0, "id": "call_a", "function": {"name": "weather", "arguments": ""}}
    told = [chunk({"tool_calls": [first]})]
    for piece in pieces:
        told.append(chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}))
    return b"".join([*told, chunk({}, "tool_calls"), event_bytes("[DONE]")])


# Hundreds of megabytes are said, checked and stored.
@pytest.mark.timeout(300)
def test_many_who_never_read(servers: Any, db: str, connect: Connect) -> None:
    """Their runs end, others are told everything, and what nobody reads is not kept."""
    # glibc then gives back at once what is freed, so that what is resident is in use.
    environment = {"MALLOC_MMAP_THRESHOLD_": "32768", "MALLOC_TRIM_THRESHOLD_": "131072"}
    settings = {"ADJUTANT_CONNECTIONS_HEAD_BYTES": "16384"}
    server = servers.new(db, settings=settings, environment=environment)
    story = connect(server)
    words = WORDS[:200]
    said = b"".join(chunk_bytes(story.model.name, word) for word in words)
    gate = story.model.gate()
    story.model.always(Raw((said, gate, event_bytes("[DONE]"))))
    assistant = story.assistant()
    body = {"assistant_id": assistant.id, "stream": True}

    def complete(threads: list[Any]) -> None:
        for thread in threads:
            path = f"{server.base_url}/threads/{thread.id}/runs"
            status = lambda path=path: httpx.get(path).json()["data"][0]["status"]  # noqa: E731
            wait_for(status, lambda status: status == "completed", "a run to end", 120)

    # What the same runs take that nobody listens to, all of them at once.
    threads = [story.thread("Hi") for _ in range(MANY)]
    for thread in threads:
        story.run(thread, assistant)
    newest = f"{server.base_url}/threads/{threads[-1].id}/messages"
    length = lambda: len(httpx.get(newest).content)  # noqa: E731
    wait_for(length, lambda length: length > len("".join(words)), "all to be said", 120)
    before = resident_bytes(server)
    gate.open()
    complete(threads)
    threads = [story.thread("Hi") for _ in range(MANY)]
    with contextlib.ExitStack() as opened:
        for thread in threads:
            path = f"/threads/{thread.id}/runs"
            opened.enter_context(unread_request(server, path, body))
        story.stream(story.thread("Hi"), assistant)
        assert story.stream_names() == [*BEGUN, *MESSAGE, "run.completed", "done"]
        complete(threads)
        kept = (resident_bytes(server) - before) / MANY
    assert kept < len("".join(words)) / 2
    server.stop()
