"""Vector stores and the files in them (contract §§2, 4 and 8)."""

from __future__ import annotations

import json
import random
import re
import time
from typing import Any

import openai
import pytest

from harness import recorded
from harness.ledger import Ledger
from harness.sdk import httpx, openai_client
from harness.searching import results, searcher, searches
from harness.shelf import Shelf
from harness.story import Story, wait_for

DAY = 86_400


def refusal(caught: pytest.ExceptionInfo[openai.APIStatusError]) -> tuple[int, str]:
    return caught.value.status_code, caught.value.body["message"]  # type: ignore[index]


# -- stores ----------------------------------------------------------------------------


def test_an_empty_store_is_as_recorded(http: httpx.Client) -> None:
    store = http.post("/vector_stores", json={}).json()
    counts = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}
    created = store["created_at"]
    assert store == {
        "id": store["id"],
        "object": "vector_store",
        "created_at": created,
        "name": None,
        "description": None,
        "usage_bytes": 0,
        "file_counts": counts,
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": created,
        "metadata": {},
    }
    assert store["id"].startswith("vs_") and len(store["id"]) == len("vs_") + 32
    assert http.get(f"/vector_stores/{store['id']}").json() == store


def test_a_store_is_modified_and_deleted(shelf: Shelf) -> None:
    store = shelf.stores.create(
        name="처음", metadata={"a": "1"}, expires_after={"anchor": "last_active_at", "days": 3}
    )
    assert store.expires_at == store.last_active_at + 3 * DAY
    changed = shelf.stores.update(store.id, name="둘", metadata={"b": "2"})
    assert (changed.name, changed.metadata) == ("둘", {"b": "2"})
    assert changed.expires_after is not None and changed.expires_after.days == 3
    unlimited = shelf.stores.update(store.id, expires_after=None)
    assert unlimited.expires_at is None
    gone = shelf.stores.delete(store.id)
    assert (gone.object, gone.deleted) == ("vector_store.deleted", True)
    with pytest.raises(openai.NotFoundError) as caught:
        shelf.stores.retrieve(store.id)
    assert refusal(caught) == (404, f"No vector store found with id '{store.id}'.")


def test_stores_are_listed_newest_first(shelf: Shelf) -> None:
    stores = [shelf.stores.create(name=str(number)).id for number in range(3)]
    listed = shelf.stores.list(limit=3)
    assert [store.id for store in listed.data] == stores[::-1]
    after = shelf.stores.list(limit=1, after=stores[2])
    assert [store.id for store in after.data] == [stores[1]]


@pytest.mark.once
def test_a_store_is_made_with_files_and_sizes(http: httpx.Client, shelf: Shelf) -> None:
    """`file_ids`, `chunking_strategy` and `description` of the request that makes it."""
    files = [shelf.file(f"number {n}", f"{n}.txt") for n in range(3)]
    sizes = {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 100}
    body = {
        "description": "설명",
        "file_ids": files,
        "chunking_strategy": {"type": "static", "static": sizes},
    }
    store = http.post("/vector_stores", json=body).json()
    counts = store["file_counts"]
    assert (store["description"], counts["total"]) == ("설명", 3)
    assert store["status"] == ("in_progress" if counts["in_progress"] else "completed")
    for file in files:
        done = shelf.stores.files.poll(file, vector_store_id=store["id"], poll_interval_ms=50)
        assert done.status == "completed"
        assert done.chunking_strategy.static.model_dump() == sizes
    assert http.get(f"/vector_stores/{store['id']}").json()["status"] == "completed"


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "days": ({"expires_after": {"anchor": "last_active_at", "days": 366}}, "expires_after.days",
             "integer_above_max_value"),
    "no days": ({"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days",
                "integer_below_min_value"),
    "anchor": ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor",
               "invalid_value"),
    "files": ({"file_ids": ["file-1"] * 501}, "file_ids", "array_above_max_length"),
    "chunk too small": (
        {"chunking_strategy": {"type": "static", "static": {
            "max_chunk_size_tokens": 99, "chunk_overlap_tokens": 1}}},
        "chunking_strategy.static.max_chunk_size_tokens", "integer_below_min_value"),
    "chunk too large": (
        {"chunking_strategy": {"type": "static", "static": {
            "max_chunk_size_tokens": 4097, "chunk_overlap_tokens": 1}}},
        "chunking_strategy.static.max_chunk_size_tokens", "integer_above_max_value"),
    "overlap": (
        {"chunking_strategy": {"type": "static", "static": {
            "max_chunk_size_tokens": 100, "chunk_overlap_tokens": 51}}},
        "chunking_strategy.static.chunk_overlap_tokens", "invalid_value"),
    "unknown": ({"colour": "red"}, "colour", "unknown_parameter"),
    "name": ({"name": "n" * 257}, "name", "string_above_max_length"),
}


