"""What servers say to PostgreSQL, recorded from its log and made into scripts that pgbench says again."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from costs import COUNTERS_SETTLE_SECONDS

from harness import postgres

# Settings of a PostgreSQL that is recorded.
SETTINGS = {
    "logging_collector": "on",
    "log_destination": "jsonlog",
    "log_directory": "recorded",
    "log_filename": "log",
    "log_statement": "all",
}
STATEMENT = re.compile(r"^(?:execute [^:]*|statement): (.*)$", re.DOTALL)
PARAMETER = re.compile(r"\$(\d+) = (NULL|'(?:[^']|'')*')")
IDENTIFIER = re.compile(r"\b(thread|run|msg|step)_[A-Za-z0-9]{20,}")


@dataclass
class Transaction:
    """What one connection did at once."""

    statements: list[str] = field(default_factory=list)


def recorded(database: postgres.Postgres, do: Callable[[], Any]) -> tuple[list[Transaction], Any]:
    """All transactions that ended while something was done, in that order, and what it gave."""
    log = database.folder / "recorded" / "log.json"
    begin = log.stat().st_size
    given = do()
    # The log is written by another process, and a server's last commit may still be on its way to it.
    time.sleep(COUNTERS_SETTLE_SECONDS)
    lines = log.read_bytes()[begin:].decode().splitlines()
    return _transactions([json.loads(line) for line in lines]), given


def _transactions(entries: list[dict[str, Any]]) -> list[Transaction]:
    open_ones: dict[int, Transaction] = {}
    whole: list[Transaction] = []
    for entry in sorted(entries, key=lambda entry: (entry["timestamp"], entry["line_num"])):
        found = STATEMENT.match(entry.get("message", ""))
        if not found:
            continue
        transaction = open_ones.setdefault(entry["pid"], Transaction())
        transaction.statements.append(_filled_in(found[1], entry.get("detail", "")))
        word = found[1].strip().split()[0].rstrip(";").lower()
        begun = transaction.statements[0].lower().startswith("begin")
        if word in {"commit", "rollback"} or not begun:
            whole.append(open_ones.pop(entry["pid"]))
    return whole


def _filled_in(statement: str, detail: str) -> str:
    values = {number: value for number, value in PARAMETER.findall(detail)}
    return re.sub(r"\$(\d+)", lambda found: values.get(found[1], found[0]), statement)


def naming(whole: list[Transaction], *ids: str) -> list[Transaction]:
    """Those that name one of these objects."""
    return [
        transaction
        for transaction in whole
        if any(name in statement for statement in transaction.statements for name in ids)
    ]


def script(whole: list[Transaction]) -> str:
    """The same for pgbench, with a new id for each that the servers made."""
    names: dict[str, str] = defaultdict(lambda: f"n{len(names)}")
    text = "".join(
        IDENTIFIER.sub(lambda found: f"{found[1]}_:{names[found[0]]}", " ".join(one.split()))
        + ";\n"
        for transaction in whole
        for one in transaction.statements
    )
    fresh = "".join(f"\\set {name} random(1, 1000000000000000)\n" for name in names.values())
    return fresh + text


def play(
    url: str, file: Path, connections: int, jobs: int, seconds: int, *options: str
) -> tuple[float, float]:
    """Has pgbench say a script again and again, and tells how often a second and how long each took, in ms."""
    command: list[Any] = [postgres.program("pgbench"), "--no-vacuum", "--file", file, *options]
    command += ["--client", str(connections), "--jobs", str(jobs)]
    command += ["--time", str(seconds), "--protocol", "simple", url]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"pgbench failed:\n{done.stderr[-2000:]}")
    rate = float(re.search(r"tps = ([\d.]+)", done.stdout)[1])
    latency = float(re.search(r"latency average = ([\d.]+)", done.stdout)[1])
    return rate, latency
