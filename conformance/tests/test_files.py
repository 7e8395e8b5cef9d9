"""Files, in the data folder and in S3: as recorded, and whatever a client does to them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import openai
import pytest

from harness import recorded
from harness.ledger import Ledger
from harness.scripted import ScriptedUpstream
from harness.sdk import http_client, httpx, openai_client
from harness.server import BINARY, Adjutant
from harness.story import wait_for

HOUR = {"expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
NAMES = [
    "a.txt",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\boot.ini",
    "..",
    "한글 파일.pdf",
    "🌮🌮.md",
    "e\u0301 and \u202etxt.exe",
    "a;b=c,d'e.txt",
    "100%41.txt",
    "x" * 1000,
    "가" * 1000,
    " ",
]


@pytest.fixture
def server(servers: Any, db: str, blobs: str) -> Adjutant:
    return servers.shared(db, **servers.blob_settings(blobs, f"shared-{db}"))


def create(client: httpx.Client, content: bytes = b"hello", **fields: str) -> Any:
    fields = {"purpose": "vision", **fields}
    answer = client.post("/files", data=fields, files={"file": ("a.txt", content)})
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- what a client does ----------------------------------------------------------------


def test_a_file_is_uploaded_listed_read_and_deleted(client: openai.OpenAI) -> None:
    content = bytes(range(256)) * 100
    file = client.files.create(file=("taco.bin", content), purpose="batch")
    assert (file.filename, file.bytes, file.purpose) == ("taco.bin", len(content), "batch")
    assert client.files.retrieve(file.id) == file
    assert file in list(client.files.list(purpose="batch"))
    assert file not in list(client.files.list(purpose="vision"))
    assert client.files.content(file.id).read() == content
    assert client.files.wait_for_processing(file.id).status == "processed"
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


def test_the_recorded_story_of_a_file(http: httpx.Client) -> None:
    exchanges = recorded.exchanges("09_rest_files_uploads_vector_stores")["file"]
    theirs = [exchange["response"] for exchange in exchanges]
    form = {
        "data": {"purpose": "assistants"},
        "files": {"file": (theirs[0]["filename"], b"x" * 50)},
    }
    file = http.post("/files", **form).json()
    path = f"/files/{file['id']}"
    ours = [file, http.get(path).json(), http.delete(path).json()]
    for our, their in zip(ours, theirs, strict=True):
        assert list(our) == list(their)
        changing = {"id": file["id"], "created_at": file["created_at"]}
        assert our == their | {key: changing[key] for key in changing if key in their}
    assert len(file["id"]) == len(theirs[0]["id"])


@pytest.mark.once
@pytest.mark.parametrize("order", [("purpose", "file"), ("file", "purpose")])
def test_fields_come_in_any_order(http: httpx.Client, order: tuple[str, ...]) -> None:
    parts = {"purpose": (None, "vision"), "file": ("a.txt", b"hello")}
    answer = http.post("/files", files=[(key, parts[key]) for key in order])
    assert (answer.json()["purpose"], answer.json()["bytes"]) == ("vision", 5)


@pytest.mark.once
@pytest.mark.parametrize("name", NAMES)
def test_names_are_data(servers: Any, server: Adjutant, http: httpx.Client, name: str) -> None:
    """A name comes back to the letter, and nothing in the file system is called by it."""
    file = post_raw(server, http, disposition(name)).json()
    assert file["filename"] == name
    header = http.get(f"/files/{file['id']}/content").headers["content-disposition"]
    assert unquote(header.partition("filename*=UTF-8''")[2]) == name
    stored = {path.name for path in servers.bytes_of(server)}
    assert all(part == "bytes" or len(part) == 32 for part in stored), stored


def disposition(name: str) -> bytes:
    return f'form-data; name="file"; filename="{name}"'.encode()


def post_raw(server: Adjutant, http: httpx.Client, disposition: bytes, **headers: str) -> Any:
    """A form whose every byte the test writes."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nvision\r\n'
        b"--x\r\nContent-Disposition: " + disposition + b"\r\n\r\nhello\r\n--x--\r\n"
    )
    kind = {"content-type": "multipart/form-data; boundary=x", **headers}
    return http.post("/files", content=body, headers=kind)


