"""The program that the project promises to run, with nothing changed but the address."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

from harness import built_in, code
from harness.ledger import Ledger
from harness.scripted import Model, ScriptedUpstream
from harness.sdk import openai_client
from harness.server import Adjutant

PROGRAM = Path(__file__).parent.parent / "programs/math_tutor.py"
INSTRUCTIONS = "You are a personal math tutor. Write and run code to answer math questions."


def run_program(base_url: str, timeout: float) -> list[str]:
    """Runs the program as its user would, in a Python of its own; returns what it printed."""
    text = PROGRAM.read_text().replace("http://127.0.0.1:8080/v1", base_url)
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().splitlines()


def script(model: Model) -> Model:
    return model.says("x = ", "1.").then_says("서울", "입니다", ".")


def test_the_program_runs_to_the_letter(server: Adjutant, upstream: ScriptedUpstream) -> None:
    """A user who changes only `base_url` sees both answers."""
    script(upstream.model("gpt-4-turbo"))
    printed = run_program(server.base_url, timeout=30)
    assert printed[0].startswith("Assistant(id='asst_") and "CodeInterpreterTool" in printed[0]
    assert printed[1].startswith("Thread(id='thread_")
    assert printed[2:] == ["x = 1.", "서울입니다."]


def test_the_model_hears_what_the_program_said(
    server: Adjutant, upstream: ScriptedUpstream, ledger: Ledger
) -> None:
    """The same calls in this process, so that every answer and event is checked."""
    model = script(upstream.model("gpt-4-turbo"))
    namespace: dict[str, Any] = {"client": openai_client(server.base_url, ledger)}
    lines = PROGRAM.read_text().splitlines()[2:]
    exec(compile("\n".join(lines), PROGRAM, "exec"), namespace)
    asked, streamed = model.requests
    assert asked.said == [("system", INSTRUCTIONS), ("user", "3x + 11 = 14. What is x?")]
    assert streamed.said == [("system", INSTRUCTIONS), ("user", "한국의 수도는?")]
    assert namespace["run"].status == "completed"
    assert ledger.streams[-1].names[-2:] == ["thread.run.completed", "done"]


def test_where_no_code_is_run_no_model_is_told_of_code_interpreter(
    server: Adjutant, upstream: ScriptedUpstream
) -> None:
    """A model does not hear of what it cannot use; the tool is accepted and stored all the same."""
    model = script(upstream.model("gpt-4-turbo"))
    run_program(server.base_url, timeout=30)
    assert [request.body.get("tools") for request in model.requests] == [None, None]


@built_in.marked
@pytest.mark.timeout(2400)
def test_the_program_is_answered_by_the_built_in_model() -> None:
    """With no upstream, no key and no other service, a real model answers, by code that really runs."""
    server = Adjutant(
        built_in.folder(),
        upstream=None,
        settings=code.SETTINGS,
        environment=built_in.ENVIRONMENT,
        start_seconds=600 + code.INSTALLING_SECONDS,
    )
    try:
        printed = run_program(server.base_url, timeout=500)
        thread = re.findall(r"thread_\w+", printed[1])[0]
        client = openai.OpenAI(base_url=server.base_url, api_key="any")
        (run,) = client.beta.threads.runs.list(thread)
        steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread, order="asc")
    finally:
        server.stop()
    (call,) = steps.data[0].step_details.tool_calls
    # A program of the model's own, and the number that it gave.
    assert call.code_interpreter.input.strip()
    assert re.search(r"(?<![\d.])1(\.0+)?(?![\d.])", call.code_interpreter.outputs[0].logs)
    answer = "\n".join(printed[2:])
    assert "1" in answer
    assert "서울" in answer
