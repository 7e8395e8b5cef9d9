"""How many runs a second PostgreSQL itself can take, for more and more connections.

    replay.py [SECONDS]

One streamed run is recorded as the server does it, statement by statement. pgbench then does the same again and again,
with ids of its own, from as many connections as so many copies of the server would have busy. No server takes part, so
what stops the runs is the database alone. Prints a table in Markdown.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import openai
from costs import COUNTERS_SETTLE_SECONDS, processor_seconds, reply, running

from harness import postgres
from harness.scripted import ScriptedUpstream

RECORDING = {
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_directory": "recorded",
    "log_filename": "log",
    "log_statement": "all",
}
CONNECTIONS = [1, 4, 16, 64, 200]
STATEMENT = re.compile(r"^(?:execute [^:]*|statement): (.*)$", re.DOTALL)
PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")
IDENTIFIER = re.compile(r"\b(thread|run|msg|step)_[A-Za-z0-9]{20,}")


@dataclass
class Transaction:
    """What one connection did at once."""

    statements: list[str] = field(default_factory=list)


def recorded_run() -> str:
    """The statements of one streamed run, as a script for pgbench."""
    upstream = ScriptedUpstream()
    model = upstream.model().always(reply)
    upstream.model("embedder")
    with running(upstream, RECORDING) as (database, _, server):
        client = openai.OpenAI(base_url=server.base_url, api_key="bench")
        assistant = client.beta.assistants.create(model=model.name)
        log = database.folder / "recorded" / "log.json"
        begin = log.stat().st_size
        question: Any = {"messages": [{"role": "user", "content": "What is three times one?"}]}
        events = client.beta.threads.create_and_run(
            assistant_id=assistant.id, thread=question, stream=True
        )
        run = next(event.data for event in events if event.event == "thread.run.created")
        for _ in events:
            pass
        # The log is written by another process, and the server's last commit may still be on its way to it.
        time.sleep(COUNTERS_SETTLE_SECONDS)
        lines = log.read_bytes()[begin:].decode()
    upstream.stop()
    entries = [json.loads(line) for line in lines.splitlines()]
    return script(transactions(entries), {run.id, run.thread_id})


def transactions(entries: list[dict[str, Any]]) -> list[Transaction]:
    """Whole transactions, in the order in which they ended."""
    open_ones: dict[int, Transaction] = {}
    whole: list[Transaction] = []
    for entry in sorted(entries, key=lambda entry: (entry["timestamp"], entry["line_num"])):
        found = STATEMENT.match(entry.get("message", ""))
        if not found:
            continue
        transaction = open_ones.setdefault(entry["pid"], Transaction())
        transaction.statements.append(filled_in(found[1], entry.get("detail", "")))
        word = found[1].strip().split()[0].rstrip(";").lower()
        begun = transaction.statements[0].lower().startswith("begin")
        if word in {"commit", "rollback"} or not begun:
            whole.append(open_ones.pop(entry["pid"]))
    return whole


def filled_in(statement: str, detail: str) -> str:
    values = {number: value for number, value in PARAMETER.findall(detail)}
    return re.sub(r"\$(\d+)", lambda found: values.get(found[1], found[0]), statement)


def script(whole: list[Transaction], ours: set[str]) -> str:
    """What belongs to the run, with a new id for each that it made."""
    statements = [
        statement
        for transaction in whole
        if any(name in statement for statement in transaction.statements for name in ours)
        for statement in transaction.statements
    ]
    names: dict[str, str] = defaultdict(lambda: f"n{len(names)}")
    text = ";\n".join(
        IDENTIFIER.sub(lambda found: f"{found[1]}_:{names[found[0]]}", " ".join(one.split()))
        for one in statements
    )
    fresh = "".join(f"\\set {name} random(1, 1000000000000000)\n" for name in names.values())
    return f"{fresh}{text};\n"


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
                print(measure(database, url, file.name, connections, seconds), flush=True)
    upstream.stop()


def measure(
    database: postgres.Postgres, url: str, file: str, connections: int, seconds: int
) -> str:
    before = processor_seconds(database.pid)
    command: list[Any] = [postgres.program("pgbench"), "--no-vacuum", "--file", file]
    command += ["--client", str(connections), "--jobs", str(min(connections, os.cpu_count() or 1))]
    command += ["--time", str(seconds), "--protocol", "simple", url]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"pgbench failed:\n{done.stderr[-2000:]}")
    rate = float(re.search(r"tps = ([\d.]+)", done.stdout)[1])
    latency = float(re.search(r"latency average = ([\d.]+)", done.stdout)[1])
    spent = (processor_seconds(database.pid) - before) / (rate * seconds) * 1000
    return f"| {connections} | {rate:.0f} | {latency:.1f} | {spent:.2f} |"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
