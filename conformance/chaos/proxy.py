"""What stands between the copies and their database and bucket: it passes bytes on, or misbehaves.

A process of its own, since every statement of three servers passes through it. It is told what to do by
lines of JSON on its standard input, and answers each with one; it ends with that input.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

# What a relay can do.
PASS = "pass"
REFUSE = "refuse"  # every connection is reset, and no new one is taken
HOLD = "hold"  # nothing is passed on until it heals, as when packets are lost
# What a gate to S3 can do besides.
UNAVAILABLE = "unavailable"  # 503 SlowDown, and nothing is done
SLOW = "slow"  # each request waits before it is passed on
ANSWER_LOST = "answer lost"  # the request is done, and the connection reset in place of its answer
SLOWNESS_SECONDS = (0.3, 1.5)
HALF = 0.5
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


class Proxies:
    """The process, as the chaos test sees it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.proxy"],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._one_at_a_time = threading.Lock()

    def make(self, kind: str, name: str, target: int) -> int:
        """A proxy in front of a port of this machine; gives its own port. Kinds: `relay`, `s3`."""
        return self._tell(do="make", kind=kind, name=name, target=target)

    def set(self, name: str, mode: str) -> None:
        self._tell(do="set", name=name, mode=mode)

    def stop(self) -> None:
        stdin = self._process.stdin
        assert stdin
        stdin.close()
        self._process.wait(10)

    def _tell(self, **order: Any) -> int:
        to, answers = self._process.stdin, self._process.stdout
        assert to and answers
        with self._one_at_a_time:
            to.write(json.dumps(order) + "\n")
            to.flush()
            return json.loads(answers.readline())


class Relay:
    """Passes connections on, byte for byte."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.mode = PASS
        self.ends: set[End] = set()
        self.healed = asyncio.Event()
        self.healed.set()

    async def listen(self) -> int:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: End(self), "127.0.0.1", 0, backlog=256)
        return self._server.sockets[0].getsockname()[1]

    def set(self, mode: str) -> None:
        self.mode = mode
        if mode == REFUSE:
            for end in list(self.ends):
                end.abort()
        for end in list(self.ends):
            end.hold(mode == HOLD)
        self.healed.clear() if mode == HOLD else self.healed.set()


class End(asyncio.Protocol):
    """One side of a connection that is passed on."""

    def __init__(self, relay: Relay, other: End | None = None) -> None:
        self._relay, self._other = relay, other
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._relay.mode == REFUSE:
            transport.abort()
            return
        self._relay.ends.add(self)
        if self._other is None:
            transport.pause_reading()
            self._opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        await self._relay.healed.wait()
        try:
            end = End(self._relay, self)
            await loop.create_connection(lambda: end, "127.0.0.1", self._relay.target)
        except OSError:
            self.abort()
            return
        self._other = end
        self.hold(self._relay.mode == HOLD)

    def hold(self, held: bool) -> None:
        if self._other is None or self._transport.is_closing():
            return
        self._transport.pause_reading() if held else self._transport.resume_reading()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._other:
            self._other.write(data)

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._relay.ends.discard(self)
        other = self._other
        if other and other._transport and not other._transport.is_closing():
            other._transport.abort() if error else other._transport.close()


class Gate:
    """Passes requests to S3 on, one by one."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.mode = PASS
        self._random = random.Random(target)

    async def listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=256)
        return self._server.sockets[0].getsockname()[1]

    def set(self, mode: str) -> None:
        self.mode = mode

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await read_message(reader):
                await self._answer(request, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        if self.mode == REFUSE:
            writer.transport.abort()
            raise ConnectionResetError
        if self.mode == UNAVAILABLE:
            head = f"HTTP/1.1 503 Slow Down\r\ncontent-length: {len(SLOW_DOWN)}\r\n\r\n"
            writer.write(head.encode() + SLOW_DOWN)
            await writer.drain()
            return
        if self.mode == SLOW:
            await asyncio.sleep(self._random.uniform(*SLOWNESS_SECONDS))
        answer = await self._ask(request)
        if self.mode == ANSWER_LOST and self._random.random() < HALF:
            writer.transport.abort()
            raise ConnectionResetError
        writer.write(answer)
        await writer.drain()

    async def _ask(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            writer.write(request)
            return await read_message(reader, to_head=request.startswith(b"HEAD "))
        finally:
            writer.close()


async def read_message(reader: asyncio.StreamReader, to_head: bool = False) -> bytes:
    """A request or an answer of HTTP/1.1, whole; nothing where the connection ended before it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as ended:
        if not ended.partial:
            return b""
        raise
    lines = head.decode("latin-1").lower().split("\r\n")
    fields = dict(line.split(":", 1) for line in lines[1:] if ":" in line)
    if to_head or lines[0].startswith(("http/1.1 204", "http/1.1 304")):
        return head
    if "chunked" in fields.get("transfer-encoding", ""):
        return head + await read_chunks(reader)
    return head + await reader.readexactly(int(fields.get("content-length", 0)))


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = b""
    while True:
        line = await reader.readline()
        size = int(line.split(b";")[0], 16)
        chunks += line + await reader.readexactly(size + 2)
        if size == 0:
            return chunks


async def obey(orders: IO[str]) -> None:
    proxies: dict[str, Relay | Gate] = {}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, orders.readline):
        order = json.loads(line)
        if order["do"] == "make":
            kind = Gate if order["kind"] == "s3" else Relay
            proxy = proxies[order["name"]] = kind(order["target"])
            answer = await proxy.listen()
        else:
            proxies[order["name"]].set(order["mode"])
            answer = 0
        print(answer, flush=True)


if __name__ == "__main__":
    asyncio.run(obey(sys.stdin))
