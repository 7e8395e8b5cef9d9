"""Uploads: parts in any order and at once, put together once, gone after an hour."""

from __future__ import annotations

import hashlib
import os
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from harness import recorded
from harness.ledger import Ledger
from harness.sdk import SDK_VERSION, http_client, httpx
from harness.server import Adjutant
from harness.story import wait_for

PART_BYTES = 64 << 20
UPLOAD_BYTES = 8 << 30


@pytest.fixture
def server(servers: Any, db: str, blobs: str) -> Adjutant:
    return servers.shared(db, **servers.blob_settings(blobs, f"shared-{db}"))


def begin(http: httpx.Client, length: int, **body: Any) -> str:
    new = {"filename": "a.bin", "purpose": "vision", "mime_type": "image/png", "bytes": length}
    answer = http.post("/uploads", json={**new, **body})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def add(http: httpx.Client, upload: str, content: bytes) -> str:
    answer = http.post(f"/uploads/{upload}/parts", files={"data": ("part", content)})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def complete(http: httpx.Client, upload: str, *parts: str, **body: Any) -> Any:
    return http.post(f"/uploads/{upload}/complete", json={"part_ids": parts, **body})


def content(http: httpx.Client, answer: Any) -> bytes:
    assert answer.status_code == 200, answer.text
    return http.get(f"/files/{answer.json()['file']['id']}/content").content


