"""Searches that are cut off, and stores that are gone: every run ends, and says why."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.scripted import Call, Failure, Model, ScriptedUpstream, Vectors, event_bytes
from harness.sdk import http_client, httpx, openai_client
from harness.searching import (
    FOODS,
    FRUIT,
    SEARCH,
    heard,
    last_text,
    results,
    searcher,
    searches,
    tools_told,
)
from harness.server import Adjutant
from harness.shelf import Shelf
from harness.story import Story, function_tool, wait_for


class SlowSearch:
    """A server of its own whose searches wait for the test."""

    def __init__(
        self,
        servers: Any,
        db: str,
        upstream: ScriptedUpstream,
        ledger: Ledger,
        model: Model,
        **settings: str,
    ) -> None:
        self.embedder = upstream.model().always(Vectors())
        named = {"ADJUTANT_EMBEDDINGS_MODEL": self.embedder.name, **settings}
        self.server: Adjutant = servers.new(db, settings=named)
        self._ledger, self._model = ledger, model
        self.connect()
        self.assistant = searcher(self.story, self.shelf.store(FOODS))

    def connect(self) -> None:
        client = openai_client(self.server.base_url, self._ledger)
        self.http = http_client(self.server.base_url, self._ledger)
        self.story, self.shelf = Story(client, self._model, self._ledger), Shelf(client)

    def hold(self) -> Any:
        gate = self.embedder.hold()
        self.embedder.then(Vectors())
        return gate


@pytest.fixture
def slow(
    servers: Any, db: str, upstream: ScriptedUpstream, ledger: Ledger, model: Model
) -> Iterator[SlowSearch]:
    slow = SlowSearch(servers, db, upstream, ledger, model, ADJUTANT_RUNS_LEASE_SECONDS="2")
    yield slow
    slow.embedder.close()
    slow.server.stop()


def begin_stream(slow: SlowSearch, thread: Any) -> threading.Thread:
    """A client that reads its stream to the end, beside the test."""
    body = {"assistant_id": slow.assistant.id, "stream": True}

    def read() -> None:
        with contextlib.suppress(httpx.TransportError):
            slow.http.post(f"/threads/{thread.id}/runs", json=body)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    return reader


@pytest.mark.once
def test_a_run_is_cancelled_within_a_search(slow: SlowSearch) -> None:
    gate = slow.hold()
    slow.story.model.calls_all(searches("cake"))
    thread = slow.story.thread("Cake?")
    reader = begin_stream(slow, thread)
    gate.wait_until_reached()
    run = slow.story.runs.list(thread.id).data[0]
    slow.story.cancel(run)
    assert slow.story.wait(run).status == "cancelled"
    reader.join(10)
    names = slow.story.stream_names()
    assert names[3:] == [
        "run.step.created",
        "run.step.in_progress",
        "run.step.delta",
        "run.cancelling",
        "run.step.cancelled",
        "run.cancelled",
        "done",
    ]
    [step] = slow.story.steps(run)
    assert step.status == "cancelled" and results(step) == []


@pytest.mark.once
def test_a_run_expires_within_a_search(
    servers: Any, db: str, upstream: ScriptedUpstream, ledger: Ledger, model: Model
) -> None:
    slow = SlowSearch(servers, db, upstream, ledger, model, ADJUTANT_RUNS_EXPIRES_SECONDS="2")
    slow.hold()
    model.calls_all(searches("cake"))
    run = slow.story.ask("Cake?", assistant=slow.assistant)
    assert run.status == "expired"
    assert [step.status for step in slow.story.steps(run)] == ["expired"]
    slow.embedder.close()
    slow.server.stop()


@pytest.mark.once
@pytest.mark.parametrize("mixed", [False, True])
def test_a_search_that_a_crash_cut_off_is_done_again(slow: SlowSearch, mixed: bool) -> None:
    """The model is not asked again for the turn that called it."""
    gate = slow.hold()
    tools = [SEARCH, function_tool("weather")]
    resources = slow.assistant.tool_resources.model_dump(exclude_none=True)
    assistant = slow.story.assistant(tools=tools, tool_resources=resources)
    also = [Call("weather", {"city": "Oslo"})] if mixed else []
    slow.story.model.calls_all(searches("cake"), *also)
    run = slow.story.run(slow.story.thread("Cake?"), assistant)
    gate.wait_until_reached()
    slow.server.kill()
    gate.open()
    slow.server.start()
    slow.connect()
    slow.story.model.says("Filip [1].")
    if mixed:
        parked = slow.story.wait(run, "requires_action")
        slow.story.submit(parked, "-5")
    slow.story.wait(run, "completed")
    search, said = slow.story.steps(run)
    assert [search.status, said.status] == ["completed", "completed"]
    assert len(search.step_details.tool_calls[0].file_search.results) == 1
    assert last_text(slow.story, run.thread_id).annotations[0].text == "【4:0†text-0.txt】"


@pytest.mark.once
@pytest.mark.timeout(180)
def test_an_embedding_model_that_always_fails_fails_the_file(slow: SlowSearch) -> None:
    """Tried again and again, for a quarter of an hour: then it is `server_error`, and no worse."""
    store = slow.assistant.tool_resources.file_search.vector_store_ids[0]
    slow.embedder.always(Failure(500, message="Out of memory."))
    file = slow.shelf.file(FRUIT)
    slow.shelf.stores.files.create(store, file_id=file)

    def look() -> Any:
        return slow.shelf.stores.files.retrieve(file, vector_store_id=store)

    def tried() -> int:
        return slow.server.tail(4000).count("is tried again later")

    tries = 0
    while look().status == "in_progress":
        wait_for(
            lambda: (tried(), look().status),
            lambda seen, tries=tries: seen[0] > tries or seen[1] != "in_progress",
            f"more than {tries} tries",
            seconds=60,
        )
        tries = tried()
        # A try that is cut off before it was noted does not count.
        assert tries < 12, "the file is tried for ever"
        slow.server.restart_later(3600 * tries)
        slow.connect()
    failed = look()
    assert (failed.status, failed.last_error.code) == ("failed", "server_error")
    assert "Out of memory." in failed.last_error.message
    counts = slow.shelf.stores.retrieve(store).file_counts
    assert (counts.completed, counts.failed) == (1, 1)


@pytest.mark.once
def test_a_deleted_thread_ends_its_search(slow: SlowSearch) -> None:
    gate = slow.hold()
    slow.story.model.calls_all(searches("cake"))
    thread = slow.story.thread("Cake?")
    reader = begin_stream(slow, thread)
    gate.wait_until_reached()
    slow.story.threads.delete(thread.id)
    reader.join(10)
    assert slow.story.stream_names()[-2:] == ["run.cancelled", "done"]


def test_a_deleted_store_is_searched_no_more(story: Story, shelf: Shelf) -> None:
    """It is gone from the assistant, too, so the model is told nothing of searching."""
    store = shelf.store(FOODS)
    assistant = searcher(story, store)
    shelf.stores.delete(store)
    story.model.says("I cannot know.")
    assert story.ask("Cake?", assistant=assistant).status == "completed"
    assert tools_told(story.model) == []


def test_a_store_deleted_within_a_run_fails_it_in_words(story: Story, shelf: Shelf) -> None:
    """The run has it in its own resources, so it is missed."""
    store = shelf.store(FOODS)
    gate = story.model.hold()
    story.model.calls_all(searches("cake"))
    run = story.threads.create_and_run(
        assistant_id=story.assistant(tools=[SEARCH]).id,
        thread={"messages": [{"role": "user", "content": "Cake?"}]},
        tool_resources={"file_search": {"vector_store_ids": [store]}},
    )
    gate.wait_until_reached()
    shelf.stores.delete(store)
    gate.open()
    failed = story.wait(run, "failed")
    assert failed.last_error.code == "server_error"
    assert failed.last_error.message == f"No vector store found with id '{store}'."
    [step] = story.steps(run)
    assert (step.status, step.last_error.message) == ("failed", failed.last_error.message)


@pytest.mark.once
def test_a_run_on_an_expired_store_fails_in_words(
    servers: Any, db: str, connect: Callable[[Adjutant], Story], ledger: Ledger
) -> None:
    if db != "sqlite":
        pytest.skip("the store is aged by hand, in SQLite's file")
    server = servers.new(db)
    story, shelf = connect(server), Shelf(openai_client(server.base_url, ledger))
    store = shelf.store(FOODS, expires_after={"anchor": "last_active_at", "days": 1})
    assistant = searcher(story, store)
    server.kill()
    with sqlite3.connect(server.folder / "data" / "adjutant.db") as database:
        [[kept]] = database.execute("select object from vector_stores where id = ?", [store])
        aged = json.dumps({**json.loads(kept), "expires_at": 1})
        database.execute("update vector_stores set object = ? where id = ?", [aged, store])
    server.start()
    story, shelf = connect(server), Shelf(openai_client(server.base_url, ledger))
    assert shelf.stores.retrieve(store).status == "expired"
    failed = story.ask("Cake?", assistant=assistant)
    assert failed.status == "failed"
    assert failed.last_error.message == f"Vector store {store} has expired."
    assert story.model.requests == []
    server.stop()


def test_a_deleted_assistant_leaves_the_threads_files(story: Story, shelf: Shelf) -> None:
    own = shelf.store(FOODS)
    thread = story.thread("Cake?", tool_resources={"file_search": {"vector_store_ids": [own]}})
    assistant = searcher(story, shelf.store(FRUIT))
    gate = story.model.hold()
    story.model.calls_all(searches("cake")).then_says("Filip [1].")
    run = story.run(thread, assistant)
    gate.wait_until_reached()
    story.client.beta.assistants.delete(assistant.id)
    gate.open()
    story.wait(run, "completed")
    [result] = results(story.steps(run)[0])
    assert "Filip" in heard(story.model)[0] and result.file_name == "text-0.txt"


def test_parallel_calls_may_be_forbidden(story: Story, shelf: Shelf) -> None:
    story.model.calls_all(searches("cake"), searches("pizza")).then_says("Filip.")
    thread = story.thread("Cake?")
    run = story.run(thread, searcher(story, shelf.store(FOODS)), parallel_tool_calls=False)
    story.wait(run, "completed")
    assert story.model.requests[0].body["parallel_tool_calls"] is False
    assert len(story.steps(run)[0].step_details.tool_calls) == 1


def test_a_call_that_the_token_limit_cut_off(story: Story, shelf: Shelf) -> None:
    story.model.sends(*cut_off_call(story.model.name))
    run = story.ask("Cake?", assistant=searcher(story, shelf.store(FOODS)))
    assert run.status == "incomplete"
    assert run.incomplete_details.reason == "max_completion_tokens"
    [step] = story.steps(run)
    assert step.status == "failed" and results(step) == []


def cut_off_call(model: str) -> list[bytes]:
    def chunk(delta: Any, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        envelope = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model}
        return event_bytes({**envelope, "choices": [choice]})

    function = {"name": "file_search", "arguments": '{"queries": ["ca'}
    call = {"index": 0, "id": "1", "type": "function", "function": function}
    return [chunk({"tool_calls": [call]}), chunk({}, "length"), event_bytes("[DONE]")]


def test_stores_are_read_again_where_memory_is_short(
    servers: Any, db: str, ledger: Ledger
) -> None:
    server = servers.new(db, settings={"ADJUTANT_SEARCH_MEMORY_BYTES": "1"})
    shelf = Shelf(openai_client(server.base_url, ledger))
    stores = [shelf.store(FOODS), shelf.store(FRUIT)]
    for _ in range(2):
        assert "Filip" in content_of_first(shelf, stores[0], "cake")
        assert "사과" in content_of_first(shelf, stores[1], "필립 사과")


def content_of_first(shelf: Shelf, store: str, query: str) -> str:
    return shelf.search(store, query)[0]["content"][0]["text"]
