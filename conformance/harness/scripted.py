"""A model server whose every word is written by the test.

It speaks OpenAI's `/chat/completions`, `/embeddings` and `/models` over a real
socket, and it can misbehave in all the ways that real upstreams do. A test
names a model, says what that model will answer, and uses the name in its
assistants; requests for another name never meet this test's script.

    model.says("Hello", "!")                       # two deltas, then the end
    model.calls("weather", {"city": "Oslo"}).then_says("Cold.")
    gate = model.hold()                            # the next answer waits ...
    model.says("Later.")
    gate.open()                                    # ... until the test says so
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import re
import secrets
import string
import struct
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
ALPHANUMERIC = string.ascii_letters + string.digits
GATE_DEADLINE_SECONDS = 20.0


class Gate:
    """A point at which the model waits until the test lets it go on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = False
        self._reached = threading.Event()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def open(self) -> None:
        with self._lock:
            self._open = True
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            loop.call_soon_threadsafe(_resolve, future)

    def wait_until_reached(self, timeout: float = GATE_DEADLINE_SECONDS) -> None:
        """Blocks the test until the model stands at this gate."""
        assert self._reached.wait(timeout), "the model was never asked as far as this gate"

    async def passed(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            is_open = self._open
            if not is_open:
                self._waiting.append((asyncio.get_running_loop(), future))
        self._reached.set()
        if not is_open:
            await future


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class BreakOff:
    """In a scripted answer: the connection is reset here."""


@dataclass(frozen=True)
class Pause:
    """In a scripted answer: a slow model. Never used to wait for something else."""

    seconds: float


Piece = str | Gate | BreakOff | Pause
Part = bytes | Gate | BreakOff | Pause


@dataclass(frozen=True)
class Usage:
    prompt: int = 38
    completion: int = 35
    cached: int = 0
    reasoning: int = 0

    def wire(self) -> Json:
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning},
        }


@dataclass(frozen=True)
class Call:
    """One function call of the model; `arguments` as text is sent as it is."""

    name: str
    arguments: Json | str = field(default_factory=dict)
    id: str = field(default_factory=lambda: new_id("call_"))

    @property
    def text(self) -> str:
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Wire:
    """How the event stream looks as bytes; every variation is legal SSE."""

    newline: str = "\n"
    space: str = " "
    comment_before_each: bool = False
    bytes_per_write: int | None = None
    extra: Json = field(default_factory=dict)
    done: bool = True


PLAIN = Wire()


@dataclass(frozen=True)
class Answer:
    """A whole, well-formed model turn: words, then calls, then the end."""

    pieces: tuple[Piece, ...] = ()
    tool_calls: tuple[Call, ...] = ()
    usage: Usage | None = Usage()
    finish: str | None = None
    wire: Wire = PLAIN

    @property
    def text(self) -> str:
        return "".join(piece for piece in self.pieces if isinstance(piece, str))

    @property
    def finish_reason(self) -> str:
        return self.finish or ("tool_calls" if self.tool_calls else "stop")


@dataclass(frozen=True)
class Failure:
    """An HTTP error instead of an answer."""

    status: int
    message: str = "The scripted model failed."
    type: str = "server_error"
    code: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    def payload(self) -> bytes:
        error = {"message": self.message, "type": self.type, "param": None, "code": self.code}
        return self.body if self.body is not None else json.dumps({"error": error}).encode()


@dataclass(frozen=True)
class Raw:
    """Bytes of an event stream exactly as the test wrote them."""

    parts: tuple[Part, ...]
    content_type: str = "text/event-stream"


@dataclass(frozen=True)
class Silence:
    """The request is read and never answered; when the gate opens, the connection is reset."""

    gate: Gate | None = None