@pytest.mark.once
@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_store_is_refused(http: httpx.Client, case: str) -> None:
    body, param, code = REFUSED[case]
    answer = http.post("/vector_stores", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code), error


# -- files of a store ------------------------------------------------------------------


def test_a_file_becomes_searchable(shelf: Shelf) -> None:
    store = shelf.stores.create(name="s")
    file = shelf.file("Turtles eat dandelions on Tuesdays.", "turtles.txt")
    attached = shelf.attach(store.id, file)
    assert (attached.id, attached.status, attached.last_error) == (file, "completed", None)
    assert attached.usage_bytes > 0
    sizes = attached.chunking_strategy.static
    assert (sizes.max_chunk_size_tokens, sizes.chunk_overlap_tokens) == (800, 400)
    whole = shelf.stores.retrieve(store.id)
    assert (whole.status, whole.file_counts.completed, whole.file_counts.total) == (
        "completed", 1, 1)
    assert whole.usage_bytes == attached.usage_bytes
    [result] = shelf.search(store.id, "dandelions")
    assert result["file_id"] == file and result["filename"] == "turtles.txt"
    assert result["content"] == [{"type": "text", "text": "Turtles eat dandelions on Tuesdays."}]
    assert 0 < result["score"] <= 1


def test_the_text_of_a_file_is_shown_as_it_was_read(shelf: Shelf, http: httpx.Client) -> None:
    text = "\n\n".join(f"문단 {number}: 가나다 abc {'말 ' * 300}끝." for number in range(12))
    store = shelf.stores.create().id
    file = shelf.file(text)
    shelf.attach(store, file)
    page = http.get(f"/vector_stores/{store}/files/{file}/content").json()
    assert (page["object"], page["has_more"], page["next_page"]) == (
        "vector_store.file_content.page", False, None)
    shown = "".join(part["text"] for part in page["data"])
    assert "".join(shown.split()) == "".join(text.split())


def test_a_file_that_cannot_be_read_fails_alone(shelf: Shelf) -> None:
    store = shelf.stores.create().id
    good = shelf.attach(store, shelf.file("good words"))
    picture = shelf.attach(store, shelf.file(b"\x89PNG\r\n\x1a\n" + bytes(64), "a.png"))
    broken = shelf.attach(store, shelf.file(b"%PDF-1.7\nnot really", "a.pdf"))
    assert good.status == "completed"
    assert picture.status == "failed" and picture.last_error.code == "unsupported_file"
    assert picture.last_error.message == "The file type is not supported."
    assert broken.status == "failed" and broken.last_error.code == "invalid_file"
    counts = shelf.stores.retrieve(store).file_counts
    assert (counts.completed, counts.failed, counts.total) == (1, 2, 3)
    failed = shelf.stores.files.list(store, filter="failed")
    assert {file.id for file in failed.data} == {picture.id, broken.id}


def test_an_unknown_file_is_refused(shelf: Shelf) -> None:
    store = shelf.stores.create().id
    for create in (
        lambda: shelf.stores.files.create(store, file_id="file-unknown"),
        lambda: shelf.stores.file_batches.create(store, file_ids=["file-unknown"]),
        lambda: shelf.stores.create(file_ids=["file-unknown"]),
    ):
        with pytest.raises(openai.NotFoundError) as caught:
            create()
        assert refusal(caught) == (404, "Files [file-unknown] were not found")
    assert shelf.stores.retrieve(store).file_counts.total == 0