@pytest.mark.once
@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("form-data; name=\"file\"; filename*=utf-8''%ED%95%9C.txt", "한.txt"),
        ('form-data; name="file"; filename="_.txt"; filename*=UTF-8\'\'%ED%95%9C.txt', "한.txt"),
        ('form-data; name="file"; filename="say \\"hi\\".txt"', 'say "hi".txt'),
        ("form-data; name=file; filename=plain.txt", "plain.txt"),
    ],
)
def test_names_are_read_as_clients_write_them(
    server: Adjutant, http: httpx.Client, sent: str, name: str
) -> None:
    assert post_raw(server, http, sent.encode()).json()["filename"] == name


@pytest.mark.once
def test_files_are_listed_page_by_page(own_server: Adjutant, ledger: Ledger) -> None:
    client = http_client(own_server.base_url, ledger)
    purposes = ["vision", "batch"]
    made = [create(client, purpose=purposes[n % 2])["id"] for n in range(25)]

    def listed(**query: Any) -> list[str]:
        return [file["id"] for file in client.get("/files", params=query).json()["data"]]

    assert listed() == made[::-1], "there is no limit of 20 here"
    assert listed(order="asc", limit=3) == made[:3]
    assert listed(order="asc", limit=3, after=made[2]) == made[3:6]
    assert listed(after=made[1]) == [made[0]]
    assert listed(purpose="batch", limit=2) == [made[23], made[21]]
    assert listed(purpose="unheard-of") == []
    page = client.get("/files", params={"limit": 24}).json()
    assert page["has_more"] and page["last_id"] == made[1]
    assert not client.get("/files", params={"limit": 25}).json()["has_more"]


# -- what is refused -------------------------------------------------------------------


def assert_refused(answer: Any, status: int, code: str | None, param: str | None) -> Any:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param), error
    return error


@pytest.mark.once
@pytest.mark.parametrize("path", ["/files/fake_id", "/files/fake_id/content"])
def test_a_missing_file_as_recorded(http: httpx.Client, path: str) -> None:
    theirs = recorded.http_errors()["GET/DELETE /files/{missing}, GET content"]
    answer = http.get(path)
    assert (answer.status_code, answer.json()) == (theirs["status"], theirs["body"])
    assert list(answer.json()) == list(theirs["body"])
    assert http.delete("/files/fake_id").json() == theirs["body"]


@pytest.mark.once
def test_an_unknown_purpose_as_recorded(http: httpx.Client) -> None:
    theirs = recorded.http_errors()["POST /files with unknown purpose"]
    form = {"data": {"purpose": "world_domination"}, "files": {"file": ("a", b"x")}}
    answer = http.post("/files", **form)
    assert (answer.status_code, answer.json()) == (theirs["status"], theirs["body"])


ASKED = {"downloadable": "true"}


@pytest.mark.once
@pytest.mark.parametrize("purpose", ["assistants", "user_data"])
def test_what_was_uploaded_for_assistants_is_not_given_back(
    http: httpx.Client, purpose: str
) -> None:
    theirs = recorded.http_errors()["GET content of purpose=assistants file"]
    answer = http.get(f"/files/{create(http, purpose=purpose)['id']}/content")
    expected = json.dumps(theirs["body"]).replace("assistants", purpose)
    assert (answer.status_code, answer.json()) == (theirs["status"], json.loads(expected))


@pytest.mark.once
def test_a_setting_gives_it_back(servers: Any, db: str, ledger: Ledger) -> None:
    server = servers.shared(db, ADJUTANT_DOWNLOAD_UPLOADS="true")
    client = http_client(server.base_url, ledger)
    file = create(client, b"mine", purpose="assistants")
    assert client.get(f"/files/{file['id']}/content").content == b"mine"
    assert client.get(f"/files/{file['id']}", params=ASKED).json()["downloadable"] is True


