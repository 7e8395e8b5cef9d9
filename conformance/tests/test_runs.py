"""Runs by polling: what the model is asked, and what becomes of its answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from harness.scripted import Model, Usage, event_bytes
from harness.sdk import httpx
from harness.story import Story, function_tool, text_of, wait_for


def test_a_question_is_answered(story: Story) -> None:
    story.model.says("Hello! ", "How can I help?")
    run = story.ask("Hello, assistant!")
    assert run.status == "completed"
    assert story.messages(run.thread_id) == [
        ("user", "Hello, assistant!"),
        ("assistant", "Hello! How can I help?"),
    ]


def test_a_new_run_is_queued_with_all_its_defaults(http: httpx.Client, story: Story) -> None:
    """The answer to run creation, key by key, as recorded."""
    gate = story.model.hold()
    story.model.says("Hello.")
    assistant, thread = story.assistant(), story.thread("Hi")
    run = http.post(f"/threads/{thread.id}/runs", json={"assistant_id": assistant.id}).json()
    gate.open()
    run_id, created_at = run.pop("id"), run.pop("created_at")
    assert run_id.startswith("run_")
    # A client for Rust cannot read null here, so a run without instructions says "".
    assert run.pop("instructions") == ""
    assert run == {
        "object": "thread.run",
        "assistant_id": assistant.id,
        "thread_id": thread.id,
        "status": "queued",
        "started_at": None,
        "expires_at": created_at + 600,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": None,
        "required_action": None,
        "last_error": None,
        "model": story.model.name,
        "tools": [],
        "tool_resources": {},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "reasoning_effort": None,
        "max_completion_tokens": None,
        "max_prompt_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
        "incomplete_details": None,
        "usage": None,
        "response_format": "auto",
        "tool_choice": "auto",
        "parallel_tool_calls": True,
    }
    story.wait(story.runs.retrieve(run_id, thread_id=thread.id))


def test_a_run_starts_without_anyone_looking(story: Story) -> None:
    """Nothing has to poll for a run to begin."""
    gate = story.model.hold()
    story.model.says("Hello.")
    run = story.run(story.thread("Hi"), story.assistant())
    gate.wait_until_reached()
    seen = story.look(run)
    assert (seen.status, seen.usage, seen.completed_at) == ("in_progress", None, None)
    assert seen.started_at >= seen.created_at
    gate.open()
    assert story.wait(run).status == "completed"


def test_a_finished_run_as_recorded(story: Story) -> None:
    usage = Usage(prompt=32, completion=11, cached=8, reasoning=3)
    story.model.says("Hello.", usage=usage)
    run = story.ask("Hi")
    assert (run.expires_at, run.failed_at, run.cancelled_at, run.last_error) == (None,) * 4
    assert run.created_at <= run.started_at <= run.completed_at <= time.time() + 1
    assert run.usage.model_dump() == {
        "prompt_tokens": 32,
        "completion_tokens": 11,
        "total_tokens": 43,
        "prompt_token_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_the_step_of_a_message_names_it(story: Story) -> None:
    story.model.says("Hello.", usage=Usage(prompt=5, completion=2))
    run = story.ask("Hi")
    (step,) = story.steps(run)
    (answer,) = story.threads.messages.list(run.thread_id, run_id=run.id).data
    assert (step.type, step.status) == ("message_creation", "completed")
    assert step.step_details.message_creation.message_id == answer.id
    assert (step.run_id, step.thread_id, step.assistant_id) == (
        run.id,
        run.thread_id,
        run.assistant_id,
    )
    assert step.usage.total_tokens == 7
    retrieved = story.runs.steps.retrieve(step.id, run_id=run.id, thread_id=run.thread_id)
    assert retrieved == step


def test_the_answer_is_signed(story: Story) -> None:
    story.model.says("Hello.")
    run = story.ask("Hi")
    answer = story.threads.messages.list(run.thread_id).data[0]
    assert (answer.role, answer.status) == ("assistant", "completed")
    assert (answer.run_id, answer.assistant_id) == (run.id, run.assistant_id)
    assert answer.completed_at is not None and answer.incomplete_details is None


def test_the_model_remembers_the_conversation(story: Story) -> None:
    """Every run hears instructions first, then the whole thread in order."""
    assistant = story.assistant(instructions="Be brief.")
    thread = story.thread("I am Ada.")
    story.model.says("Hello Ada.").then_says("Ada.")
    story.wait(story.run(thread, assistant))
    story.threads.messages.create(thread.id, role="user", content="Who am I?")
    story.wait(story.run(thread, assistant))
    assert story.model.requests[1].said == [
        ("system", "Be brief."),
        ("user", "I am Ada."),
        ("assistant", "Hello Ada."),
        ("user", "Who am I?"),
    ]


def test_the_upstream_is_asked_to_stream_and_to_count(story: Story) -> None:
    story.model.says("Hello.")
    story.ask("Hi")
    body = story.model.requests[0].body
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
    assert body["model"] == story.model.name


OVERRIDES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"instructions": "Now rhyme."}, {"instructions": "Now rhyme."}),
    ({"temperature": 0.3, "top_p": 0.4}, {"temperature": 0.3, "top_p": 0.4}),
    ({"metadata": {"who": "ada"}}, {"metadata": {"who": "ada"}}),
    ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
    ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ({"tool_choice": "none"}, {"tool_choice": "none"}),
    (
        {"max_prompt_tokens": 1000, "max_completion_tokens": 500},
        {"max_prompt_tokens": 1000, "max_completion_tokens": 500},
    ),
    (
        {"truncation_strategy": {"type": "last_messages", "last_messages": 3}},
        {"truncation_strategy": {"type": "last_messages", "last_messages": 3}},
    ),
]


@pytest.mark.parametrize(("given", "shown"), OVERRIDES, ids=[str(list(g)) for g, _ in OVERRIDES])
def test_a_run_keeps_what_it_was_created_with(
    http: httpx.Client, story: Story, given: dict[str, Any], shown: dict[str, Any]
) -> None:
    story.model.says("Hello, json.")
    assistant = story.assistant(instructions="Be brief.", temperature=0.9)
    thread = story.thread("Hi, as JSON please")
    body = {"assistant_id": assistant.id, **given}
    run = http.post(f"/threads/{thread.id}/runs", json=body).json()
    assert {key: run[key] for key in shown} == shown
    done = story.wait(story.runs.retrieve(run["id"], thread_id=thread.id))
    assert done.instructions == given.get("instructions", "Be brief.")


def test_sampling_reaches_the_model(story: Story) -> None:
    story.model.says("Hello.")
    story.ask("Hi", assistant=story.assistant(temperature=0.25), top_p=0.75)
    body = story.model.requests[0].body
    assert (body["temperature"], body["top_p"]) == (0.25, 0.75)


def test_instructions_can_be_replaced_and_added_to(story: Story) -> None:
    story.model.says("Hello.")
    options = {"instructions": "Rhyme.", "additional_instructions": "The user is Ada."}
    story.ask("Hi", assistant=story.assistant(instructions="Be brief."), **options)
    (role, text), _ = story.model.requests[0].said
    assert role == "system"
    assert text.startswith("Rhyme.") and text.endswith("The user is Ada.")
    assert "Be brief." not in text


def test_additional_messages_are_stored_before_the_run(story: Story) -> None:
    story.model.says("42.")
    more = [{"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "What is 6 × 7?"}]
    run = story.ask("Hello?", additional_messages=more)
    expected = [("user", "Hello?"), ("assistant", "Yes?"), ("user", "What is 6 × 7?")]
    assert story.model.requests[0].said == expected
    assert story.messages(run.thread_id) == [*expected, ("assistant", "42.")]


def test_a_thread_and_its_run_in_one_request(story: Story) -> None:
    story.model.says("Hello.")
    assistant = story.assistant()
    thread = {"messages": [{"role": "user", "content": "Hi"}], "metadata": {"a": "b"}}
    run = story.threads.create_and_run(assistant_id=assistant.id, thread=thread)
    assert run.status == "queued"
    assert story.wait(run).status == "completed"
    assert story.threads.retrieve(run.thread_id).metadata == {"a": "b"}
    assert story.messages(run.thread_id) == [("user", "Hi"), ("assistant", "Hello.")]


def test_a_run_on_a_thread_that_is_made_for_it(story: Story) -> None:
    """Without a word of its own the thread is empty; the assistant knows what to do."""
    story.model.says("Once upon a time.")
    assistant = story.assistant(instructions="Tell a story.")
    run = story.wait(story.threads.create_and_run(assistant_id=assistant.id), "completed")
    assert story.messages(run.thread_id) == [("assistant", "Once upon a time.")]


def test_a_refusal_is_a_part_of_its_own(story: Story, http: httpx.Client) -> None:
    """What the model will not say is no text; later runs hear that it was refused."""
    story.model.sends(*refusal_of(story.model, "I cannot ", "help."))
    story.model.says("As I said.")
    thread, assistant = story.thread("Hi"), story.assistant()
    events = story.stream(thread, assistant)
    deltas = [event.data.delta.content for event in events if event.event.endswith("message.delta")]
    assert [[part.model_dump() for part in parts] for parts in deltas] == [
        [{"index": 0, "type": "refusal", "refusal": "I cannot "}],
        [{"index": 0, "type": "refusal", "refusal": "help."}],
    ]
    (message, _) = http.get(f"/threads/{thread.id}/messages").json()["data"]
    assert message["content"] == [{"type": "refusal", "refusal": "I cannot help."}]
    assert message["status"] == "completed"
    story.threads.messages.create(thread.id, role="user", content="And now?")
    story.wait(story.run(thread, assistant), "completed")
    assert story.model.requests[1].said[1] == ("assistant", "I cannot help.")


def refusal_of(model: Model, *pieces: str) -> Iterator[bytes]:
    """A model's answer that is no answer."""
    for delta, finish in [*(({"refusal": piece}, None) for piece in pieces), ({}, "stop")]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model.name}
        yield event_bytes({**chunk, "choices": [choice]})
    yield event_bytes("[DONE]")


