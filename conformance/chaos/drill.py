"""One run of the chaos test: load and faults until both were enough, healing, rest, and the comparison."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from chaos import stored
from chaos.checker import check
from chaos.faults import Storm
from chaos.history import History
from chaos.load import Load
from chaos.report import table
from chaos.stored import Stored
from chaos.world import World

LONGEST_GOODBYE_SECONDS = 240.0
NEWS_SECONDS = 15.0


@dataclass(frozen=True)
class Wanted:
    """How much there shall be of it."""

    operations: int
    faults: int
    minutes: float
    users: int
    seed: int


@dataclass
class Outcome:
    """What came of it. Each violation in words."""

    wanted: Wanted
    world: World
    history: History
    storm: Storm
    load: Load
    stored: Stored
    violations: list[str]

    @property
    def is_enough(self) -> bool:
        wanted, faults = self.wanted, len(self.storm.faults)
        return self.history.count >= wanted.operations and faults >= wanted.faults

    def compare(self) -> list[str]:
        """What clients were told, compared with what is stored."""
        questions = self.world.words.questions
        return check(self.history, self.stored, questions, self.load.shelves)

    def table(self) -> str:
        return table(self.history, self.storm, self.load, self.stored, self.violations)


def drill(world: World, wanted: Wanted, journal: Path | None = None) -> Outcome:
    """`journal`: a file for every request."""
    history = History(wanted.seed, journal)
    load = Load(world, history, wanted.seed, wanted.users)
    storm = Storm(world, wanted.seed, history.began)
    rage(history, storm, wanted)
    load.stop()
    storm.stop()
    world.heal()
    tell(history, "healed")
    unfinished = load.join(LONGEST_GOODBYE_SECONDS)
    tell(history, "nobody asks any more")
    restless = stored.settle(world)
    tell(history, "at rest")
    outcome = Outcome(wanted, world, history, storm, load, stored.read(world, restless), [])
    outcome.violations = [
        *outcome.compare(),
        *(f"a copy said: {line}" for line in world.alarms),
        *(f"a program failed: {what}" for what in load.crashed),
        *(f"the test could not go on: {what}" for what in storm.broken),
        *([f"{unfinished} programs have not ended"] if unfinished else []),
    ]
    return outcome


def rage(history: History, storm: Storm, wanted: Wanted) -> None:
    """Waits until enough was asked and broken, or time is up."""
    news = 0.0
    while history.now() < wanted.minutes * 60 and not storm.broken:
        if history.count >= wanted.operations and len(storm.faults) >= wanted.faults:
            return
        time.sleep(0.2)
        if history.now() - news > NEWS_SECONDS:
            news = history.now()
            tell(history, f"{history.count} operations, {len(storm.faults)} faults")


def tell(history: History, what: str) -> None:
    print(f"{history.now():4.0f} s: {what}", file=sys.stderr, flush=True)
