"""The real built-in embedding model: what it finds, how it reads long texts, and that it heals."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from harness import built_in
from harness.ledger import Ledger
from harness.scripted import ScriptedUpstream
from harness.sdk import openai_client
from harness.server import Adjutant

pytestmark = [
    pytest.mark.once,
    *built_in.MARKS,
    pytest.mark.timeout(900),
]
# The chat model is another's, so that only the embedding model is fetched and started.
CONFIG = """
[[upstreams]]
name = "scripted"
base_url = "{url}"
models = ["a-chat-model"]
"""
# What is asked in one language and stands in another.
ENGLISH = {
    "제조 결함은 몇 년간 보증되나요?": "The warranty covers manufacturing defects for two years.",
    "식물은 빛으로 무엇을 만드나요?": "Plants turn sunlight and water into sugar and oxygen.",
    "제주도 가는 비행기는 어디서 타나요?": "Flights to Jeju leave from Gimpo airport every hour.",
    "피보나치 수를 계산하는 함수": "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)",
    "パスワードを忘れました": "To reset your password, open Settings and choose Account.",
}
KOREAN = {
    "How many days do I have for a refund?": "환불은 구매 후 14일 이내에 신청하시면 됩니다.",
    "how do I reboot the server?": "서버를 다시 시작하려면 관리자 권한으로 명령을 실행하세요.",
    "Who invented the Korean alphabet?": "세종대왕은 1443년에 훈민정음을 창제하였다.",
    "What is the capital of Japan?": "도쿄는 일본의 수도이며 인구는 약 천사백만 명이다.",
    "天气预报": "내일은 전국에 비가 오고 기온이 크게 떨어지겠습니다.",
}


@pytest.fixture(scope="module")
def server(upstream: ScriptedUpstream) -> Iterator[Adjutant]:
    config = CONFIG.format(url=upstream.base_url)
    server = Adjutant(built_in.folder(), upstream=None, config=config)
    yield server
    server.stop()


@pytest.fixture
def client(server: Adjutant, ledger: Ledger) -> openai.OpenAI:
    return openai_client(server.base_url, ledger).with_options(timeout=800)


def embed(client: openai.OpenAI, texts: list[str]) -> list[list[float]]:
    answer = client.embeddings.create(model="text-embedding-3-small", input=texts)
    assert answer.model == "multilingual-e5-small"
    return [item.embedding for item in answer.data]


def alike(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("answers", [ENGLISH, KOREAN], ids=["english", "korean"])
def test_questions_find_passages_of_another_language(
    client: openai.OpenAI, answers: dict[str, str]
) -> None:
    passages = embed(client, list(answers.values()))
    for index, vector in enumerate(embed(client, list(answers))):
        assert len(vector) == 384
        assert math.isclose(alike(vector, vector), 1, abs_tol=1e-5)
        scores = [alike(vector, passage) for passage in passages]
        assert scores.index(max(scores)) == index


def test_the_end_of_a_long_text_counts(client: openai.OpenAI) -> None:
    """The model reads 512 tokens at once; what comes after 2,000 is read all the same."""
    long = "The committee met and talked about the budget, the roof and the garden. " * 130
    fact = "The secret ingredient of grandmother's kimchi is a ripe pear."
    answer = client.embeddings.create(model="any", input=[long, f"{long}{fact}"])
    assert answer.usage.prompt_tokens > 2 * 2_000
    without, with_fact = (item.embedding for item in answer.data)
    (question,) = embed(client, ["What does grandmother put into her kimchi?"])
    assert alike(with_fact, question) > alike(without, question) + 0.001


def test_the_same_text_has_the_same_vector_alone_and_among_others(client: openai.OpenAI) -> None:
    """Also when it is asked for by several at once."""
    texts = list(KOREAN.values())
    expected = embed(client, texts)
    found: dict[int, list[float]] = {}

    def ask(index: int) -> None:
        (found[index],) = embed(client, [texts[index]])

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, vector in enumerate(expected):
        assert alike(found[index], vector) > 0.9999


def test_a_killed_engine_is_started_again(client: openai.OpenAI, server: Adjutant) -> None:
    """In the middle of its work, and between two texts."""
    long = ["Words that take their time to read. " * 400] * 8
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(len(embed(client, long))))
    embed(client, ["Start."])
    first = engine_of(server)
    asking.start()
    wait_until_busy(first)
    os.kill(first, signal.SIGKILL)
    asking.join(300)
    assert answers == [8]
    second = engine_of(server)
    assert second != first
    os.kill(second, signal.SIGKILL)
    assert len(embed(client, ["Again."])[0]) == 384


def engine_of(server: Adjutant) -> int:
    """The process that the server started for the embedding model."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            command = folder.joinpath("cmdline").read_text()
        except OSError:
            continue
        if parent == server.pid and "embedding-model" in command:
            return int(folder.name)
    raise AssertionError("the server has no such process")


def processor_ticks(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def wait_until_busy(process: int) -> None:
    """Until it has begun on what it was asked last."""
    before = processor_ticks(process)
    while processor_ticks(process) < before + 10:
        pass
