"""The chaos test in short; and that its checker notices what it is there to notice."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chaos.drill import Outcome, Wanted, drill
from chaos.stored import Stored
from chaos.world import World

pytestmark = [pytest.mark.once, pytest.mark.timeout(300)]
WANTED = Wanted(operations=600, faults=10, minutes=5, users=12, seed=7)


@pytest.fixture(scope="module")
def outcome(pytestconfig: pytest.Config) -> Iterator[Outcome]:
    if pytestconfig.getoption("--db") == "sqlite":
        pytest.skip("several copies need PostgreSQL")
    world = World(WANTED.seed)
    try:
        yield drill(world, WANTED)
    finally:
        world.stop()


def test_nothing_is_lost_or_doubled(outcome: Outcome) -> None:
    assert outcome.is_enough, outcome.table()
    assert not outcome.violations, outcome.table()


# What could go wrong with what is stored, and a word of what the checker says then.
def lose_messages(stored: Stored) -> None:
    for row in of_user(stored):
        stored.rows["messages"].remove(row)


def double_message(stored: Stored) -> None:
    row = copy.deepcopy(of_user(stored)[0])
    row["id"] = row["object"]["id"] = "msg_again"
    stored.rows["messages"].append(row)


def change_message(stored: Stored) -> None:
    of_user(stored)[0]["object"]["content"][0]["text"]["value"] += "!"


def swap_messages(stored: Stored) -> None:
    threads = stored.by("messages", "thread_id").values()
    rows = max(threads, key=lambda rows: sum(row["run_id"] is None for row in rows))
    rows[0]["position"], rows[-1]["position"] = rows[-1]["position"], rows[0]["position"]


def change_ends(stored: Stored) -> None:
    for run in completed(stored):
        run["status"] = run["object"]["status"] = "failed"


def revive_run(stored: Stored) -> None:
    completed(stored)[0]["live"] = 1


def cut_answer(stored: Stored) -> None:
    text = of_model(stored)[0]["object"]["content"][0]["text"]
    text["value"] = text["value"][:-1]


def double_answer(stored: Stored) -> None:
    row = copy.deepcopy(of_model(stored)[0])
    row["id"] = row["object"]["id"] = "msg_again"
    stored.rows["messages"].append(row)


def lose_answer(stored: Stored) -> None:
    stored.rows["messages"].remove(of_model(stored)[0])


def count_too_much(stored: Stored) -> None:
    completed(stored)[0]["object"]["usage"]["total_tokens"] += 1


def change_output(stored: Stored) -> None:
    calls = [row for row in stored.rows["steps"] if row["object"]["type"] == "tool_calls"]
    steps = [row for row in calls if row["object"]["status"] == "completed"]
    call = steps[0]["object"]["step_details"]["tool_calls"][0]
    call["function"]["output"] += "!"


def change_bytes(stored: Stored) -> None:
    stored.blobs[stored.rows["files"][0]["blob"]] = "other"


def lose_bytes(stored: Stored) -> None:
    del stored.blobs[stored.rows["files"][0]["blob"]]


def leave_bytes(stored: Stored) -> None:
    stored.blobs["nobody's"] = "left"


def lose_files(stored: Stored) -> None:
    stored.rows["files"].clear()


def lose_attachments(stored: Stored) -> None:
    stored.rows["vector_store_files"].clear()


def lose_threads(stored: Stored) -> None:
    stored.rows["threads"].clear()


def tell_otherwise(stored: Stored) -> None:
    next(told for path, told in stored.told.items() if path.endswith("/runs") and told).clear()


SABOTAGE: list[tuple[Callable[[Stored], None], str]] = [
    (lose_messages, "was acknowledged at"),
    (double_message, "is there 2 times"),
    (change_message, "in place of"),
    (swap_messages, "stands before an older one"),
    (change_ends, "and clients were told"),
    (revive_run, "has not ended"),
    (cut_answer, "and its model said"),
    (double_answer, "and says"),
    (lose_answer, "and messages []"),
    (count_too_much, "total_tokens, its steps"),
    (change_output, "has the outputs"),
    (change_bytes, "has other bytes"),
    (lose_bytes, "are gone"),
    (leave_bytes, "nothing holds the blob"),
    (lose_files, "was acknowledged at"),
    (lose_attachments, "has lost"),
    (lose_threads, "was acknowledged at"),
    (tell_otherwise, "tells []"),
]


@pytest.mark.parametrize("harm, word", SABOTAGE, ids=[harm.__name__ for harm, _ in SABOTAGE])
def test_the_checker_notices(outcome: Outcome, harm: Callable[[Stored], None], word: str) -> None:
    harmed = copy.copy(outcome)
    harmed.stored = copy.deepcopy(outcome.stored)
    harm(harmed.stored)
    found = [what for what in harmed.compare() if what not in outcome.violations]
    assert any(word in what for what in found), found


def of_user(stored: Stored) -> list[dict[str, Any]]:
    return [row for row in stored.rows["messages"] if row["object"]["role"] == "user"]


def of_model(stored: Stored) -> list[dict[str, Any]]:
    ended = {run["id"] for run in completed(stored)}
    return [row for row in stored.rows["messages"] if row["run_id"] in ended]


def completed(stored: Stored) -> list[dict[str, Any]]:
    return [run for run in stored.rows["runs"] if run["object"]["status"] == "completed"]