def test_a_file_is_attached_once_however_often_it_is_asked(shelf: Shelf) -> None:
    store = shelf.stores.create().id
    file = shelf.file("once only")
    first = shelf.attach(store, file)
    again = shelf.stores.files.create(store, file_id=file)
    assert (again.id, again.status) == (file, "completed")
    assert again.created_at == first.created_at
    assert shelf.stores.retrieve(store).file_counts.total == 1
    assert len(shelf.search(store, "once")) == 1


def test_a_detached_file_is_found_no_more(shelf: Shelf) -> None:
    store = shelf.stores.create().id
    file = shelf.file("the word is xylophone")
    shelf.attach(store, file)
    assert shelf.search(store, "xylophone")
    gone = shelf.stores.files.delete(file, vector_store_id=store)
    assert (gone.object, gone.deleted) == ("vector_store.file.deleted", True)
    assert shelf.search(store, "xylophone") == []
    assert shelf.client.files.retrieve(file).id == file
    with pytest.raises(openai.NotFoundError) as caught:
        shelf.stores.files.retrieve(file, vector_store_id=store)
    assert refusal(caught) == (404, f"No file found with id '{file}' in vector store '{store}'.")


@pytest.mark.once
@pytest.mark.parametrize("file", ["file-unknown", "fake_id", "한국", "a%00b"])
def test_whatever_is_not_in_a_store_is_told_alike(http: httpx.Client, file: str) -> None:
    """Named in a path or as the cursor of a list, and whether or not it could be a file's id."""
    store = http.post("/vector_stores", json={}).json()["id"]
    path = f"/vector_stores/{store}/files"
    for method, asked in [
        ("GET", f"{path}/{file}"),
        ("POST", f"{path}/{file}"),
        ("DELETE", f"{path}/{file}"),
        ("GET", f"{path}/{file}/content"),
        ("GET", f"{path}?after={file}"),
        ("GET", f"{path}?before={file}"),
    ]:
        options = {"json": {"attributes": {}}} if method == "POST" else {}
        answer = http.request(method, asked, **options)
        shown = file.replace("%00", "\0")
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            404,
            f"No file found with id '{shown}' in vector store '{store}'.",
        )


def test_a_deleted_file_leaves_every_store(shelf: Shelf) -> None:
    file = shelf.file("the word is glockenspiel")
    stores = [shelf.stores.create().id for _ in range(2)]
    for store in stores:
        shelf.attach(store, file)
    shelf.client.files.delete(file)
    for store in stores:
        assert shelf.search(store, "glockenspiel") == []
        assert shelf.stores.retrieve(store).file_counts.total == 0


def test_attributes_filter_a_search(shelf: Shelf, http: httpx.Client) -> None:
    store = shelf.stores.create().id
    for year, team in ((2023, "연구"), (2024, "연구"), (2025, "영업")):
        file = shelf.file(f"보고서 report {year}", f"{year}.txt")
        shelf.attach(store, file, attributes={"year": year, "team": team, "draft": year == 2025})

    def found(**filters: Any) -> set[str]:
        return set(shelf.found(store, "report", filters=filters))

    assert found(type="eq", key="team", value="연구") == {"2023.txt", "2024.txt"}
    assert found(type="gte", key="year", value=2024) == {"2024.txt", "2025.txt"}
    assert found(type="eq", key="draft", value=True) == {"2025.txt"}
    assert found(type="in", key="year", value=[2023, 2025]) == {"2023.txt", "2025.txt"}
    both = [{"type": "eq", "key": "team", "value": "연구"},
            {"type": "ne", "key": "year", "value": 2023}]
    assert found(type="and", filters=both) == {"2024.txt"}
    assert found(type="eq", key="team", value="nobody") == set()
    [first] = [r for r in shelf.search(store, "report") if r["filename"] == "2023.txt"]
    assert first["attributes"] == {"year": 2023, "team": "연구", "draft": False}
    url = f"/vector_stores/{store}/files/{first['file_id']}"
    changed = http.post(url, json={"attributes": {"team": "영업"}}).json()
    assert changed["attributes"] == {"team": "영업"}
    assert found(type="eq", key="team", value="영업") == {"2023.txt", "2025.txt"}
    assert http.post(url, json={}).json()["error"]["code"] == "missing_required_parameter"