def test_a_file_says_if_it_is_given_back_where_it_is_asked(http: httpx.Client) -> None:
    for purpose, given in {"assistants": False, "vision": True}.items():
        file = create(http, purpose=purpose)
        asked = http.get(f"/files/{file['id']}", params=ASKED).json()
        assert asked == {**file, "downloadable": given}
        assert http.get(f"/files/{file['id']}").json() == file
    refused = http.get(f"/files/{file['id']}", params={"downloadable": "yes"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "downloadable")


@pytest.mark.once
@pytest.mark.parametrize(
    ("fields", "files", "code", "param"),
    [
        ({}, {"file": ("a", b"x")}, "missing_required_parameter", "purpose"),
        ({"purpose": "vision"}, {"other": (None, b"x")}, "unknown_parameter", "other"),
        ({"purpose": "vision"}, {"purpose2": (None, b"x")}, "unknown_parameter", "purpose2"),
        ({"purpose": "vision"}, {"file": (None, b"x")}, "empty_string", "file"),
        ({"purpose": "vision"}, {"file": ("x" * 1001, b"x")}, "string_above_max_length", "file"),
        ({"expires_after[anchor]": "created_at"}, None, "missing_required_parameter", None),
        ({**HOUR, "expires_after[anchor]": "now"}, None, "invalid_value", "expires_after.anchor"),
        ({**HOUR, "expires_after[seconds]": "3599"}, None, "integer_below_min_value", None),
        ({**HOUR, "expires_after[seconds]": "2592001"}, None, "integer_above_max_value", None),
        ({**HOUR, "expires_after[seconds]": "soon"}, None, "invalid_type", None),
        ({**HOUR, "expires_after[days]": "1"}, None, "unknown_parameter", "expires_after.days"),
        ({"expires_after": "1"}, None, "invalid_type", "expires_after"),
        ({"purpose": "x" * 70_000}, None, "string_above_max_length", "purpose"),
    ],
)
def test_forms_are_checked(
    http: httpx.Client, fields: Any, files: Any, code: str, param: str | None
) -> None:
    before = http.get("/files", params={"limit": 1}).json()
    if files is None:
        fields, files = {"purpose": "vision", **fields}, {"file": ("a.txt", b"x")}
        param = param or f"expires_after.{'seconds'}"
    assert_refused(http.post("/files", data=fields, files=files), 400, code, param)
    assert http.get("/files", params={"limit": 1}).json() == before


@pytest.mark.once
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"purpose": "vision"}'),
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n--y--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\nhello\r\n--x--\r\n"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a\x00b"\r\n\r\n.\r\n--x--\r\n',
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhello',
        ),
    ],
)
def test_what_is_no_form_is_refused(http: httpx.Client, kind: str, body: bytes) -> None:
    answer = http.post("/files", content=body, headers={"content-type": kind})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "integer_below_min_value"),
        ("limit=10001", "integer_above_max_value"),
        ("limit=x", "invalid_type"),
        ("order=up", "invalid_value"),
    ],
)
def test_queries_are_checked(http: httpx.Client, query: str, code: str) -> None:
    assert_refused(http.get(f"/files?{query}"), 400, code, query.partition("=")[0])
    assert http.get("/files?limit=10000").status_code == 200


@pytest.mark.once
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods_are_refused_in_words(http: httpx.Client, method: str) -> None:
    assert http.request(method, "/files").json()["error"]["code"] == "method_not_supported"


@pytest.mark.once
def test_the_same_file_is_uploaded_once(servers: Any, own_server: Adjutant, ledger: Ledger) -> None:
    """However a client writes the form anew; another file under the same key is refused."""
    http = http_client(own_server.base_url, ledger)
    headers = {"Idempotency-Key": "once-and-only"}

    def send(content: bytes, name: str = "a.txt", purpose: str = "vision") -> Any:
        form = {"data": {"purpose": purpose}, "files": {"file": (name, content)}}
        return http.post("/files", **form, headers=headers)

    first = send(b"hello")
    assert send(b"hello").content == first.content
    for other in (send(b"hallo"), send(b"hello", "b.txt"), send(b"hello", purpose="batch")):
        assert_refused(other, 400, "idempotency_key_reused", None)
    assert http.get("/files").json()["data"] == [first.json()]
    nothing_else_is_left(servers, own_server, 1)


# -- limits ----------------------------------------------------------------------------