def refusal(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["message"], error["param"]


# -- what a client does ----------------------------------------------------------------


def test_parts_become_a_file(client: openai.OpenAI) -> None:
    if SDK_VERSION < (1, 50):
        pytest.skip("older SDKs know no uploads")
    upload = client.uploads.create(
        filename="한글.txt", purpose="batch", bytes=6, mime_type="text/plain"
    )
    parts = [client.uploads.parts.create(upload.id, data=data).id for data in (b"abc", b"def")]
    md5 = hashlib.md5(b"defabc").hexdigest()
    done = client.uploads.complete(upload.id, part_ids=parts[::-1], md5=md5)
    assert (done.status, done.id, done.bytes) == ("completed", upload.id, 6)
    assert done.file and done.file.filename == "한글.txt"
    assert client.files.retrieve(done.file.id) == done.file
    assert client.files.content(done.file.id).read() == b"defabc"
    assert done.file.id in [file.id for file in client.files.list()]


def test_the_helper_for_long_files(client: openai.OpenAI, tmp_path: Any) -> None:
    if not hasattr(client.uploads, "upload_file_chunked"):
        pytest.skip("older SDKs lack the helper")
    long = tmp_path / "long.bin"
    long.write_bytes(random.Random(1).randbytes(3_000_000))
    done = client.uploads.upload_file_chunked(
        file=long, mime_type="image/png", purpose="vision", part_size=1_000_000
    )
    assert done.status == "completed" and done.file
    assert client.files.content(done.file.id).read() == long.read_bytes()


@pytest.mark.once
@pytest.mark.parametrize("story", ["upload", "upload_cancel"])
def test_the_recorded_story_of_an_upload(http: httpx.Client, story: str) -> None:
    ids: dict[str, str] = {}
    for exchange in recorded.exchanges("09_rest_files_uploads_vector_stores")[story]:
        request, their = exchange["request"], exchange["response"]
        path = request["path"].removeprefix("/v1")
        for theirs, ours in ids.items():
            path = path.replace(theirs, ours)
        our = http.request(request["method"], path, **body_of(request, ids)).json()
        ids[their["id"]] = our["id"]
        if "file" in their:
            ids[their["file"]["id"]] = our["file"]["id"]
        assert_alike(our, their)


def body_of(request: Any, ids: dict[str, str]) -> dict[str, Any]:
    if request["path"].endswith("/parts"):
        return {"files": {"data": ("x", b"1234")}}
    if request["path"].endswith("/complete"):
        return {"json": {"part_ids": [ours for ours in ids.values() if ours.startswith("part_")]}}
    if request["path"] == "/v1/uploads":
        filename = "uploads_test_fileaaee826f-d558-5678-6660-7704d79becd1.jsonl"
        new = {"purpose": "fine-tune", "filename": filename, "bytes": 8, "mime_type": "text/jsonl"}
        return {"json": request["body"] or new}
    return {}


def assert_alike(our: Any, their: Any) -> None:
    """The same keys in the same order and the same values, but for ids and times."""
    assert list(our) == list(their)
    for key, value in their.items():
        if isinstance(value, dict):
            assert_alike(our[key], value)
        elif key.endswith("id"):
            assert len(our[key]) == len(value)
        elif not key.endswith("_at"):
            assert our[key] == value, key
    if "created_at" in their and their.get("expires_at"):
        ours_lasts = our["expires_at"] - our["created_at"]
        assert ours_lasts == their["expires_at"] - their["created_at"]


@pytest.mark.once
def test_the_file_is_as_old_as_the_upload_and_expires_as_it_said(http: httpx.Client) -> None:
    upload = begin(http, 1, expires_after={"anchor": "created_at", "seconds": 7200})
    done = complete(http, upload, add(http, upload, b"x")).json()
    assert done["file"]["created_at"] == done["created_at"]
    assert done["file"]["expires_at"] == done["created_at"] + 7200


# -- order and number ------------------------------------------------------------------


@pytest.mark.once
def test_parts_come_in_any_order_and_at_once(http: httpx.Client, server: Adjutant) -> None:
    """Thirty parts of all sizes, eight at a time; left-over ones are left out."""
    chance = random.Random(7)
    pieces = [chance.randbytes(chance.choice([1, 100, 70_000, 1_200_000])) for _ in range(30)]
    whole = b"".join(pieces)
    upload = begin(http, len(whole))
    order = chance.sample(range(30), 30)
    ids: dict[int, str] = {}

    def send(number: int) -> None:
        ids[number] = add(http, upload, pieces[number])

    with ThreadPoolExecutor(8) as senders:
        list(senders.map(send, order))
    add(http, upload, b"nobody asks for this one")
    md5 = hashlib.md5(whole).hexdigest().upper()
    done = complete(http, upload, *(ids[number] for number in range(30)), md5=md5)
    assert content(http, done) == whole


@pytest.mark.once
def test_of_completions_at_once_one_puts_the_parts_together(
    servers: Any, own_server: Adjutant, ledger: Ledger
) -> None:
    """The others wait for it and copy nothing. Its part may be there still."""
    http = http_client(own_server.base_url, ledger)
    piece = bytes(2_000_000)
    upload = begin(http, len(piece))
    part = add(http, upload, piece)
    with ThreadPoolExecutor(6) as clients:
        answers = list(clients.map(lambda _: complete(http, upload, part), range(6)))
    done = [answer for answer in answers if answer.status_code == 200]
    assert len(servers.bytes_of(own_server)) <= 2
    assert len(done) == 1 and content(http, done[0]) == piece
    refused = {refusal(answer)[:2] for answer in answers if answer is not done[0]}
    assert refused == {(400, "Cannot complete upload with status 'completed'.")}


# -- what is refused -------------------------------------------------------------------


@pytest.mark.once
def test_a_wrong_sum_changes_nothing(servers: Any, db: str, ledger: Ledger) -> None:
    """Whoever comes next does not wait, though one who is silent has an hour here."""
    server = servers.shared(db, ADJUTANT_RUNS_LEASE_SECONDS="3600")
    http = http_client(server.base_url, ledger)
    upload = begin(http, 6)
    first, second = add(http, upload, b"abc"), add(http, upload, b"def")
    wrong = hashlib.md5(b"another").hexdigest()
    status, message, param = refusal(complete(http, upload, first, second, md5=wrong))
    assert (status, param) == (400, "md5") and wrong in message
    right = hashlib.md5(b"abcdef").hexdigest()
    assert right in message
    assert content(http, complete(http, upload, first, second, md5=right)) == b"abcdef"


@pytest.mark.once
@pytest.mark.parametrize("kept", [1, 3])
def test_a_wrong_length_changes_nothing(http: httpx.Client, kept: int) -> None:
    upload = begin(http, 6)
    parts = [add(http, upload, b"abc") for _ in range(3)]
    status, message, param = refusal(complete(http, upload, *parts[:kept]))
    assert (status, param) == (400, "part_ids")
    assert f"{3 * kept} bytes" in message and "6" in message
    assert content(http, complete(http, upload, *parts[:2])) == b"abcabc"


@pytest.mark.once
def test_parts_of_others_and_parts_named_twice_are_refused(http: httpx.Client) -> None:
    upload, other = begin(http, 6), begin(http, 6)
    mine, foreign = add(http, upload, b"abc"), add(http, other, b"abc")
    assert refusal(complete(http, upload, mine, foreign))[2] == "part_ids[1]"
    assert refusal(complete(http, upload, mine, mine))[2] == "part_ids[1]"
    assert refusal(complete(http, upload, "part_unknown"))[2] == "part_ids[0]"
    assert refusal(complete(http, upload))[2] == "part_ids"


@pytest.mark.once
@pytest.mark.parametrize("end", ["completed", "cancelled"])
def test_an_upload_ends_once(http: httpx.Client, end: str) -> None:
    upload = begin(http, 1)
    part = add(http, upload, b"x")
    ended = complete(http, upload, part) if end == "completed" else cancel(http, upload)
    assert ended.json()["status"] == end
    more = http.post(f"/uploads/{upload}/parts", files={"data": ("x", b"x")})
    assert refusal(more)[1] == f"Cannot add parts to upload with status '{end}'."
    again = complete(http, upload, part)
    assert refusal(again)[1] == f"Cannot complete upload with status '{end}'."
    assert refusal(cancel(http, upload))[1] == f"Cannot cancel upload with status '{end}'."


def cancel(http: httpx.Client, upload: str) -> Any:
    return http.post(f"/uploads/{upload}/cancel")


@pytest.mark.once
@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"bytes": None}, "missing_required_parameter", "bytes"),
        ({"bytes": 0}, "integer_below_min_value", "bytes"),
        ({"bytes": UPLOAD_BYTES + 1}, "integer_above_max_value", "bytes"),
        ({"bytes": "6"}, "invalid_type", "bytes"),
        ({"filename": ""}, "empty_string", "filename"),
        ({"filename": "가" * 1001}, "string_above_max_length", "filename"),
        ({"purpose": "world_domination"}, "invalid_value", "purpose"),
        ({"purpose": "assistants_output"}, "invalid_value", "purpose"),
        ({"mime_type": None}, "missing_required_parameter", "mime_type"),
        ({"expires_after": {"anchor": "created_at"}}, "missing_required_parameter", None),
        ({"md5": "x"}, "unknown_parameter", "md5"),
    ],
)
def test_new_uploads_are_checked(
    http: httpx.Client, body: Any, code: str, param: str | None
) -> None:
    new = {"filename": "a", "purpose": "vision", "mime_type": "image/png", "bytes": UPLOAD_BYTES}
    assert http.post("/uploads", json=new).status_code == 200
    answer = http.post("/uploads", json={k: v for k, v in {**new, **body}.items() if v is not None})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert error["param"] == (param or "expires_after.seconds")


