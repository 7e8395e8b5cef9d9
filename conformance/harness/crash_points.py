"""A server that dies at the point of a run that a test names, a program that goes on, what is left.

A debug build counts the commits and outside calls of a run (`crates/server/src/crash_point.rs`).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import postgres
from harness.ledger import Ledger
from harness.scripted import Model, Seen, Turn
from harness.sdk import http_client, httpx
from harness.server import Adjutant
from harness.story import TERMINAL, wait_for

ID = re.compile(
    r"\b(asst_|thread_|msg_|run_|step_|call_|file-|vs_)[A-Za-z0-9]{8,}|\b(scripted-)\d+"
)
# How the rows of a run can differ though all is well: by what is swept later, and by counters.
UNCOMPARED = {"loose_blobs", "numbers"}
# Tables that a database keeps for itself, and what is in an index besides.
INTERNAL = ("sqlite_", "_sqlx", "chunk_words")
Json = dict[str, Any]
# Of these no word is made: what they stand behind is another text, and found by the same words.
MARKS = "!?"


class Points:
    """What a server counts, and where it dies."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._numbers = itertools.count(1)

    def count(self, die_at: int) -> None:
        """Counts from here on; 0 lets it live."""
        self._passed.unlink(missing_ok=True)
        wish = self.folder / "wish"
        wish.write_text(f"{die_at} {next(self._numbers)}")
        wish.rename(self._at)

    def stop(self) -> None:
        self._at.unlink(missing_ok=True)

    @property
    def passed(self) -> list[str]:
        return self._passed.read_text().splitlines() if self._passed.exists() else []

    @property
    def _at(self) -> Path:
        return self.folder / "at"

    @property
    def _passed(self) -> Path:
        return self.folder / "passed"


@dataclass(frozen=True)
class Tale:
    """A kind of run: what it is asked, what its model says, and what its functions give."""

    name: str
    reply: Callable[[Seen], Turn]
    tools: tuple[Json, ...] = ()
    output: str = ""


class World:
    """A server with points, with an assistant for each tale."""

    def __init__(self, server: Adjutant, points: Points, model: Model, ledger: Ledger) -> None:
        self.server = server
        self.points = points
        self.model = model
        self.ledger = ledger
        self._tales: dict[str, tuple[Tale, str]] = {}
        self._numbers = itertools.count(1)
        model.always(lambda seen: self._tales[seen.last_user_text.rstrip(MARKS)][0].reply(seen))

    def question(self, tale: Tale) -> str:
        """Another one each time, so that no server knows its vector, but of the same words."""
        digits = f"{next(self._numbers):012b}"
        return tale.name + digits.translate(str.maketrans("01", MARKS))

    def http(self, ledger: Ledger | None = None) -> httpx.Client:
        return http_client(self.server.base_url, ledger or self.ledger)

    def knows(self, tale: Tale) -> bool:
        return tale.name in self._tales

    def learn(self, tale: Tale, resources: Json) -> None:
        body = {"model": self.model.name, "tools": tale.tools, "tool_resources": resources}
        answer = self.http().post("/assistants", json=body)
        assert answer.status_code == 200, answer.text
        self._tales[tale.name] = (tale, answer.json()["id"])

    def assistant(self, tale: Tale) -> str:
        return self._tales[tale.name][1]

    def revive(self) -> None:
        """Starts the server again, once it is dead, after as long as its leases last."""
        self.server.wait_until_ended()
        self.points.stop()
        if self.database_url:
            # Time itself would do the same.
            postgres.execute(
                self.database_url, "update runs set due_at = 0 where lease_owner <> ''"
            )
            postgres.execute(self.database_url, "update loose_blobs set due_at = 0")
        self.server.start()

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        counts = [f"select '{name}' as name, count(*) as n from {name}" for name in self._tables()]
        return {row["name"]: row["n"] for row in self.select(" union all ".join(counts))}

    def wait_for_clean_blobs(self) -> None:
        """Until the bytes that are there are those that rows hold."""
        loose = "select 1 as x from loose_blobs where condemned < 2 or due_at = 0"

        def look() -> tuple[set[str], set[str], int]:
            there = {path.parent.name for path in (self.server.data / "blobs").rglob("bytes")}
            held = {row["blob"] for row in self.select("select blob from files")}
            return there, held, len(self.select(loose))

        wait_for(look, lambda seen: seen[0] == seen[1] and not seen[2], "blobs without rows to go")

    def select(self, statement: str) -> list[Json]:
        """What is in the database, read past the server."""
        if self.database_url:
            return postgres.query(self.database_url, statement)
        path = self.server.data / "adjutant.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(statement)]

    @property
    def database_url(self) -> str | None:
        """The PostgreSQL, if it is one."""
        return None if self.server.place[0] == "--data" else self.server.database_url

    def _tables(self) -> list[str]:
        if self.database_url:
            names = "select tablename as name from pg_tables where schemaname = 'public'"
        else:
            names = (
                "select name from sqlite_master where type = 'table' and sql like 'create table%'"
            )
        found = {row["name"] for row in self.select(names)}
        ours = [name for name in found if not name.startswith(INTERNAL)]
        return sorted(set(ours) - UNCOMPARED)


