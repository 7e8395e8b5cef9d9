"""Compares what clients were told with what is stored. It knows no code of the server's, and asks it nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from chaos.answers import check_runs, check_streams
from chaos.history import History, Write
from chaos.shelves import Shelf
from chaos.stored import Row, Stored, nonce_of
from chaos.words import Question

TABLE_OF = {
    "assistant": "assistants",
    "thread": "threads",
    "message": "messages",
    "run": "runs",
    "file": "files",
    "vector store": "vector_stores",
}
# What goes with a thread.
PARTS_OF_THREADS = {"message", "run"}


def check(
    history: History,
    stored: Stored,
    questions: dict[int, Question],
    shelves: list[Shelf],
) -> list[str]:
    """Every violation, in words."""
    return [
        *history.complaints,
        *(f"at rest there are still {what}" for what in stored.restless),
        *check_writes(history, stored),
        *check_order(history, stored),
        *check_listings(history, stored),
        *check_runs(history, stored, questions),
        *check_streams(history, stored),
        *check_bytes(history, stored),
        *check_stores(stored, shelves),
        *check_api(stored),
    ]


def gone(history: History) -> tuple[set[str], set[str]]:
    """Ids that must be gone, and those that may be, since nobody heard whether they were deleted."""
    acked = {removal.id for removal in history.removals if removal.acked is not None}
    return acked, {removal.id for removal in history.removals} - acked


def check_writes(history: History, stored: Stored) -> Iterator[str]:
    """What was acknowledged is there once, with the same content; what was not, once at most."""
    deleted, doubtful = gone(history)
    for kind, table in TABLE_OF.items():
        found: dict[str, list[Row]] = defaultdict(list)
        for row in stored.rows[table]:
            nonce = nonce_of(kind, row["object"])
            if nonce is not None:
                found[nonce].append(row)
            elif not (kind == "message" and row["object"]["role"] == "assistant"):
                yield f"{kind} {row['id']} is nobody's"
        for write in history.writes:
            if write.kind == kind:
                yield from check_write(write, found.pop(write.nonce, []), deleted, doubtful)
        for rows in found.values():
            yield f"{kind} {rows[0]['id']} was written by nobody"


def check_write(
    write: Write, rows: list[Row], deleted: set[str], doubtful: set[str]
) -> Iterator[str]:
    name = f"{write.kind} {write.id or write.nonce}"
    ids = {write.id} | ({write.thread} if write.kind in PARTS_OF_THREADS else set())
    must_be_gone, may_be_gone = bool(ids & deleted), bool(ids & doubtful)
    most = 1 if write.has_key else write.attempts
    if must_be_gone and rows:
        yield f"{name} was deleted, and is there"
    elif len(rows) > most:
        yield f"{name} is there {len(rows)} times"
    elif write.acked is not None and not rows and not (must_be_gone or may_be_gone):
        yield f"{name} was acknowledged at {write.acked:.1f} s, and is not there"
    for row in rows:
        if write.id and row["id"] != write.id:
            yield f"{name} is there as {row['id']}"
        if write.kind == "message" and body_of(row) != write.body:
            yield f"{name} says {body_of(row)!r} in place of {write.body!r}"
        if write.thread and row.get("thread_id") != write.thread:
            yield f"{name} is in another thread: {row.get('thread_id')}"


def body_of(row: Row) -> str:
    return "".join(part["text"]["value"] for part in row["object"]["content"])


def check_order(history: History, stored: Stored) -> Iterator[str]:
    """What was acknowledged before another was begun stands before it."""
    place = {row["id"]: row["position"] for row in stored.rows["messages"]}
    threads: dict[str | None, list[Write]] = defaultdict(list)
    for write in history.writes:
        if write.kind == "message" and write.id in place:
            threads[write.thread].append(write)
    for thread, writes in threads.items():
        writes.sort(key=lambda write: place[write.id or ""])
        earliest = float("inf")
        for write in reversed(writes):
            if earliest < write.began:
                yield f"in {thread} message {write.id} stands before an older one"
            earliest = min(earliest, write.acked if write.acked is not None else earliest)
    for thread, rows in stored.by("messages", "thread_id").items():
        if len({row["position"] for row in rows}) != len(rows):
            yield f"in {thread} two messages have one place"


def check_listings(history: History, stored: Stored) -> Iterator[str]:
    """A list had all that was acknowledged before, nothing that was deleted before, in the order that stands."""
    place = {row["id"]: row["position"] for row in stored.rows["messages"]}
    threads: dict[str | None, list[Write]] = defaultdict(list)
    for write in history.writes:
        if write.kind == "message" and write.id:
            threads[write.thread].append(write)
    began = {removal.id: removal.began for removal in history.removals}
    ended = {r.id: r.acked for r in history.removals if r.acked is not None}
    for listing in history.listings:
        told = set(listing.ids)
        if len(told) < len(listing.ids):
            yield f"a list of {listing.of} told a message twice"
        for write in threads[listing.of]:
            acked = write.acked if write.acked is not None else float("inf")
            kept = began.get(write.id or "", float("inf")) > listing.began
            if acked < listing.began and kept and write.id not in told:
                yield f"a list of {listing.of} at {listing.began:.1f} s lacks message {write.id}"
        for id in told:
            if ended.get(id, float("inf")) < listing.began:
                yield f"a list of {listing.of} has message {id}, which was deleted"
        places = [place[id] for id in listing.ids if id in place]
        if places != sorted(places):
            yield f"a list of {listing.of} had another order than what is stored"


def check_bytes(history: History, stored: Stored) -> Iterator[str]:
    """Every file has its bytes, and there are no others."""
    digests = {write.nonce: write.body for write in history.writes if write.kind == "file"}
    held = set()
    for row in stored.rows["files"]:
        held.add(row["blob"])
        found = stored.blobs.get(row["blob"])
        wanted = digests.get(nonce_of("file", row["object"]) or "")
        if found is None:
            yield f"the bytes of file {row['id']} are gone"
        elif found != wanted:
            yield f"file {row['id']} has other bytes"
    held |= {row["blob"] for row in stored.rows["upload parts"]}
    # What nobody ever held is deleted twice, a day apart: a request to S3 whose answer was lost may be
    # carried out after the first time.
    again = {row["blob"] for row in stored.rows["loose"] if row["condemned"] == 2}
    for key in stored.blobs.keys() - held - again:
        yield f"nothing holds the blob {key}"
    for row in stored.rows["loose"]:
        if row["blob"] in held:
            yield f"the blob {row['blob']} is held, and to be deleted"


def check_stores(stored: Stored, shelves: list[Shelf]) -> Iterator[str]:
    """What a store counts is what is in it, and what its user put there."""
    attached = stored.by("vector_store_files", "store_id")
    # A file that is deleted leaves its stores; none of those is, here.
    for shelf in shelves:
        rows = {row["id"] for row in attached.get(shelf.store, [])}
        for file in shelf.inside - rows:
            yield f"{shelf.store} has lost {file}"
        for file in rows - shelf.inside - shelf.unknown:
            yield f"{shelf.store} has {file}, which was taken out or never put in"
    for row in stored.rows["vector_stores"]:
        statuses = Counter(file["status"] for file in attached.get(row["id"], []))
        (answer,) = stored.told[f"/vector_stores/{row['id']}"]
        counts = dict(answer["file_counts"])
        total = counts.pop("total")
        if total != sum(statuses.values()) or any(counts[s] != statuses[s] for s in counts):
            yield f"{row['id']} counts {answer['file_counts']}, and has {dict(statuses)}"
    for row in stored.rows["store chunks"]:
        if row["counted"] != row["stored"] or row["orphans"]:
            yield f"{row['id']} counts {row['counted']} passages: {row['stored']}, {row['orphans']} of no file"


def check_api(stored: Stored) -> Iterator[str]:
    """The API tells what is stored, in its order."""
    lists: dict[str, list[Row]] = {}
    for kind in ("messages", "runs"):
        rows = stored.by(kind, "thread_id")
        for thread in stored.rows["threads"]:
            lists[f"/threads/{thread['id']}/{kind}"] = rows.get(thread["id"], [])
    steps = stored.by("steps", "run_id")
    for run in stored.rows["runs"]:
        path = f"/threads/{run['thread_id']}/runs/{run['id']}/steps"
        lists[path] = steps.get(run["id"], [])
    for path, rows in lists.items():
        told = [outline(thing) for thing in stored.told[path]]
        kept = [outline(row["object"]) for row in rows]
        if told != kept:
            yield f"{path} tells {told}, and stored is {kept}"


def outline(thing: Row) -> Row:
    """What must be the same, however it is put."""
    keys = ("id", "status", "content", "usage", "step_details", "last_error", "metadata")
    return {key: thing.get(key) for key in keys}
