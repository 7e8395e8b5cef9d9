"""Three copies over one PostgreSQL and one bucket: any of them answers any request, and hears what the others do.
Their leases are so long that a worker here would learn of nothing in time if it were not told."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from harness import postgres
from harness.ledger import Ledger
from harness.scripted import Answer, Model
from harness.sdk import http_client, httpx, openai_client
from harness.server import Adjutant
from harness.shelf import Shelf
from harness.story import Story, function_tool

pytestmark = pytest.mark.once
Connect = Callable[[Adjutant], Story]
QUEUE = {"Adjutant-Busy-Thread": "queue"}


@pytest.fixture
def copies(request: pytest.FixtureRequest, servers: Any) -> list[Adjutant]:
    if request.config.getoption("--db") == "sqlite":
        pytest.skip("copies share a PostgreSQL")
    return servers.copies(3, ADJUTANT_RUNS_LEASE_SECONDS="300")


@pytest.fixture
def stories(copies: list[Adjutant], connect: Connect) -> list[Story]:
    return [connect(copy) for copy in copies]


@pytest.fixture
def clients(copies: list[Adjutant], ledger: Ledger) -> list[httpx.Client]:
    return [http_client(copy.base_url, ledger) for copy in copies]


def words(answer: httpx.Response) -> Iterator[str]:
    """The text of each delta of a stream."""
    event = ""
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        event = value if name == "event" else event
        if name == "data" and event == "thread.message.delta":
            yield from _text_of_delta(value)


def _text_of_delta(data: str) -> Iterator[str]:
    for part in json.loads(data)["delta"]["content"]:
        yield part["text"]["value"]


def path_of(run: Any) -> str:
    return f"/threads/{run.thread_id}/runs/{run.id}"


def test_words_flow_from_one_copy_through_another(
    stories: list[Story], clients: list[httpx.Client], model: Model
) -> None:
    """Each word is said only after the one before was heard, so nothing waits for the end."""
    gates = [model.gate() for _ in range(4)]
    model.says("One ", gates[0], "two ", gates[1], "three ", gates[2], "four ", gates[3], "five.")
    run = stories[0].run(stories[0].thread("Count"), stories[0].assistant())
    with clients[1].stream("GET", f"{path_of(run)}/stream") as answer:
        text = ""
        for word in words(answer):
            text += word
            for gate in gates[: text.count(" ")]:
                gate.open()
    assert text == "One two three four five."
    assert stories[2].messages(run.thread_id)[-1] == ("assistant", "One two three four five.")


def test_a_run_is_cancelled_at_another_copy(stories: list[Story], model: Model) -> None:
    here, there, elsewhere = stories
    model.hold()
    model.says("Never.")
    run = here.run(here.thread("Hi"), here.assistant())
    model.wait_for_requests(1)
    assert there.cancel(run).status == "cancelling"
    assert elsewhere.wait(run).status == "cancelled"
    assert model.requests[0].gone.wait(5), "the model was not told"


def test_outputs_are_submitted_to_another_copy(stories: list[Story], model: Model) -> None:
    here, there, elsewhere = stories
    model.calls("look", {"at": "sky"}).then_says("Blue.")
    assistant = here.assistant(tools=[function_tool("look")])
    run = here.wait(here.run(here.thread("Colour?"), assistant), "requires_action")
    there.submit(there.look(run), "blue")
    assert elsewhere.wait(run).status == "completed"
    assert here.messages(run.thread_id)[-1] == ("assistant", "Blue.")


def test_an_upload_whose_parts_came_to_three_copies(clients: list[httpx.Client]) -> None:
    contents = [bytes([number]) * 300_000 for number in range(3)]
    new = {"filename": "a.bin", "purpose": "vision", "mime_type": "image/png", "bytes": 900_000}
    upload = clients[0].post("/uploads", json=new).json()["id"]
    parts = [
        client.post(f"/uploads/{upload}/parts", files={"data": ("part", content)}).json()["id"]
        for client, content in zip(clients, contents, strict=True)
    ]
    done = clients[1].post(f"/uploads/{upload}/complete", json={"part_ids": parts})
    assert done.status_code == 200, done.text
    file = done.json()["file"]["id"]
    for client in clients:
        assert client.get(f"/files/{file}/content").content == b"".join(contents)


def test_an_upload_is_completed_once_by_three_copies_at_once(clients: list[httpx.Client]) -> None:
    new = {"filename": "a.bin", "purpose": "vision", "mime_type": "image/png", "bytes": 5}
    upload = clients[0].post("/uploads", json=new).json()["id"]
    part = clients[2].post(f"/uploads/{upload}/parts", files={"data": ("part", b"bytes")}).json()
    with ThreadPoolExecutor() as pool:
        path, body = f"/uploads/{upload}/complete", {"part_ids": [part["id"]]}
        answers = list(pool.map(lambda client: client.post(path, json=body), clients))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]


def test_what_one_copy_ingested_another_finds(stories: list[Story]) -> None:
    """And once more after it was changed: each has what it read in memory."""
    shelves = [Shelf(story.client) for story in stories]
    store = shelves[0].store("Apples are red.")
    for shelf in shelves:
        assert shelf.found(store, "apples") == ["text-0.txt"]
    file = shelves[1].file("Pears are green.", "pears.txt")
    shelves[1].attach(store, file)
    for shelf in shelves:
        assert shelf.found(store, "pears")[0] == "pears.txt"
    shelves[2].stores.files.delete(file, vector_store_id=store)
    for shelf in shelves:
        assert "pears.txt" not in shelf.found(store, "pears")


def test_a_thread_is_deleted_at_another_copy_while_a_run_is_at_work(
    stories: list[Story], clients: list[httpx.Client], model: Model
) -> None:
    """The client that streams hears that its run was cancelled."""
    here, there, _ = stories
    model.says("Half a ", model.gate(), "sentence")
    thread, assistant = here.thread("Hi"), here.assistant()
    told = []
    stream = here.runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True)
    for event in stream:
        told.append(event.event)
        if event.event == "thread.message.delta":
            there.threads.delete(thread.id)
    assert told[-2:] == ["thread.run.cancelling", "thread.run.cancelled"] or (
        told[-1] == "thread.run.cancelled"
    )
    assert model.requests[0].gone.wait(5), "the model was not told"
    for client in clients:
        assert client.get(f"/threads/{thread.id}").status_code == 404


def test_a_request_is_sent_again_to_another_copy(
    stories: list[Story], clients: list[httpx.Client], model: Model
) -> None:
    """With its key, as SDKs do behind a balancer: it is carried out once, even by all at once."""
    model.always(Answer(("Hello.",)))
    thread, assistant = stories[0].thread("Hi"), stories[0].assistant()

    def create(client: httpx.Client) -> httpx.Response:
        body = {"assistant_id": assistant.id}
        return client.post(f"/threads/{thread.id}/runs", json=body, headers=headers)

    headers = {"Idempotency-Key": uuid.uuid4().hex}
    with ThreadPoolExecutor() as pool:
        answers = [*pool.map(create, clients), create(clients[1])]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json()["id"] for answer in answers}) == 1
    stories[2].wait(stories[1].runs.list(thread.id).data[0], "completed")
    assert stories[2].messages(thread.id) == [("user", "Hi"), ("assistant", "Hello.")]


def test_a_message_waits_at_another_copy_for_its_turn(stories: list[Story], model: Model) -> None:
    here, there, elsewhere = stories
    gate = model.hold()
    model.says("First.")
    thread = here.thread("one")
    run = here.run(thread, here.assistant())
    model.wait_for_requests(1)
    with ThreadPoolExecutor() as pool:
        message: Future[Any] = pool.submit(
            there.threads.messages.create,
            thread.id,
            role="user",
            content="two",
            extra_headers=QUEUE,
        )
        assert elsewhere.messages(thread.id) == [("user", "one")] and not message.done()
        gate.open()
        elsewhere.wait(run, "completed")
        message.result(20)
    assert [text for _, text in here.messages(thread.id)] == ["one", "First.", "two"]


def test_copies_may_start_at_once_on_an_empty_database(servers: Any, copies: Any) -> None:
    """Four of them, of which each would make the tables."""
    del copies
    database = servers.new_database()
    with ThreadPoolExecutor() as pool:
        started = list(pool.map(lambda _: servers.over(database), range(4)))
        # Still here: a server ends with the thread that started it.
        for server in started:
            assert server.is_running
            server.stop()
    applied = postgres.ask(database, "select count(*) = max(version) from _sqlx_migrations")
    assert applied == ["t"]


def test_an_older_version_starts_beside_a_newer_one(servers: Any, copies: Any) -> None:
    """Unless a migration says that it must not."""
    del copies
    database = servers.new_database()
    servers.over(database).stop()
    newer = (
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) "
        "values (9000, 'from the future', true, '', 0)"
    )
    postgres.execute(database, newer)
    servers.over(database).stop()
    postgres.execute(database, "update compatibility set oldest = 9000")
    with pytest.raises(AssertionError, match="Start the newer version"):
        servers.over(database)


@pytest.mark.parametrize("how", ["connections are ended", "PostgreSQL starts again"])
def test_the_database_goes_away_and_comes_back(
    servers: Any, request: Any, connect: Connect, model: Model, how: str
) -> None:
    """Runs go on, streams too, and clients see nothing that the SDK does not try again."""
    if request.config.getoption("--db") == "sqlite":
        pytest.skip("SQLite does not go away")
    database = postgres.Postgres() if how == "PostgreSQL starts again" else None
    try:
        place = (
            postgres.create_database(database.url, "away") if database else servers.new_database()
        )
        server = servers.over(place)
        gates = [model.gate() for _ in range(6)]
        for number, gate in enumerate(gates):
            model.says(f"Number {number} ", gate, "is done.")
        story = connect(server)
        refused = Ledger(expected_statuses={503})
        tried_again = openai_client(server.base_url, refused, max_retries=2)
        assistant = story.assistant()
        polled = [story.run(story.thread("Hi"), assistant) for _ in range(3)]
        heard: list[str] = []
        streams = []
        for _ in range(3):
            thread = story.thread("Hi")
            streamed = threading.Thread(target=listen, args=(story, thread, assistant, heard))
            streamed.start()
            streams.append((thread, streamed))
        model.wait_for_requests(6)
        if database:
            database.restart()
        else:
            statement = (
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
            postgres.ask(server.database_url, statement)
        for gate in gates:
            gate.open()
        for _ in range(10):
            tried_again.beta.threads.create()
        assert not refused.problems
        for run in polled:
            assert story.wait(run).status == "completed"
        for thread, streamed in streams:
            streamed.join(20)
            assert not streamed.is_alive()
            (run,) = story.runs.list(thread.id).data
            assert story.wait(run).status == "completed"
        for thread_id in [run.thread_id for run in polled] + [thread.id for thread, _ in streams]:
            (_, (role, text)) = story.messages(thread_id)
            assert role == "assistant" and text.endswith("is done.")
        assert heard == ["thread.run.completed"] * 3
        server.stop()
    finally:
        if database:
            database.stop()


def listen(story: Story, thread: Any, assistant: Any, heard: list[str]) -> None:
    stream = story.runs.create(thread_id=thread.id, assistant_id=assistant.id, stream=True)
    heard.append([event.event for event in stream][-1])
