"""What users do with files, uploads and vector stores."""

from __future__ import annotations

import hashlib
import io
import random
import time
from dataclasses import dataclass, field
from typing import Any

from chaos.client import Client, Refused, keyed
from chaos.history import Removal, Write

PART_BYTES = 3_000
# A user's patience: as long as things break, a file may have to wait for one lease after another.
PATIENCE_SECONDS = 60.0
POLL_SECONDS = (0.3, 1.0)
ENDED = {"completed", "failed", "cancelled"}


@dataclass
class Shelf:
    """A vector store as its only user knows it: file ids, and whether each is in it."""

    store: str
    inside: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    # Nobody can say.
    unknown: set[str] = field(default_factory=set)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Shelves:
    def __init__(self, client: Client, shelves: list[Shelf]) -> None:
        self.client = client
        self.history = client.history
        self.random: random.Random = client.random
        self._shelves = shelves

    # -- what a user does, from beginning to end --------------------------------------
    def keep_file(self) -> None:
        """Put there through one copy, read at another, perhaps deleted at a third."""
        write, content = self.put_file(self.random.randint(0, 40_000))
        assert write.id
        self.read_back(write.id, content)
        if self.random.random() < 0.4:
            self.remove_file(write.id)

    def keep_upload(self) -> None:
        """Parts at different copies, put together at any."""
        write = self.history.intends("file")
        parts = [self.bytes(PART_BYTES) for _ in range(self.random.randint(1, 4))]
        content = b"".join(parts)
        write.body = digest(content)
        upload = self.client.ask(
            "create upload",
            lambda sdk: sdk.uploads.create(
                bytes=len(content),
                filename=f"{write.nonce}.bin",
                mime_type="application/octet-stream",
                purpose="user_data",
                **keyed(write.nonce),
            ),
        )
        ids = [self.put_part(upload.id, part) for part in parts]
        try:
            done = self.client.ask(
                "complete upload",
                lambda sdk: sdk.uploads.complete(upload.id, part_ids=ids),
                write,
            )
        except Refused as refused:
            self.expect(write.attempts > 1, f"completing {upload.id} was refused: {refused}")
            return
        self.expect(done.file is not None, f"{upload.id} is complete without a file")
        write.id = done.file.id
        self.read_back(write.id, content)

    def keep_store(self) -> None:
        """A store; files come into it and go, and it counts them."""
        write = self.history.intends("vector store")
        store = self.client.ask(
            "create vector store",
            lambda sdk: sdk.vector_stores.create(name=write.nonce, **keyed(write.nonce)),
            write,
        )
        write.id = store.id
        shelf = Shelf(store.id)
        self._shelves.append(shelf)
        files = [self.put_text() for _ in range(self.random.randint(1, 3))]
        for file in files:
            self.attach(shelf, file)
        for file in files:
            self.wait(shelf, file)
        if self.random.random() < 0.3:
            self.detach(shelf, files[0])
        seen = self.client.ask(
            "retrieve vector store", lambda sdk: sdk.vector_stores.retrieve(store.id)
        )
        counts = seen.file_counts
        added = counts.in_progress + counts.completed + counts.failed + counts.cancelled
        self.expect(added == counts.total, f"{store.id} counts {counts}")
        self.expect(
            len(shelf.inside) <= counts.total <= len(shelf.inside | shelf.unknown),
            f"{store.id} has {counts.total} files, but its user knows {shelf}",
        )

    # -- pieces ---------------------------------------------------------------------
    def bytes(self, length: int) -> bytes:
        return self.random.randbytes(length)

    def put_file(self, length: int) -> tuple[Write, bytes]:
        return self.put(self.bytes(length), "bin")

    def put_text(self) -> str:
        words = " ".join(f"{self.random.getrandbits(30):x}" for _ in range(60))
        write, _ = self.put(words.encode(), "txt")
        assert write.id
        return write.id

    def put(self, content: bytes, ending: str) -> tuple[Write, bytes]:
        write = self.history.intends("file", body=digest(content))
        name = f"{write.nonce}.{ending}"
        file = self.client.ask(
            "create file",
            lambda sdk: sdk.files.create(
                file=(name, io.BytesIO(content)), purpose="assistants", **keyed(write.nonce)
            ),
            write,
        )
        write.id = file.id
        self.expect(file.bytes == len(content), f"{file.id} has {file.bytes} bytes")
        return write, content

    def put_part(self, upload: str, part: bytes) -> str:
        # A part has no key: one that was put twice is in the upload twice, and one is named.
        added = self.client.ask(
            "add part", lambda sdk: sdk.uploads.parts.create(upload, data=io.BytesIO(part))
        )
        return added.id

    def read_back(self, file: str, content: bytes) -> None:
        read = self.client.ask("read file", lambda sdk: sdk.files.content(file).read())
        self.expect(read == content, f"{file} came back as {len(read)} other bytes")

    def remove_file(self, file: str) -> None:
        removal = Removal(file, self.history.now())
        self.history.add(removal)
        try:
            self.client.ask("delete file", lambda sdk: sdk.files.delete(file))
        except Refused as refused:
            self.expect(refused.status == 404, f"deleting {file} was refused: {refused}")
        removal.acked = self.history.now()

    def attach(self, shelf: Shelf, file: str) -> None:
        shelf.unknown.add(file)
        self.client.ask(
            "attach file",
            lambda sdk: sdk.vector_stores.files.create(
                shelf.store, file_id=file, **keyed(f"{shelf.store}-{file}")
            ),
        )
        shelf.inside.add(file)
        shelf.unknown.discard(file)

    def wait(self, shelf: Shelf, file: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            seen: Any = self.client.ask(
                "retrieve attached file",
                lambda sdk: sdk.vector_stores.files.retrieve(file, vector_store_id=shelf.store),
            )
            if seen.status in ENDED:
                return
            time.sleep(self.random.uniform(*POLL_SECONDS))

    def detach(self, shelf: Shelf, file: str) -> None:
        shelf.inside.discard(file)
        shelf.unknown.add(file)
        try:
            self.client.ask(
                "detach file",
                lambda sdk: sdk.vector_stores.files.delete(file, vector_store_id=shelf.store),
            )
        except Refused as refused:
            self.expect(refused.status == 404, f"detaching {file} was refused: {refused}")
        shelf.unknown.discard(file)
        shelf.outside.add(file)

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.history.complain(what)
