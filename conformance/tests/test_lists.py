"""Paging: the order, the limits and the two cursors of every list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.scripted import Answer
from harness.sdk import httpx
from harness.shelf import Shelf
from harness.story import Story, function_tool


@pytest.fixture
def path(story: Story) -> str:
    """The messages m1, m2, m3 of a thread, made in one second or even in one request."""
    return f"/threads/{story.thread('m1', 'm2', 'm3').id}/messages"


def page(http: httpx.Client, path: str, **query: Any) -> dict[str, Any]:
    return http.get(path, params=query).json()


def texts(page: dict[str, Any]) -> list[str]:
    return [message["content"][0]["text"]["value"] for message in page["data"]]


def ids(http: httpx.Client, path: str) -> dict[str, str]:
    listed = page(http, path)
    return dict(zip(texts(listed), (message["id"] for message in listed["data"]), strict=True))


def test_an_empty_list_has_null_ids(http: httpx.Client, story: Story) -> None:
    listed = page(http, f"/threads/{story.thread().id}/messages")
    expected = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert listed == expected


def test_lists_are_newest_first_unless_asked_otherwise(http: httpx.Client, path: str) -> None:
    """Ties of `created_at` are told apart by the order of making."""
    assert texts(page(http, path)) == ["m3", "m2", "m1"]
    assert texts(page(http, path, order="desc")) == ["m3", "m2", "m1"]
    assert texts(page(http, path, order="asc")) == ["m1", "m2", "m3"]


def test_a_list_names_its_first_and_last(http: httpx.Client, path: str) -> None:
    listed = page(http, path, limit=2)
    assert [listed["first_id"], listed["last_id"]] == [m["id"] for m in listed["data"]]
    assert listed["has_more"] is True
    assert page(http, path, limit=3)["has_more"] is False


CURSORS = [
    ({"after": "m3"}, ["m2", "m1"], False),
    ({"after": "m2"}, ["m1"], False),
    ({"after": "m1"}, [], False),
    ({"after": "m3", "limit": 1}, ["m2"], True),
    ({"after": "m1", "order": "asc"}, ["m2", "m3"], False),
    ({"before": "m1"}, ["m3", "m2"], False),
    ({"before": "m2", "limit": 1}, ["m3"], False),
    ({"before": "m1", "limit": 1}, ["m2"], True),
    ({"before": "m3"}, [], False),
    ({"before": "m3", "order": "asc"}, ["m1", "m2"], False),
    ({"after": "m3", "before": "m1"}, ["m2"], False),
]


@pytest.mark.parametrize(("query", "expected", "more"), CURSORS)
def test_cursors(
    http: httpx.Client, path: str, query: dict[str, Any], expected: list[str], more: bool
) -> None:
    """`after` follows in list order; `before` precedes, in list order, nearest the cursor."""
    known = ids(http, path)
    listed = page(http, path, **{k: known.get(str(v), v) for k, v in query.items()})
    assert (texts(listed), listed["has_more"]) == (expected, more)


def test_the_sdk_pages_through_everything_once(story: Story) -> None:
    wanted = [f"m{number}" for number in range(45)]
    thread = story.thread(*wanted)
    for limit in (1, 7, 20, 100):
        pages = story.threads.messages.list(thread.id, limit=limit, order="asc")
        assert [m.content[0].text.value for m in pages] == wanted


def test_the_default_page_has_twenty(http: httpx.Client, story: Story) -> None:
    path = f"/threads/{story.thread(*map(str, range(21))).id}/messages"
    listed = page(http, path)
    assert (len(listed["data"]), listed["has_more"]) == (20, True)


def test_paging_goes_on_past_a_deleted_cursor_or_says_why_not(
    http: httpx.Client, path: str
) -> None:
    """A message deleted between two pages must not end in a server error."""
    known = ids(http, path)
    http.delete(f"{path}/{known['m2']}")
    answer = http.get(path, params={"after": known["m2"]})
    assert answer.status_code in {200, 400, 404}
    if answer.status_code == 200:
        assert texts(answer.json()) == ["m1"]


def test_assistants_and_runs_and_steps_page_alike(story: Story, http: httpx.Client) -> None:
    assistant = story.assistant(name="first")
    later = story.assistant(name="second")
    listed = page(http, "/assistants", limit=2)
    assert [item["id"] for item in listed["data"]] == [later.id, assistant.id]
    assert page(http, "/assistants", before=assistant.id)["data"][-1]["id"] == later.id

    story.model.says("One.").then_says("Two.")
    thread = story.thread("Hi")
    runs = [story.wait(story.run(thread, assistant)) for _ in range(2)]
    path = f"/threads/{thread.id}/runs"
    assert [r["id"] for r in page(http, path)["data"]] == [runs[1].id, runs[0].id]
    assert [r["id"] for r in page(http, path, after=runs[1].id)["data"]] == [runs[0].id]
    steps = page(http, f"{path}/{runs[0].id}/steps", limit=1)
    assert (len(steps["data"]), steps["has_more"]) == (1, False)


# -- every list ------------------------------------------------------------------------
Listed = tuple[str, list[str]]


def assistants(story: Story) -> Listed:
    return "/assistants", [story.assistant().id for _ in range(25)]


def messages(story: Story) -> Listed:
    thread = story.thread(*map(str, range(25)))
    listed = story.threads.messages.list(thread.id, order="asc", limit=100)
    return f"/threads/{thread.id}/messages", [message.id for message in listed]


def runs(story: Story) -> Listed:
    story.model.always(Answer(("Ok.",)))
    thread, assistant = story.thread("Hi"), story.assistant()
    made = [story.wait(story.run(thread, assistant)).id for _ in range(25)]
    return f"/threads/{thread.id}/runs", made


def steps(story: Story) -> Listed:
    """A run whose model calls again and again."""
    for _ in range(24):
        story.model.calls("weather", {"city": "Oslo"})
    story.model.says("Cold.")
    run = story.ask("Hi", assistant=story.assistant(tools=[function_tool("weather")]))
    made = [story.steps(run)[0].id]
    while run.status == "requires_action":
        story.submit(run, "-5")
        run = story.wait(run)
        newest = story.runs.steps.list(run_id=run.id, thread_id=run.thread_id, limit=1)
        made.append(newest.data[0].id)
    return f"/threads/{run.thread_id}/runs/{run.id}/steps", made


def stores(story: Story) -> Listed:
    return "/vector_stores", [Shelf(story.client).stores.create().id for _ in range(25)]


def attached(story: Story) -> tuple[Shelf, str, list[str], str]:
    shelf = Shelf(story.client)
    store, files = shelf.stores.create().id, [shelf.file(f"number {n}") for n in range(25)]
    batch = shelf.stores.file_batches.create(store, file_ids=files)
    shelf.stores.file_batches.poll(batch.id, vector_store_id=store, poll_interval_ms=50)
    return shelf, store, files, batch.id


def store_files(story: Story) -> Listed:
    _, store, files, _ = attached(story)
    return f"/vector_stores/{store}/files", files


def batch_files(story: Story) -> Listed:
    _, store, files, batch = attached(story)
    return f"/vector_stores/{store}/file_batches/{batch}/files", files


LISTS: list[Callable[[Story], Listed]] = [
    assistants,
    messages,
    runs,
    steps,
    stores,
    store_files,
    batch_files,
]


@pytest.mark.once
@pytest.mark.parametrize("make", LISTS, ids=[make.__name__ for make in LISTS])
def test_every_list_follows_the_same_rules(
    http: httpx.Client, story: Story, make: Callable[[Story], Listed]
) -> None:
    """Twenty-five objects, made in this order, most of them within one second."""
    path, made = make(story)
    newest = made[::-1]

    def asked(**query: Any) -> tuple[list[str], bool]:
        listed = page(http, path, **query)
        return [item["id"] for item in listed["data"]], listed["has_more"]

    assert asked()[0] == newest[:20]
    assert asked(order="desc", limit=3) == (newest[:3], True)
    assert asked(after=newest[2], limit=3) == (newest[3:6], True)
    assert asked(before=newest[6], limit=3) == (newest[3:6], True)
    assert asked(before=newest[3]) == (newest[:3], False)
    assert asked(before=newest[0]) == ([], False)
    assert asked(after=newest[3], before=newest[7]) == (newest[4:7], False)
    assert asked(after=newest[3], before=newest[9], limit=2) == (newest[4:6], True)
    for limit in (0, 101):
        error = http.get(path, params={"limit": limit}).json()["error"]
        assert error["param"] == "limit"
    if path not in {"/assistants", "/vector_stores"}:  # Other tests have some of their own there.
        assert asked(limit=100) == (newest, False)
        assert asked(order="asc", limit=100) == (made, False)
        assert asked(order="asc", after=made[21]) == (made[22:], False)
        assert asked(order="asc", before=made[6], limit=3) == (made[3:6], True)
        assert asked(after=newest[-1]) == ([], False)
    for cursor in ("after", "before"):
        answer = http.get(path, params={cursor: made[0][:-4] + "0000"})
        assert answer.status_code == 404


@pytest.mark.once
def test_files_of_a_store_by_their_state(http: httpx.Client, story: Story) -> None:
    """`filter` of a store's files and of a batch's; no other word is known."""
    shelf = Shelf(story.client)
    store = shelf.stores.create().id
    good, bad = shelf.file("good words"), shelf.file(b"\x89PNG\r\n\x1a\n" + bytes(64), "a.png")
    batch = shelf.stores.file_batches.create(store, file_ids=[good, bad])
    shelf.stores.file_batches.poll(batch.id, vector_store_id=store, poll_interval_ms=50)
    of_store = f"/vector_stores/{store}"
    for path in (f"{of_store}/files", f"{of_store}/file_batches/{batch.id}/files"):
        for word, expected in (
            ("completed", [good]),
            ("failed", [bad]),
            ("in_progress", []),
            ("cancelled", []),
        ):
            listed = page(http, path, filter=word)["data"]
            assert [file["id"] for file in listed] == expected, word
            assert {file["status"] for file in listed} <= {word}
        error = http.get(path, params={"filter": "done"}).json()["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "filter")


@pytest.mark.once
def test_files_have_no_before(http: httpx.Client, story: Story) -> None:
    """As OpenAI's list of files; what no endpoint knows is not read."""
    Shelf(story.client).file("words")
    newest = page(http, "/files", limit=1)
    assert page(http, "/files", limit=1, before=newest["first_id"]) == newest
