"""Users who all work at once, each by a program of its own, until enough has been asked."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter

from chaos.client import Client, GaveUp
from chaos.history import History
from chaos.shelves import Shelf, Shelves
from chaos.talks import Commons, Talks, make_assistant
from chaos.world import World

USERS = 20
# How often each thing is done, relative to the others.
HABITS = {
    "chat": 10,
    "chat_begun_together": 4,
    "cancel_early": 3,
    "delete_amid": 1,
    "take_notes": 6,
    "label": 2,
    "keep_file": 4,
    "keep_upload": 2,
    "keep_store": 2,
}


class Load:
    def __init__(self, world: World, history: History, seed: int, users: int = USERS) -> None:
        self.done: Counter[str] = Counter()
        self.gave_up: list[str] = []
        # Errors of these programs themselves; there should be none.
        self.crashed: list[str] = []
        self.shelves: list[Shelf] = []
        self._history = history
        self._stopped = threading.Event()
        commons = Commons()
        assistant = make_assistant(Client(world, history, seed))
        self._threads = []
        for number in range(users):
            client = Client(world, history, seed * 1000 + number)
            things = (Talks(client, commons, assistant), Shelves(client, self.shelves))
            thread = threading.Thread(target=self._use, args=things, daemon=True)
            self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Everybody finishes what they are at."""
        self._stopped.set()

    def join(self, seconds: float) -> int:
        """How many have not finished in time."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return sum(thread.is_alive() for thread in self._threads)

    def _use(self, talks: Talks, shelves: Shelves) -> None:
        while not self._stopped.is_set():
            (habit,) = talks.random.choices(list(HABITS), list(HABITS.values()))
            program = getattr(talks, habit, None) or getattr(shelves, habit)
            try:
                program()
                self.done[habit] += 1
            except GaveUp as error:
                self.gave_up.append(f"{habit}: {error}")
            except Exception as error:
                ours = traceback.extract_tb(error.__traceback__)
                place = [frame for frame in ours if "/chaos/" in frame.filename][-1]
                self.crashed.append(f"{habit}, {place.name}:{place.lineno}: {error!r}")
