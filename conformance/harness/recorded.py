"""The recorded traffic of the real API, as data."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from harness.schema import CONTRACT
from harness.streams import Checker, check_bytes

RECORDED = CONTRACT / "recorded"
STREAMS = {
    "02_stream_text": "run",
    "03_stream_function_requires_action": "thread_and_run",
    "04_stream_submit_tool_outputs": "submit",
    "05_stream_code_interpreter": "run",
    "06_stream_file_search": "run",
    "07_stream_incomplete_2024-04": "run",
}
ID = re.compile(r"^((asst|thread|run|step|msg|call|vs)_|file-)[A-Za-z0-9]+$")


def stream_bytes(name: str) -> bytes:
    return (RECORDED / f"{name}.sse").read_bytes()


def stream(name: str) -> Checker:
    year = 2024 if "2024" in name else 2025
    return check_bytes(stream_bytes(name), STREAMS[name], year=year)


@functools.cache
def exchanges(name: str) -> dict[str, Any]:
    return json.loads((RECORDED / f"{name}.json").read_text())


@functools.cache
def http_errors() -> dict[str, dict[str, Any]]:
    """Recorded error answers by their case's name."""
    listed = exchanges("10_errors")["http_errors"]
    return {error["case"]: error for error in listed}


def words(checker: Checker) -> list[str]:
    """What the model said in a recorded stream, delta by delta."""
    deltas = [event.data for event in checker.events if event.name == "thread.message.delta"]
    return [part["text"]["value"] for data in deltas for part in data["delta"]["content"]]


class Normal:
    """Replaces what differs from run to run: ids by their order of appearance, times by a mark."""

    def __init__(self, added: dict[str, set[str]] | None = None) -> None:
        self._ids: dict[str, str] = {}
        self._added = added or {}

    def __call__(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return [self(item) for item in value]
        if isinstance(value, str) and ID.match(value):
            prefix = re.split("[_-]", value)[0]
            return self._ids.setdefault(value, f"{prefix}-{len(self._ids)}")
        if key.endswith("_at") and value is not None:
            return "time"
        # No two rankers score alike.
        return "score" if key == "score" else value

    def _object(self, value: dict[str, Any]) -> list[tuple[str, Any]]:
        """Pairs, since two dicts compare equal whatever the order of their keys."""
        added = self._added.get(str(value.get("object")), set())
        return [
            # Recorded as {} or {"code_interpreter": {"file_ids": []}} without visible reason.
            (key, "any" if key == "tool_resources" else self(inner, key))
            for key, inner in value.items()
            # OpenAI's deltas had empty quotes and its messages none; ours have both, filled.
            if key not in added and key != "quote"
        ]