# -- batches ---------------------------------------------------------------------------


def test_a_batch_attaches_many_files(shelf: Shelf) -> None:
    store = shelf.stores.create().id
    files = [shelf.file(f"number {number}", f"{number}.txt") for number in range(7)]
    batch = shelf.stores.file_batches.create_and_poll(store, file_ids=files, poll_interval_ms=50)
    assert batch.object == "vector_store.file_batch"
    assert batch.id.startswith("vsfb_") and len(batch.id) == len("vsfb_") + 32
    assert (batch.status, batch.file_counts.completed, batch.file_counts.total) == (
        "completed", 7, 7)
    listed: list[str] = []
    page = shelf.stores.file_batches.list_files(batch.id, vector_store_id=store, limit=3)
    for file in page:
        listed.append(file.id)
    assert listed == files[::-1]
    done = shelf.stores.file_batches.cancel(batch.id, vector_store_id=store)
    assert done.status == "completed"


def test_the_helpers_of_the_sdk_upload_and_wait(shelf: Shelf) -> None:
    """One file, and several at once; each helper comes back when everything can be searched."""
    store = shelf.stores.create().id
    quick = {"poll_interval_ms": 50}
    alone = shelf.stores.files.upload_and_poll(
        vector_store_id=store, file=("alone.txt", b"the word is xylophone"), **quick
    )
    assert (alone.status, alone.vector_store_id) == ("completed", store)
    files = [(f"{number}.txt", f"number {number}".encode()) for number in range(7)]
    batch = shelf.stores.file_batches.upload_and_poll(store, files=files, **quick)
    assert (batch.status, batch.file_counts.completed) == ("completed", 7)
    assert "alone.txt" in shelf.found(store, "xylophone")
    later = shelf.stores.files.upload(vector_store_id=store, file=("later.txt", b"later"))
    assert shelf.stores.files.poll(later.id, vector_store_id=store, **quick).status == "completed"
    assert shelf.stores.retrieve(store).file_counts.completed == 9


def test_a_batch_of_single_files_takes_attributes(shelf: Shelf, http: httpx.Client) -> None:
    store = shelf.stores.create().id
    one, two = shelf.file("one"), shelf.file("two")
    sizes = {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 100}
    files = [
        {"file_id": one, "attributes": {"n": 1}},
        {"file_id": two, "chunking_strategy": {"type": "static", "static": sizes}},
    ]
    url = f"/vector_stores/{store}"
    batch = http.post(f"{url}/file_batches", json={"files": files}).json()
    shelf.stores.file_batches.poll(batch["id"], vector_store_id=store, poll_interval_ms=50)
    assert http.get(f"{url}/files/{one}").json()["attributes"] == {"n": 1}
    assert http.get(f"{url}/files/{two}").json()["chunking_strategy"]["static"] == sizes
    both = http.post(f"{url}/file_batches", json={"files": files, "file_ids": [one]}).json()
    assert both["error"]["code"] == "mutually_exclusive_parameters"
    for many in ({"file_ids": [one] * 2001}, {"files": files * 1001}):
        refused = http.post(f"{url}/file_batches", json=many).json()["error"]
        assert (refused["code"], refused["param"]) == ("array_above_max_length", *many)
    neither = http.post(f"{url}/file_batches", json={}).json()
    assert neither["error"]["code"] == "missing_required_parameter"


# -- as recorded -----------------------------------------------------------------------

TOLD_ID = re.compile(r"\b(?:file-[A-Za-z0-9]{22}|vs(?:fb)?_[0-9a-f]{32})")


