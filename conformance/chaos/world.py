"""Three copies of the server over one PostgreSQL and one bucket, with something to break between them all."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from chaos import proxy, words
from chaos.proxy import Proxies
from harness import postgres
from harness.postgres import Postgres
from harness.s3 import S3
from harness.scripted import ScriptedUpstream, Vectors
from harness.server import Adjutant

COPIES = 3
LEASE_SECONDS = 2
# A run whose client never answers must end within the test.
EXPIRES_SECONDS = 45
PREFIX = "chaos"
START_SECONDS = 60.0
REVIVAL_SECONDS = 240.0
# PostgreSQL's words for a connection that was given back to the pool in the middle of something.
ALARMS = ("already a transaction in progress", "is no transaction in progress")
SETTINGS = {
    "ADJUTANT_LOG": "info",
    "ADJUTANT_EMBEDDINGS_UPSTREAM": "upstream",
    "ADJUTANT_EMBEDDINGS_MODEL": words.EMBEDDER,
    "ADJUTANT_CODE_INTERPRETER_ENGINE": "off",
    "ADJUTANT_DOWNLOAD_UPLOADS": "true",
    "ADJUTANT_UPSTREAM_IDLE_SECONDS": "4",
    "ADJUTANT_RUNS_LEASE_SECONDS": str(LEASE_SECONDS),
    "ADJUTANT_RUNS_EXPIRES_SECONDS": str(EXPIRES_SECONDS),
    "ADJUTANT_RUNS_KEEPALIVE_SECONDS": "1",
}


class Copy(Adjutant):
    """A copy whose whole log is kept."""

    def __init__(self, name: str, folder: Path, **options: Any) -> None:
        self.name = name
        self.alarms: list[str] = []
        self._log_file = (folder / f"{name}.log").open("a", encoding="utf-8")
        super().__init__(folder / name, **options)

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def revive(self) -> None:
        """Starts it as often as it takes, as a service manager does: its database may be away."""
        deadline = time.monotonic() + REVIVAL_SECONDS
        while True:
            try:
                self.start()
                return
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _read(self, output: IO[str]) -> None:
        super()._read(self._kept(output))  # type: ignore[arg-type]

    def _kept(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if any(words in line for words in ALARMS):
                self.alarms.append(line)
            self._log_file.write(line)
            self._log_file.flush()
            yield line


class World:
    """All servers. What is broken in it, `faults` breaks."""

    def __init__(self, seed: int, folder: Path | None = None) -> None:
        """`folder`: where logs are kept; else they go with the world."""
        self._temporary = tempfile.TemporaryDirectory(prefix="adjutant-chaos-")
        self.folder = folder or Path(self._temporary.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        # Its processes end at once and come back: what it acknowledged must be there.
        self.postgres = Postgres(synchronous_commit="on")
        self.database = postgres.create_database(self.postgres.url, "chaos")
        self.s3 = S3()
        self.upstream = ScriptedUpstream()
        self.upstream.model(words.EMBEDDER).always(Vectors())
        self.words = words.Words(self.upstream.model(words.MODEL), seed)
        self.proxies = Proxies()
        gate = self.proxies.make("s3", "s3", urlsplit(self.s3.address).port or 0)
        self._blobs = self.s3.settings(PREFIX) | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{gate}"}
        # The kernel ends a server with the thread that started it, so those that start some stay.
        self._starters = ThreadPoolExecutor(COPIES + 1)
        self.copies = [self._copy(f"copy-{number}") for number in range(1, COPIES + 1)]

    def _copy(self, name: str) -> Copy:
        port = self.proxies.make("relay", name, self.postgres.port)
        place = urlsplit(self.database)
        return Copy(
            name,
            self.folder,
            upstream=self.upstream.base_url,
            database_url=f"postgres://{place.username}@127.0.0.1:{port}{place.path}",
            settings={**SETTINGS, **self._blobs},
            start_seconds=START_SECONDS,
        )

    @property
    def alarms(self) -> list[str]:
        """Lines of the copies' logs that no fault excuses."""
        return [line for copy in self.copies for line in [*copy.panics, *copy.alarms]]

    def revive(self, copy: Copy) -> None:
        self._starters.submit(copy.revive).result()

    def restart_database(self) -> None:
        self._starters.submit(self.postgres.restart_at_once).result()

    def heal(self) -> None:
        """Whatever was broken works again, and whoever was killed is back."""
        for copy in self.copies:
            self.proxies.set(copy.name, proxy.PASS)
            if copy.is_running:
                copy.go_on()
            else:
                self.revive(copy)
        self.proxies.set("s3", proxy.PASS)
        self.words.mode = words.PASS

    def query(self, statement: str) -> list[dict[str, Any]]:
        """A select, past all copies and proxies."""
        return postgres.query(self.database, statement)

    def blobs(self) -> dict[str, Path]:
        """What is in the bucket, by key."""
        objects = self.s3.objects(f"s3://{self.s3_bucket}/{PREFIX}")
        return {path.name: path for path in objects}

    @property
    def s3_bucket(self) -> str:
        return self._blobs["ADJUTANT_BLOBS"].removeprefix("s3://").split("/")[0]

    def stop(self) -> None:
        for copy in self.copies:
            copy.kill()
        self.proxies.stop()
        self.upstream.stop()
        self.s3.stop()
        self.postgres.stop()
        self._starters.shutdown()
        self._temporary.cleanup()
