"""Clients that hang up in the middle of a request harm nobody else."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from harness.scripted import Answer
from harness.server import Adjutant
from harness.story import Story

pytestmark = pytest.mark.once
HANG_UPS = 600
RESET = struct.pack("ii", 1, 0)


def request(address: Any, path: str, body: Any) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST /v1{path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def hang_up(address: Any, sent: bytes, after_seconds: float) -> None:
    """Sends a whole request and resets the connection before its answer."""
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.sendall(sent)
        time.sleep(after_seconds)


def moments() -> Iterator[float]:
    """Swept over the time that a request takes, so that every point of it is met now and then."""
    for number in range(HANG_UPS):
        yield number % 40 * 0.0001


@pytest.mark.parametrize("path", ["/threads", "/threads/runs"])
def test_writes_go_on_whenever_a_client_hangs_up(server: Adjutant, story: Story, path: str) -> None:
    """A request that is dropped half-way leaves no transaction half-way."""
    story.model.always(Answer(("Hello.",)))
    address = urlsplit(server.base_url)
    message = {"messages": [{"role": "user", "content": "Hi"}]}
    run = {"assistant_id": story.assistant().id, "thread": message}
    sent = request(address, path, message if path == "/threads" else run)
    with ThreadPoolExecutor(8) as clients:
        list(clients.map(lambda moment: hang_up(address, sent, moment), moments()))
    assert story.ask("Still there?").status == "completed"
