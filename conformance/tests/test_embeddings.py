"""`POST /embeddings` for a model that no server has: the configured embedding model answers."""

from __future__ import annotations

import base64
import math
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from harness.ledger import Ledger
from harness.scripted import Failure, Model, ScriptedUpstream, Silence, Vectors
from harness.sdk import http_client, httpx, openai_client
from harness.server import BINARY, Adjutant

pytestmark = pytest.mark.once
CONFIG = """
upstream_idle_seconds = 1
upstream_retries = 2

[[upstreams]]
name = "scripted"
base_url = "{url}"
models = ["a-chat-model"]

[embeddings]
upstream = "scripted"
model = "the-embedder"
window_tokens = 60
batch_texts = 2
query_prefix = "query: "
passage_prefix = "passage: "
"""
PREFIX = "query: "


@pytest.fixture(scope="module")
def server(servers: Any, db: str, upstream: ScriptedUpstream) -> Adjutant:
    first = upstream.model("the-embedder").always(Vectors())
    # The suite's own settings would win over the file's.
    settings = {"ADJUTANT_EMBEDDINGS_UPSTREAM": "", "ADJUTANT_EMBEDDINGS_MODEL": ""}
    config = CONFIG.format(url=upstream.base_url)
    server = servers.new(db, upstream="", settings=settings, config=config)
    answer = httpx.post(f"{server.base_url}/embeddings", json={"model": "any", "input": "hello"})
    assert answer.status_code == 200, answer.text
    # Asked for its dimensions once, then for the text.
    assert [seen.body["input"] for seen in first.requests] == [
        [PREFIX + "dimensions"],
        [PREFIX + "hello"],
    ]
    return server


@pytest.fixture
def embedder(upstream: ScriptedUpstream) -> Iterator[Model]:
    model = upstream.model("the-embedder")
    yield model
    model.close()
    assert not model.unscripted and not model.unused_turns


@pytest.fixture
def client(server: Adjutant, ledger: Ledger) -> openai.OpenAI:
    return openai_client(server.base_url, ledger)


@pytest.fixture
def http(server: Adjutant, ledger: Ledger) -> httpx.Client:
    ledger.expected_statuses |= {502}
    return http_client(server.base_url, ledger)


def unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(number * number for number in vector))
    return [number / length for number in vector]


def expected(text: str) -> Any:
    return pytest.approx(unit(Vectors().of(text)), abs=1e-6)


def texts_of(model: Model) -> list[list[str]]:
    return [seen.body["input"] for seen in model.requests]


def test_texts_become_unit_vectors_in_order(client: openai.OpenAI, embedder: Model) -> None:
    """Asked for in portions, and put in order by index, since servers may answer in any."""
    embedder.always(Vectors(backwards=True))
    texts = ["red fox", "blue whale", "한국의 수도", "green tree", "x"]
    answer = client.embeddings.create(model="text-embedding-ada-002", input=texts)
    assert [item.index for item in answer.data] == [0, 1, 2, 3, 4]
    for text, item in zip(texts, answer.data, strict=True):
        assert item.embedding == expected(PREFIX + text)
    prefixed = [PREFIX + text for text in texts]
    assert sorted(texts_of(embedder)) == sorted([prefixed[:2], prefixed[2:4], prefixed[4:]])
    assert (answer.model, answer.usage.total_tokens) == ("the-embedder", 5)


@pytest.mark.parametrize("form", ["float", "base64", None])
def test_both_forms_of_a_vector(http: httpx.Client, embedder: Model, form: str | None) -> None:
    embedder.then(Vectors())
    body = {"model": "any", "input": "hello"} | ({"encoding_format": form} if form else {})
    answer = http.post("/embeddings", json=body).json()
    vector = answer["data"][0]["embedding"]
    if form == "base64":
        vector = list(struct.unpack("<64f", base64.b64decode(vector)))
    assert vector == expected(PREFIX + "hello")


