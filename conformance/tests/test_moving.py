"""Moving house: everything of a project goes into a file and out of it, between databases, with ids and bytes."""

from __future__ import annotations

import base64
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.moving import everything, lines_of, perform, write_lines
from harness.scripted import Vectors
from harness.sdk import http_client, httpx, openai_client
from harness.searching import FOODS, FRUIT, last_text, searcher, searches
from harness.server import Adjutant
from harness.shelf import Shelf
from harness.story import Story, wait_for

pytestmark = [pytest.mark.once, pytest.mark.timeout(180)]
Connect = Callable[[Adjutant], Story]
NAME = "한글 이름 №1.txt"
DOWNLOADS = {"ADJUTANT_DOWNLOAD_UPLOADS": "true"}
QUERIES = ["필립은 사과를", "pizza and cake", "word777 of the long one"]
# The other side has a model of its own, and no use for it.
ELSEWHERE = {**DOWNLOADS, "ADJUTANT_EMBEDDINGS_MODEL": "elsewhere-embedder"}


@pytest.fixture
def browse(ledger: Ledger) -> Callable[[Adjutant], httpx.Client]:
    return lambda server: http_client(server.base_url, ledger)


def long_text() -> str:
    """Many passages, a few lines of an export."""
    words = (f"word{number}" for number in range(8_000))
    return "\n\n".join(" ".join(next(words) for _ in range(60)) for _ in range(130))


@pytest.fixture
def filled(servers: Any, db: str, connect: Connect) -> Adjutant:
    """A project with files of every kind, stores, and a thread whose answer cites a file."""
    server = servers.new(db, settings=DOWNLOADS)
    story = connect(server)
    shelf = Shelf(story.client)
    shelf.file(random.Random(7).randbytes(5_000_000), "five megabytes.bin")
    shelf.file("", "empty.txt")
    foods = shelf.file(FOODS, NAME)
    story.client.files.create(
        file=("soon gone.txt", b"for a day"),
        purpose="user_data",
        extra_body={"expires_after": {"anchor": "created_at", "seconds": 86_400}},
    )
    store = shelf.store(FRUIT, name="과일", metadata={"가": "나"}, expires_after=days(7))
    shelf.attach(store, foods, attributes={"언어": "en", "year": 1999, "good": True})
    shelf.attach(store, shelf.file(b"\x89PNG\r\n\x1a\n", "picture.png"))
    small = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}
    strategy = {"type": "static", "static": small}
    shelf.attach(store, shelf.file(long_text(), "long.txt"), chunking_strategy=strategy)
    shelf.stores.create(name="empty")
    batch = shelf.stores.create(name="of a batch").id
    shelf.stores.file_batches.create_and_poll(batch, file_ids=[foods], poll_interval_ms=50)
    story.model.calls_all(searches("Filip")).says("Filip likes cake [1].")
    run = story.ask("Who likes cake?", assistant=searcher(story, store))
    assert last_text(story, run.thread_id).annotations
    return server


def days(number: int) -> dict[str, Any]:
    return {"anchor": "last_active_at", "days": number}


def found(http: httpx.Client, store: str) -> list[Any]:
    answers = [
        http.post(f"/vector_stores/{store}/search", json={"query": query}) for query in QUERIES
    ]
    return [told(answer.json()["data"]) for answer in answers]


def told(hits: list[dict[str, Any]]) -> tuple[Any, list[float]]:
    """The best hit and all scores. Among equals the databases differ, and in a score's fourth digit."""
    best = (hits[0]["file_id"], hits[0]["content"]) if hits else None
    return best, [round(hit["score"], 2) for hit in hits]


def without_use(all_of_it: dict[str, Any]) -> dict[str, Any]:
    """A search notes in its store that it was used."""
    for store in all_of_it["stores"]:
        store["last_active_at"] = store["expires_at"] = None
    return all_of_it


