"""Streams that have nothing to say for a while, told by a copy that does not work on their runs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness import postgres
from harness.crash_points import Points
from harness.ledger import Ledger
from harness.scripted import Answer, Model
from harness.sdk import http_client
from harness.server import Adjutant
from harness.story import Story, wait_for

pytestmark = pytest.mark.once

STREAMS = 40
# So often each of them hears, once a second, that the server is alive, until PostgreSQL, which
# counts with a delay of 10 s, has counted what came before.
TIMES = 11
# Leases are not renewed meanwhile.
SETTINGS = {"ADJUTANT_RUNS_LEASE_SECONDS": "300", "ADJUTANT_RUNS_KEEPALIVE_SECONDS": "1"}


class Copies:
    """One that serves and one that works."""

    def __init__(self, servers: Any, db: str, **worker: str) -> None:
        if db == "sqlite":
            pytest.skip("a SQLite database belongs to one process")
        settings = {**SETTINGS, **servers.blob_settings("s3")}
        self.api: Adjutant = servers.new(db, settings={**settings, "ADJUTANT_ROLE": "api"})
        self.worker: Adjutant = servers.beside(self.api, {"ADJUTANT_ROLE": "worker", **worker})

    def transactions(self) -> int:
        """How many the database has seen of all its clients."""
        count = (
            "select xact_commit + xact_rollback as n from pg_stat_database "
            "where datname = current_database()"
        )
        return postgres.query(self.api.database_url, count)[0]["n"]


class Listener:
    """What the clients of all streams have heard together."""

    def __init__(self, api: Adjutant, assistant: str) -> None:
        self._api, self._assistant = api, assistant
        self._changed = threading.Condition()
        self._times_alive = [0] * STREAMS

    def listen(self, number: int) -> bool:
        """One stream to its end; whether its run was completed."""
        thread = {"messages": [{"role": "user", "content": "Count"}]}
        body = {"assistant_id": self._assistant, "thread": thread, "stream": True}
        completed = False
        http = http_client(self._api.base_url, Ledger())
        with http, http.stream("POST", "/threads/runs", json=body) as answer:
            for line in answer.iter_lines():
                completed |= line == "event: thread.run.completed"
                if line == ": keep-alive":
                    with self._changed:
                        self._times_alive[number] += 1
                        self._changed.notify_all()
        return completed

    def wait_until_all_are_alive(self, times: int) -> None:
        with self._changed:
            heard = self._changed.wait_for(lambda: min(self._times_alive) >= times, 60)
        assert heard, f"not every stream is alive: {self._times_alive}"


def test_streams_that_wait_leave_the_database_alone(
    servers: Any, db: str, connect: Any, model: Model
) -> None:
    """Thousands of them would otherwise keep it from everything else."""
    copies = Copies(servers, db)
    gate = model.gate()
    model.always(lambda _: Answer(("One, ", gate, "two.")))
    listener = Listener(copies.api, connect(copies.api).assistant().id)
    with ThreadPoolExecutor(STREAMS) as pool:
        listening = [pool.submit(listener.listen, number) for number in range(STREAMS)]
        try:
            listener.wait_until_all_are_alive(TIMES)
            before = copies.transactions()
            listener.wait_until_all_are_alive(2 * TIMES)
            seen = copies.transactions() - before
        finally:
            gate.open()
        assert all(stream.result() for stream in listening)
    assert seen < STREAMS * TIMES, "each stream asks for itself whether there is something new"


def test_the_end_of_a_run_is_told_though_its_worker_died_before_it_could_say_so(
    servers: Any, db: str, connect: Any, model: Model, tmp_path: Path
) -> None:
    points = Points(tmp_path / "points")
    copies = Copies(servers, db, ADJUTANT_CRASH_POINTS=str(points.folder))
    story: Story = connect(copies.api)
    assistant = story.assistant()

    def run(die_at: int) -> list[str]:
        """The events of one whose client has heard all that it says before its end is counted."""
        gate = model.gate()
        model.says("One.", gate)
        events = []
        thread = story.thread("Count")
        for event in story.runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True):
            events.append(event.event)
            if event.event == "thread.message.delta":
                points.count(die_at)
                gate.open()
        return events

    whole = run(die_at=0)
    assert whole[-1] == "thread.run.completed"
    wait_for(lambda: points.passed, lambda passed: passed[-1] == "after a commit", "the last one")
    assert run(die_at=len(points.passed)) == whole
    copies.worker.wait_until_ended()


def test_where_no_news_are_heard_streams_look_by_themselves(
    servers: Any, db: str, connect: Any, model: Model
) -> None:
    """As behind a pooler that lends a session to others."""
    if db == "sqlite":
        pytest.skip("a SQLite database belongs to one process")
    database = servers.new_database()
    postgres.execute(database, "alter function pg_notify(text, text) rename to pg_notify_away")
    nothing = "create function pg_notify(text, text) returns void language sql as 'select'"
    postgres.execute(database, nothing)
    settings = {**SETTINGS, **servers.blob_settings("s3")}
    api = servers.over(database, **settings, ADJUTANT_ROLE="api")
    servers.beside(api, {"ADJUTANT_ROLE": "worker"})
    story: Story = connect(api)
    gate = model.gate()
    model.says("One, ", gate, "two.")
    assistant = story.assistant()
    for event in story.runs.create(
        thread_id=story.thread("Count").id, assistant_id=assistant.id, stream=True
    ):
        # Nobody has said so: the run is at work, and stays so until the first words were heard.
        if event.event == "thread.message.delta":
            gate.open()
    assert story.stream_names()[-3:] == ["run.step.completed", "run.completed", "done"]