def test_a_long_text_is_embedded_in_parts(client: openai.OpenAI, embedder: Model) -> None:
    """Nothing of it is lost, words stay whole, and each part counts by its length."""
    embedder.always(Vectors())
    text = " ".join(f"word{number} 단어" for number in range(40))
    answer = client.embeddings.create(model="any", input=text)
    parts = [part.removeprefix(PREFIX) for batch in sorted(texts_of(embedder)) for part in batch]
    assert len(parts) > 5
    assert sorted("".join(parts).split()) == sorted(text.split())
    mean = [0.0] * 64
    for part in parts:
        letters = sum(character.isascii() and character.isalpha() for character in part)
        tokens = math.ceil(letters / 2 + len(part.encode()) - letters)
        assert tokens <= 60
        vector = unit(Vectors().of(PREFIX + part))
        mean = [sum + tokens * number for sum, number in zip(mean, vector, strict=True)]
    assert answer.data[0].embedding == pytest.approx(unit(mean), abs=1e-5)


def test_a_busy_server_is_asked_again_when_it_says(http: httpx.Client, embedder: Model) -> None:
    embedder.fails(429, headers=(("retry-after-ms", "20"),)).fails(
        500, headers=(("retry-after", "0"),)
    )
    embedder.then(Vectors())
    answer = http.post("/embeddings", json={"model": "any", "input": "hello"})
    assert answer.json()["data"][0]["embedding"] == expected(PREFIX + "hello")
    assert len(embedder.requests) == 3


@pytest.mark.parametrize(
    ("turn", "asked", "says"),
    [
        (Failure(400, message="Too long."), 1, "Too long."),
        (Failure(500, headers=(("retry-after", "0"),)), 3, "status 500"),
        (Vectors(missing=1), 1, "1 vectors for 2 texts"),
        (Vectors(dimensions=3), 1, "a vector of 3 dimensions, not 64"),
        (Silence(), 1, "did not respond for 1 seconds"),
    ],
    ids=["refuses", "fails", "sends too few", "sends others", "is silent"],
)
def test_faults_are_told(
    http: httpx.Client, embedder: Model, turn: Any, asked: int, says: str
) -> None:
    if isinstance(turn, Silence):
        turn = Silence(embedder.gate())
    embedder.always(turn)
    answer = http.post("/embeddings", json={"model": "any", "input": ["one", "two"]})
    assert answer.status_code == 502
    error = answer.json()["error"]
    assert says in error["message"] and "scripted" in error["message"]
    assert error["code"] == "upstream_unavailable"
    assert len(embedder.requests) == asked


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": [[1, 2, 3]]}, "input[0]"),
        ({"input": [1, 2, 3]}, "input[0]"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a"] * 2049}, "input"),
        ({"input": None}, "input"),
        ({"dimensions": 32}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"stream": True}, "stream"),
    ],
)
def test_what_cannot_be_embedded_is_refused(
    http: httpx.Client, embedder: Model, change: dict[str, Any], param: str
) -> None:
    answer = http.post("/embeddings", json={"model": "any", "input": "hello", **change})
    assert answer.status_code == 400
    error = answer.json()["error"]
    # An unknown key is named in words, as OpenAI did.
    assert param in (error["param"] or error["message"])
    assert not embedder.requests


def check(folder: Path, config: str) -> subprocess.CompletedProcess[str]:
    path = folder / "adjutant.toml"
    path.write_text(config)
    command = [str(BINARY), "check", "--config", str(path), "--data", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_check_says_whether_the_model_embeds(
    upstream: ScriptedUpstream, embedder: Model, tmp_path: Path
) -> None:
    embedder.then(Vectors(dimensions=12))
    done = check(tmp_path, CONFIG.format(url=upstream.base_url))
    assert done.returncode == 0, done.stderr
    assert "`scripted` embeds with the-embedder: 12 dimensions." in done.stdout


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ('upstream = "scripted"', 'upstream = "other"', "embeddings.upstream is `other`"),
        ('model = "the-embedder"', "", "embeddings.model must name"),
        ("window_tokens = 60", "window_tokens = 0", "embeddings.window_tokens must be"),
        ("batch_texts = 2", "batch_texts = 0", "embeddings.batch_texts must be"),
    ],
)
def test_check_says_what_is_wrong(
    upstream: ScriptedUpstream, tmp_path: Path, line: str, instead: str, says: str
) -> None:
    config = CONFIG.format(url=upstream.base_url)
    assert line in config
    done = check(tmp_path, config.replace(line, instead))
    assert done.returncode != 0 and says in done.stderr
