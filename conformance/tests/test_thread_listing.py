"""Listing threads, which OpenAI never offered: all of them, or those with certain metadata."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.sdk import http_client, httpx

pytestmark = pytest.mark.once


@pytest.fixture
def label() -> str:
    """Metadata of this test alone, on a server that many share."""
    return uuid.uuid4().hex


def make(http: httpx.Client, **metadata: str) -> str:
    return http.post("/threads", json={"metadata": metadata}).json()["id"]


def found(http: httpx.Client, *, page: dict[str, Any] | None = None, **metadata: str) -> list[str]:
    pairs = {f"metadata[{key}]": value for key, value in metadata.items()}
    answer = http.get("/threads", params={**pairs, **(page or {})})
    assert answer.status_code == 200, answer.text
    return [thread["id"] for thread in answer.json()["data"]]


def test_openai_had_no_list_of_threads(servers: Any, db: str, ledger: Ledger) -> None:
    """So there is none where the setting says so; nor export and import."""
    without = servers.shared(db, ADJUTANT_THREAD_LISTING="false")
    as_openai = http_client(without.base_url, ledger)
    listed = as_openai.get("/threads")
    assert (listed.status_code, listed.json()["error"]["code"]) == (405, "method_not_supported")
    assert as_openai.get("/threads/export").status_code == 400
    assert as_openai.post("/threads/import", json={}).status_code == 400


def test_threads_are_listed_newest_first(http: httpx.Client, label: str) -> None:
    threads = [make(http, label=label) for _ in range(3)]
    assert found(http, page={"limit": 3}) == threads[::-1]
    assert found(http, label=label) == threads[::-1]
    assert found(http, label=label, page={"order": "asc"}) == threads


def test_a_listed_thread_is_the_thread(http: httpx.Client, label: str) -> None:
    thread = make(http, label=label)
    listed = http.get("/threads", params={"metadata[label]": label}).json()["data"]
    assert listed == [http.get(f"/threads/{thread}").json()]


def test_all_pairs_must_match(http: httpx.Client, label: str) -> None:
    both = make(http, label=label, user="ada", place="Oslo")
    ada = make(http, label=label, user="ada")
    make(http, label=label, user="bob", place="Oslo")
    make(http, user=label)
    assert found(http, label=label, user="ada") == [ada, both]
    assert found(http, label=label, user="ada", place="Oslo") == [both]
    assert found(http, label=label, user="ada", place="Rome") == []
    assert found(http, place=label) == []


AWKWARD = [
    {"a": "b=c&d", "ä": "한국 🌍"},
    {"": "empty key"},
    {"empty value": ""},
    {"brackets]": "[x]", "key[inner]": "y"},
    {"quote": "'; drop table threads; --"},
    {"nul": "a\0b"},
    {"k" * 64: "v" * 512},
    {"🌍" * 64: "🌍" * 512},
    {f"key{number}": str(number) for number in range(15)},
]


@pytest.mark.parametrize("metadata", AWKWARD)
def test_any_metadata_can_be_asked_for(
    http: httpx.Client, label: str, metadata: dict[str, str]
) -> None:
    thread = make(http, label=label, **metadata)
    assert found(http, label=label, **metadata) == [thread]
    assert found(http, label=label, **{next(iter(metadata)): "another"}) == []


def test_where_key_and_value_meet_counts(http: httpx.Client, label: str) -> None:
    thread = make(http, **{label: "ab"})
    assert found(http, **{label: "ab"}) == [thread]
    assert found(http, **{f"{label}a": "b"}) == []


def test_pages_of_found_threads(http: httpx.Client, label: str) -> None:
    wanted = []
    for _ in range(5):
        wanted.append(make(http, label=label, colour="red"))
        make(http, label=label, colour="blue")
    pairs = {"metadata[label]": label, "metadata[colour]": "red", "order": "asc", "limit": 2}
    seen, after = [], {}
    while True:
        page = http.get("/threads", params={**pairs, **after}).json()
        seen += [thread["id"] for thread in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert seen == wanted
    before = {"before": wanted[3], "order": "asc", "limit": 2}
    assert found(http, label=label, colour="red", page=before) == wanted[1:3]


def test_a_thread_that_is_not_found_any_more_still_leads_on(http: httpx.Client, label: str) -> None:
    """Its metadata changed between two pages."""
    first, second = make(http, label=label), make(http, label=label)
    http.post(f"/threads/{first}", json={"metadata": {}})
    assert found(http, label=label, page={"order": "asc", "after": first}) == [second]
    answer = http.get("/threads", params={"after": "thread_missing"})
    assert answer.status_code == 404


def test_changed_metadata_is_found_at_once(http: httpx.Client, label: str) -> None:
    thread = make(http, label=label, state="open")
    http.post(f"/threads/{thread}", json={"metadata": {"label": label, "state": "closed"}})
    assert found(http, label=label, state="open") == []
    assert found(http, label=label, state="closed") == [thread]
    http.post(f"/threads/{thread}", json={"tool_resources": {}})
    assert found(http, label=label, state="closed") == [thread]
    http.post(f"/threads/{thread}", json={"metadata": None})
    assert found(http, label=label) == []


def test_a_deleted_thread_is_not_listed(http: httpx.Client, label: str) -> None:
    thread, other = make(http, label=label), make(http, label=label)
    http.delete(f"/threads/{thread}")
    assert found(http, label=label) == [other]


REFUSED = [
    ({"limit": "0"}, "limit", "integer_below_min_value"),
    ({"limit": "101"}, "limit", "integer_above_max_value"),
    ({"order": "up"}, "order", "invalid_value"),
    ({"metadata": "x"}, "metadata", "invalid_type"),
    ({"metadata[k]": "v" * 513}, "metadata.k", "string_above_max_length"),
    ({f"metadata[{n}]": "v" for n in range(17)}, "metadata", "object_above_max_properties"),
    ({"after": "msg_1"}, "thread_id", "invalid_value"),
]


@pytest.mark.parametrize(("query", "param", "code"), REFUSED)
def test_wrong_queries_are_refused(
    http: httpx.Client, query: dict[str, str], param: str, code: str
) -> None:
    answer = http.get("/threads", params=query)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)


def test_azures_door_leads_there_too(http: httpx.Client, label: str) -> None:
    thread = make(http, label=label)
    root = str(http.base_url).split("/v1")[0]
    for prefix in ("/openai", "/openai/v1"):
        answer = http.get(f"{root}{prefix}/threads", params={"metadata[label]": label})
        assert [listed["id"] for listed in answer.json()["data"]] == [thread]


def test_no_project_sees_anothers_threads(
    projects: tuple[httpx.Client, httpx.Client], label: str
) -> None:
    one, two = projects
    thread = make(one, label=label)
    assert found(one, label=label) == [thread]
    assert found(two, label=label) == found(two) == []
    assert two.get("/threads", params={"after": thread}).status_code == 404
