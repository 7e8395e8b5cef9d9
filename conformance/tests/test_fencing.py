"""A copy sleeps for longer than its leases and wakes: what was its own is another one's, and it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from harness import postgres
from harness.ledger import Ledger
from harness.scripted import Model, ScriptedUpstream, Vectors
from harness.sdk import http_client
from harness.searching import searcher, searches
from harness.server import Adjutant
from harness.shelf import Shelf
from harness.story import Story, text_of, wait_for

pytestmark = [pytest.mark.once, pytest.mark.timeout(240)]
Connect = Callable[[Adjutant], Story]
LEASE = {"ADJUTANT_RUNS_LEASE_SECONDS": "2", "ADJUTANT_LOG": "adjutant=debug"}


@pytest.fixture
def embedder(upstream: ScriptedUpstream) -> Model:
    """An embedding model that a test can hold."""
    model = upstream.model()
    model.always(Vectors())
    return model


@pytest.fixture
def sleeper(request: Any, servers: Any, embedder: Model) -> Iterator[Adjutant]:
    """The copy that will sleep. It is alone until then, so that all work is its own."""
    if request.config.getoption("--db") == "sqlite":
        pytest.skip("copies share a PostgreSQL")
    settings = {**LEASE, "ADJUTANT_EMBEDDINGS_MODEL": embedder.name}
    (server,) = servers.copies(1, shared=False, **settings)
    yield server
    server.go_on()
    server.kill()


@pytest.fixture
def fall_asleep(servers: Any, sleeper: Adjutant) -> Iterator[Callable[[], Adjutant]]:
    """Puts the copy to sleep and starts another one, which takes over what it left."""
    others: list[Adjutant] = []

    def sleep() -> Adjutant:
        sleeper.pause()
        others.append(servers.beside(sleeper))
        return others[0]

    yield sleep
    for other in others:
        other.kill()


def test_amid_the_answer_of_the_model(
    sleeper: Adjutant,
    fall_asleep: Callable[[], Adjutant],
    connect: Connect,
    model: Model,
    ledger: Ledger,
) -> None:
    gate = model.gate()
    model.says("Half a ", gate, "sentence.").then_says("A whole sentence.")
    cut = Ledger()
    story = Story(
        openai.OpenAI(base_url=sleeper.base_url, api_key="any", max_retries=0), model, cut
    )
    thread, assistant = story.thread("Hi"), story.assistant()
    stream = story.runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True)
    for event in stream:
        if event.event == "thread.message.delta":
            break
    after = connect(fall_asleep())
    (run,) = after.runs.list(thread.id).data
    ended = after.wait(run, "completed")
    gate.open()
    sleeper.go_on()
    # It says so to its client once it knows, and has nothing left to do then.
    with pytest.raises(openai.APIError, match="interrupted"):
        list(stream)
    assert_ran_once(after, ended, ["message_creation"])
    assert after.messages(thread.id) == [("user", "Hi"), ("assistant", "A whole sentence.")]


def assert_ran_once(story: Story, ended: Any, kinds: list[str]) -> None:
    """Nothing of the run has changed since it ended, and its steps add up."""
    assert story.look(ended) == ended
    steps = story.steps(ended)
    assert [step.type for step in steps] == kinds
    assert {step.status for step in steps} == {"completed"}
    assert sum(step.usage.total_tokens for step in steps) == ended.usage.total_tokens


def test_amid_a_search(
    sleeper: Adjutant,
    fall_asleep: Callable[[], Adjutant],
    connect: Connect,
    model: Model,
    embedder: Model,
) -> None:
    story = connect(sleeper)
    store = Shelf(story.client).store("Apples are red.")
    gate = embedder.hold()
    embedder.then(Vectors())
    model.calls_all(searches("apples")).then_says("Red.")
    run = story.run(story.thread("Colour?"), searcher(story, store))
    gate.wait_until_reached()
    other = fall_asleep()
    after = connect(other)
    ended = after.wait(run, "completed")
    gate.open()
    sleeper.go_on()
    wait_until_given_up(sleeper, f"run `{run.id}`")
    assert_ran_once(after, ended, ["tool_calls", "message_creation"])
    assert len(after.messages(run.thread_id)) == 2


def wait_until_given_up(sleeper: Adjutant, what: str) -> None:
    """It has come to what it had left undone."""
    said = f"{what} is no longer "
    wait_for(lambda: "".join(sleeper.log), lambda log: said in log, "the copy to give it up")


def test_amid_the_reading_of_a_file(
    sleeper: Adjutant,
    fall_asleep: Callable[[], Adjutant],
    connect: Connect,
    embedder: Model,
) -> None:
    story = connect(sleeper)
    shelf = Shelf(story.client)
    store, file = shelf.store(), shelf.file("Apples are red. " * 50)
    gate = embedder.hold()
    embedder.then(Vectors())
    shelf.stores.files.create(vector_store_id=store, file_id=file)
    gate.wait_until_reached()
    other = fall_asleep()
    there = Shelf(connect(other).client)
    ended = wait_for(
        lambda: there.stores.files.retrieve(file, vector_store_id=store),
        lambda seen: seen.status != "in_progress",
        "the file to be taken over",
        40,
    )
    assert ended.status == "completed"
    found = there.search(store, "apples")
    gate.open()
    sleeper.go_on()
    wait_until_given_up(sleeper, f"file `{file}` of store `{store}`")
    assert there.stores.files.retrieve(file, vector_store_id=store) == ended
    assert there.search(store, "apples") == found
    counts = there.stores.retrieve(store).file_counts
    assert (counts.completed, counts.total) == (1, 1)


def test_amid_the_completion_of_an_upload(
    sleeper: Adjutant, fall_asleep: Callable[[], Adjutant], connect: Connect, ledger: Ledger
) -> None:
    """Another request completes it meanwhile; the one that slept is refused, and leaves no bytes."""
    http = http_client(sleeper.base_url, Ledger())
    part = bytes(range(256)) * (24 << 12)
    new = {"filename": "a.bin", "purpose": "vision", "mime_type": "image/png"}
    upload = http.post("/uploads", json={**new, "bytes": 2 * len(part)}).json()["id"]
    path = f"/uploads/{upload}/parts"
    parts = [http.post(path, files={"data": ("p", part)}).json()["id"] for _ in range(2)]
    complete = {"part_ids": parts}
    begun = f"select 1 from uploads where id = '{upload}' and completing is not null"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(http.post, f"/uploads/{upload}/complete", json=complete, timeout=120)
        wait_for(lambda: postgres.ask(sleeper.database_url, begun), bool, "the parts to be joined")
        other = fall_asleep()
        there = http_client(other.base_url, ledger)
        assert there.get("/files").json()["data"] == [], "the parts were joined too soon"
        second = there.post(f"/uploads/{upload}/complete", json=complete, timeout=120)
        assert second.status_code == 200, second.text
        sleeper.go_on()
        assert first.result(120).status_code == 400
    (file,) = there.get("/files").json()["data"]
    assert file["id"] == second.json()["file"]["id"]
    assert there.get(f"/files/{file['id']}/content").content == part + part


def test_amid_a_transaction(
    sleeper: Adjutant, fall_asleep: Callable[[], Adjutant], connect: Connect, model: Model
) -> None:
    """It holds a thread's row when it falls asleep. PostgreSQL ends its transaction, and others go on."""
    story = connect(sleeper)
    thread = story.thread("Hi")
    # Writes without end, so that it sleeps in the middle of one sooner or later; whether or not it does, the other
    # copy must be able to write at once.
    del model
    with ThreadPoolExecutor() as pool:
        http = openai.OpenAI(base_url=sleeper.base_url, api_key="any", max_retries=0, timeout=60)

        def write() -> int:
            count = 0
            try:
                while True:
                    http.beta.threads.messages.create(thread.id, role="user", content="x")
                    count += 1
            except openai.OpenAIError:
                return count

        writers = [pool.submit(write) for _ in range(8)]
        wait_for(lambda: len(story.messages(thread.id)), lambda seen: seen > 20, "some writes")
        after = connect(fall_asleep())
        after.threads.messages.create(thread.id, role="user", content="there", timeout=40)
        assert text_of(after.threads.messages.list(thread.id).data[0]) == "there"
        sleeper.kill()
        assert sum(writer.result(60) for writer in writers) > 20