@dataclass(frozen=True)
class Vectors:
    """The answer of an embedding model: texts that share words get vectors that are alike.

    They are not of unit length, as many models' are not.
    """

    dimensions: int = 64
    backwards: bool = False
    missing: int = 0
    usage: bool = True

    def of(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in re.findall(r"[a-z0-9]+|[^\W\d_]", text.lower()):
            number = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4])
            vector[number % self.dimensions] += 1.0
        return vector if any(vector) else [1.0] * self.dimensions

    def answer(self, request: Json) -> Json:
        inputs = request["input"] if isinstance(request["input"], list) else [request["input"]]
        data = [
            {"object": "embedding", "index": index, "embedding": self.of(text)}
            for index, text in enumerate(inputs)
        ]
        data = data[: len(data) - self.missing]
        usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
        answer = {"object": "list", "data": data, "model": request["model"]}
        answer["data"] = data[::-1] if self.backwards else data
        return {**answer, "usage": usage} if self.usage else answer


Turn = Answer | Failure | Raw | Silence | Vectors


@dataclass
class Seen:
    """A request that reached the model."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json
    gone: threading.Event = field(default_factory=threading.Event)
    arrived_at: float = 0.0

    @property
    def messages(self) -> list[Json]:
        return self.body["messages"]

    @property
    def said(self) -> list[tuple[str, str]]:
        """The conversation as (role, text) pairs, whatever form the content has."""
        return [(m["role"], text_of(m.get("content"))) for m in self.messages]

    @property
    def last_user_text(self) -> str:
        return [text for role, text in self.said if role == "user"][-1]


def text_of(content: object) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content if isinstance(content, str) else ""


def new_id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(ALPHANUMERIC) for _ in range(24))


class Model:
    """The script of one model name. Scripted turns are used up one a request."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests: list[Seen] = []
        self.unscripted: list[Seen] = []
        self._turns: deque[tuple[Gate | None, Turn]] = deque()
        self._always: Callable[[Seen], Turn] | None = None
        self._gates: list[Gate] = []
        self._next_gate: Gate | None = None
        self._closed = False
        self._arrived = threading.Condition()

    # -- writing the script ------------------------------------------------
    def says(
        self,
        *pieces: Piece,
        usage: Usage | None = Usage(),
        finish: str | None = None,
        wire: Wire = PLAIN,
    ) -> Model:
        self._gates += [piece for piece in pieces if isinstance(piece, Gate)]
        return self.then(Answer(pieces, usage=usage, finish=finish, wire=wire))

    then_says = says

    def calls(self, name: str, arguments: Json | str | None = None, **options: Any) -> Model:
        return self.calls_all(Call(name, {} if arguments is None else arguments), **options)

    then_calls = calls

    def calls_all(
        self,
        *calls: Call,
        saying: str | tuple[Piece, ...] = (),
        usage: Usage | None = Usage(),
        wire: Wire = PLAIN,
    ) -> Model:
        pieces = (saying,) if isinstance(saying, str) else saying
        return self.then(Answer(pieces, calls, usage=usage, wire=wire))

    def fails(self, status: int, *, times: int = 1, **options: Any) -> Model:
        for _ in range(times):
            self.then(Failure(status, **options))
        return self

    def sends(self, *parts: Part, content_type: str = "text/event-stream") -> Model:
        self._gates += [part for part in parts if isinstance(part, Gate)]
        return self.then(Raw(parts, content_type))

    def is_silent(self) -> Model:
        return self.then(Silence(self.gate()))

    def then(self, turn: Turn) -> Model:
        self._turns.append((self._next_gate, turn))
        self._next_gate = None
        return self

    def hold(self) -> Gate:
        """The next scripted turn waits at the returned gate before its first byte."""
        self._next_gate = self.gate()
        return self._next_gate

    def gate(self) -> Gate:
        gate = Gate()
        self._gates.append(gate)
        return gate

    def always(self, reply: Turn | Callable[[Seen], Turn]) -> Model:
        """Answers every request for which no turn is scripted."""
        self._always = reply if callable(reply) else lambda _: reply
        return self

    # -- reading what happened ----------------------------------------------
    def wait_for_requests(self, count: int, timeout: float = GATE_DEADLINE_SECONDS) -> None:
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.requests) >= count, timeout)
        assert arrived, f"the model was asked {len(self.requests)} times, not {count}"

    @property
    def unused_turns(self) -> int:
        return len(self._turns)

    def close(self) -> None:
        """Lets everything that waits go on, and fails whatever is asked from now on."""
        self._closed = True
        for gate in self._gates:
            gate.open()

    # -- used by the server ---------------------------------------------------
    def next_turn(self, seen: Seen) -> tuple[Gate | None, Turn]:
        with self._arrived:
            self.requests.append(seen)
            self._arrived.notify_all()
        if self._closed:
            return None, Failure(400, "The test that scripted this model has ended.")
        if self._turns:
            return self._turns.popleft()
        if self._always:
            return None, self._always(seen)
        self.unscripted.append(seen)
        return None, Failure(400, "Nothing is scripted for this request.")


