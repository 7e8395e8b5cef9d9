"""What one run costs PostgreSQL, the server and the disk, for each kind of run.

    costs.py [RUNS]        a hundred of each kind, unless said otherwise

Prints a table in Markdown. The database keeps what is written on disk, as it does in production; the model answers
at once, so nothing but our own work is measured.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from harness import postgres
from harness.scripted import Answer, Call, Model, ScriptedUpstream, Seen, Turn, Vectors
from harness.server import Adjutant
from harness.shelf import Shelf
from harness.story import function_tool

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
SETTINGS = {
    "ADJUTANT_EMBEDDINGS_UPSTREAM": "upstream",
    "ADJUTANT_EMBEDDINGS_MODEL": "embedder",
    "ADJUTANT_CODE_INTERPRETER_ENGINE": "off",
}
AT_ONCE = 8
QUESTION: Any = {"messages": [{"role": "user", "content": "What is three times one?"}]}
TICKS = os.sysconf("SC_CLK_TCK")
# PostgreSQL tells its counters to others once a second.
COUNTERS_SETTLE_SECONDS = 2
COUNTERS = """
select d.xact_commit transactions, d.tup_inserted inserted, d.tup_updated updated, d.tup_deleted deleted,
  w.wal_bytes log, pg_database_size(current_database()) size
from pg_stat_database d, pg_stat_wal w where d.datname = current_database()
"""


@dataclass
class Kind:
    """A kind of run, as its user has it done."""

    name: str
    do: Callable[[], None]


@contextmanager
def running(upstream: ScriptedUpstream, settings: dict[str, str] | None = None) -> Iterator[tuple]:
    """A durable PostgreSQL and a server over it."""
    database = postgres.Postgres(**DURABLE, **(settings or {}))
    url = postgres.create_database(database.url, "scale")
    with tempfile.TemporaryDirectory(prefix="adjutant-scale-") as folder:
        server = Adjutant(
            Path(folder), upstream=upstream.base_url, database_url=url, settings=SETTINGS
        )
        try:
            yield database, url, server
        finally:
            server.stop()
            database.stop()


def reply(seen: Seen) -> Turn:
    """Calls the tool that there is once, then answers in a hundred words."""
    tools = [tool["function"]["name"] for tool in seen.body.get("tools", [])]
    if tools and seen.said[-1][0] != "tool":
        arguments = {"queries": ["lamp"]} if tools[0] == "file_search" else {"city": "Oslo"}
        return Answer(tool_calls=(Call(tools[0], arguments),))
    return Answer(tuple(f"word{number} " for number in range(100)))


def kinds(client: openai.OpenAI, model: Model) -> list[Kind]:
    """Each on a new thread with one question."""
    runs = client.beta.threads
    plain = client.beta.assistants.create(model=model.name)
    function = client.beta.assistants.create(model=model.name, tools=[function_tool("weather")])
    store = Shelf(client).store("A lamp may be returned within 30 days.")
    search = client.beta.assistants.create(
        model=model.name,
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store]}},
    )

    def streamed(assistant: Any) -> None:
        for _ in runs.create_and_run(assistant_id=assistant.id, thread=QUESTION, stream=True):
            pass

    def called() -> None:
        run = runs.create_and_run_poll(
            assistant_id=function.id, thread=QUESTION, poll_interval_ms=20
        )
        calls = run.required_action.submit_tool_outputs.tool_calls
        outputs: Any = [{"tool_call_id": call.id, "output": "cold"} for call in calls]
        for _ in runs.runs.submit_tool_outputs(
            run_id=run.id, thread_id=run.thread_id, tool_outputs=outputs, stream=True
        ):
            pass

    return [
        Kind("text, streamed", lambda: streamed(plain)),
        Kind("function call, answered", called),
        Kind("file_search, streamed", lambda: streamed(search)),
    ]


def processor_seconds(pid: int) -> float:
    """Of a process with all that it has started, those that have ended too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        # It has just ended; what it took is now among its parent's.
        return 0.0
    seconds = sum(int(field) for field in fields[11:15]) / TICKS
    return seconds + sum(processor_seconds(int(child)) for child in children)


def counted(database: postgres.Postgres, url: str, server: Adjutant) -> dict[str, float]:
    time.sleep(COUNTERS_SETTLE_SECONDS)
    return {
        **postgres.query(url, COUNTERS)[0],
        "database": processor_seconds(database.pid) * 1000,
        "server": processor_seconds(server.pid) * 1000,
    }


def main(count: int) -> None:
    upstream = ScriptedUpstream()
    upstream.model("embedder").always(Vectors())
    model = upstream.model().always(reply)
    with running(upstream) as (database, url, server):
        client = openai.OpenAI(base_url=server.base_url, api_key="bench", timeout=60)
        rows = [("nothing asked, a second", *idle(database, url, server))]
        for kind in kinds(client, model):
            rows.append((f"a run: {kind.name}", *cost(kind, count, database, url, server)))
    upstream.stop()
    print("| | transactions | rows written | log, KiB | kept, KiB | database, ms | server, ms |")
    print("|---|---|---|---|---|---|---|")
    for name, *figures in rows:
        print(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")


def idle(database: postgres.Postgres, url: str, server: Adjutant, seconds: int = 10) -> list[float]:
    before = counted(database, url, server)
    time.sleep(seconds)
    # Looking takes a moment as well.
    return each(before, counted(database, url, server), seconds + COUNTERS_SETTLE_SECONDS)


def cost(
    kind: Kind, count: int, database: postgres.Postgres, url: str, server: Adjutant
) -> list[float]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda _: kind.do(), range(2 * AT_ONCE)))
        # Pages are written whole to the log when they are first changed after a checkpoint: not in the middle.
        postgres.execute(url, "checkpoint")
        before = counted(database, url, server)
        list(pool.map(lambda _: kind.do(), range(count)))
    return each(before, counted(database, url, server), count)


def each(before: dict[str, float], after: dict[str, float], count: float) -> list[float]:
    more = {key: (after[key] - before[key]) / count for key in before}
    written = more["inserted"] + more["updated"] + more["deleted"]
    kept = (more["log"] / 1024, more["size"] / 1024)
    return [more["transactions"], written, *kept, more["database"], more["server"]]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
