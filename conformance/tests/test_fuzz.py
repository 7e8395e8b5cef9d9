"""No request can make the server panic, answer 500 or lock a thread for ever."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

import pytest

from harness.scripted import Answer
from harness.sdk import httpx
from harness.story import Story

pytestmark = pytest.mark.once
SEEDS = range(8)
REQUESTS_EACH = 150

ROUTES = [
    ("GET", "/assistants"),
    ("POST", "/assistants"),
    ("GET", "/assistants/{a}"),
    ("POST", "/assistants/{a}"),
    ("DELETE", "/assistants/{a}"),
    ("POST", "/threads"),
    ("GET", "/threads/{t}"),
    ("POST", "/threads/{t}"),
    ("DELETE", "/threads/{t}"),
    ("POST", "/threads/runs"),
    ("GET", "/threads/{t}/messages"),
    ("POST", "/threads/{t}/messages"),
    ("GET", "/threads/{t}/messages/{m}"),
    ("POST", "/threads/{t}/messages/{m}"),
    ("DELETE", "/threads/{t}/messages/{m}"),
    ("GET", "/threads/{t}/runs"),
    ("POST", "/threads/{t}/runs"),
    ("GET", "/threads/{t}/runs/{r}"),
    ("POST", "/threads/{t}/runs/{r}"),
    ("POST", "/threads/{t}/runs/{r}/cancel"),
    ("POST", "/threads/{t}/runs/{r}/submit_tool_outputs"),
    ("GET", "/threads/{t}/runs/{r}/steps"),
    ("GET", "/threads/{t}/runs/{r}/steps/{s}"),
    ("GET", "/models"),
    ("GET", "/models/{x}"),
]
KEYS = (
    "model name description instructions tools tool_resources metadata temperature top_p "
    "response_format reasoning_effort messages role content attachments assistant_id thread "
    "additional_instructions additional_messages max_prompt_tokens max_completion_tokens "
    "truncation_strategy tool_choice parallel_tool_calls tool_outputs type function parameters "
    "text image_url file_id value strict last_messages"
).split()
TEXTS = [
    "",
    "user",
    "m",
    "auto",
    "function",
    "text",
    "\x00",
    "🌮",
    "\ud7ff",
    "a" * 5000,
    "'; drop",
    "null",
]
NUMBERS = [0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 1e308, 0.1, 255, 256]
IDS = [
    "new",
    "asst_",
    "thread_",
    "thread_\x00",
    "run_" + "9" * 5000,
    "msg_한국",
    "%",
    "..",
    " ",
    "step_1",
    "{t}",
]
QUERIES = [
    "limit",
    "order",
    "after",
    "before",
    "run_id",
    "include[]",
    "include",
    "stream",
    "limit[]",
    "🌮",
]


class Chaos:
    """Requests from a seed: mostly nonsense, now and then something near to sense."""

    def __init__(self, seed: int, ids: dict[str, str]) -> None:
        self._random = random.Random(seed)
        self._ids = ids

    def request(self) -> tuple[str, str, Any]:
        method, path = self._random.choice(ROUTES)
        for letter in "atmrsx":
            path = path.replace(f"{{{letter}}}", quote(self._id(letter), safe=""))
        names = self._random.sample(QUERIES, self._random.choice([0, 0, 1, 2]))
        query = "&".join(f"{quote(name)}={quote(str(self._scalar()))}" for name in names)
        body = self._object(3) if method == "POST" and self._random.random() < 0.9 else None
        return method, f"{path}?{query}" if query else path, body

    def _id(self, letter: str) -> str:
        real = self._ids.get(letter)
        return real if real and self._random.random() < 0.6 else self._random.choice(IDS)

    def _scalar(self) -> Any:
        kinds = [TEXTS, NUMBERS, [None, True, False], list(self._ids.values())]
        return self._random.choice(self._random.choice(kinds))

    def _value(self, depth: int) -> Any:
        chance = self._random.random()
        if depth == 0 or chance < 0.5:
            return self._scalar()
        if chance < 0.7:
            return [self._value(depth - 1) for _ in range(self._random.randrange(3))]
        return self._object(depth - 1)

    def _object(self, depth: int) -> dict[str, Any]:
        keys = self._random.sample(KEYS, self._random.randrange(6))
        made = {key: self._value(depth) for key in keys}
        if self._random.random() < 0.5:
            made["model"] = "m"
        if self._random.random() < 0.5:
            made["assistant_id"] = self._ids["a"]
        return made


@pytest.mark.parametrize("seed", SEEDS)
def test_nonsense_is_refused_politely(story: Story, http: httpx.Client, seed: int) -> None:
    """Every answer is a good one or an error body; after all that, a run still works.

    The ledger fails this test on any 5xx, any body without the form of an error, any panic.
    """
    story.model.always(Answer(("Hello.",)))
    run = story.ask("Hi")
    ids = {"a": run.assistant_id, "t": run.thread_id, "r": run.id}
    ids["m"] = story.threads.messages.list(run.thread_id).data[0].id
    ids["s"] = story.steps(run)[0].id
    chaos = Chaos(seed, ids)
    for _ in range(REQUESTS_EACH):
        method, path, body = chaos.request()
        options = {} if body is None else {"json": body}
        assert http.request(method, path, **options).status_code < 500
    assert story.ask("Still there?").status == "completed"
