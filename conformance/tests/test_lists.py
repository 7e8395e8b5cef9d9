"""Paging: the order, the limits and the two cursors of every list."""

from __future__ import annotations

from typing import Any

import pytest

from harness.sdk import httpx
from harness.story import Story


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
