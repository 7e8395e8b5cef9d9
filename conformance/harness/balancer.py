"""A load balancer as it stands before several copies of a server: connections go round those that are ready.

It knows nothing of HTTP but `/health/ready`, which it asks of each copy all the time, and
it repeats nothing: what a copy does to a connection is done to the client.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence

from harness.server import Adjutant

ASKED_EVERY_SECONDS = 0.1
PATIENCE_SECONDS = 2.0


class Balancer:
    def __init__(self, copies: Sequence[Adjutant]) -> None:
        self._copies = copies
        self._ready: set[int] = set()
        self._turn = 0
        self.connections: Counter[int] = Counter()
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(started)), daemon=True
        )
        self._thread.start()
        assert started.wait(10), "the balancer did not start"

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def ready(self) -> set[int]:
        """The numbers of the copies that are sent connections."""
        return set(self._ready)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(5)

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=512)
        self.port: int = server.sockets[0].getsockname()[1]
        asking = [asyncio.create_task(self._ask(number)) for number in range(len(self._copies))]
        started.set()
        await self._stopped.wait()
        for task in asking:
            task.cancel()

    async def _ask(self, number: int) -> None:
        while True:
            is_ready = await self._is_ready(number)
            (self._ready.add if is_ready else self._ready.discard)(number)
            await asyncio.sleep(ASKED_EVERY_SECONDS)

    async def _is_ready(self, number: int) -> bool:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                reader, writer = await asyncio.open_connection(*self._copies[number].host_and_port)
                writer.write(b"GET /health/ready HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                answer = await reader.read(-1)
                writer.close()
        except (OSError, ValueError, TimeoutError):
            return False
        return answer.startswith(b"HTTP/1.1 200")

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await self._connect()
            if there:
                await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """The next copy that is ready and takes the connection."""
        for _ in self._copies:
            self._turn = (self._turn + 1) % len(self._copies)
            if self._turn not in self._ready:
                continue
            try:
                there = await asyncio.open_connection(*self._copies[self._turn].host_and_port)
            except OSError:
                continue
            self.connections[self._turn] += 1
            return there
        return None


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """To the end; whichever side ends first, the connection has ended."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