@pytest.mark.parametrize("told", ["vector_store", "static_chunking", "batch"])
def test_the_recorded_stories(told: str, http: httpx.Client, shelf: Shelf) -> None:
    """Each recorded request, with our ids in place of theirs, is answered as theirs was."""
    ours: dict[str, str] = {}

    def our(text: str) -> str:
        for theirs in TOLD_ID.findall(text):
            if theirs.startswith("file-") and theirs not in ours:
                ours[theirs] = shelf.file(f"The text of {theirs}.", f"{theirs}.txt")
        return TOLD_ID.sub(lambda found: ours.get(found[0], found[0]), text)

    for exchange in recorded.exchanges("09_rest_files_uploads_vector_stores")[told]:
        request, their = exchange["request"], exchange["response"]
        body = request["body"] and json.loads(our(json.dumps(request["body"])))
        path = our(request["path"].removeprefix("/v1"))
        if "/file_batches/" in path:
            batch = path.partition("/files?")[0]
            wait_for(
                lambda batch=batch: http.get(batch).json()["status"],
                lambda status: status == "completed",
                "the batch",
            )
        answer = http.request(request["method"], path, json=body)
        assert answer.status_code == exchange["status"]
        if "id" in their:
            ours.setdefault(their["id"], answer.json()["id"])
        assert_as_told(answer.json(), json.loads(our(json.dumps(their))))


def assert_as_told(our: Any, their: Any) -> None:
    """All that theirs has, in its order; what takes time may be further with us, and we may say more."""
    if isinstance(their, list):
        for one, other in zip(our, their, strict=True):
            assert_as_told(one, other)
    elif isinstance(their, dict):
        assert [key for key in our if key in their] == list(their)
        taking_time = {"status", "usage_bytes"} if their.get("object") == "vector_store.file" else set()
        for key, value in their.items():
            if key.endswith("_at") and value is not None:
                assert isinstance(our[key], int)
            elif key not in taking_time:
                assert_as_told(our[key], value)
        if their.get("expires_at"):
            lasts = their["expires_at"] - their["last_active_at"]
            assert our["expires_at"] - our["last_active_at"] == lasts
    else:
        assert our == their


# -- searching -------------------------------------------------------------------------


def test_several_queries_find_what_each_finds(shelf: Shelf) -> None:
    store = shelf.store("aardvark alpha", "badger beta", "cormorant gamma")
    found = shelf.found(store, ["aardvark", "cormorant"], max_num_results=2)
    assert set(found) == {"text-0.txt", "text-2.txt"}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("서울은 대한민국의 수도이다.", "서울"),
        ("回転寿司は東京にあります。", "東京"),
        ("故宫位于北京市中心。", "北京"),
        ("Replace part AB-1234/X before calling reset_device().", "AB-1234"),
        ("Replace part AB-1234/X before calling reset_device().", "reset_device"),
        ("La niña comió jalapeños.", "jalapenos"),
    ],
)
def test_words_of_any_script_and_identifiers_are_found(
    shelf: Shelf, text: str, query: str
) -> None:
    store = shelf.store("Nothing of the kind stands here.", text, "그리고 아무것도 없다.")
    assert shelf.found(store, query)[0] == "text-1.txt"


