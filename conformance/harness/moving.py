"""What a project has, read through the API, and our commands beside a server: export, import, backup."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from harness.sdk import httpx
from harness.server import BINARY, Adjutant

COMMAND_SECONDS = 60
Json = dict[str, Any]


def perform(server: Adjutant, command: str, *arguments: str | Path, fails: bool = False) -> str:
    """Runs a command on what a server keeps, and returns what it said."""
    # A backup is of the data folder alone.
    place = server.place if command != "backup" else ["--data", str(server.data)]
    done = subprocess.run(
        [BINARY, command, *place, *map(str, arguments)],
        env=server.environment(),
        cwd=server.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    said = done.stdout + done.stderr
    assert (done.returncode != 0) == fails, f"`adjutant {command}` ended {done.returncode}: {said}"
    assert "panicked" not in said, said
    return said


def lines_of(file: Path) -> list[Json]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def write_lines(file: Path, lines: list[Json]) -> Path:
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return file


def everything(http: httpx.Client) -> Json:
    """All that a project has, with the hash of each file's bytes."""
    files = _all(http, "/files")
    for file in files:
        content = http.get(f"/files/{file['id']}/content")
        assert content.status_code == 200, content.text
        assert len(content.content) == file["bytes"]
        file["sha256"] = hashlib.sha256(content.content).hexdigest()
    return {
        "files": files,
        "stores": [_store(http, store) for store in _all(http, "/vector_stores")],
        "assistants": _all(http, "/assistants"),
        "threads": [_thread(http, thread) for thread in _all(http, "/threads")],
    }


def _store(http: httpx.Client, store: Json) -> Json:
    path = f"/vector_stores/{store['id']}"
    files = _all(http, f"{path}/files")
    for file in files:
        if file["status"] == "completed":
            content = http.get(f"{path}/files/{file['id']}/content", params={"passages": "true"})
            file["passages"] = content.json()
    return {**store, "files": files}


def _thread(http: httpx.Client, thread: Json) -> Json:
    path = f"/threads/{thread['id']}"
    runs = _all(http, f"{path}/runs")
    for run in runs:
        run["steps"] = _all(http, f"{path}/runs/{run['id']}/steps")
    return {**thread, "messages": _all(http, f"{path}/messages"), "runs": runs}


def _all(http: httpx.Client, path: str) -> list[Json]:
    objects: list[Json] = []
    after: Json = {}
    while True:
        page = http.get(path, params={"limit": 100, "order": "asc", **after}).json()
        objects += page["data"]
        if not page["has_more"]:
            return objects
        after = {"after": page["last_id"]}
