"""What the model says under chaos: every word says which run and which question it belongs to.

So an answer that is put together of two, or told twice, or of somebody else's run shows by itself. The
model counts its questions; each piece of an answer names the user's nonce, the question's number, its own
place and how many pieces there are: `<nonce:question:place/pieces>`.
"""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, field

from harness.scripted import (
    Answer,
    BreakOff,
    Call,
    Failure,
    Model,
    Pause,
    Piece,
    Seen,
    Turn,
    Usage,
    text_of,
)

MODEL = "chaotic"
EMBEDDER = "scripted-embedder"
TOOL = "look"
ASKED = re.compile(r"\b(text|slow|calls) (n[0-9a-f]{12})\b")
PIECE = re.compile(r"<(n[0-9a-f]{12}):(\d+):(\d+)/(\d+)>")
# What the upstream can do.
PASS, FAILS, RESETS, STALLS = "pass", "fails", "resets", "stalls"
HIT = 0.7
# Longer than the server's patience with a silent upstream.
STALL_SECONDS = 6.0


@dataclass
class Question:
    """One request that reached the model, and what it was answered."""

    number: int
    nonce: str
    outputs: list[str]
    pieces: int
    usage: Usage
    calls: list[Call] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(piece_of(self, place) for place in range(self.pieces))


def piece_of(question: Question, place: int) -> str:
    return f"<{question.nonce}:{question.number}:{place}/{question.pieces}>"


class Words:
    """Answers every question, and remembers all of them."""

    def __init__(self, model: Model, seed: int) -> None:
        self.questions: dict[int, Question] = {}
        self.mode = PASS
        self._model = model
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        model.always(self.reply)

    def reply(self, seen: Seen) -> Turn:
        with self._lock:
            # They would be kept for a test to look at.
            self._model.requests.clear()
            found = ASKED.findall(seen.last_user_text)
            if not found:
                return Failure(400, f"Nobody asks so: {seen.last_user_text[:80]}")
            kind, nonce = found[-1]
            question = self._question(nonce, outputs_since_the_user(seen))
            if kind == "calls" and not question.outputs:
                question.pieces = 0
                question.calls = [Call(TOOL, {"nonce": nonce, "place": i}) for i in range(2)]
            return self._misbehave(question) or self._answer(question, slow=kind == "slow")

    def _question(self, nonce: str, outputs: list[str]) -> Question:
        number = len(self.questions) + 1
        pieces = self._random.randint(2, 12)
        usage = Usage(prompt=100 + number, completion=pieces)
        question = Question(number, nonce, outputs, pieces, usage)
        self.questions[number] = question
        return question

    def _answer(self, question: Question, slow: bool) -> Answer:
        longest = 1.0 if slow else 0.08
        pieces: list[Piece] = []
        for place in range(question.pieces):
            pieces.append(Pause(self._random.uniform(0.0, longest)))
            pieces.append(piece_of(question, place))
        return Answer(tuple(pieces), tuple(question.calls), usage=question.usage)

    def _misbehave(self, question: Question) -> Turn | None:
        if self.mode == PASS or self._random.random() > HIT:
            return None
        if self.mode == FAILS:
            return Failure(500)
        until = self._random.randint(0, question.pieces)
        begun: list[Piece] = [piece_of(question, place) for place in range(until)]
        if self.mode == RESETS:
            return Answer((*begun, BreakOff()))
        rest = [piece_of(question, place) for place in range(until, question.pieces)]
        whole = (*begun, Pause(STALL_SECONDS), *rest)
        return Answer(whole, tuple(question.calls), usage=question.usage)


def outputs_since_the_user(seen: Seen) -> list[str]:
    """What tools gave since the user said something last."""
    outputs: list[str] = []
    for message in seen.messages:
        if message["role"] == "user":
            outputs = []
        elif message["role"] == "tool":
            outputs.append(text_of(message.get("content")))
    return outputs
