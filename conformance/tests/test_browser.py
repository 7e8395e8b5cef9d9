"""The Playground in Debian's Chromium, driven by Playwright, with the suite's server and model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import code
from harness.scripted import Answer, Call, Failure, Gate, ScriptedUpstream, Seen, Turn, Vectors
from harness.server import ROOT

pytestmark = [pytest.mark.once, pytest.mark.timeout(1200)]
BROWSER = Path(__file__).parent.parent / "browser"
INSTALLED = Path(os.environ.get("ADJUTANT_TEST_NODE", ROOT / "target/conformance/node"))
SCREENSHOTS = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "screenshots"
TESTS = sorted(BROWSER.glob("*.test.mjs"))
KEY = "right-key-number-one"

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()"
REPORT = """with open("/mnt/data/report.csv", "w") as report:
    report.write("lamp,price\\n1,9\\n")"""
ATTACK = """# Hello

![a picture](https://attacker.example/pixel.png) <img src=x onerror="window.ran = true">
<script>window.ran = true</script><iframe src="https://attacker.example"></iframe>
[a link](https://attacker.example/page) [a script](javascript:window.ran=true)
<style>body { background: url(https://attacker.example/style.png) }</style>

That is all."""
EXPLANATION = r"""Euler: $e^{i\pi} + 1 = 0$, and

$$\int_0^1 x\,dx = \frac{1}{2}$$

```python
print("안녕하세요")
```

| a | b |
|---|---|
| 1 | 2 |

And so on."""


class Talker:
    """The model of these tests: what it does follows from the last words it hears."""

    def __init__(self) -> None:
        self._gates: list[Gate] = []
        self._has_failed = False

    def reply(self, seen: Seen) -> Turn:
        role, text = seen.said[-1]
        if role == "tool":
            return self._after_tools(seen)
        match text:
            case "How long may I return a lamp?":
                return Answer(tool_calls=(Call("file_search", {"queries": ["return lamp"]}),))
            case "What is the weather in Oslo?":
                where = {"location": "Oslo, Norway", "unit": "celsius"}
                return Answer(tool_calls=(Call("get_weather", where),))
            case "Draw it.":
                return Answer(tool_calls=(Call("code_interpreter", {"code": PLOT}),))
            case "Make a file.":
                return Answer(tool_calls=(Call("code_interpreter", {"code": REPORT}),))
            case "What grows on the moon?":
                return Answer(tool_calls=(Call("file_search", {"queries": ["moon grows"]}),))
            case "Look.":
                parts = seen.messages[-1]["content"]
                shown = [part for part in parts if part["type"] == "image_url"]
                return Answer((f"I see {len(shown)} picture.",))
            case "Slowly.":
                self._gates.append(Gate())
                return Answer(("The first half ", self._gates[-1], "and the second."))
            case "Go on.":
                for gate in self._gates:
                    gate.open()
                return Answer(("I do.",))
            case "Be refused.":
                return Failure(401, "No such key.")
            case "Fail." if not self._has_failed:
                self._has_failed = True
                return Failure(400, "The scripted model is unwell.")
            case "Fail.":
                return Answer(("Well again.",))
            case "Attack.":
                return Answer((ATTACK,))
            case "Explain.":
                return Answer((EXPLANATION,))
        return Answer(("You said: ", text))

    def _after_tools(self, seen: Seen) -> Turn:
        match seen.last_user_text:
            case "How long may I return a lamp?":
                return Answer(("Within 30 days", "[", "1", "]", "."))
            case "What is the weather in Oslo?":
                return Answer((f"It is {seen.said[-1][1]} there.",))
            case "What grows on the moon?":
                found = "moonflowers" in seen.said[-1][1]
                return Answer(
                    ("Moonflowers grow there", "[", "1", "]", ".") if found else ("Nothing.",)
                )
            case "Make a file.":
                return Answer(("Here it is: [the report](sandbox:/mnt/data/report.csv)",))
        return Answer(("Here is ", "the figure."))


@pytest.fixture(scope="module")
def talker() -> Iterator[ScriptedUpstream]:
    """A server of its own, so that the Playground offers no other models than these."""
    upstream = ScriptedUpstream()
    upstream.model("chat-model").always(Talker().reply)
    upstream.model("scripted-embedder").always(Vectors())
    yield upstream
    upstream.stop()


@pytest.mark.parametrize("test", TESTS, ids=[test.name for test in TESTS])
def test_browser(servers: Any, talker: ScriptedUpstream, test: Path) -> None:
    """Each file is run by Node's own test runner, with servers where nobody was before."""
    needs_code = test.name in {"first_visit.test.mjs", "attachments.test.mjs"}
    server = servers.new(
        "sqlite",
        upstream=talker.base_url,
        settings=code.SETTINGS if needs_code else None,
        start_seconds=code.INSTALLING_SECONDS,
    )
    settings = {"ADJUTANT_API_KEYS": KEY, "ADJUTANT_DOWNLOAD_UPLOADS": "true"}
    guarded = servers.new("sqlite", upstream=talker.base_url, settings=settings)
    korean = ROOT / "playground/src/messages/ko/app.json"
    navigation = json.loads(korean.read_text())["navigation"]
    environment = {
        **os.environ,
        "SERVER": server.address,
        "GUARDED": guarded.address,
        "KEY": KEY,
        "KOREAN": json.dumps({**navigation, "stores": navigation["vectorStores"]}),
        "INSTALLED": str(INSTALLED / "browser"),
        "SCREENSHOTS": str(SCREENSHOTS),
        "CHROMIUM": shutil.which("chromium") or "/usr/bin/chromium",
    }
    command = [str(INSTALLED / "browser/node_modules/.bin/node"), "--test", str(test)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    server.stop()
    guarded.stop()
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert not server.panics