@pytest.mark.parametrize("blobs", ["folder", "s3"])
def test_a_project_moves_to_the_other_database_and_back(
    filled: Adjutant, servers: Any, db: str, blobs: str, browse: Any, upstream: Any, tmp_path: Path
) -> None:
    there = browse(filled)
    before = without_use(everything(there))
    store = next(one["id"] for one in before["stores"] if one["name"] == "과일")
    hits = found(there, store)
    assert all(best for best, _ in hits), "a query finds nothing"
    filled.stop()
    first = tmp_path / "first.jsonl"
    perform(filled, "export", first)
    embedder = upstream.model("elsewhere-embedder").always(Vectors())
    other = servers.new(
        "postgres" if db == "sqlite" else "sqlite",
        settings={**ELSEWHERE, **servers.blob_settings(blobs)},
    )
    other.stop()
    perform(other, "import", first)
    other.start()
    here = browse(other)
    assert without_use(everything(here)) == before
    # The store's vectors are of the model that it had, and its queries are asked of that.
    assert found(here, store) == hits
    assert not embedder.requests, "something was embedded again"
    cited_files_open(here, before)
    other.stop()
    second = tmp_path / "second.jsonl"
    perform(other, "export", second)
    back = servers.new(db, settings=DOWNLOADS)
    back.stop()
    perform(back, "import", second)
    said = perform(back, "import", first)
    assert "Imported 0 files, 0 vector stores with 0 files, 0 assistants, 0 threads" in said
    third = tmp_path / "third.jsonl"
    perform(back, "export", third)
    assert third.read_text() == second.read_text()
    assert unused(lines_of(second)) == unused(lines_of(first))