class ScriptedUpstream:
    """The server: one a process, in a thread of its own, with any number of models."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.strays: list[Seen] = []
        self._numbers = itertools.count(1)
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10), "the scripted upstream did not start"

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def model(self, name: str | None = None) -> Model:
        """A fresh script; with a name, it replaces what that name answered before."""
        name = name or f"scripted-{next(self._numbers)}"
        self.models[name] = Model(name)
        return self.models[name]

    def stop(self) -> None:
        for model in self.models.values():
            model.close()
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(5)

    async def _serve(self, ready: threading.Event) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=512)
        self.port: int = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stopped.wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (seen := await _read_request(reader)) is not None:
                await self._answer_while_connected(seen, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, _Broken):
            pass
        finally:
            writer.close()

    async def _answer_while_connected(
        self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answering = asyncio.ensure_future(self._answer(seen, writer))
        watching = asyncio.ensure_future(reader.read(1))
        await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
        was_answered = answering.done()
        for task in (answering, watching):
            task.cancel()
        ended, _ = await asyncio.gather(answering, watching, return_exceptions=True)
        if not was_answered or isinstance(ended, ConnectionError):
            seen.gone.set()
            raise _Broken
        answering.result()

    async def _answer(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        seen.arrived_at = asyncio.get_running_loop().time()
        if seen.method == "GET" and seen.path.startswith("/v1/models"):
            return await _send_json(writer, 200, self._models(seen))
        model = self.models.get(seen.body.get("model", ""))
        if model is None:
            self.strays.append(seen)
            error = Failure(
                404, "No such scripted model.", "invalid_request_error", "model_not_found"
            )
            return await _send(writer, 404, error.payload())
        gate, turn = model.next_turn(seen)
        if gate:
            await gate.passed()
        if isinstance(turn, Vectors):
            return await _send_json(writer, 200, turn.answer(seen.body))
        if seen.path == "/v1/embeddings" and isinstance(turn, Answer):
            return await _send_json(writer, 200, _embeddings(seen.body))
        await _perform(turn, seen, writer)

    def _models(self, seen: Seen) -> Json:
        def describe(name: str) -> Json:
            return {"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "scripted"}

        _, _, name = seen.path.removeprefix("/v1/models").partition("/")
        if name:
            return describe(name)
        return {"object": "list", "data": [describe(name) for name in self.models]}


class _Broken(Exception):
    """The connection is over, by the script's wish or the client's."""


# -- performing a turn -----------------------------------------------------------------
async def _perform(turn: Turn, seen: Seen, writer: asyncio.StreamWriter) -> None:
    if isinstance(turn, Failure):
        await _send(writer, turn.status, turn.payload(), extra=turn.headers)
    elif isinstance(turn, Silence):
        if turn.gate:
            await turn.gate.passed()
        _reset(writer)
    elif isinstance(turn, Raw):
        await _stream(writer, turn.content_type, _as_async(turn.parts))
    elif seen.body.get("stream"):
        wants_usage = (seen.body.get("stream_options") or {}).get("include_usage", False)
        chunks = _chunks(turn, seen.body["model"], wants_usage)
        await _stream(writer, "text/event-stream", _encoded(chunks, turn.wire))
    else:
        await _send_json(writer, 200, _completion(turn, seen.body["model"]))


def _chunks(
    answer: Answer, model: str, wants_usage: bool
) -> Iterable[Json | Gate | BreakOff | Pause]:
    def chunk(delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**_envelope("chat.completion.chunk", model), "choices": [choice]}

    yield chunk({"role": "assistant", "content": None if answer.tool_calls else ""})
    for piece in answer.pieces:
        yield chunk({"content": piece}) if isinstance(piece, str) else piece
    for index, call in enumerate(answer.tool_calls):
        function = {"name": call.name, "arguments": ""}
        first = {"index": index, "id": call.id, "type": "function", "function": function}
        yield chunk({"tool_calls": [first]})
        for piece in _in_pieces(call.text, 8):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, answer.finish_reason)
    if wants_usage and answer.usage:
        envelope = _envelope("chat.completion.chunk", model)
        yield {**envelope, "choices": [], "usage": answer.usage.wire()}


def _completion(answer: Answer, model: str) -> Json:
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.text},
            }
            for call in answer.tool_calls
        ]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": answer.finish_reason,
    }
    completion = {**_envelope("chat.completion", model), "choices": [choice]}
    return {**completion, "usage": answer.usage.wire()} if answer.usage else completion


def _envelope(kind: str, model: str) -> Json:
    return {"id": "chatcmpl-scripted", "object": kind, "created": 1_700_000_000, "model": model}


def _embeddings(request: Json) -> Json:
    inputs = request["input"] if isinstance(request["input"], list) else [request["input"]]
    vector = [0.25, -0.5, 1.0]
    packed = base64.b64encode(struct.pack("<3f", *vector)).decode()
    value = packed if request.get("encoding_format") == "base64" else vector
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": i, "embedding": value} for i in range(len(inputs))
        ],
        "model": request["model"],
        "usage": {"prompt_tokens": len(inputs), "total_tokens": len(inputs)},
    }


async def _encoded(
    chunks: Iterable[Json | Gate | BreakOff | Pause], wire: Wire
) -> AsyncIterator[Part]:
    for chunk in chunks:
        if isinstance(chunk, dict):
            for piece in _sized(_event({**chunk, **wire.extra}, wire), wire.bytes_per_write):
                yield piece
        else:
            yield chunk
    if wire.done:
        yield f"data:{wire.space}[DONE]{wire.newline}{wire.newline}".encode()


def _event(data: Json, wire: Wire) -> bytes:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    comment = f": ping{wire.newline}{wire.newline}" if wire.comment_before_each else ""
    return f"{comment}data:{wire.space}{text}{wire.newline}{wire.newline}".encode()


def event_bytes(data: Json | str) -> bytes:
    """One server-sent event, for streams that a test writes by hand."""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"data: {text}\n\n".encode()


def chunk_bytes(model: str, text: str) -> bytes:
    """One well-formed content chunk, for streams that a test breaks by hand."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return event_bytes({**_envelope("chat.completion.chunk", model), "choices": [choice]})


