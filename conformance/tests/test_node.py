"""The official SDK for Node, in an old and a new version, on the same server."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.ledger import Ledger
from harness.scripted import Answer, Call, Model, ScriptedUpstream, Seen, Turn
from harness.server import ROOT, Adjutant

pytestmark = [pytest.mark.once, pytest.mark.timeout(180)]
NODE = Path(__file__).parent.parent / "node"
INSTALLED = Path(os.environ.get("ADJUTANT_TEST_NODE", ROOT / "target/conformance/node"))
TESTS = sorted(NODE.glob("*.test.mjs"))


def reply(seen: Seen) -> Turn:
    """The model of the Node tests: what it does follows from the last words it hears."""
    role, text = seen.said[-1]
    if role == "tool" and text.startswith("[1]"):
        return Answer(("케이크 ", "[", "1", "] 👋🏽", "."))
    if role == "tool":
        outputs = [said for who, said in seen.said if who == "tool"]
        return Answer(("It is ", " and ".join(outputs[-2:]), "."))
    if text == "weather":
        calls = (Call("weather", {"city": "Oslo"}), Call("weather", {"city": "서울"}))
        return Answer(("Let me ", "look."), calls)
    if text == "search":
        return Answer(tool_calls=(Call("file_search", {"queries": ["cake"]}),))
    if text == "count":
        return Answer(tuple(f"{number} " for number in range(6000)))
    if text == "3x + 11 = 14. What is x?":
        return Answer(("x = ", "1."))
    return Answer(("You ", "said: ", text))


@pytest.fixture
def node_model(upstream: ScriptedUpstream) -> Iterator[Model]:
    model = upstream.model("node-model").always(reply)
    yield model
    model.close()


@pytest.mark.parametrize("sdk", ["new", "old"])
@pytest.mark.parametrize("test", TESTS, ids=[test.name for test in TESTS])
def test_node(
    server: Adjutant, node_model: Model, ledger: Ledger, tmp_path: Path, sdk: str, test: Path
) -> None:
    """Each file is run by Node's own test runner; its traffic is checked here afterwards."""
    traffic = tmp_path / "traffic.jsonl"
    environment = {
        **os.environ,
        "BASE_URL": server.base_url,
        "MODEL": node_model.name,
        "SDK": sdk,
        "SDK_FOLDER": str(INSTALLED / sdk),
        "TRAFFIC": str(traffic),
    }
    command = [str(INSTALLED / "new/node_modules/.bin/node"), "--test", str(test)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    entered = enter(traffic, ledger)
    assert entered > 0, "no traffic was seen"


def enter(traffic: Path, ledger: Ledger) -> int:
    """Shows the checkers what Node's client received."""
    lines = traffic.read_text().splitlines()
    for line in lines:
        seen = json.loads(line)
        body = base64.b64decode(seen["body"])
        head = (seen["method"], seen["path"], seen["status"], seen["type"])
        if seen["type"].startswith("text/event-stream"):
            entry = ledger.enter_stream(*head)
            entry.feed(body)
            entry.close(by_client=seen["aborted"])
        else:
            ledger.enter_answer(*head, body)
    return len(lines)