def unused(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for line in lines:
        if line["object"] == "vector_store":
            line["last_active_at"] = line["expires_at"] = None
    return lines


def cited_files_open(http: httpx.Client, before: dict[str, Any]) -> None:
    messages = [message for thread in before["threads"] for message in thread["messages"]]
    texts = [part["text"] for message in messages for part in message["content"]]
    cited = [mark["file_citation"]["file_id"] for text in texts for mark in text["annotations"]]
    assert cited
    for file in cited:
        assert http.get(f"/files/{file}").json()["filename"] == NAME


def test_what_was_not_yet_read_is_read_on_the_other_side(
    servers: Any, db: str, ledger: Ledger, upstream: Any, tmp_path: Path
) -> None:
    slow = upstream.model("slow-embedder")
    slow.is_silent()
    server = servers.new(db, settings={"ADJUTANT_EMBEDDINGS_MODEL": slow.name})
    shelf = Shelf(openai_client(server.base_url, ledger))
    store = shelf.stores.create(file_ids=[shelf.file("Penguins swim.")]).id
    slow.wait_for_requests(1)
    server.stop()
    file = tmp_path / "house.jsonl"
    perform(server, "export", file)
    other = servers.new(db)
    other.stop()
    perform(other, "import", file)
    other.start()
    shelf = Shelf(openai_client(other.base_url, ledger))
    wait_for(
        lambda: shelf.stores.retrieve(store).file_counts,
        lambda counts: counts.completed == 1,
        "the file to be read",
    )
    assert shelf.found(store, "penguins") == ["notes.txt"]


@pytest.fixture
def house(servers: Any, db: str, ledger: Ledger, tmp_path: Path) -> Path:
    """An export of a file of some lines of bytes, and one in a store."""
    server = servers.new(db)
    shelf = Shelf(openai_client(server.base_url, ledger))
    shelf.file(random.Random(3).randbytes(1_200_000), "big.bin")
    shelf.store("Penguins swim.", "Larks sing.")
    server.stop()
    file = tmp_path / "house.jsonl"
    perform(server, "export", file)
    return file


@pytest.fixture
def empty(servers: Any, db: str) -> Adjutant:
    """A server that has stopped and has nothing."""
    server = servers.new(db, settings=DOWNLOADS)
    server.stop()
    return server


def index_of(lines: list[dict[str, Any]], kind: str, number: int = 0) -> int:
    return [index for index, line in enumerate(lines) if line["object"] == kind][number]


def without_numbers(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The bytes of vectors say which number the file has in its store, and it gets another each time."""
    return [
        {**line, "data": None} if line["object"] == "vector_store.file.vectors" else line
        for line in lines
    ]


@pytest.mark.parametrize("kind", ["file.bytes", "vector_store.file.passages"])
def test_a_file_that_is_cut_off_can_be_read_again(
    house: Path, empty: Adjutant, browse: Any, tmp_path: Path, kind: str
) -> None:
    lines = lines_of(house)
    cut = index_of(lines, kind) + 1
    said = perform(empty, "import", write_lines(tmp_path / "cut", lines[:cut]), fails=True)
    assert "cut off" in said and f"line {cut - 1}:" in said
    perform(empty, "import", house)
    perform(empty, "export", tmp_path / "again")
    assert without_numbers(lines_of(tmp_path / "again")) == without_numbers(lines)
    empty.start()
    store = everything(browse(empty))["stores"][0]
    assert store["file_counts"]["completed"] == store["file_counts"]["total"] == 2
    assert store["usage_bytes"] == sum(file["usage_bytes"] for file in store["files"]) > 0


def test_what_was_cut_off_is_read_by_the_server(
    house: Path, empty: Adjutant, ledger: Ledger, tmp_path: Path
) -> None:
    lines = lines_of(house)
    cut = index_of(lines, "vector_store.file.passages") + 1
    perform(empty, "import", write_lines(tmp_path / "cut", lines[:cut]), fails=True)
    empty.start()
    shelf = Shelf(openai_client(empty.base_url, ledger))
    store = lines[index_of(lines, "vector_store")]["id"]
    name = next(line["filename"] for line in lines if line.get("id") == lines[cut - 2]["id"])
    wait_for(lambda: shelf.found(store, "penguins larks"), lambda names: names == [name], name, 90)


def damaged(line: dict[str, Any]) -> dict[str, Any]:
    data = bytearray(base64.b64decode(line["data"]))
    data[len(data) // 2] ^= 1
    return {**line, "data": base64.b64encode(data).decode()}


def test_bytes_that_were_damaged_are_refused(
    house: Path, empty: Adjutant, browse: Any, tmp_path: Path
) -> None:
    lines = lines_of(house)
    at = index_of(lines, "file.bytes", 1)
    file = lines[index_of(lines, "file")]["id"]
    wrong = [*lines[:at], damaged(lines[at]), *lines[at + 1 :]]
    said = perform(empty, "import", write_lines(tmp_path / "wrong", wrong), fails=True)
    end = index_of(lines, "file.end")
    assert f"line {end + 1}: The bytes of '{file}' are damaged" in said
    assert "1 lines were not imported" in said
    empty.start()
    all_of_it = everything(browse(empty))
    assert file not in [one["id"] for one in all_of_it["files"]]
    assert len(all_of_it["files"]) == 2 and len(all_of_it["stores"][0]["files"]) == 2


WRONG: list[tuple[str, Any, str]] = [
    ("file", {"bytes": -1}, "less than none"),
    ("file", {"bytes": 3}, "are not the 3 that it has"),
    ("file", {"filename": ""}, "filename|file"),
    ("file", {"id": "x" * 200}, "longer than 128"),
    ("file", {"created_at": -5}, "created_at"),
    ("file", {"expires_at": 10**17}, "expires_at"),
    ("file", {"position": -1}, "position"),
    ("file", {"purpose": "world domination"}, "purpose|variant"),
    ("file", {"project": "other"}, "--all-projects"),
    ("file.bytes", {"data": "%%%"}, "not base64"),
    ("file.bytes", {"data": 7}, "Not an object of the API"),
    ("file.bytes", {"file_id": "file-nobody"}, "first line is missing"),
    ("file.end", {"sha256": "00"}, "damaged"),
    ("vector_store", {"expires_after": {"anchor": "last_active_at", "days": 10**15}}, "days"),
    ("vector_store", {"embedding": {"model": "m", "dimensions": 10**9}}, "embedding"),
    ("vector_store", {"metadata": {"a": "b" * 600}}, "metadata"),
    ("vector_store.file", {"attributes": {"a": []}}, "attributes"),
    ("vector_store.file", {"vector_store_id": "vs_nothing"}, "vs_nothing"),
    ("vector_store.file", {"id": "file-nobody"}, "file-nobody"),
    ("vector_store.file.passages", {"passages": [{"place": "{", "content": "a"}]}, "place"),
    ("vector_store.file.passages", {"passages": []}, "passages, of which 0"),
    ("vector_store.file.vectors", {"data": "QUJD"}, "damaged"),
    ("vector_store.file.vectors", {"data": ""}, "damaged"),
    ("vector_store.file.end", {"passages": 2}, "passages, of which"),
]


@pytest.mark.parametrize(("kind", "change", "told"), WRONG)
def test_what_cannot_be_is_refused_with_its_line(
    house: Path, empty: Adjutant, tmp_path: Path, kind: str, change: Any, told: str
) -> None:
    lines = lines_of(house)
    at = index_of(lines, kind)
    lines[at] = {**lines[at], **change}
    said = perform(empty, "import", write_lines(tmp_path / "wrong", lines), fails=True)
    errors = [line for line in said.splitlines() if line.startswith("  line ")]
    # Where a line goes on with something else, what it leaves is told as cut off before.
    fitting = [error for error in errors if any(word in error for word in told.split("|"))]
    assert fitting, errors
    assert int(fitting[0].split()[1].rstrip(":")) in {at + 1, at + 2, at + 3, at + 4}
    # Whatever was refused, the whole file can be read afterwards.
    if "project" not in change and kind != "vector_store":
        perform(empty, "import", house)
        perform(empty, "export", tmp_path / "again")
        again = Counter(line["object"] for line in lines_of(tmp_path / "again"))
        assert again == Counter(line["object"] for line in lines_of(house))


def test_over_http_threads_alone_are_taken(house: Path, servers: Any, db: str, browse: Any) -> None:
    server = servers.new(db)
    lines = house.read_text()
    report = browse(server).post("/threads/import", content=lines).json()
    assert report["failed"] == len(lines.splitlines()) and not any(report["imported"].values())
    assert "`adjutant import` alone" in report["errors"][0]["message"]
    assert everything(browse(server)) == {
        "files": [], "stores": [], "assistants": [], "threads": [],
    }  # fmt: skip


PROJECTS = {"key-of-one": "one", "key-of-two": "둘"}
KEYS = "".join(
    f'[[keys]]\nkey = "{key}"\nproject = "{project}"\n' for key, project in PROJECTS.items()
)


def test_all_projects_move_at_once(servers: Any, db: str, ledger: Ledger, tmp_path: Path) -> None:
    def open_all(server: Adjutant) -> list[dict[str, Any]]:
        clients = [http_client(server.base_url, ledger, key) for key in PROJECTS]
        return [everything(client) for client in clients]

    server = servers.new(db, config=KEYS, settings=DOWNLOADS)
    for key, name in PROJECTS.items():
        client = openai_client(server.base_url, ledger, key=key)
        Shelf(client).store(f"what {name} knows")
        client.beta.threads.create(metadata={"whose": name})
    before = open_all(server)
    server.stop()
    file = tmp_path / "house.jsonl"
    perform(server, "export", "--all-projects", file)
    assert {line["project"] for line in lines_of(file)} == {"one", "둘"}
    other = servers.new(db, config=KEYS, settings=DOWNLOADS)
    other.stop()
    assert "--all-projects" in perform(other, "import", file, fails=True)
    perform(other, "import", "--all-projects", file)
    other.start()
    assert open_all(other) == before
    other.stop()
    perform(other, "export", "--project", "둘", tmp_path / "second.jsonl")
    named = [{**line, "project": "둘"} for line in lines_of(tmp_path / "second.jsonl")]
    assert named == [line for line in lines_of(file) if line["project"] == "둘"]
    unnamed = [{k: v for k, v in line.items() if k != "project"} for line in lines_of(file)]
    said = perform(
        other, "import", "--all-projects", write_lines(tmp_path / "unnamed", unnamed), fails=True
    )
    assert "names no project" in said
