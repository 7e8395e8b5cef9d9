"""Whatever may be asked is answered, and whatever may not be is refused and changes nothing.

Thousands of requests that OpenAI's document allows, or just does not, on objects in every state.
They are made up, and the same every time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import openai
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core import NOT_SET

from harness import document
from harness.ledger import Ledger
from harness.sdk import httpx
from harness.story import TERMINAL, Story
from harness.world import Place, World

Json = dict[str, Any]
pytestmark = [pytest.mark.once, pytest.mark.timeout(300)]
OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(document.requests()).get_all_operations()
}
# In the place of an id: with the right prefix, or without.
NONSENSE = ["{}_abc123", "new", "{}_", "{}_\0", "{}_" + "9" * 5000, "{}_한국", "%", " "]
PREFIXES = {
    "assistant_id": "asst",
    "message_id": "msg",
    "vector_store_id": "vs",
    "batch_id": "vsfb",
}
# What no schema of a request can say, by code and param: the rules of strict schemas, what is half
# of a chunk, and what an upload holds.
BEYOND_THE_DOCUMENT = re.compile(
    r"invalid_function_parameters .*parameters|invalid_json_schema .*schema"
    r"|invalid_value (.*chunk_overlap_tokens|md5)"
)
# Files for assistants cannot be downloaded; others are, in the tests of files.
NEVER_ANSWERED = {"GET /files/{file_id}/content"}


def made_up(examples: int, *more: Phase) -> Any:
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *more],
    )


class Request:
    """A made-up request on the objects of a place; the id named `wrong` is nonsense."""

    def __init__(
        self,
        case: Case,
        world: World,
        place: Place,
        wrong: str | None = None,
        nonsense: str = NONSENSE[0],
    ) -> None:
        self.method, self._template = case.method, case.path
        self._query = list(query_of(case))
        self._ids = {name: place.ids.get(name) for name in case.path_parameters or {}}
        self.is_there = wrong not in self._ids and all(self._ids.values())
        for name, id in self._ids.items():
            if name == wrong or not id:
                self._ids[name] = nonsense.format(PREFIXES.get(name, name.removesuffix("_id")))
        # An absent body is an empty object (contract §1).
        self._body = {} if case.body is NOT_SET else whole(case.body)
        self.is_allowed = document.allows(self.method, self._template, self._query, self._body)
        if self.is_allowed:
            self._name_what_is_there(world, place)

    def _name_what_is_there(self, world: World, place: Place) -> None:
        """Nobody could make up the ids that a query or a body must hold."""
        listed = self._template.rpartition("/")[2].removesuffix("s") + "_id"
        cursors = {"after": listed, "before": listed, "run_id": "run_id"}
        self._query = [(k, place.ids.get(cursors.get(k), text)) for k, text in self._query]
        self._body = named(self._body, lambda key: world.names(place, key))
        if self._body.get("tool_outputs") and place.call_ids:
            given = itertools.cycle(self._body["tool_outputs"])
            outputs = [{**next(given), "tool_call_id": id} for id in place.call_ids]
            self._body["tool_outputs"] = outputs

    @property
    def path(self) -> str:
        return self._template.format_map({n: quote(id, safe="") for n, id in self._ids.items()})

    def send(self, http: httpx.Client) -> httpx.Response:
        note(f"{self.method} {self.path} {self._query} {self._body!r}")
        body = self._body if isinstance(self._body, bytes) else json.dumps(self._body).encode()
        return http.request(self.method, self.path, params=self._query, content=body)


def named(value: Any, name: Callable[[str], str | None]) -> Any:
    """The value with other ids under the keys that hold some."""
    if isinstance(value, list):
        return [named(item, name) for item in value]
    if not isinstance(value, dict):
        return value
    made = {}
    for key, inner in value.items():
        if isinstance(inner, str) and key.endswith("_id"):
            made[key] = name(key) or inner
        elif isinstance(inner, list) and inner and key.endswith("_ids"):
            made[key] = [name(key) or inner[0]]
        else:
            made[key] = named(inner, name)
    return made


def query_of(case: Case) -> Iterator[tuple[str, str]]:
    for key, value in (case.query or {}).items():
        for one in value if isinstance(value, list) else [value]:
            yield key, str(one)


def whole(value: Any) -> Any:
    """16.0 is an integer to JSON Schema, and a decimal to the API; 16 is one to both."""
    if isinstance(value, dict):
        return {key: whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Judge:
    """Sends requests and says what is wrong with their answers."""

    def __init__(self, http: httpx.Client, ledger: Ledger) -> None:
        self._http, self._ledger = http, ledger
        self.statuses: Counter[int] = Counter()

    def send(self, request: Request) -> httpx.Response:
        answer = request.send(self._http)
        note(f"{answer.status_code} {answer.text[:500]}")
        self.statuses[answer.status_code] += 1
        # What the checkers found: a 5xx, an answer outside its schema, a stream against the rules.
        assert not self._ledger.problems, self._ledger.problems.pop()
        if not request.is_allowed or not request.is_there:
            assert 400 <= answer.status_code < 500, "what may not be asked was answered"
        elif answer.status_code != 200:
            error = answer.json()["error"]
            by_state = error["code"] in {None, "invalid_thread"}
            why = f"{error['code']} {error['param']}"
            assert by_state or BEYOND_THE_DOCUMENT.fullmatch(why), "what may be asked was refused"
        return answer

    def has(self, path: str) -> bool:
        return self._http.get(path).status_code == 200

    def read_again(self, request: Request, answer: httpx.Response) -> None:
        """What was answered is what is there: the same object, or none."""
        made = answer.json() if "json" in answer.headers["content-type"] else {}
        if request.method == "DELETE":
            assert not self.has(request.path)
        elif made.get("object") in {"assistant", "thread", "thread.message"}:
            path = request.path.removesuffix("/" + made["id"])
            assert self._http.get(f"{path}/{made['id']}").json() == made


@pytest.fixture
def world(story: Story) -> World:
    return World(story)


@pytest.fixture
def judge(http: httpx.Client, ledger: Ledger) -> Judge:
    return Judge(http, ledger)


@pytest.mark.parametrize("label", OPERATIONS)
def test_what_may_be_asked_is_answered(world: World, judge: Judge, label: str) -> None:
    operation = OPERATIONS[label]
    allowed = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    names = [parameter.name for parameter in operation.path_parameters]
    wrongs = st.sampled_from([None, None, None, *names])
    states = ["requires_action"] if "submit" in label else world.states(operation.path)

    @made_up(40, Phase.shrink)
    @given(allowed, st.sampled_from(states), wrongs, st.sampled_from(NONSENSE))
    def ask(case: Case, state: str, wrong: str | None, nonsense: str) -> None:
        place = world.place(state)
        request = Request(case, world, place, wrong, nonsense)
        answer = judge.send(request)
        if request.method != "GET" and answer.status_code == 200:
            world.spend(place)
            judge.read_again(request, answer)

    ask()
    assert judge.statuses[200] or label in NEVER_ANSWERED, "the handler was never reached"
    assert not world.changes()


@pytest.mark.parametrize("label", [label for label, o in OPERATIONS.items() if o.body or o.query])
def test_what_may_not_be_asked_is_refused(world: World, judge: Judge, label: str) -> None:
    operation = OPERATIONS[label]
    forbidden = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @made_up(40, Phase.shrink)
    @given(forbidden, st.sampled_from(world.states(operation.path)))
    def ask(case: Case, state: str) -> None:
        place = world.place(state)
        request = Request(case, world, place)
        if judge.send(request).status_code == 200 and request.method != "GET":
            world.spend(place)

    ask()
    assert judge.statuses[400], "nothing was refused"
    assert not world.changes()


# -- one after the other ---------------------------------------------------------------
def learned(place: Place, answer: httpx.Response) -> Place:
    """The place with what was just made in the place of what was there."""
    if answer.status_code != 200 or "json" not in answer.headers["content-type"]:
        return place
    shown, ids = answer.json(), dict(place.ids)
    if name := NAMES.get(shown.get("object")):
        ids[name] = shown["id"]
    if "thread_id" in shown:
        ids["thread_id"] = shown["thread_id"]
    action = shown.get("required_action") or {"submit_tool_outputs": {"tool_calls": []}}
    calls = action["submit_tool_outputs"]["tool_calls"]
    return Place(ids, [call["id"] for call in calls] or place.call_ids)


NAMES = {
    "assistant": "assistant_id",
    "thread": "thread_id",
    "thread.message": "message_id",
    "thread.run": "run_id",
    "thread.run.step": "step_id",
}


def assert_thread_still_works(story: Story, thread_id: str) -> None:
    """Whatever was done to a thread: its runs end, and the next one answers."""
    for run in story.runs.list(thread_id):
        if run.status in {"queued", "in_progress", "requires_action"}:
            with contextlib.suppress(openai.BadRequestError):  # It has just ended.
                story.cancel(run)
        story.wait(run, *TERMINAL)
    story.threads.messages.create(thread_id, role="user", content="Still there?")
    run = story.run(story.threads.retrieve(thread_id), story.assistant())
    assert story.wait(run, "completed")


@pytest.mark.parametrize("state", ["no run", "completed", "requires_action", "in_progress"])
def test_in_any_order(world: World, judge: Judge, story: Story, state: str) -> None:
    """A dozen requests on what the ones before have left."""
    kinds = {
        label: operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        for label, operation in OPERATIONS.items()
        if operation.path.startswith(("/assistants", "/threads"))
    }

    @made_up(15)
    @given(st.data())
    def ask(data: st.DataObject) -> None:
        place = world.place(state)
        world.spend(place)
        for _ in range(12):
            case = data.draw(kinds[data.draw(st.sampled_from(list(kinds)))])
            place = learned(place, judge.send(Request(case, world, place)))
        if judge.has(f"/threads/{place.ids['thread_id']}"):
            assert_thread_still_works(story, place.ids["thread_id"])

    ask()