class Cut(Exception):
    """A stream ended before it was over."""


class Program:
    """What a careful program does about one run: what was cut off it sends or takes up again."""

    def __init__(self, world: World, tale: Tale, streamed: bool) -> None:
        self._world, self._tale, self._streamed = world, tale, streamed
        messages = [{"role": "user", "content": world.question(tale)}]
        self._http = world.http(Ledger())
        self._thread = self._http.post("/threads", json={"messages": messages}).json()["id"]
        self.path = f"/threads/{self._thread}"
        self._run: Json | None = None
        self.crashes = 0

    @property
    def run_path(self) -> str:
        assert self._run
        return f"{self.path}/runs/{self._run['id']}"

    def to_the_end(self) -> None:
        while self._run is None or self._run["status"] not in TERMINAL:
            try:
                self._go_on()
            except (httpx.TransportError, Cut):
                self.revive()

    def revive(self) -> None:
        self._world.revive()
        self.crashes += 1
        # What comes after a crash is as right as what came before it.
        self._http = self._world.http()

    def _go_on(self) -> None:
        if self._run is None and self._streamed and self.crashes:
            # A stream is not answered twice, so whoever lost one looks what came of it.
            runs = self._http.get(f"{self.path}/runs").json()["data"]
            self._run = runs[0] if runs else None
        if self._run is None:
            self._send(
                "create", f"{self.path}/runs", assistant_id=self._world.assistant(self._tale)
            )
        elif self._run["status"] == "requires_action":
            action = self._run["required_action"]["submit_tool_outputs"]
            outputs = [
                {"tool_call_id": call["id"], "output": self._tale.output}
                for call in action["tool_calls"]
            ]
            path = f"{self.run_path}/submit_tool_outputs"
            self._send("submit", path, tool_outputs=outputs)
        elif self._streamed:
            with self._http.stream("GET", f"{self.run_path}/stream") as answer:
                self._hear(answer)
        else:
            self._run = self._http.get(self.run_path).json()

    def _send(self, what: str, path: str, **body: Any) -> None:
        if not self._streamed:
            key = {"idempotency-key": f"{what} {self._thread}"}
            answer = self._http.post(path, json=body, headers=key)
            assert answer.status_code == 200, answer.text
            self._run = answer.json()
            return
        if self.crashes and self._run:
            # It may have been taken before the crash.
            self._run = self._http.get(self.run_path).json()
            if self._run["status"] != "requires_action":
                return
        with self._http.stream("POST", path, json={**body, "stream": True}) as answer:
            self._hear(answer)

    def _hear(self, answer: httpx.Response) -> None:
        assert answer.status_code == 200, answer.read()
        for event, data in events(answer.iter_lines()):
            if event == "done":
                return
            if event.startswith("thread.run.") and not event.startswith("thread.run.step."):
                self._run = json.loads(data)
        raise Cut


def events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    name = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, value


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    state: Json
    points: list[str]
    asked: int


def play(world: World, tale: Tale, streamed: bool, die_at: int = 0) -> Outcome:
    """One run, whose server dies at this point of it; 0 for none."""
    before, asked = world.rows(), len(world.model.requests)
    program = Program(world, tale, streamed)
    world.points.count(die_at)
    program.to_the_end()
    if die_at and not program.crashes:
        # It had told everything by then.
        program.revive()
    points = world.points.passed
    world.points.stop()
    world.wait_for_clean_blobs()
    after = world.rows()
    state = end_state(world, program)
    state["rows"] = {name: after[name] - before[name] for name in after}
    return Outcome(state, points, len(world.model.requests) - asked)


def end_state(world: World, program: Program) -> Json:
    """All that can be known of a run, its times left out and its ids replaced by numbers."""
    http = world.http()

    def get(path: str) -> Json:
        answer = http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    with http.stream("GET", f"{program.run_path}/stream") as answer:
        told = [(event, data) for event, data in events(answer.iter_lines()) if event != "done"]
    found = {
        "run": get(program.run_path),
        "steps": get(f"{program.run_path}/steps?order=asc&limit=100"),
        "messages": get(f"{program.path}/messages?order=asc&limit=100"),
        "thread": get(program.path),
        "stream": [[event, json.loads(data)] for event, data in told],
    }
    named = dict.fromkeys(re.findall(r'"(file-[A-Za-z0-9]+)"', json.dumps(found)))
    found["files"] = [
        [get(f"/files/{id}"), hashlib.sha256(http.get(f"/files/{id}/content").content).hexdigest()]
        for id in named
    ]
    return normalized(found)


def normalized(found: Json) -> Json:
    seen: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return seen.setdefault(match.group(), f"{match.group(1) or match.group(2)}{len(seen)}")

    text = json.dumps(_without_times(found), ensure_ascii=False)
    return json.loads(re.sub(f"[{MARKS}]+", "", ID.sub(number, text)))


def _without_times(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _without_times(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_times(inner) for inner in value]
    return "a time" if key.endswith("_at") and isinstance(value, int) else value
