"""What clients asked for and what they were told, as it happened. It knows nothing of what is stored.

Whatever a client creates carries a nonce of its own: in its text, its metadata or its name. So whatever is
found later can be told to be somebody's, once, twice or not at all.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Outcomes of an operation.
ANSWERED = "answered"
REFUSED = "refused (4xx)"
FAILED = "failed (5xx)"
LOST = "lost (no answer)"
# The SDK could not read it: a violation.
BROKEN = "unreadable"


@dataclass
class Write:
    """Something that a client wanted to be created."""

    kind: str
    nonce: str
    # What must be found: text, metadata, or the digest of bytes.
    body: Any = None
    thread: str | None = None
    # With an `Idempotency-Key` it may be there once at most, whatever was answered.
    has_key: bool = True
    attempts: int = 0
    began: float = 0.0
    # When it was acknowledged, and the id that it was given.
    acked: float | None = None
    id: str | None = None


@dataclass
class Removal:
    """A deletion that was asked for."""

    id: str
    began: float
    acked: float | None = None


@dataclass
class Told:
    """A status of a run that a client was told, by an answer or an event."""

    run: str
    status: str
    began: float
    ended: float
    how: str


@dataclass
class StreamTold:
    """What one stream said."""

    run: str | None = None
    thread: str | None = None
    began: float = 0.0
    # Deltas of each message, joined.
    texts: dict[str, str] = field(default_factory=dict)
    # Text of the messages whose end was told.
    ended_texts: dict[str, str] = field(default_factory=dict)
    ended_steps: dict[str, str] = field(default_factory=dict)
    # Messages told as incomplete. Where another worker begins a step again, that is what became of the one before.
    incomplete: set[str] = field(default_factory=set)
    last_status: str | None = None
    # It ended with an end of the run, or with the run waiting for its client.
    is_whole: bool = False
    # Of its last event, where it has ids; and the stream that broke after the event before its first.
    last_id: str | None = None
    goes_on: StreamTold | None = None

    @property
    def parts(self) -> list[StreamTold]:
        """This one after all that it goes on with."""
        return [*(self.goes_on.parts if self.goes_on else []), self]


@dataclass
class Listing:
    """Ids that a list told, all of a thread's messages or of a store's files."""

    of: str
    began: float
    ids: list[str]


@dataclass
class Setting:
    """A value that was set on an object that is there."""

    value: str
    began: float
    acked: float | None = None
    attempts: int = 0


def possible(settings: list[Setting], at: float) -> set[str]:
    """What one client's settings of a value may have made of it, for a look that began then.

    That is the last one acknowledged before; and any of which a request may still be on its way, since one
    that a paused copy holds comes late.
    """
    late = {s.value for s in settings if s.acked is None or s.attempts > 1 or s.acked > at}
    acked = [s.value for s in settings if s.acked is not None and s.acked <= at]
    return late | set(acked[-1:])


@dataclass
class Outputs:
    """What a client submitted for a run's calls."""

    run: str
    outputs: dict[str, str]
    acked: float | None = None


class History:
    def __init__(self, seed: int, journal: Path | None = None) -> None:
        """`journal`: a file for every operation, to read when something went wrong."""
        self.began = time.monotonic()
        self.operations: Counter[tuple[str, str]] = Counter()
        self.writes: list[Write] = []
        self.removals: list[Removal] = []
        self.told: list[Told] = []
        self.streams: list[StreamTold] = []
        self.listings: list[Listing] = []
        self.settings: defaultdict[str, list[Setting]] = defaultdict(list)
        self.outputs: list[Outputs] = []
        # Found by clients while they worked: what no honest server answers.
        self.complaints: list[str] = []
        self._random = random.Random(seed)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._journal = journal.open("w") if journal else None

    def now(self) -> float:
        return time.monotonic() - self.began

    def nonce(self) -> str:
        with self._lock:
            return f"n{self._random.getrandbits(24):06x}{next(self._numbers):06x}"

    @property
    def count(self) -> int:
        return sum(self.operations.values())

    def operation(self, name: str, outcome: str, began: float, copy: str, note: str = "") -> None:
        with self._lock:
            self.operations[name, outcome] += 1
            if self._journal:
                entry = [round(began, 3), round(self.now(), 3), copy, name, outcome, note]
                self._journal.write(json.dumps(entry, ensure_ascii=False) + "\n")
                self._journal.flush()

    def complain(self, what: str) -> None:
        with self._lock:
            self.complaints.append(f"at {self.now():.1f} s: {what}")

    def intends(self, kind: str, **what: Any) -> Write:
        write = Write(kind, what.pop("nonce", None) or self.nonce(), began=self.now(), **what)
        with self._lock:
            self.writes.append(write)
        return write

    def add(self, record: Told | StreamTold | Listing | Removal | Outputs) -> None:
        with self._lock:
            match record:
                case Told():
                    self.told.append(record)
                case StreamTold():
                    self.streams.append(record)
                case Listing():
                    self.listings.append(record)
                case Removal():
                    self.removals.append(record)
                case Outputs():
                    self.outputs.append(record)
