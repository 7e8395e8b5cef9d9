"""Checks of runs: each has one end, its answer is one answer of the model's, and told as it is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from chaos.history import History, Outputs, StreamTold, Told
from chaos.stored import Row, Stored, text_of
from chaos.words import PIECE, Question
from harness.story import TERMINAL

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def check_runs(history: History, stored: Stored, questions: dict[int, Question]) -> Iterator[str]:
    steps, messages = stored.by("steps", "run_id"), defaultdict(list)
    for row in sorted(stored.rows["messages"], key=lambda row: row["position"]):
        if row["run_id"]:
            messages[row["run_id"]].append(row)
    outputs: dict[str, list[Outputs]] = defaultdict(list)
    for submitted in history.outputs:
        outputs[submitted.run].append(submitted)
    runs = stored.by_id("runs")
    for run in runs.values():
        answer = Answered(run, steps.get(run["id"], []), messages.get(run["id"], []))
        yield from check_end(answer)
        yield from check_words(answer, questions, outputs[run["id"]])
    for table, rows in (("steps", steps), ("messages", messages)):
        for id in rows.keys() - runs.keys():
            yield f"{id} is no run, and has {table}"
    told: dict[str, list[Told]] = defaultdict(list)
    for one in history.told:
        told[one.run].append(one)
    deleted = {removal.id for removal in history.removals}
    threads = {write.id: write.thread for write in history.writes if write.kind == "run"}
    for id, all_told in told.items():
        yield from check_told(id, all_told, runs.get(id), threads.get(id) in deleted)


class Answered:
    """A run as it is stored."""

    def __init__(self, run: Row, steps: list[Row], messages: list[Row]) -> None:
        self.id: str = run["id"]
        self.run = run["object"]
        self.row = run
        self.steps: list[Row] = [row["object"] for row in steps]
        self.messages: list[Row] = [row["object"] for row in messages]

    @property
    def calls(self) -> list[Row]:
        return [step for step in self.steps if step["type"] == "tool_calls"]

    @property
    def is_completed(self) -> bool:
        return self.run["status"] == "completed"


def check_end(answer: Answered) -> Iterator[str]:
    """It has ended, with all that belongs to it, and its usage is that of its steps."""
    status = answer.run["status"]
    if status not in TERMINAL or answer.row["live"] or answer.row["status"] != status:
        yield f"{answer.id} has not ended: {answer.row['status']}, {status}"
    for thing in [*answer.steps, *answer.messages]:
        if thing["status"] == "in_progress":
            yield f"{thing['id']} of {answer.id} is in progress, and its run {status}"
    usage = answer.run["usage"] or {}
    for count in COUNTS:
        total = sum((step["usage"] or {}).get(count, 0) for step in answer.steps)
        if usage.get(count, 0) != total:
            yield f"{answer.id} has {usage.get(count)} {count}, its steps {total}"
    written = [
        step["step_details"]["message_creation"]["message_id"]
        for step in answer.steps
        if step["type"] == "message_creation"
    ]
    kept = [message["id"] for message in answer.messages]
    if sorted(written) != sorted(kept):
        yield f"{answer.id} has steps that write {written}, and messages {kept}"


def check_words(
    answer: Answered, questions: dict[int, Question], submitted: list[Outputs]
) -> Iterator[str]:
    """Its message is what the model answered to one question, and knows what the client submitted."""
    said = [text_of(message) for message in answer.messages]
    if len(said) > 1 or (answer.is_completed and len(said) != 1):
        yield f"{answer.id} is {answer.run['status']}, and says {said}"
    if len(answer.calls) > 1:
        yield f"{answer.id} has called its tools {len(answer.calls)} times"
    for message, text in zip(answer.messages, said, strict=True):
        yield from check_text(answer, message, text, questions)
    acked = [one for one in submitted if one.acked is not None]
    known = [one.outputs for one in submitted]
    for step in answer.calls:
        calls = step["step_details"]["tool_calls"]
        outputs = {call["id"]: call["function"]["output"] for call in calls}
        if all(output is None for output in outputs.values()):
            if acked:
                yield f"{answer.id} has lost the outputs that were acknowledged"
        elif outputs not in known:
            yield f"{answer.id} has the outputs {outputs}, not of {known}"
        for text in said if answer.is_completed else []:
            question = question_of(text, questions)
            if question and question.outputs != list(outputs.values()):
                yield f"the model of {answer.id} has read {question.outputs}, not {outputs}"
    if acked and not answer.calls:
        yield f"{answer.id} has outputs that were acknowledged, and no calls"


def check_text(
    answer: Answered, message: Row, text: str, questions: dict[int, Question]
) -> Iterator[str]:
    question = question_of(text, questions)
    if question is None:
        if text:
            yield f"{answer.id} says what no model said: {text!r}"
        return
    whole = question.text
    if not (whole == text if message["status"] == "completed" else whole.startswith(text)):
        yield f"{answer.id} says {text!r}, and its model said {whole!r}"
    if message["status"] != "completed":
        return
    for step in answer.steps:
        if step["type"] == "message_creation" and step["status"] == "completed":
            usage = step["usage"] or {}
            if usage.get("prompt_tokens") != question.usage.prompt:
                yield f"a step of {answer.id} has the usage of another question: {usage}"


def question_of(text: str, questions: dict[int, Question]) -> Question | None:
    found = PIECE.match(text)
    return questions.get(int(found.group(2))) if found else None


def check_told(id: str, told: list[Told], run: Row | None, deleted: bool) -> Iterator[str]:
    """Nobody was told two ends, an end that is not the stored one, or that it goes on after its end."""
    ends = {one.status for one in told if one.status in TERMINAL}
    if run is None:
        if not deleted:
            yield f"{id} was announced, and is not there"
        return
    stored = run["object"]["status"]
    if ends - {stored}:
        yield f"{id} is {stored}, and clients were told {sorted(ends)}"
    over = min((one.ended for one in told if one.status in TERMINAL), default=float("inf"))
    for one in told:
        if one.how == "answer" and one.began > over and one.status not in TERMINAL:
            yield f"{id} was told to be {one.status} after its end"


def check_streams(history: History, stored: Stored) -> Iterator[str]:
    """What a stream told of as ended is stored so; deltas add up to it."""
    messages, steps = stored.by_id("messages"), stored.by_id("steps")
    runs, of_runs = stored.by_id("runs"), stored.by("messages", "run_id")
    deleted = {removal.id for removal in history.removals}
    for stream in history.streams:
        run = runs.get(stream.run or "")
        if run is None:
            continue
        yield from check_stream(stream, messages, steps, deleted)
        parts = stream.parts
        ended = [step for part in parts for step in part.ended_steps]
        for step in {step for step in ended if ended.count(step) > 1}:
            yield f"parts of one stream of {stream.run} told the end of {step} more than once"
        if stream.is_whole and stream.last_status == "completed":
            told = {id for part in parts for id in part.ended_texts}
            kept = {row["id"] for row in of_runs.get(stream.run or "", [])}
            # Of a run that waited, a stream tells what came after.
            if kept - told - deleted:
                yield f"a whole stream of {stream.run} did not tell of {kept - told}"


def check_stream(
    stream: StreamTold, messages: dict[str, Row], steps: dict[str, Row], deleted: set[str]
) -> Iterator[str]:
    for id, text in stream.ended_texts.items():
        row = messages.get(id)
        if row is None:
            if id not in deleted and id not in stream.incomplete:
                yield f"a stream of {stream.run} told message {id} to its end, and it is not there"
        elif text_of(row["object"]) != text:
            yield f"a stream told message {id} as {text!r}, stored is {text_of(row['object'])!r}"
        if stream.texts.get(id, "") != text:
            yield f"the deltas of message {id} are {stream.texts.get(id)!r}, its end {text!r}"
    for id, status in stream.ended_steps.items():
        kept = steps.get(id)
        if kept is None and status == "failed":
            # Another worker has begun it again.
            continue
        if kept is None or kept["object"]["status"] != status:
            yield f"a stream told step {id} as {status}, stored is {kept and kept['object']['status']}"
