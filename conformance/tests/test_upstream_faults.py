"""A dead, slow, lying or cut-off model: the run ends with a clear error, the thread goes on."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.scripted import (
    Answer,
    BreakOff,
    Call,
    Failure,
    Model,
    Pause,
    Raw,
    Silence,
    Turn,
    Wire,
    chunk_bytes,
    event_bytes,
)
from harness.sdk import openai_client
from harness.server import Adjutant
from harness.story import Story, function_tool

pytestmark = pytest.mark.once
QUICK = {"ADJUTANT_UPSTREAM_IDLE_SECONDS": "1", "ADJUTANT_UPSTREAM_RETRIES": "1"}


@pytest.fixture
def story(servers: Any, db: str, connect: Callable[[Adjutant], Story]) -> Story:
    """A server that gives up on its upstream soon."""
    return connect(servers.shared(db, **QUICK))


@dataclass(frozen=True)
class Fault:
    """What the model always does, and how the run must end."""

    does: Callable[[Model], Any]
    code: str
    says: str


def http_fault(status: int, ends_as: str, says: str, **options: Any) -> Fault:
    return Fault(lambda model: model.always(Failure(status, **options)), ends_as, says)


def raw_fault(*parts: Any, says: str = ".", **options: Any) -> Fault:
    def script(model: Model) -> None:
        named = [part(model.name) if callable(part) else part for part in parts]
        model.always(Raw(tuple(named), **options))

    return Fault(script, "server_error", says)


def half(name: str) -> bytes:
    return chunk_bytes(name, "Half an ans")


QUOTA = "You exceeded your current quota, please check your plan and billing details."
TOO_LONG = "This model's maximum context length is 8192 tokens."
FAULTS: dict[str, Fault] = {
    "no answer": Fault(
        lambda m: m.always(Silence(m.gate())), "server_error", "silent|answer|time|respon"
    ),
    "401": http_fault(401, "server_error", "401|key|[Uu]nauthor", message="Incorrect API key"),
    "403": http_fault(403, "server_error", "403|[Ff]orbidden|No access", message="No access"),
    "404": http_fault(
        404, "server_error", "does not exist", message="The model 'x' does not exist"
    ),
    "429 for ever": http_fault(
        429,
        "rate_limit_exceeded",
        "[Rr]ate limit",
        message="Rate limit reached",
        type="tokens",
        code="rate_limit_exceeded",
        headers=(("retry-after-ms", "10"),),
    ),
    "quota": http_fault(
        429,
        "rate_limit_exceeded",
        "quota",
        message=QUOTA,
        type="insufficient_quota",
        code="insufficient_quota",
    ),
    "prompt too long": http_fault(
        400,
        "invalid_prompt",
        "context length",
        message=TOO_LONG,
        type="invalid_request_error",
        code="context_length_exceeded",
    ),
    "500 for ever": http_fault(500, "server_error", "."),
    "503 with HTML": http_fault(503, "server_error", ".", body=b"<html>Bad gateway</html>"),
    "reset at once": raw_fault(BreakOff()),
    "half a stream": raw_fault(half, BreakOff()),
    "stream without an end": raw_fault(half),
    "silence in the middle": Fault(
        lambda m: m.always(Raw((half(m.name), m.gate()))), "server_error", "."
    ),
    "invalid JSON": raw_fault(half, b'data: {"choices": [{"delta"\n\n', event_bytes("[DONE]")),
    "JSON of another kind": raw_fault(event_bytes({"hello": "world"}), event_bytes("[DONE]")),
    "an array": raw_fault(event_bytes("[1, 2]"), event_bytes("[DONE]")),
    "invalid UTF-8": raw_fault(b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n'),
    "an error in the stream": raw_fault(
        half,
        event_bytes({"error": {"message": "Overloaded", "type": "server_error"}}),
        says="Overloaded",
    ),
    "a web page": raw_fault(b"<html>Welcome</html>", content_type="text/html"),
    "nothing at all": raw_fault(),
    "broken arguments": Fault(
        lambda m: m.always(Answer(tool_calls=(Call("weather", '{"city": "Os'),))),
        "server_error",
        "argument|JSON",
    ),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["polled", "streamed"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_the_run_and_the_thread_goes_on(
    story: Story, name: str, streamed: bool
) -> None:
    fault = FAULTS[name]
    fault.does(story.model)
    thread, assistant = story.thread("Hi"), story.assistant(tools=[function_tool("weather")])
    run = failed_run(story, thread, assistant, streamed)
    assert (run.last_error.code, run.failed_at is not None) == (fault.code, True)
    assert re.search(fault.says, run.last_error.message), run.last_error.message
    assert all(step.status == "failed" for step in story.steps(run))
    assert_answered_next(story, thread, assistant)


def failed_run(story: Story, thread: Any, assistant: Any, streamed: bool) -> Any:
    if not streamed:
        return story.wait(story.run(thread, assistant), "failed")
    events = story.stream(thread, assistant)
    assert story.last_stream.names[-2:] == ["thread.run.failed", "done"]
    return next(event.data for event in events if event.event == "thread.run.failed")


def assert_answered_next(story: Story, thread: Any, assistant: Any) -> None:
    story.model.always(Answer(("Better now.",)))
    story.threads.messages.create(thread.id, role="user", content="And now?")
    assert story.wait(story.run(thread, assistant)).status == "completed"
    assert story.messages(thread.id)[-1] == ("assistant", "Better now.")


def test_an_upstream_that_is_not_there(servers: Any, db: str, model: Model, ledger: Ledger) -> None:
    """Connection refused, as when the model's server was not started."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        server = servers.new(db, upstream=address, settings=QUICK)
        story = Story(openai_client(server.base_url, ledger), model, ledger)
        run = story.ask("Hi")
    assert (run.status, run.last_error.code) == ("failed", "server_error")
    assert "127.0.0.1" in run.last_error.message or "connect" in run.last_error.message.lower()
    server.stop()


