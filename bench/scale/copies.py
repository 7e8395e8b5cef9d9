"""What many copies of the server cost PostgreSQL beside the runs themselves: a simulation.

    copies.py [SECONDS]

Two things are recorded, statement by statement: a copy that is asked nothing, and a run that one copy works on while
its client follows it at another. pgbench then plays so many copies, each a session that listens to the news and looks
for what is due as often as a real one, and beside them runs at a fixed rate, whose news every copy hears. The copies'
own processor time is not in it, so one machine can play a thousand. Prints a table in Markdown.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import recording
from costs import QUESTION, SETTINGS, processor_seconds, reply, running

from harness import postgres
from harness.scripted import Answer, Gate, ScriptedUpstream, Seen
from harness.sdk import httpx
from harness.server import Adjutant

COPIES = [1, 10, 100, 1000]
RUNS_A_SECOND = 50
RUNNING = 16
IDLE_SECONDS = 10
CONNECTIONS_SECONDS = 30
LISTEN = "listen adjutant_news;\n"


def record(upstream: ScriptedUpstream) -> tuple[str, str]:
    """A look of an idle copy with the pause after it, and a run that is followed elsewhere."""
    gate = Gate()

    def with_pause(seen: Seen) -> Answer:
        words = reply(seen).pieces
        return Answer((*words[:50], gate, *words[50:]))

    model = upstream.model().always(with_pause)
    with running(upstream, recording.SETTINGS) as (database, url, server):
        idle, _ = recording.recorded(database, lambda: time.sleep(IDLE_SECONDS))
        with tempfile.TemporaryDirectory(prefix="adjutant-scale-") as folder:
            other = Adjutant(
                Path(folder), upstream=upstream.base_url, database_url=url, settings=SETTINGS
            )
            try:
                followed, (run, thread) = recording.recorded(
                    database, lambda: follow_elsewhere(server, other, model.name, gate)
                )
            finally:
                other.stop()
    pause = IDLE_SECONDS * 1000 // max(len(idle), 1)
    look = "".join(
        recording.script([transaction]) + f"\\sleep {pause} ms\n" for transaction in idle
    )
    return LISTEN + look, recording.script(recording.naming(followed, run, thread))


def follow_elsewhere(server: Adjutant, other: Adjutant, model: str, gate: Gate) -> tuple[str, str]:
    client = openai.OpenAI(base_url=server.base_url, api_key="bench")
    assistant = client.beta.assistants.create(model=model)
    run = client.beta.threads.create_and_run(assistant_id=assistant.id, thread=QUESTION)
    gate.wait_until_reached()
    path = f"{other.base_url}/threads/{run.thread_id}/runs/{run.id}/stream"
    with httpx.stream("GET", path, timeout=60) as events:
        for line in events.iter_lines():
            # It has seen what was said before, so it is followed by now.
            if line == "event: thread.message.delta":
                gate.open()
    return run.id, run.thread_id


@contextmanager
def idle_copies(url: str, look: Path, number: int) -> Iterator[None]:
    """So many sessions that listen and look."""
    command = [postgres.program("pgbench"), "--no-vacuum", "--file", look, "--protocol", "simple"]
    command += ["--client", str(number), "--jobs", "1", "--time", "100000", url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = threading.Thread(target=process.stderr.read, daemon=True)
    said.start()
    try:
        wait_for_connections(url, number, process)
        yield
    finally:
        process.kill()
        process.wait()
        said.join()


def wait_for_connections(url: str, number: int, process: subprocess.Popen[bytes]) -> None:
    count = "select count(*) from pg_stat_activity where application_name = 'pgbench'"
    deadline = time.monotonic() + CONNECTIONS_SECONDS
    while int(postgres.ask(url, count)[0]) < number:
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"{number} copies could not connect")
        time.sleep(0.1)


def main(seconds: int) -> None:
    upstream = ScriptedUpstream()
    upstream.model("embedder")
    model = upstream.model().always(reply)
    look, run = record(upstream)
    print(
        "| copies | nothing asked: database, ms a second | runs a second | a run, ms | database, ms a run |"
    )
    print("|---|---|---|---|---|")
    with (
        tempfile.TemporaryDirectory(prefix="adjutant-scale-") as folder,
        running(upstream, {"max_connections": str(COPIES[-1] + 100)}) as (database, url, server),
    ):
        openai.OpenAI(base_url=server.base_url, api_key="bench").beta.assistants.create(
            model=model.name
        )
        server.stop()
        scripts = Path(folder) / "look.sql", Path(folder) / "run.sql"
        for path, text in zip(scripts, (look, run), strict=True):
            path.write_text(text)
        for number in COPIES:
            with idle_copies(url, scripts[0], number):
                print(measured(database, url, scripts[1], number, seconds), flush=True)
    upstream.stop()


def measured(database: postgres.Postgres, url: str, run: Path, copies: int, seconds: int) -> str:
    before = processor_seconds(database.pid)
    time.sleep(seconds)
    idle = (processor_seconds(database.pid) - before) / seconds * 1000
    before = processor_seconds(database.pid)
    options = ("--rate", str(RUNS_A_SECOND))
    rate, latency = recording.play(url, run, RUNNING, 1, seconds, *options)
    spent = (processor_seconds(database.pid) - before) * 1000 - idle * seconds
    return (
        f"| {copies} | {idle:.0f} | {rate:.0f} | {latency:.1f} | {spent / (rate * seconds):.2f} |"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
