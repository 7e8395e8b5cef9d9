"""How many runs a second PostgreSQL itself can take, for more and more connections.

    replay.py [SECONDS]

One streamed run is recorded as the server does it, statement by statement. pgbench then does the same again and again,
with ids of its own, from as many connections as so many copies of the server would have busy. No server takes part, so
what stops the runs is the database alone. Prints a table in Markdown.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import openai
import recording
from costs import QUESTION, processor_seconds, reply, running

from harness import postgres
from harness.scripted import ScriptedUpstream

CONNECTIONS = [1, 4, 16, 64, 200]


def recorded_run() -> str:
    """The statements of one streamed run, as a script for pgbench."""
    upstream = ScriptedUpstream()
    model = upstream.model().always(reply)
    upstream.model("embedder")
    with running(upstream, recording.SETTINGS) as (database, _, server):
        client = openai.OpenAI(base_url=server.base_url, api_key="bench")
        assistant = client.beta.assistants.create(model=model.name)

        def ask() -> Any:
            events = client.beta.threads.create_and_run(
                assistant_id=assistant.id, thread=QUESTION, stream=True
            )
            run = next(event.data for event in events if event.event == "thread.run.created")
            for _ in events:
                pass
            return run

        whole, run = recording.recorded(database, ask)
    upstream.stop()
    return recording.script(recording.naming(whole, run.id, run.thread_id))


def main(seconds: int) -> None:
    text = recorded_run()
    upstream = ScriptedUpstream()
    model = upstream.model().always(reply)
    upstream.model("embedder")
    print(f"A run is {text.count(chr(10)) - text.count('set n')} statements.\n")
    print("| connections | runs a second | a run, ms | database, ms of processor a run |")
    print("|---|---|---|---|")
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(text)
        file.flush()
        # The server makes the tables, and the assistant that is asked.
        with running(upstream) as (database, url, server):
            client = openai.OpenAI(base_url=server.base_url, api_key="bench")
            client.beta.assistants.create(model=model.name)
            server.stop()
            for connections in CONNECTIONS:
                print(measure(database, url, Path(file.name), connections, seconds), flush=True)
    upstream.stop()


def measure(
    database: postgres.Postgres, url: str, file: Path, connections: int, seconds: int
) -> str:
    before = processor_seconds(database.pid)
    jobs = min(connections, os.cpu_count() or 1)
    rate, latency = recording.play(url, file, connections, jobs, seconds)
    spent = (processor_seconds(database.pid) - before) / (rate * seconds) * 1000
    return f"| {connections} | {rate:.0f} | {latency:.1f} | {spent:.2f} |"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