# -- faults that pass ------------------------------------------------------------------
@pytest.mark.parametrize("status", [408, 500, 502, 503, 529])
def test_a_passing_fault_is_not_noticed(story: Story, status: int) -> None:
    story.model.fails(status).then_says("Hello.")
    assert story.ask("Hi").status == "completed"


@pytest.mark.parametrize(
    "turn", [Silence(), Raw((BreakOff(),))], ids=["before its head", "after its head"]
)
def test_a_lost_connection_before_the_first_word_is_not_noticed(story: Story, turn: Turn) -> None:
    """Nothing was said yet, so asking again doubles nothing."""
    story.model.then(turn).then_says("Hello.")
    story.stream(story.thread("Hi"), story.assistant())
    assert story.last_stream.names[-2:] == ["thread.run.completed", "done"]


@pytest.mark.parametrize("header", [("retry-after", "1"), ("retry-after-ms", "1000")])
def test_the_upstream_is_given_the_time_it_asks_for(story: Story, header: tuple[str, str]) -> None:
    story.model.fails(429, headers=(header,)).then_says("Hello.")
    assert story.ask("Hi").status == "completed"
    first, second = story.model.requests
    assert second.arrived_at - first.arrived_at >= 0.99


def test_the_upstream_is_asked_again_as_often_as_configured(story: Story) -> None:
    story.model.fails(500, times=2)
    assert story.ask("Hi").status == "failed"
    assert len(story.model.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_a_lasting_fault_is_not_retried(story: Story, status: int) -> None:
    story.model.fails(status)
    assert story.ask("Hi").status == "failed"
    assert len(story.model.requests) == 1


# -- odd, but legal --------------------------------------------------------------------
ODD: dict[str, Wire] = {
    "CRLF": Wire(newline="\r\n"),
    "no space": Wire(space=""),
    "comments": Wire(comment_before_each=True),
    "byte by byte": Wire(bytes_per_write=1),
    "three bytes": Wire(bytes_per_write=3),
    "extra fields": Wire(
        extra={"x": [1], "service_tier": None, "system_fingerprint": "fp", "usage": None}
    ),
    "no [DONE]": Wire(done=False),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_streams_are_understood(story: Story, name: str) -> None:
    story.model.calls_all(Call("weather", {"city": "서울"}), saying=("날씨", " 🌮"), wire=ODD[name])
    story.model.says("따뜻", "해요 🌤️", wire=ODD[name])
    run = story.ask("서울 날씨?", assistant=story.assistant(tools=[function_tool("weather")]))
    call = run.required_action.submit_tool_outputs.tool_calls[0]
    assert call.function.arguments == '{"city":"서울"}'
    story.submit(run, "18")
    story.wait(run, "completed")
    assert [text for _, text in story.messages(run.thread_id)[1:]] == ["날씨 🌮", "따뜻해요 🌤️"]


def test_a_slow_model_is_waited_for(story: Story) -> None:
    """Slower in all than the time limit, but never silent as long."""
    story.model.says("a", Pause(0.6), "b", Pause(0.6), "c", Pause(0.6), "d")
    run = story.ask("Hi")
    assert story.messages(run.thread_id)[-1] == ("assistant", "abcd")


def test_an_answer_without_words_ends_the_run(story: Story) -> None:
    """Some models say nothing at all; a message without a delta would crash SDKs."""
    story.model.always(Answer())
    events = story.stream(story.thread("Hi"), story.assistant())
    assert events[-1].data.status in {"completed", "failed"}


@pytest.mark.parametrize(
    "call",
    [Call("no_such_function"), Call("weather", "5"), Call("weather", '{"town": 1}')],
    ids=str,
)
def test_a_senseless_call_locks_nothing(story: Story, call: Call) -> None:
    """Whether it is refused or left to the program, the thread can be used again."""
    story.model.calls_all(call)
    assistant = story.assistant(tools=[function_tool("weather")])
    thread = story.thread("Hi")
    run = story.wait(story.run(thread, assistant))
    if run.status == "requires_action":
        story.cancel(run)
        story.wait(run, "cancelled")
    else:
        assert run.status == "failed"
        assert call.name in run.last_error.message
    assert_answered_next(story, thread, assistant)


def test_comments_keep_a_quiet_stream_open(
    servers: Any, db: str, model: Model, ledger: Ledger
) -> None:
    """While a model thinks for long, proxies and clients see that the line is alive."""
    server = servers.shared(db, ADJUTANT_RUNS_KEEPALIVE_SECONDS="1")
    story = Story(openai_client(server.base_url, ledger), model, ledger)
    model.says("At ", Pause(2.5), "last.")
    thread, assistant = story.thread("Hi"), story.assistant()
    events = story.stream(thread, assistant)
    assert events[-1].event in {"thread.run.completed", "done"}
    assert ledger.streams[-1].comments >= 2