@pytest.mark.once
def test_a_part_may_be_as_long_as_the_limit_and_no_longer(
    servers: Any, own_server: Adjutant, ledger: Ledger
) -> None:
    http = http_client(own_server.base_url, ledger)
    upload = begin(http, PART_BYTES)
    longer = http.post(f"/uploads/{upload}/parts", files={"data": ("x", bytes(PART_BYTES + 1))})
    assert longer.status_code == 413 and longer.json()["error"]["code"] == "file_too_large"
    part = add(http, upload, bytes(PART_BYTES))
    assert complete(http, upload, part).json()["file"]["bytes"] == PART_BYTES
    one_file_is_left(servers, own_server)


@pytest.mark.once
def test_what_is_missing_or_wrong_in_a_path(http: httpx.Client) -> None:
    unknown = "upload_" + "0" * 32
    part = {"files": {"data": ("x", b"x")}}
    for path, options in (
        ("parts", part),
        ("cancel", {}),
        ("complete", {"json": {"part_ids": ["part_1"]}}),
    ):
        answer = http.post(f"/uploads/{unknown}/{path}", **options)
        assert refusal(answer)[:2] == (404, f"No upload found with id '{unknown}'.")
        assert http.post(f"/uploads/file-1/{path}", **options).status_code == 400
    assert (
        http.post(f"/uploads/{begin(http, 1)}/parts", files={"file": ("x", b"x")}).status_code
        == 400
    )