@pytest.fixture
def small(servers: Any, db: str, blobs: str) -> Iterator[Adjutant]:
    """A server that takes files of 100,000 bytes."""
    settings = {"ADJUTANT_FILE_BYTES": "100000", **servers.blob_settings(blobs)}
    server = servers.new(db, settings=settings)
    yield server
    server.stop()


@pytest.mark.once
def test_a_file_may_be_as_long_as_the_limit_and_no_longer(
    servers: Any, small: Adjutant, ledger: Ledger
) -> None:
    client = http_client(small.base_url, ledger)
    assert create(client, b"x" * 100_000)["bytes"] == 100_000
    for length in (100_001, 5_000_000):
        form = {"data": {"purpose": "vision"}, "files": {"file": ("a", b"x" * length)}}
        assert_refused(client.post("/files", **form), 413, "file_too_large", "file")
    assert len(client.get("/files").json()["data"]) == 1
    nothing_else_is_left(servers, small, 1)


@pytest.mark.once
def test_a_file_without_an_announced_length_is_measured_as_it_comes(
    servers: Any, small: Adjutant, ledger: Ledger
) -> None:
    client = http_client(small.base_url, ledger)

    def body(length: int) -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nvision\r\n'
        yield b"--x\r\nContent-Disposition: " + disposition("a") + b"\r\n\r\n"
        for _ in range(length // 1000):
            yield b"x" * 1000
        yield b"\r\n--x--\r\n"

    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post("/files", content=body(100_000), headers=kind)
    assert answer.json()["bytes"] == 100_000
    answer = client.post("/files", content=body(101_000), headers=kind)
    assert_refused(answer, 413, "file_too_large", "file")
    nothing_else_is_left(servers, small, 1)


def nothing_else_is_left(servers: Any, server: Adjutant, expected: int) -> None:
    wait_for(
        lambda: servers.bytes_of(server),
        lambda found: len(found) == expected,
        f"the bytes of {expected} files alone to be there",
    )


@pytest.mark.once
def test_the_head_of_a_part_is_not_endless(http: httpx.Client) -> None:
    """It would have to be kept in memory as long as it goes on."""
    body = b"--x\r\nX-Long: " + b"y" * 20_000_000
    kind = {"content-type": "multipart/form-data; boundary=x"}
    answer = http.post("/files", content=body, headers=kind)
    assert answer.status_code == 400 and "too long" in answer.json()["error"]["message"]


# -- memory ----------------------------------------------------------------------------


def memory(server: Adjutant, line: str) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition(f"{line}:")[2].split()[0]) * 1024


MEGABYTE = 1 << 20


@pytest.mark.once
@pytest.mark.timeout(300)
def test_the_longest_file_takes_no_memory(own_server: Adjutant, ledger: Ledger) -> None:
    """512 MB in and out, through a server that grows by less than 32 MB. The S3 of the tests is slow, so there it
    is less."""
    length = 160 * MEGABYTE if "ADJUTANT_BLOBS" in own_server.settings else 512 * MEGABYTE
    address = urlsplit(own_server.base_url)
    create(http_client(own_server.base_url, ledger))
    Path(f"/proc/{own_server.pid}/clear_refs").write_text("5")
    before = memory(own_server, "VmRSS")
    file = send_long_file(address, length)
    assert file["bytes"] == length
    assert read_long_file(address, file["id"]) == length
    grown = memory(own_server, "VmHWM") - before
    assert grown < 32 * MEGABYTE, f"the server grew by {grown / MEGABYTE:.0f} MB"


