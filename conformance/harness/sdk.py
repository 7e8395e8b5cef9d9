"""HTTP clients and official SDK clients whose whole traffic goes through the checkers.

Newer SDKs stand on `httpx2`, older ones on `httpx`; to us both are `httpx`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai

from harness.ledger import Ledger, StreamEntry

try:
    import httpx2 as httpx
except ImportError:
    import httpx

SDK_VERSION = tuple(int(part) for part in openai.__version__.split(".")[:2])
BETA = {"OpenAI-Beta": "assistants=v2"}
TIMEOUT_SECONDS = 30.0


class CheckedTransport(httpx.BaseTransport):
    """Passes bytes on as they come and lets the ledger look at them."""

    def __init__(self, ledger: Ledger, **options: Any) -> None:
        self._ledger = ledger
        # Reading certificates takes longer than most tests, and nothing here is encrypted.
        self._inner = httpx.HTTPTransport(verify=False, **options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        head = _head(request, response)
        if _is_event_stream(response):
            entry = self._ledger.enter_stream(*head)
            response.stream = CheckedStream(response.stream, entry)
            return response
        body = response.read()
        self._ledger.enter_answer(*head, body)
        return response

    def close(self) -> None:
        self._inner.close()


class CheckedStream(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, entry: StreamEntry) -> None:
        self._inner, self._entry = inner, entry

    def __iter__(self) -> Iterator[bytes]:
        for data in self._inner:
            self._entry.feed(data)
            yield data
        self._entry.close()

    def close(self) -> None:
        self._inner.close()
        # SDKs stop reading at `done`, so a whole stream may look abandoned.
        self._entry.close(by_client=not _is_whole(self._entry))


class AsyncCheckedTransport(httpx.AsyncBaseTransport):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._inner = httpx.AsyncHTTPTransport(verify=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        head = _head(request, response)
        if _is_event_stream(response):
            entry = self._ledger.enter_stream(*head)
            response.stream = AsyncCheckedStream(response.stream, entry)
            return response
        body = await response.aread()
        self._ledger.enter_answer(*head, body)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class AsyncCheckedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, entry: StreamEntry) -> None:
        self._inner, self._entry = inner, entry

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._inner:
            self._entry.feed(data)
            yield data
        self._entry.close()

    async def aclose(self) -> None:
        await self._inner.aclose()
        self._entry.close(by_client=not _is_whole(self._entry))


def _is_whole(entry: StreamEntry) -> bool:
    return entry.checker is not None and entry.checker.names[-1:] == ["done"]


def _is_event_stream(response: httpx.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/event-stream")


def _head(request: httpx.Request, response: httpx.Response) -> tuple[str, str, int, str]:
    path = request.url.raw_path.decode()
    return request.method, path, response.status_code, response.headers.get("content-type", "")


def http_client(
    base_url: str, ledger: Ledger, key: str = "anything", **options: Any
) -> httpx.Client:
    """A bare client, for requests that no SDK would make. `options` are of its connections."""
    headers = {**BETA, "Authorization": f"Bearer {key}"}
    transport = CheckedTransport(ledger, **options)
    return httpx.Client(
        base_url=base_url, transport=transport, headers=headers, timeout=TIMEOUT_SECONDS
    )


def openai_client(
    base_url: str, ledger: Ledger, key: str = "anything", **options: Any
) -> openai.OpenAI:
    """The official client; it does not retry, so that no fault hides behind a retry."""
    http = httpx.Client(transport=CheckedTransport(ledger), timeout=TIMEOUT_SECONDS)
    options.setdefault("max_retries", 0)
    return openai.OpenAI(base_url=base_url, api_key=key, http_client=http, **options)


def async_openai_client(base_url: str, ledger: Ledger) -> openai.AsyncOpenAI:
    http = httpx.AsyncClient(transport=AsyncCheckedTransport(ledger), timeout=TIMEOUT_SECONDS)
    return openai.AsyncOpenAI(
        base_url=base_url, api_key="anything", http_client=http, max_retries=0
    )
