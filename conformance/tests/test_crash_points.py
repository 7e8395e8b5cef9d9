"""A server dies at every commit and every outside call of a run, one after the other, and goes on.

What is left at the end is what an undisturbed run leaves, to the last row, file and word.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness import code
from harness.crash_points import Outcome, Points, Tale, World, play
from harness.ledger import Ledger
from harness.scripted import Answer, Call, ScriptedUpstream, Seen, Turn
from harness.sdk import openai_client
from harness.searching import SEARCH, searches
from harness.shelf import Shelf
from harness.story import function_tool

pytestmark = [pytest.mark.once, pytest.mark.timeout(900)]

# More than there are processors, since each waits for another process half of the time.
WORLDS = 4
# Whether every point is wanted, however long it takes. Else a run with code dies only where other
# kinds of runs have no such point.
ALL = os.environ.get("ADJUTANT_TEST_CRASH_POINTS") == "all"
# A lease that is renewed in the middle would be one more commit, in some runs and not in others.
SETTINGS = {"ADJUTANT_RUNS_LEASE_SECONDS": "600", "ADJUTANT_LOG": "adjutant=debug"}
Worlds = Callable[[Tale], list[World]]


def text(_: Seen) -> Turn:
    return Answer(("Hello, ", "world."))


def function(seen: Seen) -> Turn:
    if seen.said[-1][0] == "tool":
        return Answer(("It is ", "cold."))
    return Answer(("Let me look.",), (Call("weather", {"city": "Oslo"}),))


def file_search(seen: Seen) -> Turn:
    if seen.said[-1][0] == "tool":
        return Answer(("Apples ", "are red."))
    return Answer(tool_calls=(searches(seen.last_user_text.replace("file_search", "apples")),))


PROGRAM = code.program(
    "import pylab as p", "p.plot([1])", "p.show()", "open('a', 'w').write('b')", "print(1)"
)


def code_interpreter(seen: Seen) -> Turn:
    if seen.said[-1][0] == "tool":
        return Answer(("A figure, a ", "[file](sandbox:/mnt/data/a)."))
    return Answer(tool_calls=(Call(code.TOOL, PROGRAM),))


TEXT = Tale("text", text)
FUNCTION = Tale("function", function, (function_tool("weather"),), output="cold")
FILE_SEARCH = Tale("file_search", file_search, (SEARCH,))
CODE = Tale("code", code_interpreter, tuple(code.TOOLS))
TALES = [TEXT, FUNCTION, FILE_SEARCH, CODE]


@pytest.fixture(scope="module")
def worlds(
    servers: Any, upstream: ScriptedUpstream, tmp_path_factory: Any, db: str
) -> Iterator[Worlds]:
    """The worlds of a tale. Those that run code take longer to start."""
    made: dict[bool, list[World]] = {}
    ledger = Ledger()

    def new(runs_code: bool) -> World:
        points = Points(tmp_path_factory.mktemp("points") / "points")
        settings = {**SETTINGS, "ADJUTANT_CRASH_POINTS": str(points.folder)}
        if runs_code:
            # One that is held ready costs a second of every start, and no test here would use it.
            settings |= {**code.SETTINGS, "ADJUTANT_CODE_INTERPRETER_SPARE_SESSIONS": "0"}
        server = servers.lend(
            servers.new(db, settings=settings, start_seconds=code.INSTALLING_SECONDS)
        )
        return World(server, points, upstream.model(), ledger)

    def of(tale: Tale) -> list[World]:
        runs_code = code.TOOLS[0] in tale.tools
        if runs_code not in made:
            # Those that run code compute rather than wait, and prove a limit of time at each start.
            number = 2 if runs_code else WORLDS
            made[runs_code] = [new(runs_code) for _ in range(number)]
        for world in made[runs_code]:
            if not world.knows(tale):
                teach(world, tale, ledger)
        return made[runs_code]

    yield of
    for world in itertools.chain.from_iterable(made.values()):
        world.server.kill()
    assert not ledger.problems, "wrong on the wire:\n" + "\n".join(ledger.problems[:20])


def teach(world: World, tale: Tale, ledger: Ledger) -> None:
    resources = {}
    if SEARCH in tale.tools:
        shelf = Shelf(openai_client(world.server.base_url, ledger))
        store = shelf.store("Apples are red.")
        # The first search with a model asks it what its vectors mean, once for all.
        shelf.search(store, "red")
        resources = {"file_search": {"vector_store_ids": [store]}}
    world.learn(tale, resources)


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPoolExecutor]:
    """One for all tests: a server dies with the thread that started it."""
    with ThreadPoolExecutor(WORLDS) as pool:
        yield pool


@pytest.mark.parametrize("streamed", [False, True], ids=["polled", "streamed"])
@pytest.mark.parametrize("tale", TALES, ids=lambda tale: tale.name)
def test_a_crash_at_any_point_changes_nothing(
    pool: ThreadPoolExecutor, worlds: Worlds, db: str, tale: Tale, streamed: bool
) -> None:
    if tale is CODE and not ALL and (streamed or db == "postgres"):
        pytest.skip("a server that runs code takes seconds to start: `make crash-points` has time")
    all_worlds = worlds(tale)
    undisturbed = play(all_worlds[0], tale, streamed)
    in_short = tale is CODE and not ALL
    first = undisturbed.points.index("before a program") + 1 if in_short else 1
    numbers = iter(range(first, len(undisturbed.points) + 1))
    lock = threading.Lock()
    wrong: list[str] = []

    def work(world: World) -> None:
        while not wrong:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            where = f"at {number}, {undisturbed.points[number - 1]}"
            try:
                disturbed = play(world, tale, streamed, number)
                wrong.extend(
                    f"{where}: {what}" for what in differences(undisturbed, disturbed, number)
                )
            except BaseException as error:
                wrong.append(f"{where}: {error!r}\n{world.server.tail(15)}")

    list(pool.map(work, all_worlds))
    print(f"{len(undisturbed.points)} points, from {first} on")
    if wrong:
        pytest.fail("\n\n".join(wrong), pytrace=False)


def differences(undisturbed: Outcome, disturbed: Outcome, number: int) -> Iterator[str]:
    passed = undisturbed.points[:number]
    if disturbed.points != passed:
        yield f"other points were passed:\n{compared(passed, disturbed.points)}"
    if disturbed.asked > undisturbed.asked + 1:
        yield f"the model was asked {disturbed.asked} times, not {undisturbed.asked}"
    if disturbed.state != undisturbed.state:
        texts = [
            json.dumps(outcome.state, indent=1, ensure_ascii=False).splitlines()
            for outcome in (undisturbed, disturbed)
        ]
        yield f"it ended otherwise:\n{compared(*texts)}"


def compared(expected: list[str], found: list[str]) -> str:
    return "\n".join(difflib.unified_diff(expected, found, "undisturbed", "disturbed", lineterm=""))