def send_long_file(address: Any, length: int) -> Any:
    head = (
        b'--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nvision\r\n'
        b"--x\r\nContent-Disposition: " + disposition("long") + b"\r\n\r\n"
    )
    tail = b"\r\n--x--\r\n"
    piece = bytes(MEGABYTE)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(
            f"POST /v1/files HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n"
            f"Content-Type: multipart/form-data; boundary=x\r\n"
            f"Content-Length: {len(head) + length + len(tail)}\r\n\r\n".encode()
        )
        connection.sendall(head)
        for _ in range(length // len(piece)):
            connection.sendall(piece)
        connection.sendall(tail)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def read_long_file(address: Any, file: str) -> int:
    with httpx.stream("GET", f"http://{address.netloc}/v1/files/{file}/content") as answer:
        return sum(len(piece) for piece in answer.iter_raw(MEGABYTE))


# -- what is left behind ---------------------------------------------------------------


@pytest.mark.once
def test_the_bytes_of_a_deleted_file_are_deleted(
    servers: Any, own_server: Adjutant, ledger: Ledger
) -> None:
    client = http_client(own_server.base_url, ledger)
    files = [create(client)["id"] for _ in range(3)]
    assert len(servers.bytes_of(own_server)) == 3
    client.delete(f"/files/{files[1]}")
    nothing_else_is_left(servers, own_server, 2)


def begin_upload(server: Adjutant, sent: int) -> socket.socket:
    """A client in the middle of a file."""
    address = urlsplit(server.base_url)
    connection = socket.create_connection((address.hostname, address.port))
    connection.sendall(
        f"POST /v1/files HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 400000000\r\n\r\n".encode()
        + b"--x\r\nContent-Disposition: "
        + disposition("half")
        + b"\r\n\r\n"
    )
    connection.sendall(bytes(sent))
    return connection


def wait_for_half_a_file(servers: Any, server: Adjutant) -> None:
    """S3 shows nothing of what is on its way but the folder in which it gathers parts."""
    if "ADJUTANT_BLOBS" in server.settings:
        gathered = servers.s3.folder
        found: Callable[[], list[Path]] = lambda: list(gathered.glob(".upload*"))
    else:
        found = lambda: servers.bytes_of(server)
    wait_for(found, lambda found: len(found) > 0, "the first bytes to be stored")


@pytest.mark.once
def test_a_client_that_hangs_up_leaves_nothing(
    servers: Any, own_server: Adjutant, ledger: Ledger
) -> None:
    connection = begin_upload(own_server, 20 * MEGABYTE)
    wait_for_half_a_file(servers, own_server)
    connection.close()
    nothing_else_is_left(servers, own_server, 0)
    client = http_client(own_server.base_url, ledger)
    assert client.get("/files").json()["data"] == []
    create(client)


@pytest.mark.once
def test_a_crash_in_the_middle_of_a_file_leaves_nothing(
    servers: Any, own_server: Adjutant, ledger: Ledger
) -> None:
    kept = create(http_client(own_server.base_url, ledger), b"kept")
    with begin_upload(own_server, 20 * MEGABYTE):
        wait_for_half_a_file(servers, own_server)
        own_server.kill()
    own_server.start()
    nothing_else_is_left(servers, own_server, 1)
    client = http_client(own_server.base_url, ledger)
    assert [file["id"] for file in client.get("/files").json()["data"]] == [kept["id"]]
    assert client.get(f"/files/{kept['id']}/content").content == b"kept"


# -- expiry ----------------------------------------------------------------------------


@pytest.mark.once
def test_files_say_when_they_expire(http: httpx.Client) -> None:
    assert create(http)["expires_at"] is None
    hour = create(http, **HOUR)
    assert hour["expires_at"] == hour["created_at"] + 3600
    batch = create(http, purpose="batch")
    assert batch["expires_at"] == batch["created_at"] + 30 * 86400


@pytest.mark.once
def test_an_expired_file_is_gone(servers: Any, db: str, ledger: Ledger) -> None:
    server = servers.new(db)
    client = http_client(server.base_url, ledger)
    assistant, thread = named_by(client, create(client, **HOUR)["id"])
    gone = assistant["tool_resources"]["code_interpreter"]["file_ids"][0]
    stays = create(client)["id"]
    server.restart_later(3600)
    client = http_client(server.base_url, ledger)
    assert client.get(f"/files/{gone}").status_code == 404
    assert [file["id"] for file in client.get("/files").json()["data"]] == [stays]
    nothing_else_is_left(servers, server, 1)
    for path in (f"/assistants/{assistant['id']}", f"/threads/{thread['id']}"):
        wait_for(
            lambda path=path: client.get(path).json()["tool_resources"],
            lambda resources: resources == {"code_interpreter": {"file_ids": []}},
            "the file to be taken out of what named it",
        )
    server.stop()


# -- what names files ------------------------------------------------------------------


def named_by(client: httpx.Client, *files: str) -> tuple[Any, Any]:
    resources = {"tool_resources": {"code_interpreter": {"file_ids": list(files)}}}
    assistant = client.post("/assistants", json={"model": "m", **resources}).json()
    return assistant, client.post("/threads", json=resources).json()


@pytest.mark.once
def test_a_deleted_file_is_taken_out_of_all_that_names_it(http: httpx.Client) -> None:
    gone, stays, later = (create(http)["id"] for _ in range(3))
    assistant, thread = named_by(http, gone, stays)
    paths = [f"/assistants/{assistant['id']}", f"/threads/{thread['id']}"]
    http.delete(f"/files/{gone}")
    for path in paths:
        resources = http.get(path).json()["tool_resources"]
        assert resources == {"code_interpreter": {"file_ids": [stays]}}
        changed = {"code_interpreter": {"file_ids": [later]}}
        http.post(path, json={"tool_resources": changed, "metadata": {"a": "b"}})
    http.delete(f"/files/{stays}")
    http.delete(f"/files/{later}")
    for path in paths:
        seen = http.get(path).json()
        assert seen["tool_resources"] == {"code_interpreter": {"file_ids": []}}
        assert seen["metadata"] == {"a": "b"}


@pytest.mark.once
def test_no_project_sees_the_files_of_another(servers: Any, db: str, ledger: Ledger) -> None:
    config = '[[keys]]\nkey = "key-a"\nproject = "a"\n[[keys]]\nkey = "key-b"\nproject = "b"\n'
    server = servers.new(db, config=config)
    mine, other = (http_client(server.base_url, ledger, key) for key in ("key-a", "key-b"))
    file = create(mine)["id"]
    for path in (f"/files/{file}", f"/files/{file}/content"):
        assert mine.get(path).status_code == 200
        assert other.get(path).status_code == 404
    assert other.delete(f"/files/{file}").status_code == 404
    assert other.get("/files").json()["data"] == []
    assert_refused(other.get("/files", params={"after": file}), 404, None, "id")
    assert mine.get(f"/files/{file}").status_code == 200
    upload = mine.post(
        "/uploads",
        json={"filename": "a", "purpose": "vision", "bytes": 1, "mime_type": "text/plain"},
    ).json()["id"]
    part = {"files": {"data": ("x", b"x")}}
    for path, options in (
        ("parts", part),
        ("cancel", {}),
        ("complete", {"json": {"part_ids": ["part_1"]}}),
    ):
        assert other.post(f"/uploads/{upload}/{path}", **options).status_code == 404
    assert mine.post(f"/uploads/{upload}/parts", **part).status_code == 200
    server.stop()


@pytest.mark.once
def test_without_a_key_nothing_is_read(servers: Any, db: str, ledger: Ledger) -> None:
    server = servers.shared(db, ADJUTANT_API_KEYS="the-key")
    client = http_client(server.base_url, ledger, "another")
    form = {"data": {"purpose": "vision"}, "files": {"file": ("a", b"x")}}
    assert client.post("/files", **form).json()["error"]["code"] == "invalid_api_key"
    right = openai_client(server.base_url, ledger, "the-key")
    assert right.files.create(file=("a", b"x"), purpose="vision").bytes == 1


@pytest.mark.once
@pytest.mark.parametrize("values", ["long", "short"])
def test_a_form_has_no_fields_without_end(http: httpx.Client, values: str) -> None:
    """What is announced nowhere is refused as it comes: a form is not kept in memory until it ends."""
    sent = 0

    def form() -> Iterator[bytes]:
        nonlocal sent
        for number in range(100_000):
            value = "x" * (60_000 if values == "long" else 1)
            piece = f"--b\r\ncontent-disposition: form-data; name=f{number}\r\n\r\n{value}\r\n"
            sent += len(piece)
            yield piece.encode()

    kind = {"content-type": "multipart/form-data; boundary=b"}
    answer = http.post("/files", content=form(), headers=kind)
    assert answer.status_code == 413
    assert "The fields of the form are too long" in answer.json()["error"]["message"]
    assert sent < 64 << 20


# -- where the bytes are ---------------------------------------------------------------


@pytest.mark.once
def test_several_processes_keep_one_set_of_files(
    servers: Any, db: str, tmp_path: Path, upstream: ScriptedUpstream, ledger: Ledger
) -> None:
    """What one took in another gives out, and what one left half-way when it died another deletes."""
    if db == "sqlite":
        pytest.skip("a SQLite database belongs to one process")
    settings = {"ADJUTANT_RUNS_LEASE_SECONDS": "2", **servers.blob_settings("s3")}
    here = servers.new(db, settings=settings)
    there = Adjutant(
        tmp_path,
        upstream=upstream.base_url,
        database_url=here._database_url,
        settings=settings,
    )
    at_here, at_there = (http_client(one.base_url, ledger) for one in (here, there))
    file = create(at_here, b"shared")["id"]
    assert at_there.get(f"/files/{file}/content").content == b"shared"
    with begin_upload(here, 20 * MEGABYTE):
        wait_for_half_a_file(servers, here)
        here.kill()
    assert at_there.delete(f"/files/{file}").status_code == 200
    create(at_there, b"alone")
    nothing_else_is_left(servers, there, 1)
    there.stop()


def checked(settings: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **settings}
    # Nothing is there to answer, and nobody asks it anything.
    command = [str(BINARY), "check", "--data", str(folder), "--upstream", "http://127.0.0.1:1/v1"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.once
def test_check_says_whether_the_bucket_answers(servers: Any, tmp_path: Path) -> None:
    settings = servers.blob_settings("s3")
    done = checked(settings, tmp_path)
    url = settings["ADJUTANT_BLOBS"]
    assert f"Keeps the bytes of files in `{url}`, which answers." in done.stdout, done.stderr
    assert servers.s3.objects(url) == [], "it leaves nothing behind"
    assert "Keeps the bytes of files in the folder" in checked({}, tmp_path).stdout


@pytest.mark.once
@pytest.mark.parametrize(
    "wrong",
    [
        {"AWS_SECRET_ACCESS_KEY": "not-the-secret"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        {"ADJUTANT_BLOBS": "s3://"},
    ],
)
def test_a_bucket_that_cannot_be_used_is_told_at_once(
    servers: Any, tmp_path: Path, wrong: dict[str, str]
) -> None:
    settings = {**servers.blob_settings("s3"), **wrong}
    done = checked(settings, tmp_path)
    assert done.returncode == 1
    told = (
        "names no bucket" if settings["ADJUTANT_BLOBS"] == "s3://" else settings["ADJUTANT_BLOBS"]
    )
    assert told in done.stderr
    assert settings["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr


class WriteOnly(BaseHTTPRequestHandler):
    """A bucket that takes everything and lets nothing be read nor deleted."""

    def do_PUT(self) -> None:  # noqa: N802 (http.server's name)
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = httpx.put(self.server.bucket + self.path, content=body, headers=dict(self.headers))
        self.send_response(answer.status_code)
        self.send_header("etag", answer.headers.get("etag", ""))
        self.send_header("content-length", "0")
        self.end_headers()

    def refuse(self) -> None:
        self.send_response(403)
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_DELETE = refuse  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.once
def test_a_start_that_fails_leaves_nothing_in_the_bucket(servers: Any, db: str) -> None:
    """What it wrote there, to see whether it can, is deleted by whoever starts next."""
    server = servers.new(
        db, settings={"ADJUTANT_RUNS_LEASE_SECONDS": "1", **servers.blob_settings("s3")}
    )
    server.stop()
    settings = dict(server.settings)
    bucket = HTTPServer(("127.0.0.1", 0), WriteOnly)
    bucket.bucket = settings["AWS_ENDPOINT_URL"]
    threading.Thread(target=bucket.serve_forever, daemon=True).start()
    server.settings["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{bucket.server_port}"
    with pytest.raises(AssertionError, match="instead of listening"):
        server.start()
    bucket.shutdown()
    bucket.server_close()
    assert len(servers.bytes_of(server)) == 1
    server.settings = settings
    server.start()
    wait_for(lambda: servers.bytes_of(server), lambda left: not left, "the bucket to be empty")
