"""Files on their way into a store: what a crash, a busy neighbour or a broken file may do to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from harness.ledger import Ledger
from harness.scripted import Vectors
from harness.sdk import openai_client
from harness.server import Adjutant
from harness.shelf import Shelf
from harness.story import wait_for

pytestmark = [pytest.mark.once, pytest.mark.timeout(300)]
FILES = 200


@pytest.fixture
def own(servers: Any, db: str) -> Iterator[Adjutant]:
    server = servers.new(db)
    yield server
    server.stop()


def counts(shelf: Shelf, store: str) -> Any:
    counted = shelf.stores.retrieve(store).file_counts
    parts = (counted.in_progress, counted.completed, counted.failed, counted.cancelled)
    assert sum(parts) == counted.total, f"the counts do not add up: {counted}"
    return counted


def test_two_hundred_files_survive_the_power_failing(own: Adjutant, ledger: Ledger) -> None:
    """Every file ends completed, or failed with a reason, and none is there twice."""
    shelf = Shelf(openai_client(own.base_url, ledger))
    files = [
        shelf.file(b"\x89PNG\r\n\x1a\n", f"{number}.png")
        if number % 20 == 0
        else shelf.file(f"Entry {number} tells of animal{number}x.", f"{number}.txt")
        for number in range(FILES)
    ]
    store = shelf.stores.create().id
    shelf.stores.file_batches.create(store, file_ids=files)
    wait_for(lambda: counts(shelf, store).completed, lambda n: n >= 20, "some files to be read")
    own.kill()
    own.start()
    shelf = Shelf(openai_client(own.base_url, ledger))
    done = wait_for(
        lambda: counts(shelf, store),
        lambda counted: counted.in_progress == 0,
        "all files to end",
        seconds=240,
    )
    assert (done.completed, done.failed, done.total) == (FILES - 10, 10, FILES)
    for number in (1, 57, 199):
        results = shelf.search(store, f"animal{number}x", max_num_results=50)
        assert results[0]["filename"] == f"{number}.txt"
        named = [r for r in results if r["filename"] == f"{number}.txt"]
        assert len(named) == 1, "a passage is there twice"
    failed = list(shelf.stores.files.list(store, filter="failed", limit=100))
    assert {file.last_error.code for file in failed} == {"unsupported_file"}


def test_a_cancelled_batch_stops_where_it_is(own: Adjutant, ledger: Ledger) -> None:
    shelf = Shelf(openai_client(own.base_url, ledger))
    text = "\n\n".join(f"Paragraph {number} " + "of many words " * 150 for number in range(40))
    files = [shelf.file(text + str(number)) for number in range(12)]
    store = shelf.stores.create().id
    batch = shelf.stores.file_batches.create(store, file_ids=files)
    cancelled = shelf.stores.file_batches.cancel(batch.id, vector_store_id=store)
    assert cancelled.status == "cancelled"
    assert cancelled.file_counts.in_progress == 0
    assert cancelled.file_counts.cancelled > 0
    assert cancelled.file_counts.total == len(files)
    held = {file.id: file.status for file in shelf.stores.files.list(store, limit=100)}
    assert set(held.values()) <= {"completed", "cancelled"}
    # Attached again, a cancelled file is read after all.
    again = next(file for file, status in held.items() if status == "cancelled")
    assert shelf.attach(store, again).status == "completed"


def test_a_file_deleted_while_it_is_read_leaves_nothing(own: Adjutant, ledger: Ledger) -> None:
    shelf = Shelf(openai_client(own.base_url, ledger))
    file = shelf.file("\n\n".join(f"ephemeral{number} " * 200 for number in range(60)))
    store = shelf.stores.create(file_ids=[file]).id
    shelf.client.files.delete(file)
    assert counts(shelf, store).total == 0
    other = shelf.file("something else")
    assert shelf.attach(store, other).status == "completed"
    assert shelf.found(store, "ephemeral1 ephemeral2") in ([], ["notes.txt"])
    assert {r["file_id"] for r in shelf.search(store, "ephemeral1")} <= {other}


def test_stores_of_one_project_are_not_another_ones(
    servers: Any, db: str, ledger: Ledger
) -> None:
    server = servers.new(
        db, config='[[keys]]\nkey = "one"\nproject = "a"\n[[keys]]\nkey = "two"\nproject = "b"\n'
    )
    mine = Shelf(openai_client(server.base_url, ledger, key="one"))
    theirs = Shelf(openai_client(server.base_url, ledger, key="two"))
    store = mine.store("a secret word: periwinkle")
    file = mine.stores.files.list(store).data[0].id
    own = theirs.store("nothing")
    for attempt in (
        lambda: theirs.stores.retrieve(store),
        lambda: theirs.search(store, "periwinkle"),
        lambda: theirs.stores.delete(store),
        lambda: theirs.stores.files.create(own, file_id=file),
    ):
        with pytest.raises(openai.NotFoundError):
            attempt()
    assert store not in [known.id for known in theirs.stores.list()]
    server.stop()


def test_another_embedding_model_takes_over_when_asked(
    servers: Any, db: str, upstream: Any, ledger: Ledger
) -> None:
    """Until then a store keeps the model that it began with."""
    second = [upstream.model(name).always(Vectors()) for name in ("first-embedder", "second-embedder")][1]
    server = servers.new(db, settings={"ADJUTANT_EMBEDDINGS_MODEL": "first-embedder"})
    store = Shelf(openai_client(server.base_url, ledger)).store("marmalade on toast")
    server.restart(ADJUTANT_EMBEDDINGS_MODEL="second-embedder")
    shelf = Shelf(openai_client(server.base_url, ledger))
    assert shelf.attach(store, shelf.file("more marmalade")).status == "completed"
    assert second.requests == [], "the store has another model now"
    server.restart(ADJUTANT_SEARCH_REEMBED="true")
    shelf = Shelf(openai_client(server.base_url, ledger))
    wait_for(lambda: len(second.requests), lambda n: n > 1, "the second model to be asked")
    wait_for(lambda: counts(shelf, store).completed, lambda n: n == 2, "both to be embedded again")
    assert len(shelf.search(store, "marmalade")) == 2
    server.stop()


def test_a_search_asks_the_embedding_model_for_its_words_alone(
    servers: Any, db: str, upstream: Any, ledger: Ledger
) -> None:
    """What the model's vectors mean was learnt with the first file, also for the next process."""
    embedder = upstream.model("learnt-embedder").always(Vectors())
    server = servers.new(db, settings={"ADJUTANT_EMBEDDINGS_MODEL": embedder.name})
    shelf = Shelf(openai_client(server.base_url, ledger))
    store = shelf.store("Penguins swim.")
    asked = len(embedder.requests)
    assert shelf.found(store, "a penguin") == ["text-0.txt"]
    server.restart()
    shelf = Shelf(openai_client(server.base_url, ledger))
    assert shelf.found(store, "other penguins") == ["text-0.txt"]
    told = [seen.body["input"] for seen in embedder.requests[asked:]]
    assert told[:1] == [["a penguin"]] and told[-1:] == [["other penguins"]]
    # A new process may ask how long the vectors are.
    assert all(len(texts) == 1 for texts in told), told
    server.stop()