# -- what is left behind ---------------------------------------------------------------


def one_file_is_left(servers: Any, server: Adjutant, number: int = 1) -> None:
    wait_for(
        lambda: servers.bytes_of(server),
        lambda found: len(found) == number,
        f"the bytes of {number} files to be all that is left",
    )


@pytest.mark.once
def test_parts_are_deleted_with_their_upload(
    servers: Any, own_server: Adjutant, ledger: Ledger
) -> None:
    http = http_client(own_server.base_url, ledger)
    uploads = [begin(http, 3) for _ in range(2)]
    parts = [add(http, upload, b"abc") for upload in uploads for _ in range(2)]
    assert len(servers.bytes_of(own_server)) == 4
    complete(http, uploads[0], parts[0])
    one_file_is_left(servers, own_server, 3)
    cancel(http, uploads[1])
    one_file_is_left(servers, own_server)


@pytest.mark.once
def test_an_upload_goes_on_after_a_crash(
    servers: Any, own_server: Adjutant, ledger: Ledger
) -> None:
    http = http_client(own_server.base_url, ledger)
    upload = begin(http, 6)
    first = add(http, upload, b"abc")
    own_server.kill()
    own_server.start()
    http = http_client(own_server.base_url, ledger)
    second = add(http, upload, b"def")
    assert content(http, complete(http, upload, first, second)) == b"abcdef"
    one_file_is_left(servers, own_server)


@pytest.mark.once
def test_an_upload_is_completed_after_a_crash_in_the_middle_of_it(
    servers: Any, db: str, ledger: Ledger
) -> None:
    """In the place of a part lies a pipe that nobody writes into, so that the server dies while it reads."""
    server = servers.new(db, settings={"ADJUTANT_RUNS_LEASE_SECONDS": "2"})
    http = http_client(server.base_url, ledger)
    upload = begin(http, 6)
    parts = [add(http, upload, b"abc")]
    (first,) = servers.bytes_of(server)
    parts.append(add(http, upload, b"def"))
    as_it_was = first.rename(server.folder / "as-it-was")
    os.mkfifo(first)
    with ThreadPoolExecutor(1) as clients:
        lost = clients.submit(complete, http, upload, *parts)
        # Opened here once it is opened there.
        with first.open("wb"):
            server.kill()
            with pytest.raises(httpx.TransportError):
                lost.result()
    as_it_was.rename(first)
    server.start()
    http = http_client(server.base_url, ledger)
    assert content(http, complete(http, upload, *parts)) == b"abcdef"
    one_file_is_left(servers, server)
    server.stop()


@pytest.mark.once
def test_an_upload_ends_after_an_hour(servers: Any, db: str, ledger: Ledger) -> None:
    server = servers.new(db)
    http = http_client(server.base_url, ledger)
    late, done = begin(http, 6), begin(http, 3)
    part = add(http, late, b"abc")
    complete(http, done, add(http, done, b"abc"))
    one_file_is_left(servers, server, 2)
    server.restart_later(3599)
    http = http_client(server.base_url, ledger)
    answer = complete(http, late, part)
    assert answer.status_code in {400, 404}, "the hour may end while the server starts"
    server.restart_later(3600)
    http = http_client(server.base_url, ledger)
    for path, options in (("parts", {"files": {"data": ("x", b"x")}}), ("cancel", {})):
        assert http.post(f"/uploads/{late}/{path}", **options).status_code == 404
    assert complete(http, late, part).status_code == 404
    one_file_is_left(servers, server)
    assert http.get("/files").json()["data"][0]["bytes"] == 3
    server.stop()


@pytest.mark.once
def test_the_same_upload_is_begun_once(http: httpx.Client) -> None:
    new = {"filename": "a", "purpose": "vision", "mime_type": "image/png", "bytes": 6}
    key = {"Idempotency-Key": "once-and-only"}
    first = http.post("/uploads", json=new, headers=key).json()
    assert http.post("/uploads", json=new, headers=key).json() == first
