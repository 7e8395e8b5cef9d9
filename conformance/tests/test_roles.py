"""Copies that only serve and copies that only work, over one database: nobody sees a difference."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.scripted import Model
from harness.sdk import http_client, httpx
from harness.server import BINARY, Adjutant
from harness.shelf import Shelf
from harness.story import MESSAGE, Story, function_tool, wait_for

pytestmark = pytest.mark.once
Connect = Callable[[Adjutant], Story]
BEGUN = ["run.created", "run.queued", "run.in_progress"]
LEASE = {"ADJUTANT_RUNS_LEASE_SECONDS": "2"}


class Copies:
    """One that serves and two that work."""

    def __init__(self, servers: Any, db: str) -> None:
        if db == "sqlite":
            pytest.skip("a SQLite database belongs to one process")
        log = {"ADJUTANT_LOG": "adjutant=debug"}
        settings = {"ADJUTANT_ROLE": "api", **LEASE, **log, **servers.blob_settings("s3")}
        self.api = servers.new(db, settings=settings)
        role = {"ADJUTANT_ROLE": "worker"}
        self.workers = [servers.beside(self.api, role) for _ in range(2)]

    def worker_of(self, run: Any) -> Adjutant:
        """The one that has claimed it, as its log says."""
        line = f"claimed run `{run.id}`"
        claimed = lambda: [worker for worker in self.workers if line in worker.tail(4000)]  # noqa: E731
        return wait_for(claimed, bool, "the run to be claimed")[0]

    def stop(self) -> None:
        for server in (self.api, *self.workers):
            server.stop()


@pytest.fixture(scope="module")
def copies(servers: Any, db: str) -> Iterator[Copies]:
    copies = Copies(servers, db)
    yield copies
    copies.stop()


@pytest.fixture
def story(copies: Copies, connect: Connect) -> Story:
    return connect(copies.api)


def test_a_run_asked_of_a_copy_that_only_serves(story: Story) -> None:
    story.model.says("Hello.")
    run = story.ask("Hi")
    assert story.messages(run.thread_id) == [("user", "Hi"), ("assistant", "Hello.")]


def test_its_streams_are_those_of_a_copy_that_does_both(story: Story) -> None:
    """The same events in the same order; every rule that SDKs rely on is checked on the way."""
    story.model.says("Hel", "lo.")
    events = story.stream(story.thread("Hi"), story.assistant())
    assert story.stream_names() == [*BEGUN, *MESSAGE, "run.completed", "done"]
    assert events[-1].data.usage.total_tokens > 0
    thread = {"messages": [{"role": "user", "content": "Hi"}]}
    story.model.says("Hello again.")
    run = story.threads.create_and_run(
        assistant_id=story.assistant().id, thread=thread, stream=True
    )
    list(run)
    told = story.stream_names()
    assert told == ["created", *BEGUN, *MESSAGE, "run.completed", "done"]


def test_the_sdks_accumulators_work(story: Story) -> None:
    story.model.says("One, ", "two, ", "three.")
    ids = {"thread_id": story.thread("Count").id, "assistant_id": story.assistant().id}
    with story.runs.stream(**ids) as stream:
        text = "".join(stream.text_deltas)
        final = stream.get_final_messages()
    assert text == final[0].content[0].text.value == "One, two, three."


def test_functions_through_it(story: Story) -> None:
    """Streamed to where the run waits, and on from there."""
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    assistant = story.assistant(tools=[function_tool("weather")])
    thread = story.thread("Weather?")
    story.stream(thread, assistant)
    assert story.stream_names()[-2:] == ["run.requires_action", "done"]
    (run,) = story.runs.list(thread.id).data
    outputs = [
        {"tool_call_id": call.id, "output": "-10"}
        for call in run.required_action.submit_tool_outputs.tool_calls
    ]
    ids = {"thread_id": thread.id, "tool_outputs": outputs}
    list(story.runs.submit_tool_outputs(run.id, **ids, stream=True))
    begun = ["run.step.completed", "run.queued", "run.in_progress"]
    assert story.stream_names() == [*begun, *MESSAGE, "run.completed", "done"]
    assert story.messages(thread.id)[-1] == ("assistant", "Cold.")


def test_functions_polled_through_it(story: Story) -> None:
    story.model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    parked = story.ask("Weather?", assistant=story.assistant(tools=[function_tool("weather")]))
    assert story.submit(parked, "-10").status == "queued"
    story.wait(parked, "completed")


def test_cancelling_through_it(story: Story) -> None:
    gate = story.model.hold()
    story.model.says("Never.")
    run = story.run(story.thread("Hi"), story.assistant())
    gate.wait_until_reached()
    assert story.cancel(run).status == "cancelling"
    story.wait(run, "cancelled")


def test_cancelling_what_nobody_has_claimed(servers: Any, db: str, connect: Connect) -> None:
    """Without any worker a run stays queued, and can be cancelled; the first worker ends it."""
    if db == "sqlite":
        pytest.skip("a SQLite database belongs to one process")
    api = servers.new(db, settings={"ADJUTANT_ROLE": "api"})
    story = connect(api)
    run = story.run(story.thread("Hi"), story.assistant())
    assert story.look(run).status == "queued"
    assert story.cancel(run).status == "cancelling"
    worker = servers.beside(api, {"ADJUTANT_ROLE": "worker"})
    story.wait(run, "cancelled")
    worker.stop()
    api.stop()


def test_what_a_model_was_asked_is_kept_by_another(story: Story, copies: Copies) -> None:
    story.model.says("Hello.")
    thread = story.thread("Hi")
    query = {"include[]": "model_requests"}
    run = story.run(thread, story.assistant(), extra_query=query)
    story.wait(run, "completed")
    http = http_client(copies.api.base_url, story.ledger)
    kept = http.get(f"/threads/{thread.id}/runs/{run.id}/model_requests").json()["data"]
    assert len(kept) == 1


def test_files_are_read_by_workers_and_searched_here(story: Story) -> None:
    shelf = Shelf(story.client)
    store = shelf.store("The password of the harbour is walrus.")
    found = story.client.vector_stores.search(store, query="password of the harbour").data
    assert "walrus" in found[0].content[0].text


def test_a_worker_that_dies_mid_sentence_ends_no_stream(
    copies: Copies, story: Story, model: Model
) -> None:
    """Another one says it anew: the half that was told is an incomplete message of a failed step."""
    gate = model.gate()
    model.says("Half a ", gate, "never told").then_says("Whole.")
    thread = story.thread("Hi")
    stream = story.runs.create(thread_id=thread.id, assistant_id=story.assistant().id, stream=True)
    events, dead = [], None
    for event in stream:
        events.append(event)
        if event.event == "thread.message.in_progress" and dead is None:
            (run,) = story.runs.list(thread.id).data
            dead = copies.worker_of(run)
            dead.kill()
    assert dead is not None
    # How many of the dying worker's words came this far is a matter of time.
    told = [name for name in story.stream_names() if name != "message.delta"]
    first, second = MESSAGE[:4], [name for name in MESSAGE if name != "message.delta"]
    ended = ["message.incomplete", "run.step.failed"]
    assert told == [*BEGUN, *first, *ended, *second, "run.completed", "done"]
    assert story.messages(thread.id) == [("user", "Hi"), ("assistant", "Whole.")]
    statuses = [step.status for step in story.steps(events[0].data)]
    assert statuses == ["completed"]
    gate.open()
    dead.start()


def test_a_worker_that_dies_before_a_word_is_not_noticed(
    copies: Copies, story: Story, model: Model
) -> None:
    gate = model.hold()
    model.says("Never told.").then_says("Hello.")
    thread, assistant = story.thread("Hi"), story.assistant()
    heard = threading.Thread(target=lambda: story.stream(thread, assistant))
    heard.start()
    gate.wait_until_reached()
    (run,) = story.runs.list(thread.id).data
    dead = copies.worker_of(run)
    dead.kill()
    heard.join(30)
    assert story.stream_names() == [*BEGUN, *MESSAGE, "run.completed", "done"]
    gate.open()
    dead.start()


# -- what a copy does not do -----------------------------------------------------------------
def test_a_worker_serves_nothing_but_its_health(copies: Copies, ledger: Ledger) -> None:
    worker = httpx.Client(base_url=copies.workers[0].address)
    for path in ("/health/live", "/health/ready"):
        answer = worker.get(path)
        assert (answer.status_code, answer.text) == (200, "ok")
    for path in ("/v1/assistants", "/", "/openai/threads/thread_a"):
        answer = worker.get(path)
        assert answer.status_code == 404
        assert "worker" in answer.json()["error"]["message"]


def run_with(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [BINARY, "serve", "--data", tmp_path / "data", "--upstream", "http://127.0.0.1:9/v1"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    return subprocess.run(
        [*command, *options], env=environment, capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize("role", ["api", "worker"])
def test_roles_want_a_database_that_is_shared(tmp_path: Path, role: str) -> None:
    done = run_with(tmp_path, "--role", role)
    assert done.returncode != 0
    assert "database_url" in done.stderr


def test_another_role_is_refused(tmp_path: Path) -> None:
    done = run_with(tmp_path, "--role", "king")
    assert done.returncode != 0
    assert "`both`, `api`, `worker`" in done.stderr


def test_a_worker_needs_no_keys(tmp_path: Path) -> None:
    """It has no door that they would open; what it lacks here is its database."""
    nowhere = ("--database-url", "postgres://somebody@127.0.0.1:9/nothing")
    for role, lacks in (("worker", "PostgreSQL"), ("api", "keys")):
        done = run_with(tmp_path, "--role", role, "--listen", "0.0.0.0:0", *nowhere)
        assert done.returncode != 0
        assert lacks in done.stderr