def _sized(data: bytes, size: int | None) -> Iterable[bytes]:
    if size is None:
        return [data]
    return [data[start : start + size] for start in range(0, len(data), size)]


def _in_pieces(text: str, size: int) -> Iterable[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


async def _as_async(parts: Iterable[Part]) -> AsyncIterator[Part]:
    for part in parts:
        yield part


# -- HTTP/1.1, as little as is needed --------------------------------------------------
async def _read_request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = request_line.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await _read_body(reader, headers)
    return Seen(method, path, headers, json.loads(body) if body else {})


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


async def _send_json(writer: asyncio.StreamWriter, status: int, value: Json) -> None:
    await _send(writer, status, json.dumps(value, ensure_ascii=False).encode())


async def _send(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    extra: tuple[tuple[str, str], ...] = (),
) -> None:
    headers = (("content-type", "application/json"), ("content-length", str(len(body))), *extra)
    writer.write(_head(status, headers) + body)
    await writer.drain()


async def _stream(
    writer: asyncio.StreamWriter, content_type: str, parts: AsyncIterator[Part]
) -> None:
    headers = (("content-type", content_type), ("transfer-encoding", "chunked"))
    writer.write(_head(200, headers))
    async for part in parts:
        if isinstance(part, Gate):
            await writer.drain()
            await part.passed()
        elif isinstance(part, Pause):
            await writer.drain()
            await asyncio.sleep(part.seconds)
        elif isinstance(part, BreakOff):
            await writer.drain()
            _reset(writer)
        else:
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            # Without this turn of the loop, odd splits would be joined again before sending.
            await asyncio.sleep(0)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode("latin-1")


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    raise _Broken
