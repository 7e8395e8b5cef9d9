"""Keeps every exchange of a test and what the checkers found wrong with it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from harness import schema
from harness.streams import Checker, kind_of


@dataclass
class Exchange:
    method: str
    path: str
    status: int
    content_type: str
    body: Any = None
    stream: Checker | None = None


@dataclass
class Ledger:
    """Whatever goes over the wire in a test is entered here, by all its clients."""

    exchanges: list[Exchange] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    expected_statuses: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter_answer(
        self, method: str, path: str, status: int, content_type: str, body: bytes
    ) -> None:
        exchange = Exchange(method, path, status, content_type)
        found = list(self._body_problems(exchange, body))
        self._enter(exchange, found)

    def enter_stream(self, method: str, path: str, status: int, content_type: str) -> StreamEntry:
        path = _api_path(path)
        checker = None if path.endswith("/chat/completions") else Checker(kind_of(path))
        if checker:
            checker.head(status, content_type)
        self._enter(Exchange(method, path, status, content_type, stream=checker), [])
        return StreamEntry(self, checker)

    @property
    def streams(self) -> list[Checker]:
        return [exchange.stream for exchange in self.exchanges if exchange.stream]

    @property
    def last(self) -> Exchange:
        return self.exchanges[-1]

    def report(self, what: list[str]) -> None:
        with self._lock:
            self.problems += what

    def _enter(self, exchange: Exchange, found: list[str]) -> None:
        if exchange.status >= 500 and exchange.status not in self.expected_statuses:
            found.append(f"answered {exchange.status}: {exchange.body}")
        where = f"{exchange.method} {exchange.path}"
        with self._lock:
            self.exchanges.append(exchange)
            self.problems += [f"{where}: {problem}" for problem in found]

    def _body_problems(self, exchange: Exchange, body: bytes) -> list[str]:
        path = _api_path(exchange.path)
        # A browser's question before its request has an answer without a body.
        if not path.startswith("/v1/") or exchange.method == "OPTIONS":
            return []
        if exchange.status == 200 and path.endswith(schema.EXPORTED):
            return self._line_problems(exchange, body)
        if exchange.status == 200 and schema.DOWNLOADED.fullmatch(path):
            exchange.body = body
            is_file = exchange.content_type == "application/octet-stream"
            return [] if is_file else [f"content type {exchange.content_type!r}"]
        if exchange.content_type.partition(";")[0] != "application/json":
            return [f"content type {exchange.content_type!r}"]
        try:
            exchange.body = json.loads(body)
        except ValueError:
            return [f"not JSON: {body[:200]!r}"]
        return schema.answer_problems(exchange.method, path, exchange.status, exchange.body)


    def _line_problems(self, exchange: Exchange, body: bytes) -> list[str]:
        exchange.body = [json.loads(line) for line in body.splitlines()]
        found = [problem for line in exchange.body for problem in schema.line_problems(line)]
        if exchange.content_type != "application/jsonl":
            found.append(f"content type {exchange.content_type!r}")
        return found


@dataclass
class StreamEntry:
    """A stream while it is read; `close` gives the verdict."""

    ledger: Ledger
    checker: Checker | None
    _closed: bool = False

    def feed(self, data: bytes) -> None:
        if self.checker and not self._closed:
            self.checker.feed(data)

    def close(self, *, by_client: bool = False) -> None:
        if self._closed or not self.checker:
            return
        self._closed = True
        found = list(self.checker.close(by_client=by_client))
        for event in self.checker.events:
            found += schema.event_problems(*event)
        self.ledger.report([f"stream: {problem}" for problem in found])


def _api_path(path: str) -> str:
    """Azure's and OpenAI's flavours of a path are checked alike."""
    if not path.startswith("/openai/"):
        return path
    return "/v1/" + path.removeprefix("/openai/").removeprefix("v1/")
