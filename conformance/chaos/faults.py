"""What breaks, when, and for how long: drawn from a seed, each with a beginning and an end.

Faults come in two lanes that do not wait for each other, so that a copy may be killed while the database
restarts: one breaks copies and what connects them, the other what all of them stand on.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from chaos import proxy, words
from chaos.world import LEASE_SECONDS, Copy, World

# How long nothing new breaks in a lane.
REST_SECONDS = (0.3, 1.8)
# Of the faults that last as long as they like.
LASTING_SECONDS = (1.0, 3.5)


@dataclass(frozen=True)
class Fault:
    """One that happened. Times in seconds since the load began."""

    name: str
    where: str
    began: float
    ended: float


@dataclass(frozen=True)
class Kind:
    """A way to break things: `cause` breaks and heals, and says where."""

    name: str
    weight: int
    cause: Callable[[Breaker], str]


class Breaker:
    """Causes faults in one lane until it is told to stop."""

    def __init__(self, world: World, kinds: list[Kind], seed: int, began: float) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.faults: list[Fault] = []
        self.broken: list[str] = []
        self._kinds, self._began = kinds, began
        self.stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self.stopped.wait(self.random.uniform(*REST_SECONDS)):
            weights = [kind.weight for kind in self._kinds]
            (kind,) = self.random.choices(self._kinds, weights)
            began = time.monotonic()
            try:
                where = kind.cause(self)
            except Exception as error:
                self.broken.append(f"{kind.name}: {error!r}")
                return
            times = (began - self._began, time.monotonic() - self._began)
            self.faults.append(Fault(kind.name, where, *times))

    def last(
        self, shortest: float = LASTING_SECONDS[0], longest: float = LASTING_SECONDS[1]
    ) -> None:
        """Lets a fault last."""
        self.stopped.wait(self.random.uniform(shortest, longest))

    def any_copy(self) -> Copy:
        return self.random.choice(self.world.copies)


# -- a copy, or what connects it ----------------------------------------------------------
def kill(breaker: Breaker) -> str:
    copy = breaker.any_copy()
    copy.kill()
    breaker.last(0.0, 2.0)
    breaker.world.revive(copy)
    return copy.name


def pause(breaker: Breaker) -> str:
    """Longer than its lease, so that another one takes its runs; when it wakes, they are not its own."""
    copy = breaker.any_copy()
    copy.pause()
    breaker.last(0.5 * LEASE_SECONDS, 2.5 * LEASE_SECONDS)
    copy.go_on()
    return copy.name


def cut(mode: str) -> Callable[[Breaker], str]:
    def cause(breaker: Breaker) -> str:
        copy = breaker.any_copy()
        breaker.world.proxies.set(copy.name, mode)
        breaker.last(0.5, 2.5 * LEASE_SECONDS)
        breaker.world.proxies.set(copy.name, proxy.PASS)
        return copy.name

    return cause


# -- what all copies stand on -----------------------------------------------------------
def restart_database(breaker: Breaker) -> str:
    breaker.world.restart_database()
    return "postgres"


def drop_connections(breaker: Breaker) -> str:
    """An administrator ends every session, and those of the copies are many."""
    with suppress(Exception):
        breaker.world.query(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where pid <> pg_backend_pid() and datname = 'chaos'"
        )
    return "postgres"


def bucket(mode: str) -> Callable[[Breaker], str]:
    def cause(breaker: Breaker) -> str:
        breaker.world.proxies.set("s3", mode)
        breaker.last()
        breaker.world.proxies.set("s3", proxy.PASS)
        return "s3"

    return cause


def upstream(mode: str) -> Callable[[Breaker], str]:
    def cause(breaker: Breaker) -> str:
        breaker.world.words.mode = mode
        breaker.last()
        breaker.world.words.mode = words.PASS
        return "model"

    return cause


COPY_FAULTS = [
    Kind("copy killed and started again", 3, kill),
    Kind("copy paused beyond its lease", 3, pause),
    Kind("copy's database connections reset", 2, cut(proxy.REFUSE)),
    Kind("copy's database packets lost", 2, cut(proxy.HOLD)),
]
SHARED_FAULTS = [
    Kind("PostgreSQL restarted at once", 2, restart_database),
    Kind("all database sessions ended", 1, drop_connections),
    Kind("S3 answers 503", 2, bucket(proxy.UNAVAILABLE)),
    Kind("S3 is slow", 1, bucket(proxy.SLOW)),
    Kind("S3's answers are lost", 1, bucket(proxy.ANSWER_LOST)),
    Kind("S3 cannot be reached", 1, bucket(proxy.REFUSE)),
    Kind("model answers 500", 2, upstream(words.FAILS)),
    Kind("model breaks off", 2, upstream(words.RESETS)),
    Kind("model stalls", 2, upstream(words.STALLS)),
]


class Storm:
    """Both lanes."""

    def __init__(self, world: World, seed: int, began: float) -> None:
        lanes = enumerate([COPY_FAULTS, SHARED_FAULTS])
        self._breakers = [Breaker(world, kinds, seed + lane, began) for lane, kinds in lanes]

    def stop(self) -> None:
        for breaker in self._breakers:
            breaker.stopped.set()
        for breaker in self._breakers:
            breaker.stop()

    @property
    def faults(self) -> list[Fault]:
        return [fault for breaker in self._breakers for fault in breaker.faults]

    @property
    def broken(self) -> list[str]:
        """What the test itself could not do, such as start a copy again."""
        return [what for breaker in self._breakers for what in breaker.broken]

    def by_name(self) -> Counter[str]:
        return Counter(fault.name for fault in self.faults)
