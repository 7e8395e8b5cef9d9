"""Servers, clients and scripted models for all tests."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest

from harness import code, postgres
from harness.ledger import Ledger
from harness.s3 import S3
from harness.scripted import Model, ScriptedUpstream, Vectors
from harness.sdk import SDK_VERSION, http_client, httpx, openai_client
from harness.server import BINARY, START_DEADLINE_SECONDS, Adjutant
from harness.shelf import Shelf
from harness.story import Story

# What makes requests up is installed with the newest SDK alone.
collect_ignore = [] if SDK_VERSION >= (3, 0) else ["test_properties.py"]

SETTINGS = {
    "ADJUTANT_LOG": "info",
    "ADJUTANT_EMBEDDINGS_UPSTREAM": "upstream",
    "ADJUTANT_EMBEDDINGS_MODEL": "scripted-embedder",
    "ADJUTANT_CODE_INTERPRETER_ENGINE": "off",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--db", choices=["sqlite", "postgres", "both"], default="both")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "db" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--db")
        databases = ["sqlite", "postgres"] if chosen == "both" else [chosen]
        metafunc.parametrize("db", databases, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What no SDK takes part in is tested once, with the newest."""
    if SDK_VERSION >= (3, 0):
        return
    once = [item for item in items if item.get_closest_marker("once")]
    config.hook.pytest_deselected(items=once)
    items[:] = [item for item in items if item not in once]


def pytest_report_header() -> list[str]:
    return [f"openai {openai.__version__}, testing {BINARY}"]


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Without PostgreSQL every further test would only wait until its time is up."""
    servers = getattr(item, "funcargs", {}).get("servers")
    if servers and (last_words := servers.lost_postgres()):
        pytest.exit(f"PostgreSQL ended before the tests did:\n{last_words}", 1)


class Servers:
    """Starts a server for a database and settings once, and lends it to every test."""

    def __init__(self, folder: Path, upstream: ScriptedUpstream) -> None:
        self._folder = folder
        self._upstream = upstream
        self._shared: dict[tuple[object, ...], Adjutant] = {}
        self._lent_copies: dict[tuple[object, ...], list[Adjutant]] = {}
        self._lent: list[Adjutant] = []
        self._all: list[Adjutant] = []
        self._postgres: postgres.Postgres | None = None
        self._s3: S3 | None = None
        self._numbers = itertools.count(1)

    def shared(
        self, db: str, *, start_seconds: float = START_DEADLINE_SECONDS, **settings: str
    ) -> Adjutant:
        key = (db, *sorted(settings.items()))
        if key not in self._shared or not self._shared[key].is_running:
            self._shared[key] = self.lend(
                self.new(db, settings=settings, start_seconds=start_seconds)
            )
        return self._shared[key]

    def blob_settings(self, where: str, prefix: str | None = None) -> dict[str, str]:
        """The settings of a server whose files are there; without a prefix, it has one of its own."""
        prefix = prefix or f"own-{next(self._numbers)}"
        return self.s3.settings(prefix) if where == "s3" else {}

    def bytes_of(self, server: Adjutant) -> list[Path]:
        """What lies where a server keeps the bytes of files."""
        if url := server.settings.get("ADJUTANT_BLOBS"):
            return self.s3.objects(url)
        return [path for path in (server.folder / "data/blobs").rglob("*") if path.is_file()]

    def blob_folder(self, server: Adjutant) -> Path:
        """The folder that holds them, on whichever side."""
        if url := server.settings.get("ADJUTANT_BLOBS"):
            return self.s3.folder / url.removeprefix("s3://")
        return server.data / "blobs"

    def new(
        self,
        db: str,
        *,
        settings: dict[str, str] | None = None,
        upstream: str | None = None,
        **options: object,
    ) -> Adjutant:
        """A server of one test's own. With an empty `upstream` its configuration names some."""
        number = next(self._numbers)
        server = Adjutant(
            self._folder / f"server-{number}",
            upstream=self._upstream.base_url if upstream is None else upstream,
            database_url=self._database(number) if db == "postgres" else None,
            settings={**SETTINGS, **(settings or {})},
            **options,
        )
        self._all.append(server)
        return server

    def copies(self, number: int, *, shared: bool = True, **settings: str) -> list[Adjutant]:
        """Servers over one PostgreSQL and one bucket. `shared` ones are lent to every test that asks."""
        key = ("copies", number, *sorted(settings.items()))
        lent = self._lent_copies.get(key, []) if shared else []
        if lent and all(server.is_running for server in lent):
            return lent
        first = self.new("postgres", settings={**self.blob_settings("s3"), **settings})
        copies = [first, *(self.beside(first) for _ in range(number - 1))]
        if shared:
            self._lent_copies[key] = [self.lend(copy) for copy in copies]
        return copies

    def lend(self, server: Adjutant) -> Adjutant:
        """Keeps a server for later tests; others end with the test that started them."""
        self._lent.append(server)
        return server

    def beside(self, server: Adjutant, settings: dict[str, str] | None = None) -> Adjutant:
        """One more copy of a server over a PostgreSQL and the same bytes of files, with these settings in place of its."""
        return self.over(server.database_url, **{**server.settings, **(settings or {})})

    def new_database(self) -> str:
        return self._database(next(self._numbers))

    def over(self, database_url: str, **settings: str) -> Adjutant:
        """A server over this PostgreSQL."""
        server = Adjutant(
            self._folder / f"server-{next(self._numbers)}",
            upstream=self._upstream.base_url,
            database_url=database_url,
            settings={**SETTINGS, **settings},
        )
        self._all.append(server)
        return server

    def _database(self, number: int) -> str:
        url = os.environ.get(postgres.VARIABLE)
        if not url:
            self._postgres = self._postgres or postgres.Postgres()
            url = self._postgres.url
        return postgres.create_database(url, f"adjutant_{os.getpid()}_{number}")

    def lost_postgres(self) -> str:
        """What the suite's PostgreSQL said last, if it ended by itself."""
        return self._postgres.last_words() if self._postgres else ""

    @property
    def s3(self) -> S3:
        self._s3 = self._s3 or S3()
        return self._s3

    @contextmanager
    def of_one_test(self) -> Iterator[None]:
        """Those started meanwhile end with it: idle ones hold connections and look for runs all the same."""
        before = len(self._all)
        yield
        own = [server for server in self._all[before:] if server not in self._lent]
        for server in own:
            server.ask_to_stop()
        for server in own:
            server.stop()

    def take_panics(self) -> list[str]:
        panics = [panic for server in self._all for panic in server.panics]
        for server in self._all:
            server.panics.clear()
        return panics

    def stop(self) -> None:
        for server in self._all:
            server.ask_to_stop()
        for server in self._all:
            server.stop()
        if self._postgres:
            self._postgres.stop()
        if self._s3:
            self._s3.stop()