def test_a_search_has_limits(shelf: Shelf, http: httpx.Client) -> None:
    store = shelf.store(*[f"common word number {number}" for number in range(12)])
    assert len(shelf.search(store, "common word")) == 10
    assert len(shelf.search(store, "common word", max_num_results=3)) == 3
    other = " ".join(f"other{number}" for number in range(80))
    mixed = shelf.store("alpha beta gamma", f"alpha {other}", f"beta {other} {other}")
    scored = [result["score"] for result in shelf.search(mixed, "alpha beta gamma")]
    assert scored == sorted(scored, reverse=True) and scored[0] > scored[-1]
    between = (scored[0] + scored[-1]) / 2
    cut = shelf.search(mixed, "alpha beta gamma", ranking_options={"score_threshold": between})
    assert [result["score"] for result in cut] == [score for score in scored if score >= between]
    url = f"/vector_stores/{store}/search"
    for body, param in [
        ({}, "query"),
        ({"query": "q", "max_num_results": 51}, "max_num_results"),
        ({"query": "q", "max_num_results": 0}, "max_num_results"),
        ({"query": "q", "ranking_options": {"ranker": "best"}}, "ranking_options.ranker"),
        ({"query": "q", "ranking_options": {"score_threshold": 2}},
         "ranking_options.score_threshold"),
        ({"query": "q", "ranking_options": {"hybrid_search": {"text_weight": 1}}},
         "ranking_options.hybrid_search.embedding_weight"),
        ({"query": "q", "ranking_options": {"hybrid_search": weighed(1, -1)}},
         "ranking_options.hybrid_search.text_weight"),
        ({"query": "q", "ranking_options": {"hybrid_search": weighed(0, 0)}},
         "ranking_options.hybrid_search"),
        ({"query": []}, "query"),
    ]:
        answer = http.post(url, json=body)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def weighed(meaning: float, words: float) -> dict[str, float]:
    return {"embedding_weight": meaning, "text_weight": words}


# The characters of one are those of the question, the words of the other are.
ALIKE, NAMED = "東京", f"京東 {' '.join(f'other{number}' for number in range(40))}"


@pytest.mark.parametrize(
    ("ranking", "found"),
    [
        ({"hybrid_search": weighed(0, 2)}, [1]),
        ({"hybrid_search": weighed(0.1, 0.9)}, [1, 0]),
        ({"hybrid_search": weighed(3, 0)}, [0, 1]),
        ({"ranker": "none"}, [0, 1]),
    ],
)
def test_words_and_meaning_have_weights(
    story: Story, shelf: Shelf, ranking: dict[str, Any], found: list[int]
) -> None:
    store = shelf.store(ALIKE, NAMED)
    names = [f"text-{number}.txt" for number in found]
    assert shelf.found(store, "京東", ranking_options=ranking) == names
    if "ranker" in ranking:
        return
    settings = {"ranking_options": {"score_threshold": 0, **ranking}}
    story.model.calls_all(searches("京東")).then_says("Yes.")
    tool = {"type": "file_search", "file_search": settings}
    run = story.ask("京東?", assistant=searcher(story, store, tool=tool))
    assert [result.file_name for result in results(story.steps(run)[0])] == names


WORDS = "river bank 환불 기간 영수증 東京 回転寿司 图书馆 warranty AX-700 모터 설정 reset_device".split()


def test_both_databases_find_the_same(servers: Any, db: str, ledger: Ledger) -> None:
    if db == "sqlite":
        pytest.skip("compared when PostgreSQL is tested")
    chance = random.Random(3)
    texts = [" ".join(chance.choices(WORDS, k=chance.randint(3, 40))) for _ in range(24)]
    queries = [" ".join(chance.sample(WORDS, 3)) for _ in range(10)]
    found = []
    for one in ("sqlite", "postgres"):
        shelf = Shelf(openai_client(servers.shared(one).base_url, ledger))
        files = [shelf.file(text, f"{number}.txt") for number, text in enumerate(texts)]
        store = shelf.stores.create().id
        batch = shelf.stores.file_batches.create_and_poll(
            vector_store_id=store, file_ids=files, poll_interval_ms=50
        )
        assert batch.file_counts.completed == len(texts)
        found.append([shelf.search(store, query) for query in queries])
    for ours, theirs in zip(*found, strict=True):
        # Vectors are kept in 12 bits a number here and in 16 there: what is as good as equal may change places.
        scores = {hit["filename"]: hit["score"] for hit in theirs}
        for one, other in zip(ours, theirs, strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=0.01)
            worst_there = theirs[-1]["score"]
            assert scores.get(one["filename"], worst_there) == pytest.approx(one["score"], abs=0.01)


def test_a_search_moves_the_last_use(shelf: Shelf) -> None:
    store = shelf.store("something")
    before = shelf.stores.retrieve(store).last_active_at
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        shelf.search(store, "something")
        if shelf.stores.retrieve(store).last_active_at > before:
            return
    raise AssertionError("a store that is searched does not count as used")
