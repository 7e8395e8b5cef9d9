"""A program that uses the official SDK as one does with several copies: what fails is asked of another one."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

import openai

from chaos.history import ANSWERED, BROKEN, FAILED, LOST, REFUSED, History, Write
from chaos.world import Copy, World
from harness.sdk import httpx

T = TypeVar("T")
TIMEOUT_SECONDS = 6.0
PATIENCE_SECONDS = 75.0
BACK_OFF_SECONDS = (0.05, 0.5)


class GaveUp(Exception):
    """No copy has answered for so long that this program ends."""


class Refused(Exception):
    """A 4xx that is an answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Client:
    """One user's. Its SDK does not retry by itself: each request is one operation, and counted."""

    def __init__(self, world: World, history: History, seed: int) -> None:
        self.history = history
        self.random = random.Random(seed)
        self._world = world
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(verify=False), timeout=TIMEOUT_SECONDS
        )
        self._sdks: dict[str, openai.OpenAI] = {}

    def ask(self, name: str, call: Callable[[openai.OpenAI], T], write: Write | None = None) -> T:
        """Sends a request until it is answered, each time to any copy; tells `write` of it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            if write:
                write.attempts += 1
            try:
                answer = self.once(name, call)
            except Unanswered as unanswered:
                if time.monotonic() > deadline:
                    raise GaveUp(f"{name}: {unanswered}") from unanswered
                time.sleep(self.random.uniform(*BACK_OFF_SECONDS))
                continue
            if write:
                write.acked = self.history.now()
            return answer

    def once(self, name: str, call: Callable[[openai.OpenAI], T]) -> T:
        """Sends a request to any copy, once."""
        copy = self.random.choice(self._world.copies)
        began = self.history.now()
        try:
            answer = call(self._sdk(copy))
        except openai.APIStatusError as error:
            again = error.status_code >= 500 or error.status_code in {408, 409, 429}
            outcome = FAILED if again else REFUSED
            self.history.operation(name, outcome, began, copy.name, str(error)[:300])
            if again:
                raise Unanswered(str(error)) from error
            raise Refused(error.status_code, error.message) from error
        except (openai.APIConnectionError, httpx.TransportError) as error:
            self.history.operation(name, LOST, began, copy.name, repr(error.__cause__ or error))
            raise Unanswered(repr(error)) from error
        except openai.APIError as error:
            # An event of a stream said so.
            self.history.operation(name, FAILED, began, copy.name, str(error)[:300])
            raise Unanswered(str(error)) from error
        except Exception as error:
            self.history.operation(name, BROKEN, began, copy.name, repr(error))
            raise
        self.history.operation(name, ANSWERED, began, copy.name, getattr(answer, "id", ""))
        return answer

    def _sdk(self, copy: Copy) -> openai.OpenAI:
        url = copy.base_url
        if not copy.address:
            # It is being started.
            url = "http://127.0.0.1:9/v1"
        if url not in self._sdks:
            self._sdks[url] = openai.OpenAI(
                base_url=url, api_key="anything", http_client=self._http, max_retries=0
            )
        return self._sdks[url]


class Unanswered(Exception):
    """Whether it was done is not known, or it was not and may be asked again."""


def keyed(key: str) -> dict[str, Any]:
    """What makes a request one that is carried out once."""
    return {"extra_headers": {"Idempotency-Key": key}}
