"""The real built-in models together: questions about a user's files, answered with citations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from harness import built_in, paper
from harness.ledger import Ledger
from harness.sdk import openai_client
from harness.searching import SEARCH
from harness.server import Adjutant
from harness.shelf import Shelf

pytestmark = [
    pytest.mark.once,
    *built_in.MARKS,
    pytest.mark.timeout(1200),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Adjutant]:
    server = Adjutant(
        built_in.folder(), upstream=None, environment=built_in.ENVIRONMENT, start_seconds=600
    )
    yield server
    server.stop()


@pytest.fixture
def client(server: Adjutant, ledger: Ledger) -> openai.OpenAI:
    return openai_client(server.base_url, ledger).with_options(timeout=800)


@pytest.fixture
def files(client: openai.OpenAI) -> Iterator[dict[str, str]]:
    """The ids of the files by their names; what is found in one is not in the other."""
    shelf = Shelf(client)
    ids = {
        "취업 규칙.pdf": shelf.file(paper.pdf(paper.KOREAN), "취업 규칙.pdf"),
        "pump.docx": shelf.file(paper.docx(paper.ENGLISH), "pump.docx"),
    }
    yield ids
    for file in ids.values():
        client.files.delete(file)


def answer(client: openai.OpenAI, files: dict[str, str], question: str) -> Any:
    """What the model says to a question about these files."""
    shelf = Shelf(client)
    store = shelf.stores.create().id
    for file in files.values():
        assert shelf.attach(store, file).status == "completed"
    assistant = client.beta.assistants.create(
        model="gpt-4o",
        instructions="Answer questions from the user's files.",
        tools=[SEARCH],
        tool_resources={"file_search": {"vector_store_ids": [store]}},
        temperature=0,
    )
    run = client.beta.threads.create_and_run_poll(
        assistant_id=assistant.id,
        thread={"messages": [{"role": "user", "content": question}]},
        poll_interval_ms=100,
    )
    assert run.status == "completed", run.last_error
    shelf.stores.delete(store)
    (said, _) = client.beta.threads.messages.list(run.thread_id).data
    return said.content[0].text


@pytest.mark.parametrize(
    ("question", "name", "fact"),
    [
        ("국내 출장의 숙박비는 얼마까지 지급하나요?", "취업 규칙.pdf", "12만 원"),
        ("How often must the filter be cleaned?", "pump.docx", "200 hours"),
    ],
    ids=["korean-pdf", "english-docx"],
)
def test_an_answer_from_a_file_points_to_it(
    client: openai.OpenAI, files: dict[str, str], question: str, name: str, fact: str
) -> None:
    text = answer(client, files, question)
    assert fact in text.value
    assert text.annotations, f"nothing is cited: {text.value}"
    for citation in text.annotations:
        assert citation.type == "file_citation"
        assert citation.file_citation.file_id == files[name]
        assert citation.text == f"【4:{citation.text[3]}†{name}】"
        # Python counts code points, as the offsets do.
        assert text.value[citation.start_index : citation.end_index] == citation.text
    quotes = [citation.file_citation.model_dump()["quote"] for citation in text.annotations]
    assert any(fact in quote for quote in quotes), quotes
    sections = paper.KOREAN if name.endswith("pdf") else paper.ENGLISH
    written = " ".join(paragraph for _, paragraphs in sections for paragraph in paragraphs)
    assert all(quote in written for quote in quotes)