def test_a_run_copies_its_assistant(story: Story) -> None:
    """Changing an assistant does not change the runs that it has begun."""
    gate = story.model.hold()
    story.model.calls("look", {"city": "Oslo"}).then_says("Cold.")
    assistant = story.assistant(instructions="Be brief.", tools=[function_tool("look")])
    run = story.run(story.thread("Hi"), assistant)
    gate.wait_until_reached()
    story.client.beta.assistants.update(assistant.id, instructions="Shout!", tools=[])
    gate.open()
    run = story.wait(run, "requires_action")
    story.submit(run, "-5")
    done = story.wait(run, "completed")
    assert done.instructions == "Be brief."
    assert [tool.function.name for tool in done.tools] == ["look"]
    assert story.model.requests[1].said[0] == ("system", "Be brief.")


def test_create_and_poll_of_the_sdk(story: Story) -> None:
    story.model.says("Hello.")
    run = story.runs.create_and_poll(
        thread_id=story.thread("Hi").id, assistant_id=story.assistant().id
    )
    assert run.status == "completed"


def test_a_finished_run_takes_metadata(story: Story) -> None:
    story.model.says("Hello.")
    run = story.ask("Hi")
    changed = story.runs.update(run.id, thread_id=run.thread_id, metadata={"rating": "5"})
    assert changed.metadata == {"rating": "5"}
    assert story.look(run) == changed


