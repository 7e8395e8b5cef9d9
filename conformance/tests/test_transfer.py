"""Beyond OpenAI: threads are listed, everything is exported and imported with its ids."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from harness import recorded
from harness.sdk import httpx
from harness.server import BINARY, Adjutant
from harness.story import Story, function_tool

pytestmark = pytest.mark.once
Connect = Callable[[Adjutant], Story]


@pytest.fixture
def open_server(servers: Any, db: str) -> Adjutant:
    return servers.new(db)


@pytest.fixture
def client(open_server: Adjutant) -> httpx.Client:
    return httpx.Client(base_url=open_server.base_url, timeout=30)


def ids(answer: Any) -> list[str]:
    return [thread["id"] for thread in answer.json()["data"]]


def test_threads_are_listed_by_page_and_by_metadata(client: httpx.Client) -> None:
    made = [
        client.post("/threads", json={"metadata": {"team": team, "한국어": "예"}}).json()["id"]
        for team in ["red", "blue", "red"]
    ]
    assert ids(client.get("/threads")) == made[::-1]
    first = client.get("/threads", params={"limit": 2}).json()
    assert first["has_more"] and [one["id"] for one in first["data"]] == made[:0:-1]
    assert ids(client.get("/threads", params={"limit": 2, "after": first["last_id"]})) == made[:1]
    assert (
        ids(client.get("/threads", params={"metadata[team]": "red", "order": "asc"})) == made[::2]
    )
    both = {"metadata[team]": "blue", "metadata[한국어]": "예"}
    assert ids(client.get("/threads", params=both)) == [made[1]]
    client.post(f"/threads/{made[0]}", json={"metadata": {"team": "blue"}})
    assert ids(client.get("/threads", params={"metadata[team]": "blue"})) == made[1::-1]
    client.delete(f"/threads/{made[1]}")
    assert ids(client.get("/threads", params={"metadata[team]": "blue"})) == made[:1]


@pytest.fixture
def filled(open_server: Adjutant, connect: Connect) -> Story:
    """A project with an assistant, a thread, a run with a call, and one that waits."""
    story = connect(open_server)
    assistant = story.assistant(tools=[function_tool("weather")], name="기상청")
    story.model.calls("weather", {"city": "부산"}).then_says("맑음.").then_calls(
        "weather", {"city": "x"}
    )
    thread = story.thread("날씨?", metadata={"a": "b"})
    run = story.wait(story.run(thread, assistant))
    story.wait(story.submit(run, "sunny"), "completed")
    story.wait(story.run(thread, assistant), "requires_action")
    return story


def exported(client: httpx.Client) -> list[dict[str, Any]]:
    answer = client.get("/threads/export")
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_export_holds_everything_and_goes_into_another_server(
    filled: Story, client: httpx.Client, servers: Any, db: str
) -> None:
    lines = exported(client)
    kinds = Counter(line["object"] for line in lines)
    assert kinds["assistant"] == 1 and kinds["thread"] == 1
    assert kinds["thread.message"] >= 2 and kinds["thread.run"] >= 1
    other = servers.new(db)
    with httpx.Client(base_url=other.base_url, timeout=30) as there:
        text = "\n".join(json.dumps(line) for line in lines)
        first = there.post("/threads/import", content=text).json()
        assert first["errors"] == [] and sum(first["imported"].values()) + first["skipped"] == len(
            lines
        )
        assert exported(there) == lines
        again = there.post("/threads/import", content=text).json()
        assert again["skipped"] == len(lines) and not sum(again["imported"].values())
        thread = next(line["id"] for line in lines if line["object"] == "thread")
        said = there.post(f"/threads/{thread}/messages", json={"role": "user", "content": "더?"})
        assert said.status_code == 200
        newest = there.get(f"/threads/{thread}/messages").json()["data"][0]
        assert newest["id"] == said.json()["id"]


def test_what_was_saved_from_openai_is_taken(client: httpx.Client) -> None:
    """Recorded answers, which lack what streams have: statuses, details of usage."""
    answers = recorded.exchanges("01_rest_run_text_and_function_polling")["function_run"]
    objects = {}
    for answer in answers:
        body = answer["response"]
        for one in body["data"] if body["object"] == "list" else [body]:
            if one["object"] in {"assistant", "thread.message"} or one.get("completed_at"):
                objects[one["id"]] = one
    thread = next(one["thread_id"] for one in objects.values() if "thread_id" in one)
    head = {
        "id": thread,
        "object": "thread",
        "created_at": 1761861679,
        "metadata": {},
        "tool_resources": {},
    }
    lines = [head, *sorted(objects.values(), key=lambda one: one["created_at"])]
    taken = client.post("/threads/import", content="\n".join(map(json.dumps, lines))).json()
    assert taken["errors"] == []
    messages = client.get(f"/threads/{thread}/messages", params={"order": "asc"}).json()["data"]
    assert [one["content"][0]["text"]["value"] for one in messages] == [
        "What should I eat on Thursday?",
        "You should eat tacos on Thursday! 🌮",
    ]


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"object": "thread"}', '{"object": "file", "id": "file-1"}']
)
def test_a_bad_line_is_told_and_harms_no_other(client: httpx.Client, line: str) -> None:
    good = {
        "id": "thread_good",
        "object": "thread",
        "created_at": 1,
        "metadata": {},
        "tool_resources": {},
    }
    taken = client.post("/threads/import", content=f"{line}\n{json.dumps(good)}\n").json()
    assert [error["line"] for error in taken["errors"]] == [1]
    assert client.get("/threads/thread_good").status_code == 200


def test_the_command_line_moves_a_project(
    filled: Story, open_server: Adjutant, client: httpx.Client, tmp_path: Any
) -> None:
    lines = exported(client)
    file = tmp_path / "everything.jsonl"
    open_server.stop()
    place = open_server.place
    subprocess.run(
        [BINARY, "export", *place, str(file)], check=True, capture_output=True, timeout=30
    )
    assert [json.loads(line) for line in file.read_text().splitlines()] == lines
    into = ["--data", str(tmp_path / "new")]
    subprocess.run(
        [BINARY, "import", *into, str(file)], check=True, capture_output=True, timeout=30
    )
    again = tmp_path / "again.jsonl"
    subprocess.run(
        [BINARY, "export", *into, str(again)], check=True, capture_output=True, timeout=30
    )
    assert again.read_text() == file.read_text()
