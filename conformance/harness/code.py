"""Servers that run code, and what tests look at in them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from harness.server import ROOT, Adjutant
from harness.story import Story

TOOL = "code_interpreter"
TOOLS = [{"type": TOOL}]

# One folder of packages for all servers, filled by the first of them and kept like what the suite itself installs.
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "code-interpreter"
SETTINGS = {
    "ADJUTANT_CODE_INTERPRETER_ENGINE": "native",
    "ADJUTANT_CODE_INTERPRETER_FOLDER": str(FOLDER.resolve()),
}
ENGINES = ("native", "wasm")
INSTALLING_SECONDS = 900


def program(*lines: str) -> dict[str, str]:
    return {"code": "\n".join(lines)}


def programs_of(story: Story, run: Any) -> list[Any]:
    """A run's programs with what they gave, as its steps have them."""
    steps = [step for step in story.steps(run) if step.type == "tool_calls"]
    return [call.code_interpreter for step in steps for call in step.step_details.tool_calls]


def executed(story: Story, run: Any) -> list[tuple[str, str]]:
    """Each program of a run with its logs."""
    return [(call.input, logs_of(call)) for call in programs_of(story, run)]


def logs_of(call: Any) -> str:
    return "".join(output.logs for output in call.outputs if output.type == "logs")


def sessions_of(server: Adjutant) -> set[int]:
    """The sessions of a server, by the processes that it has started for them."""
    found = set()
    for about in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(about.read_text().rsplit(")", 1)[1].split()[1])
            line = (about.parent / "cmdline").read_bytes()
            if parent == server.pid and (b"/opt/kernel.py" in line or b"\0serve\0" in line):
                found.add(int(about.parent.name))
    return found
