"""Why a passage was found and where it stands, for those who ask. OpenAI showed neither."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.sdk import http_client, httpx
from harness.server import ROOT
from harness.shelf import Shelf

pytestmark = pytest.mark.once
RETURNS = "Customers may return a lamp within 30 days. 환불은 30일 안에 됩니다."
FERRY = "The ferry to Oslo leaves at nine."
EXPLAINED = {"explain": "true"}


def search(http: httpx.Client, store: str, query: Any, **options: Any) -> list[dict[str, Any]]:
    body = {"query": query, **options}
    return http.post(f"/vector_stores/{store}/search", params=EXPLAINED, json=body).json()["data"]


def passages(http: httpx.Client, store: str, file: str) -> list[dict[str, Any]]:
    path = f"/vector_stores/{store}/files/{file}/content"
    answer = http.get(path, params={"passages": "true"})
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_a_result_says_why_it_was_found(http: httpx.Client, shelf: Shelf) -> None:
    store = shelf.store(RETURNS, FERRY)
    first, *rest = search(http, store, "Return lamps, please!")
    assert first["filename"] == "text-0.txt"
    why = first["explanation"]
    assert why["query"] == "Return lamps, please!"
    assert why["matched_words"] == ["Return", "lamps"]
    assert 0 < why["keyword_score"] < 1 and 0 < why["vector_score"] <= 1
    assert all(hit["explanation"]["keyword_score"] == 0 for hit in rest)


def test_words_are_matched_in_any_script(http: httpx.Client, shelf: Shelf) -> None:
    store = shelf.store(RETURNS, FERRY)
    assert search(http, store, "환불 기간은?")[0]["explanation"]["matched_words"] == ["환불"]


def test_of_several_queries_the_best_is_told(http: httpx.Client, shelf: Shelf) -> None:
    store = shelf.store(RETURNS, FERRY)
    found = search(http, store, ["When does the ferry leave?", "return a lamp"])
    told = {hit["filename"]: hit["explanation"]["query"] for hit in found}
    assert told == {"text-0.txt": "return a lamp", "text-1.txt": "When does the ferry leave?"}


def test_meaning_that_did_not_count_is_null(http: httpx.Client, shelf: Shelf) -> None:
    store = shelf.store(RETURNS)
    words_alone = {"hybrid_search": {"embedding_weight": 0, "text_weight": 1}}
    [hit] = search(http, store, "lamp", ranking_options=words_alone)
    assert hit["explanation"]["vector_score"] is None
    assert 0 < hit["explanation"]["keyword_score"] < 1


def test_nothing_is_explained_unless_it_is_asked(http: httpx.Client, shelf: Shelf) -> None:
    store = shelf.store(RETURNS)
    for query in ({}, {"explain": "false"}):
        answer = http.post(
            f"/vector_stores/{store}/search", params=query, json={"query": "lamp"}
        ).json()
        assert [list(hit) for hit in answer["data"]] == [
            ["file_id", "filename", "score", "attributes", "content"]
        ]


def test_the_answer_must_be_yes_or_no(http: httpx.Client, shelf: Shelf) -> None:
    store, file = shelf.store(), shelf.file(FERRY)
    path = f"/vector_stores/{store}"
    for answer, param in (
        (http.post(f"{path}/search", params={"explain": "1"}, json={"query": "a"}), "explain"),
        (http.get(f"{path}/files/{file}/content", params={"passages": "yes"}), "passages"),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, param)
        assert "'true' and 'false'" in error["message"]


def test_passages_are_shown_as_they_are_stored(http: httpx.Client, shelf: Shelf) -> None:
    """Each whole, with what it shares with its neighbours; together they are the file."""
    lines = [f"Line {number} of the timetable: 서울 at {number}." for number in range(400)]
    text = "\n".join(lines)
    store, file = shelf.store(), shelf.file(text)
    chunks = {"max_chunk_size_tokens": 400, "chunk_overlap_tokens": 200}
    shelf.attach(store, file, chunking_strategy={"type": "static", "static": chunks})
    shown = passages(http, store, file)
    assert len(shown) > 3
    assert list(shown[0]) == "type text index page heading start end".split()
    assert [passage["index"] for passage in shown] == list(range(len(shown)))
    for passage in shown:
        assert passage["text"] == text[passage["start"] : passage["end"]]
        assert passage["page"] is None
    assert (shown[0]["start"], shown[-1]["end"]) == (0, len(text))
    for before, after in pairwise(shown):
        assert before["start"] < after["start"] < before["end"] < after["end"]


def test_what_was_found_is_one_of_the_passages(http: httpx.Client, shelf: Shelf) -> None:
    store = shelf.store(*[f"# Part {number}\n\nLamp {number}." for number in range(3)])
    for hit in search(http, store, "lamp 2"):
        found = [content["text"] for content in hit["content"]]
        stored = [passage["text"] for passage in passages(http, store, hit["file_id"])]
        assert set(found) <= set(stored)


def test_pages_and_headings_are_told_where_a_file_has_them(
    http: httpx.Client, shelf: Shelf
) -> None:
    fixtures = ROOT / "crates/documents/tests/fixtures"
    store = shelf.store()
    pdf = shelf.file((fixtures / "policy.pdf").read_bytes(), "policy.pdf")
    markdown = shelf.file("# Returns\n\n## Lamps\n\nWithin 30 days.", "returns.md")
    for file in (pdf, markdown):
        assert shelf.attach(store, file).status == "completed"
    assert passages(http, store, pdf)[0]["page"] == 1
    assert "Returns" in (passages(http, store, markdown)[0]["heading"] or "")


def test_no_project_sees_anothers_passages(servers: Any, db: str, ledger: Ledger) -> None:
    config = "".join(
        f'[[keys]]\nkey = "key-of-{name}-project"\nproject = "{name}"\n' for name in ("one", "two")
    )
    server = servers.new(db, config=config)
    one, two = (
        http_client(server.base_url, ledger, f"key-of-{name}-project") for name in ("one", "two")
    )
    upload = {"file": ("a.txt", b"The ferry leaves.")}
    file = one.post("/files", files=upload, data={"purpose": "assistants"}).json()["id"]
    store = one.post("/vector_stores", json={"file_ids": [file]}).json()["id"]
    path = f"/vector_stores/{store}"
    for answer in (
        two.get(f"{path}/files/{file}/content", params={"passages": "true"}),
        two.post(f"{path}/search", params=EXPLAINED, json={"query": "ferry"}),
    ):
        assert answer.status_code == 404
