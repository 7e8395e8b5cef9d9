"""What is there when everything has healed: the database's rows, the bucket's objects, the API's answers."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from chaos.world import EXPIRES_SECONDS, LEASE_SECONDS, World
from harness.ledger import Ledger
from harness.sdk import http_client, httpx

Row = dict[str, Any]
NONCE = re.compile(r"\bn[0-9a-f]{12}\b")
READERS = 6
# What runs and jobs may take until all have ended: their expiry, a lease, and the looks that find it out.
SETTLING_SECONDS = EXPIRES_SECONDS + LEASE_SECONDS + 30.0
UNSETTLED = {
    "live runs": "select count(*) as n from runs where live = 1",
    "files being made searchable": (
        "select count(*) as n from vector_store_files where status = 'in_progress'"
    ),
    "loose blobs": "select count(*) as n from loose_blobs where condemned < 2",
    "passages of detached files": "select count(*) as n from detached",
}


@dataclass
class Stored:
    """Everything, once it has come to rest."""

    rows: dict[str, list[Row]]
    # The digest of what is in the bucket under each key.
    blobs: dict[str, str]
    # What the API answers: the messages, runs and steps of each thread, the files of each store.
    told: dict[str, list[Row]]
    # What never came to rest.
    restless: list[str]

    def by_id(self, table: str) -> dict[str, Row]:
        return {row["id"]: row for row in self.rows[table]}

    def by(self, table: str, column: str) -> dict[str, list[Row]]:
        """Rows with the same value in a column, oldest first."""
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(self.rows[table], key=lambda row: row["position"]):
            groups[row[column]].append(row)
        return groups


def nonce_of(kind: str, thing: Row) -> str | None:
    """The nonce that a client put into an object."""
    match kind:
        case "message":
            text = "" if thing["role"] != "user" else text_of(thing)
        case "assistant" | "vector store":
            text = thing["name"] or ""
        case "file":
            text = thing["filename"]
        case _:
            text = thing["metadata"].get("nonce", "")
    found = NONCE.search(text)
    return found.group() if found else None


def text_of(message: Row) -> str:
    return "".join(part["text"]["value"] for part in message["content"])


def settle(world: World) -> list[str]:
    """Waits until nothing moves by itself any more; tells what does all the same."""
    deadline = time.monotonic() + SETTLING_SECONDS
    while True:
        counts = {what: world.query(sql)[0]["n"] for what, sql in UNSETTLED.items()}
        restless = [f"{n} {what}" for what, n in counts.items() if n]
        if not restless or time.monotonic() > deadline:
            return restless
        time.sleep(0.5)


def read(world: World, restless: list[str]) -> Stored:
    rows = {table: read_table(world, table) for table in TABLES}
    rows["upload parts"] = world.query("select id, upload_id, blob from upload_parts")
    rows["loose"] = world.query("select * from loose_blobs")
    rows["store chunks"] = world.query(
        "select s.id, s.chunks as counted, (select count(*) from chunks c where c.store_number = s.number) "
        "as stored, (select count(*) from chunks c where c.store_number = s.number and not exists "
        "(select 1 from vector_store_files f where f.store_id = s.id and f.number = c.id / 1048576)) as orphans "
        "from vector_stores s"
    )
    blobs = {
        key: hashlib.sha256(path.read_bytes()).hexdigest() for key, path in world.blobs().items()
    }
    return Stored(rows, blobs, ask_api(world, rows), restless)


TABLES = {
    "assistants": "object",
    "threads": "object",
    "messages": "run_id, thread_id, object",
    "runs": "thread_id, status, live, lease_token, object",
    "steps": "run_id, thread_id, object",
    "files": "blob, object",
    "uploads": "object",
    "vector_stores": "object",
    "vector_store_files": "store_id, status, object",
}


def read_table(world: World, table: str) -> list[Row]:
    rows = world.query(f"select id, position, {TABLES[table]} from {table}")
    for row in rows:
        row["object"] = json.loads(row["object"])
    return rows


def ask_api(world: World, rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Each list by its path, read at the copies in turn."""
    paths = []
    for thread in rows["threads"]:
        paths += [f"/threads/{thread['id']}/{kind}" for kind in ("messages", "runs")]
    paths += [f"/threads/{run['thread_id']}/runs/{run['id']}/steps" for run in rows["runs"]]
    paths += [f"/vector_stores/{store['id']}/files" for store in rows["vector_stores"]]
    clients = [http_client(copy.base_url, Ledger()) for copy in world.copies]
    turns = itertools.cycle(clients)
    asked = [(next(turns), path) for path in paths]
    with ThreadPoolExecutor(READERS) as readers:
        told = dict(zip(paths, readers.map(lambda ask: whole_list(*ask), asked), strict=True))
    for store in rows["vector_stores"]:
        path = f"/vector_stores/{store['id']}"
        told[path] = [clients[0].get(path).json()]
    return told


def whole_list(http: httpx.Client, path: str) -> list[Row]:
    found: list[Row] = []
    while True:
        after = {"after": found[-1]["id"]} if found else {}
        answer = http.get(path, params={"limit": 100, "order": "asc", **after})
        answer.raise_for_status()
        page = answer.json()
        found += page["data"]
        if not page["has_more"]:
            return found
