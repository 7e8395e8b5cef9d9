"""A thread's session and what is in it, as threads, runs and files come and go."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.code import (
    INSTALLING_SECONDS,
    TOOL,
    TOOLS,
    executed,
    program,
    sessions_of,
)
from harness.scripted import ScriptedUpstream
from harness.server import Adjutant
from harness.story import Story, wait_for

Connect = Callable[[Adjutant], Story]

pytestmark = pytest.mark.timeout(INSTALLING_SECONDS)


@pytest.fixture
def server(servers: Any, db: str, code_settings: dict[str, str]) -> Adjutant:
    return servers.shared(db, start_seconds=INSTALLING_SECONDS, **code_settings)


@pytest.mark.once
@pytest.mark.parametrize("end", ["deleted", "left out by the assistant", "left out by the thread"])
def test_a_file_that_is_gone_is_gone_from_the_session(story: Story, end: str) -> None:
    """So is its name, which an older file takes. What the code has written stays."""
    upload = story.client.files.create
    kept, gone = (
        upload(file=("a.txt", text), purpose="assistants").id for text in (b"kept", b"gone")
    )
    both, one = ({TOOL: {"file_ids": ids}} for ids in ([kept, gone], [kept]))
    by_thread = end == "left out by the thread"
    assistant = story.assistant(tools=TOOLS, tool_resources={} if by_thread else both)
    thread = story.thread("Read.", tool_resources=both if by_thread else {})
    look = program("import os", "print(open('a.txt').read(), *sorted(os.listdir()))")
    story.model.calls(TOOL, program("open('mine', 'w').write('x')")).then_calls(TOOL, look)
    story.model.then_says("Both.")
    _, (_, before) = executed(story, story.wait(story.run(thread, assistant)))
    assert before == f"gone {' '.join(sorted(['a.txt', 'mine', gone, kept]))}\n"
    if end == "deleted":
        story.client.files.delete(gone)
    elif by_thread:
        story.threads.update(thread.id, tool_resources=one)
    else:
        story.client.beta.assistants.update(assistant.id, tool_resources=one)
    story.model.calls(TOOL, look).then_says("One.")
    ((_, after),) = executed(story, story.wait(story.run(thread, assistant)))
    assert after == f"kept {' '.join(sorted(['a.txt', 'mine', kept]))}\n"


@pytest.mark.once
@pytest.mark.parametrize("engine", ["native"], indirect=True)
def test_a_session_that_holds_on_to_a_file_that_is_gone_ends(story: Story) -> None:
    """In WebAssembly there are no rights by which it could."""
    file = story.client.files.create(file=("a.txt", b"secret"), purpose="assistants")
    assistant = story.assistant(tools=TOOLS)
    thread = story.thread("Keep.", tool_resources={TOOL: {"file_ids": [file.id]}})
    story.model.calls(TOOL, program("import os", "os.chmod('.', 0o500)")).then_says("Kept.")
    story.wait(story.run(thread, assistant))
    story.client.files.delete(file.id)
    look = program("import os", "os.listdir()")
    story.model.calls(TOOL, look).then_calls(TOOL, look).then_says("Gone.")
    (_, first), (_, second) = executed(story, story.wait(story.run(thread, assistant)))
    assert first.startswith(
        "[The session is lost: a file that is gone could not be taken out of it"
    )
    assert second == "[]\n"


@pytest.mark.once
def test_a_session_ends_with_its_thread_whoever_deletes_it(
    code_settings: dict[str, str],
    servers: Any,
    db: str,
    connect: Connect,
    upstream: ScriptedUpstream,
    tmp_path: Path,
) -> None:
    if db == "sqlite":
        pytest.skip("a SQLite database belongs to one process")
    settings = {**code_settings, "ADJUTANT_CODE_INTERPRETER_SPARE_SESSIONS": "0"}
    here = servers.new(db, settings=settings, start_seconds=INSTALLING_SECONDS)
    there = Adjutant(tmp_path, upstream=upstream.base_url, database_url=here._database_url)
    story = connect(here)
    assistant = story.assistant(tools=TOOLS)
    story.model.calls(TOOL, program("1")).then_says("One.")
    story.model.calls(TOOL, program("2")).then_says("Two.")
    gone, stays = (story.ask("Go.", assistant=assistant).thread_id for _ in range(2))
    assert len(sessions_of(here)) == 2
    connect(there).threads.delete(gone)
    wait_for(lambda: sessions_of(here), lambda left: len(left) < 2, "a session to end", 60)
    story.threads.messages.create(stays, role="user", content="Go on.")
    story.model.calls(TOOL, program("_")).then_says("Still two.")
    run = story.wait(story.runs.create(stays, assistant_id=assistant.id))
    assert executed(story, run) == [("_", "2\n")]
    there.stop()
    here.stop()


@pytest.mark.once
def test_where_all_sessions_are_at_work_the_model_is_told_so(
    code_settings: dict[str, str], servers: Any, db: str, connect: Connect
) -> None:
    """And whoever runs the server. A program that finds a place runs."""
    settings = {**code_settings, "ADJUTANT_CODE_INTERPRETER_SESSIONS": "1"}
    server = servers.shared(db, start_seconds=INSTALLING_SECONDS, **settings)
    story = connect(server)
    assistant = story.assistant(tools=TOOLS)
    thread = story.thread("Wait.")
    story.model.calls(TOOL, program("import time", "print('begun', flush=True)", "time.sleep(99)"))
    busy = story.runs.create(thread.id, assistant_id=assistant.id, stream=True)
    run = next(event.data for event in busy if event.event == "thread.run.created")
    next(event for event in busy if "type='logs'" in repr(event.data))
    story.model.calls(TOOL, program("1")).then_says("Later.")
    (turned_away,) = executed(story, story.ask("Go.", assistant=assistant))
    assert turned_away[1] == (
        "[The program was not run: as many programs are running on this server as may. "
        "Try again in a moment.]\n"
    )
    told = "a program was not run: all sessions, of which code_interpreter.sessions may be"
    wait_for(lambda: server.tail(), lambda log: told in log, "what the log says")
    story.cancel(run)
    assert [event.event for event in busy][-1] == "thread.run.cancelled"
    # This one waits until the session is free, the other one takes its place.
    for place in (thread, story.thread("Go.")):
        story.model.calls(TOOL, program("2")).then_says("Two.")
        ((_, logs),) = executed(story, story.wait(story.run(place, assistant)))
        assert logs == "2\n"


@pytest.mark.once
@pytest.mark.parametrize("engine", ["native"], indirect=True)
def test_a_program_of_a_run_that_was_cancelled_before_it_began_never_runs(
    code_settings: dict[str, str], servers: Any, db: str, connect: Connect, tmp_path: Path
) -> None:
    """Its session is on its way: it opens a pipe, where it should find what it reads first."""
    (tmp_path / "python").symlink_to(code_settings["ADJUTANT_CODE_INTERPRETER_FOLDER"] + "/python")
    settings = {
        **code_settings,
        "ADJUTANT_CODE_INTERPRETER_FOLDER": str(tmp_path),
        "ADJUTANT_CODE_INTERPRETER_SPARE_SESSIONS": "0",
    }
    server = servers.new(db, settings=settings, start_seconds=INSTALLING_SECONDS)
    story = connect(server)
    assistant = story.assistant(tools=TOOLS)
    thread = story.thread("Go.")
    calls, pipe = tmp_path / "calls.bpf", tmp_path / "pipe"
    as_it_was = calls.rename(tmp_path / "as-it-was")
    os.mkfifo(pipe)
    pipe.rename(calls)
    story.model.calls(TOOL, program("ran = open('ran', 'w')"))
    run = story.run(thread, assistant)
    wait_for(lambda: sessions_of(server), lambda found: len(found) == 1, "a session on its way")
    story.cancel(run)
    story.wait(run, "cancelled")
    (step,) = story.steps(run)
    (call,) = step.step_details.tool_calls
    assert (step.status, call.code_interpreter.outputs) == ("cancelled", [])
    wait_for(lambda: sessions_of(server), lambda found: not found, "it to be given up")
    as_it_was.rename(calls)
    story.threads.messages.create(thread.id, role="user", content="Look.")
    story.model.calls(TOOL, program("import os", "'ran' in globals(), os.listdir()"))
    story.model.then_says("It has not.")
    again = story.wait(story.run(thread, assistant))
    assert executed(story, again)[-1][1] == "(False, [])\n"
    server.stop()
