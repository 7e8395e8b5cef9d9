"""Copies of a server at work: nothing that was acknowledged before is missing, and nothing is half there."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import postgres
from harness.ledger import Ledger
from harness.moving import everything, perform
from harness.sdk import http_client, httpx, openai_client
from harness.server import BINARY, Adjutant
from harness.shelf import Shelf
from harness.story import wait_for

pytestmark = [pytest.mark.once, pytest.mark.timeout(240)]
SETTINGS = {"ADJUTANT_DOWNLOAD_UPLOADS": "true"}
WRITERS = 3
MANY = 150


class Load:
    """Clients that write messages and files and delete files, and remember what they were told."""

    def __init__(self, connect: Callable[[], httpx.Client]) -> None:
        self._connect = connect
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.messages: dict[str, tuple[str, str]] = {}
        self.files: dict[str, bytes] = {}
        self.deleted: set[str] = set()
        self.faults: list[str] = []

    @contextmanager
    def at_work(self) -> Iterator[Load]:
        work = [self._write, self._upload, self._upload_and_delete]
        for number in range(WRITERS):
            for do in work:
                thread = threading.Thread(target=self._run, args=(do, random.Random(number)))
                thread.start()
                self._threads.append(thread)
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()
        assert not self.faults, self.faults[:5]

    def _run(
        self, do: Callable[[httpx.Client, random.Random], None], chance: random.Random
    ) -> None:
        try:
            with self._connect() as http:
                while not self._stop.is_set():
                    do(http, chance)
        except Exception as fault:
            self.faults.append(repr(fault))

    def _write(self, http: httpx.Client, chance: random.Random) -> None:
        thread = _ok(http.post("/threads", json={}))["id"]
        for number in range(20):
            if self._stop.is_set():
                return
            text = f"message {number} 가나다 {chance.random()}"
            body = {"role": "user", "content": text}
            message = _ok(http.post(f"/threads/{thread}/messages", json=body))["id"]
            self.messages[message] = (thread, text)

    def _upload(self, http: httpx.Client, chance: random.Random) -> None:
        content = chance.randbytes(chance.choice([0, 10, 3_000, 70_000, 1_100_000]))
        form = {"purpose": "user_data"}
        file = _ok(http.post("/files", data=form, files={"file": ("a.bin", content)}))["id"]
        self.files[file] = content

    def _upload_and_delete(self, http: httpx.Client, chance: random.Random) -> None:
        self._upload(http, chance)
        gone = next(iter(set(self.files) - self.deleted), None)
        if gone:
            self.deleted.add(gone)
            http.delete(f"/files/{gone}")


def _ok(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return answer.json()


def copy(server: Adjutant, other: Adjutant, servers: Any, tmp_path: Path) -> None:
    """As docs/backup.md says: the database first, then the bytes of files."""
    if not server._database_url:
        perform(server, "backup", other.data)
        return
    dumped = tmp_path / "database.dump"
    postgres.dump(server._database_url, dumped)
    postgres.restore(dumped, other._database_url)
    source, target = (servers.blob_folder(one) for one in (server, other))
    # What is deleted while it is copied is not missed.
    subprocess.run(["cp", "--archive", f"{source}/.", target], capture_output=True)


def emptied(server: Adjutant, servers: Any) -> Adjutant:
    """A server that has stopped, whose data are to come from elsewhere."""
    server.stop()
    if server._database_url:
        postgres.execute(server._database_url, "drop schema public cascade; create schema public")
        servers.blob_folder(server).mkdir(parents=True, exist_ok=True)
    else:
        shutil.rmtree(server.data)
    return server


def test_a_copy_taken_under_load_is_whole(
    servers: Any, db: str, ledger: Ledger, tmp_path: Path
) -> None:
    blobs = "s3" if db == "postgres" else "folder"
    server = servers.new(db, settings={**SETTINGS, **servers.blob_settings(blobs)})
    other = servers.new(db, settings={**SETTINGS, **servers.blob_settings(blobs)})
    emptied(other, servers)
    store = Shelf(openai_client(server.base_url, ledger)).store("Penguins swim.")
    with Load(lambda: httpx.Client(base_url=server.base_url, timeout=30)).at_work() as load:
        wait_for(lambda: len(load.messages), lambda n: n > MANY, "messages")
        wait_for(lambda: len(load.deleted), lambda n: n > 10, "deletions")
        messages, files = dict(load.messages), dict(load.files)
        copy(server, other, servers, tmp_path)
        deleted = set(load.deleted)
        after = len(load.messages)
        wait_for(lambda: len(load.messages), lambda n: n > after + 20, "the server to go on")
    server.stop()
    other.start()
    http = http_client(other.base_url, ledger)
    for file, content in files.items():
        if file not in deleted:
            assert http.get(f"/files/{file}/content").content == content
    if not other._database_url:
        everything(http)
    shown = {
        message["id"]: message["content"][0]["text"]["value"]
        for thread in {thread for thread, _ in messages.values()}
        for message in http.get(f"/threads/{thread}/messages", params={"limit": 100}).json()["data"]
    }
    assert not {id_ for id_, (_, text) in messages.items() if shown.get(id_) != text}
    shelf = Shelf(openai_client(other.base_url, ledger))
    assert shelf.found(store, "penguins") == ["text-0.txt"]
    other.stop()


def test_bytes_in_a_bucket_stay_there(servers: Any, ledger: Ledger) -> None:
    """The copy is of the database; a server on it, and on the bucket, has all files."""
    settings = {**SETTINGS, **servers.blob_settings("s3")}
    server, other = (servers.new("sqlite", settings=settings) for _ in range(2))
    emptied(other, servers)
    file = Shelf(openai_client(server.base_url, ledger)).file("in the bucket")
    said = perform(server, "backup", other.data)
    assert "0 files" in said and "s3://" in said
    server.stop()
    other.start()
    http = http_client(other.base_url, ledger)
    assert http.get(f"/files/{file}/content").text == "in the bucket"
    other.stop()


def test_a_backup_is_exported_while_the_server_runs(
    servers: Any, ledger: Ledger, tmp_path: Path
) -> None:
    """Moving without stopping: the export is of the copy."""
    server = servers.new("sqlite", settings=SETTINGS)
    file = Shelf(openai_client(server.base_url, ledger)).file("to be moved")
    perform(server, "backup", tmp_path / "copy")
    exported = tmp_path / "house.jsonl"
    subprocess.run(
        [BINARY, "export", "--data", tmp_path / "copy", exported],
        check=True,
        capture_output=True,
    )
    assert file in exported.read_text()
    server.stop()


@pytest.fixture
def stopped(servers: Any) -> Adjutant:
    server = servers.new("sqlite", settings=SETTINGS)
    server.stop()
    return server


def test_what_is_there_is_never_written_over(stopped: Adjutant, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("dear")
    assert "is not empty" in perform(stopped, "backup", tmp_path / "full", fails=True)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["letter.txt"]
    (tmp_path / "file").write_text("dear")
    assert "cannot be used" in perform(stopped, "backup", tmp_path / "file", fails=True)
    (tmp_path / "new.part").mkdir()
    assert "delete it if" in perform(stopped, "backup", tmp_path / "new", fails=True)
    (tmp_path / "new.part").rmdir()
    perform(stopped, "backup", tmp_path / "new")
    (tmp_path / "empty").mkdir()
    perform(stopped, "backup", tmp_path / "empty")
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == ["adjutant.db", "blobs"]


def test_what_is_lost_is_noticed(servers: Any, ledger: Ledger, tmp_path: Path) -> None:
    server = servers.new("sqlite", settings=SETTINGS)
    Shelf(openai_client(server.base_url, ledger)).file("to be lost")
    server.stop()
    (blob,) = servers.bytes_of(server)
    blob.write_text("short")
    assert "it is damaged" in perform(server, "backup", tmp_path / "copy", fails=True)
    blob.unlink()
    assert "could not copy" in perform(server, "backup", tmp_path / "copy", fails=True)
    assert not list(tmp_path.iterdir()), "half a backup was left"


def test_there_must_be_something_to_copy(servers: Any, stopped: Adjutant, tmp_path: Path) -> None:
    shutil.rmtree(stopped.data)
    said = perform(stopped, "backup", tmp_path / "copy", fails=True)
    assert "there is no database" in said
    database = {"ADJUTANT_DATABASE_URL": "postgres://nobody@localhost/none"}
    stopped.settings |= database
    assert "pg_dump" in perform(stopped, "backup", tmp_path / "copy", fails=True)