@pytest.fixture(scope="session")
def upstream() -> Iterator[ScriptedUpstream]:
    upstream = ScriptedUpstream()
    upstream.model(SETTINGS["ADJUTANT_EMBEDDINGS_MODEL"]).always(Vectors())
    yield upstream
    upstream.stop()


@pytest.fixture(scope="session")
def servers(upstream: ScriptedUpstream) -> Iterator[Servers]:
    with tempfile.TemporaryDirectory(prefix="adjutant-tests-") as folder:
        servers = Servers(Path(folder), upstream)
        yield servers
        servers.stop()


@pytest.fixture(autouse=True)
def own_servers_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set up after what a whole module uses, and taken down after all else that is one test's."""
    if "servers" not in request.fixturenames:
        yield
        return
    with request.getfixturevalue("servers").of_one_test():
        yield


@pytest.fixture
def server(servers: Servers, db: str) -> Adjutant:
    """The ordinary server that most tests share."""
    return servers.shared(db)


@pytest.fixture
def own_server(servers: Servers, db: str, blobs: str) -> Iterator[Adjutant]:
    """A server of the test's own, in whose files nobody else has a hand."""
    settings = {"ADJUTANT_RUNS_LEASE_SECONDS": "2", **servers.blob_settings(blobs)}
    server = servers.new(db, settings=settings)
    yield server
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def blobs(request: pytest.FixtureRequest) -> str:
    """Where the bytes of files are."""
    return request.param


@pytest.fixture
def ledger(servers: Servers) -> Iterator[Ledger]:
    """Holds all traffic; whatever a checker found wrong with it fails the test."""
    ledger = Ledger()
    yield ledger
    panics = servers.take_panics()
    assert not ledger.problems, "wrong on the wire:\n" + "\n".join(ledger.problems[:20])
    assert not panics, f"the server panicked: {panics}"


@pytest.fixture
def model(upstream: ScriptedUpstream) -> Iterator[Model]:
    """A model whose answers this test writes. It must be asked all and only what is scripted."""
    model = upstream.model()
    yield model
    model.close()
    unscripted = [seen.said[-1:] for seen in model.unscripted]
    assert not unscripted, f"the model was asked more than was scripted: {unscripted}"
    assert not model.unused_turns, f"{model.unused_turns} scripted answers were never asked for"


@pytest.fixture
def client(server: Adjutant, ledger: Ledger) -> openai.OpenAI:
    """The official SDK, connected to the ordinary server."""
    return openai_client(server.base_url, ledger)


@pytest.fixture
def http(server: Adjutant, ledger: Ledger) -> httpx.Client:
    """A bare HTTP client on the ordinary server, with the headers an SDK would send."""
    return http_client(server.base_url, ledger)


@pytest.fixture
def story(client: openai.OpenAI, model: Model, ledger: Ledger) -> Story:
    """Assistants, threads and runs in few words."""
    return Story(client, model, ledger)


@pytest.fixture
def shelf(client: openai.OpenAI) -> Shelf:
    """Files and vector stores in few words."""
    return Shelf(client)


@pytest.fixture
def connect(model: Model, ledger: Ledger) -> Callable[[Adjutant], Story]:
    """The same on a server that the test chose."""
    return lambda server: Story(openai_client(server.base_url, ledger), model, ledger)


@pytest.fixture(params=code.ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """What runs code: every test that asks for it is run with each."""
    return request.param


@pytest.fixture
def code_settings(engine: str) -> dict[str, str]:
    return {**code.SETTINGS, "ADJUTANT_CODE_INTERPRETER_ENGINE": engine}


@pytest.fixture
def projects(servers: Servers, db: str, ledger: Ledger) -> tuple[httpx.Client, httpx.Client]:
    """Clients of two projects of one server."""
    names = ("one", "two")
    config = "".join(
        f'[[keys]]\nkey = "key-of-{name}-project"\nproject = "{name}"\n' for name in names
    )
    server = servers.new(db, config=config)
    one, two = (http_client(server.base_url, ledger, f"key-of-{name}-project") for name in names)
    return one, two