def test_a_run_on_instructions_alone(story: Story) -> None:
    """A thread without a message may run when the assistant knows what to do."""
    story.model.says("Once upon a time.")
    assistant = story.assistant(instructions="Tell a story.")
    run = story.wait(story.run(story.thread(), assistant))
    assert story.messages(run.thread_id) == [("assistant", "Once upon a time.")]


def test_a_run_belongs_to_its_thread_only(story: Story) -> None:
    story.model.says("Hello.")
    run = story.ask("Hi")
    with pytest.raises(openai.NotFoundError, match="No run found"):
        story.runs.retrieve(run.id, thread_id=story.thread().id)
    (step,) = story.steps(run)
    assert step.run_id == run.id


def test_an_answer_cut_short_is_kept_as_incomplete(story: Story) -> None:
    """When the model's own limit ends the answer, the words so far stay and say why they end."""
    story.model.says("Once upon a", finish="length")
    run = story.ask("Tell me a story")
    assert run.status == "incomplete"
    assert run.incomplete_details.reason == "max_completion_tokens"
    answer = story.threads.messages.list(run.thread_id).data[0]
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_tokens")
    assert answer.content[0].text.value == "Once upon a"


def test_usage_is_estimated_when_the_upstream_tells_none(story: Story) -> None:
    story.model.says("Hello, Ada.", usage=None)
    run = story.ask("Hi, I am Ada and would like to say hello to you.")
    assert run.status == "completed"
    assert run.usage.prompt_tokens > 0 and run.usage.completion_tokens > 0
    assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens


def test_many_threads_run_at_once(story: Story) -> None:
    """Runs of different threads do not wait for each other."""
    gate = story.model.hold()
    story.model.says("Slow.")
    slow = story.run(story.thread("Slow?"), story.assistant())
    gate.wait_until_reached()
    story.model.says("Quick.")
    assert story.ask("Quick?").status == "completed"
    assert story.look(slow).status == "in_progress"
    gate.open()
    assert story.wait(slow).status == "completed"


def test_metadata_that_a_client_gives_a_growing_message_stay(story: Story) -> None:
    gate = story.model.gate()
    story.model.says("Half a ", gate, "sentence.")
    run = story.run(story.thread("Hi"), story.assistant())
    listed = story.threads.messages.list
    (message, _) = wait_for(lambda: listed(run.thread_id).data, lambda m: len(m) == 2, "an answer")
    story.threads.messages.update(message.id, thread_id=run.thread_id, metadata={"of": "mine"})
    gate.open()
    story.wait(run, "completed")
    (message, _) = listed(run.thread_id).data
    assert message.metadata == {"of": "mine"} and text_of(message) == "Half a sentence."
