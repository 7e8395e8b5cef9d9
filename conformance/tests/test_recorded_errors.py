"""Every refusal that was recorded of the real API, provoked: the same status, the same body."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import recorded
from harness.ledger import Ledger
from harness.scripted import Answer, Call, Failure, ScriptedUpstream
from harness.sdk import http_client, httpx
from harness.server import Adjutant
from harness.shelf import Shelf
from harness.story import Story, function_tool

Json = dict[str, Any]
pytestmark = pytest.mark.once
ID = re.compile(r"\b(asst_|thread_|run_|step_|msg_|call_|vs_|file-)[A-Za-z0-9]+")
# Nobody can be told any more that a model is for version 2 alone; a fault of ours has its own test.
NOT_HERE = {"create assistant with a model not allowed there", "server error"}


class Scene:
    """Where a refusal takes place."""

    def __init__(
        self,
        story: Story,
        http: httpx.Client,
        shared: Callable[..., httpx.Client],
        upstream: str,
        folder: Path,
    ) -> None:
        self.story, self.http, self.shared = story, http, shared
        self.upstream, self.folder = upstream, folder

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.http.post(path, json=body)

    def run(self, status: str, text: str = "Hi", **options: Any) -> tuple[str, Any]:
        """The path of a run in this state, and the run."""
        story, tools = self.story, [function_tool("f")]
        if status == "in_progress":
            story.model.always(lambda _: Answer((story.model.gate(), "Hello.")))
        if status == "requires_action":
            story.model.always(Answer(tool_calls=(Call("f"), Call("f"), Call("f"))))
        if status == "completed":
            story.model.always(Answer(("Hello.",)))
        run = story.run(story.thread(text), story.assistant(tools=tools), **options)
        return f"/threads/{run.thread_id}/runs/{run.id}", story.wait(run, status)

    def submit(self, path: str, run: Any, *outputs: str) -> httpx.Response:
        calls = run.required_action.submit_tool_outputs.tool_calls
        given = [
            {"tool_call_id": call.id, "output": output}
            for call, output in zip(calls, outputs, strict=False)
        ]
        return self.post(f"{path}/submit_tool_outputs", {"tool_outputs": given})

    def chat(self, failure: Failure) -> httpx.Response:
        self.story.model.always(failure)
        return self.post("/chat/completions", {"model": self.story.model.name, "messages": []})

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.story.client)


def wrong_key(scene: Scene) -> httpx.Response:
    client = scene.shared(ADJUTANT_API_KEYS="right-key-number-one")
    key = "not-a-re" + "X" * 26 + "ized"
    return client.post("/threads", headers={"authorization": f"Bearer {key}"})


def no_beta(scene: Scene) -> httpx.Response:
    client = scene.shared(ADJUTANT_REQUIRE_BETA_HEADER="true")
    return client.get("/assistants", headers={"openai-beta": ""})


def first_version(scene: Scene) -> httpx.Response:
    return scene.get("/assistants", headers={"openai-beta": "assistants=v1"})


def missing_step(scene: Scene) -> httpx.Response:
    path, _ = scene.run("completed")
    return scene.get(f"{path}/steps/step_123")


def missing_store_file(scene: Scene) -> httpx.Response:
    store = scene.shelf.store()
    return scene.get(f"/vector_stores/{store}/files/file-1DpaZta9xg4paUYU73jXpN")


def unknown_file(scene: Scene) -> httpx.Response:
    body = {"file_id": "file-IEhMNtaYJdLreZ53HdyqRyJL"}
    return scene.post(f"/vector_stores/{scene.shelf.store()}/files", body)


def unknown_purpose(scene: Scene) -> httpx.Response:
    form = {"file": ("a.txt", io.BytesIO(b"a"))}
    return scene.http.post("/files", data={"purpose": "world_domination"}, files=form)


def forbidden_content(scene: Scene) -> httpx.Response:
    return scene.get(f"/files/{scene.shelf.file('a')}/content")


def unknown_model(scene: Scene) -> httpx.Response:
    # An upstream named on the command line takes every name; a configured one, those that it lists.
    config = f"""strict_models = true
    [[upstreams]]
    name = "scripted"
    base_url = "{scene.upstream}"
    """
    server = Adjutant(scene.folder, upstream=None, config=config)
    try:
        return httpx.post(f"{server.base_url}/assistants", json={"model": "gpt-5.3"})
    finally:
        server.stop()


def message_during_run(scene: Scene) -> httpx.Response:
    _, run = scene.run("in_progress")
    said = {"role": "user", "content": "And?"}
    return scene.post(f"/threads/{run.thread_id}/messages", said)


def run_during_run(scene: Scene) -> httpx.Response:
    _, run = scene.run("in_progress")
    return scene.post(f"/threads/{run.thread_id}/runs", {"assistant_id": run.assistant_id})


def nothing_to_do(scene: Scene) -> httpx.Response:
    body = {"assistant_id": scene.story.assistant().id}
    return scene.post(f"/threads/{scene.story.thread().id}/runs", body)


def modified_during_run(scene: Scene) -> httpx.Response:
    path, _ = scene.run("in_progress")
    return scene.post(path, {"metadata": {}})


def cancelled_too_late(scene: Scene) -> httpx.Response:
    path, _ = scene.run("completed")
    return scene.post(f"{path}/cancel")


def submitted_too_early(scene: Scene) -> httpx.Response:
    path, _ = scene.run("in_progress")
    return scene.post(f"{path}/submit_tool_outputs", {"tool_outputs": []})


def not_all_outputs(scene: Scene) -> httpx.Response:
    scene.story.model.calls_all(Call("f"), Call("f"))
    path, run = scene.run("requires_action")
    return scene.submit(path, run, "one")


def one_output_too_long(scene: Scene) -> httpx.Response:
    return scene.submit(*scene.run("requires_action"), "", "", "x" * 9_714_095)


def all_outputs_too_long(scene: Scene) -> httpx.Response:
    return scene.submit(*scene.run("requires_action"), *["x" * 200_000] * 3)


def long_message(scene: Scene) -> httpx.Response:
    said = {"role": "user", "content": "x" * 1_620_133}
    return scene.post(f"/threads/{scene.story.thread().id}/messages", said)


def tools(*functions: Json) -> Json:
    return {"model": "m", "tools": [{"type": "function", "function": each} for each in functions]}


def loose_schema() -> Json:
    name = "get_favorite_color_for_day_of_week"
    properties = {"day_of_week": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["day_of_week"]}
    return tools({"name": name, "strict": True, "parameters": schema})


def as_recorded(case: str) -> Failure:
    """An upstream that is OpenAI, and says what OpenAI said."""
    body = json.dumps(recorded.http_errors()[case]["body"]).encode()
    return Failure(recorded.http_errors()[case]["status"], body=body)


def posted(path: str, body: Any) -> Callable[[Scene], httpx.Response]:
    return lambda scene: scene.post(path, body)


def asked(path: str) -> Callable[[Scene], httpx.Response]:
    return lambda scene: scene.get(path)


MANY = {f"key-{number}": "" for number in range(17)}
STORES = {"file_search": {"file_ids": []}}
CASES: dict[str, Callable[[Scene], httpx.Response]] = {
    "POST any, wrong key": wrong_key,
    "assistants/threads call without OpenAI-Beta": no_beta,
    "OpenAI-Beta: assistants=v1 after 2024-12": first_version,
    "GET /assistants/{missing}": asked("/assistants/asst_abc123"),
    "GET run step {missing}": missing_step,
    "GET /threads/{missing} (same pattern: run, message, vector store)": asked(
        "/threads/thread_abc"
    ),
    "GET vector store file {missing}": missing_store_file,
    "attach unknown file to a vector store": unknown_file,
    "GET/DELETE /files/{missing}, GET content": asked("/files/fake_id"),
    "POST /files with unknown purpose": unknown_purpose,
    "GET content of purpose=assistants file": forbidden_content,
    "GET/DELETE /models/{missing}": asked("/models/fake_id"),
    "create assistant/run with unknown model": unknown_model,
    "add message while run active": message_during_run,
    "create run while run active": run_during_run,
    "create run: empty thread and no instructions": nothing_to_do,
    "modify run not yet terminal": modified_during_run,
    "cancel a finished run": cancelled_too_late,
    "submit_tool_outputs in wrong status": submitted_too_early,
    "submit_tool_outputs incomplete set": not_all_outputs,
    "one tool output > 1 MiB chars": one_output_too_long,
    "all tool outputs > 512 kB": all_outputs_too_long,
    "message content > 256000 chars": long_message,
    "function description > 1024 chars": posted(
        "/assistants", tools({"name": "f"}, {"name": "g", "description": "x" * 1890})
    ),
    "path id with wrong prefix": asked("/threads/new"),
    "unknown body key": posted("/assistants", {"model": "m", "tool_resources": STORES}),
    "metadata value not a string": posted("/threads", {"metadata": {"modified": True}}),
    "metadata > 16 pairs": posted("/threads", {"metadata": MANY}),
    "metadata value > 512": posted("/threads", {"metadata": {"k": "x" * 600}}),
    "missing body key": posted("/threads/runs", {}),
    "bad enum": posted("/threads/runs", {"assistant_id": "asst_1", "tool_choice": "bogus"}),
    "limit=101": asked("/assistants?limit=101"),
    "strict function schema invalid": posted("/assistants", loose_schema()),
    "rate limit": lambda scene: scene.chat(as_recorded("rate limit")),
    "quota": lambda scene: scene.chat(as_recorded("quota")),
}


@pytest.fixture
def scene(
    servers: Any,
    db: str,
    story: Story,
    http: httpx.Client,
    ledger: Ledger,
    upstream: ScriptedUpstream,
    tmp_path: Path,
) -> Scene:
    def shared(**settings: str) -> httpx.Client:
        return http_client(servers.shared(db, **settings).base_url, ledger)

    return Scene(story, http, shared, upstream.base_url, tmp_path)


def normal(body: Json) -> str:
    """The body with ids by the order in which they come."""
    numbers: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0], f"{match[1]}{len(numbers)}")

    return ID.sub(number, json.dumps(body))


@pytest.mark.parametrize("case", [case for case in recorded.http_errors() if case not in NOT_HERE])
def test_as_recorded(scene: Scene, case: str) -> None:
    theirs = recorded.http_errors()[case]
    answer = CASES[case](scene)
    assert (answer.status_code, normal(answer.json())) == (theirs["status"], normal(theirs["body"]))
