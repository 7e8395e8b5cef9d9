"""Runs that search files: what the model is told, what it finds, and what clients see of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from harness.ledger import Ledger
from harness.scripted import Call, Model, ScriptedUpstream, Usage, Vectors
from harness.sdk import openai_client
from harness.searching import (
    FOODS,
    SEARCH,
    heard,
    last_text,
    results,
    searcher,
    searches,
    tools_told,
)
from harness.server import Adjutant
from harness.shelf import Shelf
from harness.story import Story, function_tool

# -- the whole way ---------------------------------------------------------------------


def test_a_question_is_answered_from_a_file(story: Story, shelf: Shelf) -> None:
    file = shelf.file(FOODS, "foods.txt")
    store = shelf.store()
    shelf.attach(store, file)
    story.model.calls_all(searches("favorite food Filip"), usage=Usage(830, 20))
    story.model.says("Filip's favorite food is cake [1].", usage=Usage(1198, 20))
    run = story.ask("What is Filip's favorite food?", assistant=searcher(story, store))
    assert run.status == "completed" and run.usage.total_tokens == 2068
    text = last_text(story, run.thread_id)
    assert text.value == "Filip's favorite food is cake 【4:0†foods.txt】."
    [citation] = text.annotations
    assert (citation.type, citation.text) == ("file_citation", "【4:0†foods.txt】")
    assert text.value[citation.start_index : citation.end_index] == citation.text
    assert citation.file_citation.file_id == file
    assert citation.file_citation.model_dump()["quote"] == "- Filip: cake"
    search, said = story.steps(run)
    assert (search.type, search.status, search.usage.total_tokens) == (
        "tool_calls",
        "completed",
        850,
    )
    assert said.usage.total_tokens == 1218
    [call] = search.step_details.tool_calls
    assert call.id.startswith("call_") and call.type == "file_search"
    [result] = results(search)
    assert (result.file_id, result.file_name) == (file, "foods.txt")
    assert 0 < result.score <= 1
    dumped = call.model_dump()["file_search"]
    assert dumped["ranking_options"] == {"ranker": "default_2024_08_21", "score_threshold": 0.0}
    assert dumped["results"][0]["attributes"] == {}


def test_the_model_is_told_how_to_search_and_what_was_found(story: Story, shelf: Shelf) -> None:
    store = shelf.store(FOODS)
    story.model.calls_all(searches("cake", "pizza")).then_says("Cake [1].")
    run = story.ask("Who likes cake?", assistant=searcher(story, store))
    assert run.status == "completed"
    first, second = story.model.requests
    [tool] = first.body["tools"]
    assert tool["function"]["name"] == "file_search"
    queries = tool["function"]["parameters"]["properties"]["queries"]
    assert (queries["type"], queries["maxItems"]) == ("array", 5)
    asked = second.messages[-2]["tool_calls"][0]
    assert json.loads(asked["function"]["arguments"]) == {"queries": ["cake", "pizza"]}
    assert second.messages[-1]["tool_call_id"] == asked["id"]
    [read] = heard(story.model)
    assert read.startswith(f"[1] text-0.txt\n{FOODS}\n") and "[1]" in read.splitlines()[-1]


@pytest.mark.parametrize("choice", ["none", "nothing to search", "no such tool"])
def test_the_model_is_told_nothing_where_it_cannot_search(
    story: Story, shelf: Shelf, choice: str
) -> None:
    story.model.says("I do not know.")
    store = [] if choice == "nothing to search" else [shelf.store(FOODS)]
    tools = [] if choice == "no such tool" else [SEARCH]
    options = {"tool_choice": "none"} if choice == "none" else {}
    thread = story.thread("Who likes cake?")
    run = story.wait(story.run(thread, searcher(story, *store, tools=tools), **options))
    assert run.status == "completed"
    assert "tools" not in story.model.requests[0].body
    assert "tool_choice" not in story.model.requests[0].body


def test_a_forced_search_is_forced_once(story: Story, shelf: Shelf) -> None:
    store = shelf.store(FOODS)
    story.model.calls_all(searches("cake")).then_says("Filip [1].")
    run = story.run(
        story.thread("Who likes cake?"), searcher(story, store), tool_choice={"type": "file_search"}
    )
    assert story.wait(run).status == "completed"
    forced = {"type": "function", "function": {"name": "file_search"}}
    assert [seen.body.get("tool_choice") for seen in story.model.requests] == [forced, None]


def test_required_is_satisfied_by_a_search(story: Story, shelf: Shelf) -> None:
    story.model.calls_all(searches("cake")).then_says("Filip.")
    assistant = searcher(story, shelf.store(FOODS))
    run = story.run(story.thread("Who likes cake?"), assistant, tool_choice="required")
    assert story.wait(run).status == "completed"
    assert [seen.body.get("tool_choice") for seen in story.model.requests] == ["required", None]


def test_a_name_that_the_client_uses_stays_the_clients(story: Story, shelf: Shelf) -> None:
    tools = [SEARCH, function_tool("file_search")]
    assistant = searcher(story, shelf.store(FOODS), tools=tools)
    story.model.calls("file_search", {"city": "Oslo"}).then_calls(
        "file_search_2", {"queries": "cake"}
    )
    story.model.says("Filip [1].")
    run = story.ask("Who likes cake?", assistant=assistant)
    assert tools_told(story.model) == ["file_search", "file_search_2"]
    assert run.status == "requires_action"
    story.wait(story.submit(run, "mine"), "completed")
    assert [text.partition("\n")[0] for text in heard(story.model)] == ["mine", "[1] text-0.txt"]


@pytest.mark.parametrize("arguments", ['{"query": "cake"}', "{}", "cake", '{"queries": "cake"}'])
def test_small_models_are_understood(story: Story, shelf: Shelf, arguments: str) -> None:
    """Where the model says nothing of use, what the user asked is looked for."""
    story.model.calls("file_search", arguments).then_says("Filip.")
    run = story.ask("Who likes cake?", assistant=searcher(story, shelf.store(FOODS)))
    assert run.status == "completed"
    assert heard(story.model)[0].startswith("[1] ")


def test_nothing_found_is_told_in_words(story: Story, shelf: Shelf) -> None:
    """And a mark of nothing is text."""
    story.model.calls_all(searches("anything")).then_says("I do not know [1].")
    run = story.ask("What?", assistant=searcher(story, shelf.store()))
    assert heard(story.model)[0].startswith("Nothing was found for: anything")
    assert last_text(story, run.thread_id).value == "I do not know [1]."
    assert results(story.steps(run)[0]) == []


# -- where is searched -----------------------------------------------------------------


def test_the_assistants_and_the_threads_stores_are_searched(story: Story, shelf: Shelf) -> None:
    theirs, own = shelf.store(FOODS), shelf.store("Filip also likes pie.")
    thread = story.thread("Filip?", tool_resources={"file_search": {"vector_store_ids": [own]}})
    story.model.calls_all(searches("Filip likes")).then_says("Cake and pie.")
    run = story.wait(story.run(thread, searcher(story, theirs)), "completed")
    [read] = heard(story.model)
    assert "pie" in read and "pizza" in read
    assert len(results(story.steps(run)[0])) == 2


def test_a_run_may_have_stores_of_its_own(story: Story, shelf: Shelf) -> None:
    """In place of the assistant's, beside the thread's: only `POST /threads/runs` takes them."""
    theirs, own = shelf.store(FOODS), shelf.store("Filip likes pie.")
    story.model.calls_all(searches("Filip likes")).then_says("Pie.")
    run = story.threads.create_and_run(
        assistant_id=searcher(story, theirs).id,
        thread={"messages": [{"role": "user", "content": "Filip?"}]},
        tool_resources={"file_search": {"vector_store_ids": [own]}},
    )
    story.wait(run, "completed")
    [read] = heard(story.model)
    assert "pie" in read and "pizza" not in read


def test_a_messages_file_is_found_at_once(story: Story, shelf: Shelf) -> None:
    """The run waits until the thread's file is read; the assistant has no store."""
    words = " ".join(f"word{number}" for number in range(4_000))
    file = shelf.file(f"{words} Filip likes cake.", "attached.txt")
    said = {
        "role": "user",
        "content": "Who likes cake?",
        "attachments": [{"file_id": file, "tools": [SEARCH]}],
    }
    thread = story.threads.create(messages=[said])
    story.model.calls_all(searches("Filip likes cake")).then_says("Filip [1].")
    run = story.run(thread, story.assistant(tools=[SEARCH]))
    story.wait(run, "completed")
    assert "Filip likes cake." in heard(story.model)[0]
    assert last_text(story, thread.id).annotations[0].file_citation.file_id == file


@pytest.mark.once
def test_the_assistants_files_are_not_waited_for(
    servers: Any, db: str, upstream: ScriptedUpstream, ledger: Ledger, model: Model
) -> None:
    """Only those that came with the thread are: an assistant is made long before it is asked."""
    embedder = upstream.model().always(Vectors())
    gate = embedder.hold()
    embedder.then(Vectors())
    server = servers.new(db, settings={"ADJUTANT_EMBEDDINGS_MODEL": embedder.name})
    client = openai_client(server.base_url, ledger)
    story, shelf = Story(client, model, ledger), Shelf(client)
    store = shelf.stores.create(file_ids=[shelf.file(FOODS)]).id
    gate.wait_until_reached()
    model.says("I do not know.")
    assert story.ask("Cake?", assistant=searcher(story, store)).status == "completed"
    assert shelf.stores.retrieve(store).file_counts.in_progress == 1
    gate.open()
    embedder.close()
    server.stop()


def test_settings_of_the_tool(story: Story, shelf: Shelf) -> None:
    store = shelf.store(*[f"Person {number} likes cake number {number}." for number in range(4)])
    ranking = {"ranker": "auto", "score_threshold": 0.1}
    tool = {
        "type": "file_search",
        "file_search": {"max_num_results": 2, "ranking_options": ranking},
    }
    story.model.calls_all(searches("cake number 3")).then_says("Yes.")
    run = story.ask("Cake?", assistant=searcher(story, store, tool=tool))
    [step, _] = story.steps(run)
    assert len(results(step)) == 2
    assert min(result.score for result in results(step)) >= 0.1
    dumped = step.step_details.tool_calls[0].model_dump()["file_search"]
    assert dumped["ranking_options"] == {**ranking, "ranker": "default_2024_08_21"}
    strict = {**ranking, "score_threshold": 1.0}
    tool = {"type": "file_search", "file_search": {"ranking_options": strict}}
    story.model.calls_all(searches("zebras")).then_says("No.")
    run = story.ask("Zebras?", assistant=searcher(story, store, tool=tool))
    assert results(story.steps(run)[0]) == []


def test_attributes_come_with_results(story: Story, shelf: Shelf) -> None:
    store, file = shelf.store(), shelf.file(FOODS)
    shelf.attach(store, file, attributes={"year": 2024, "kind": "음식", "old": False})
    story.model.calls_all(searches("cake")).then_says("Filip.")
    run = story.ask("Cake?", assistant=searcher(story, store))
    [result] = results(story.steps(run)[0])
    assert result.model_dump()["attributes"] == {"year": 2024, "kind": "음식", "old": False}


# -- several searches ------------------------------------------------------------------


def test_parallel_searches_share_a_step_and_number_their_passages(
    story: Story, shelf: Shelf
) -> None:
    store = shelf.store(FOODS, "Effie and Filip eat.", "People like food.")
    story.model.calls_all(searches("Effie pizza"), searches("Filip food"))
    story.model.calls_all(searches("Effie food")).then_says("Pizza[1], 음식[3], cake[5].")
    tool = {"type": "file_search", "file_search": {"max_num_results": 2}}
    run = story.ask("Foods?", assistant=searcher(story, store, tool=tool))
    first, second, _ = story.steps(run)
    assert [len(call.file_search.results) for call in first.step_details.tool_calls] == [2, 2]
    assert len(second.step_details.tool_calls) == 1
    marks = [
        line[:3] for text in heard(story.model) for line in text.splitlines() if line[0:1] == "["
    ]
    assert marks == ["[1]", "[2]", "[3]", "[4]", "[5]", "[6]"]
    text = last_text(story, run.thread_id)
    markers = [annotation.text[:4] for annotation in text.annotations]
    assert markers == ["【4:0", "【4:2", "【6:0"]
    for annotation in text.annotations:
        assert text.value[annotation.start_index : annotation.end_index] == annotation.text


def test_searches_go_before_the_clients_functions(story: Story, shelf: Shelf) -> None:
    """One turn that calls both: the search is run, then the client is asked for its part alone."""
    tools = [SEARCH, function_tool("weather")]
    assistant = searcher(story, shelf.store(FOODS), tools=tools)
    calls = (Call("weather", {"city": "Oslo"}), searches("cake"), Call("weather", {"city": "서울"}))
    story.model.calls_all(*calls).then_says("Cold, and Filip likes cake [1].")
    thread = story.thread("Weather and cake?")
    events = story.stream(thread, assistant)
    assert story.stream_names()[-2:] == ["run.requires_action", "done"]
    parked = events[-1].data if events[-1].event != "done" else events[-2].data
    pending = parked.required_action.submit_tool_outputs.tool_calls
    assert [call.function.name for call in pending] == ["weather", "weather"]
    [step] = story.steps(parked)
    assert step.status == "in_progress"
    assert len(step.step_details.tool_calls[1].file_search.results) == 1
    outputs = [
        {"tool_call_id": call.id, "output": output}
        for call, output in zip(pending, ["-5", "18"], strict=True)
    ]
    resumed = story.runs.submit_tool_outputs(
        parked.id, thread_id=thread.id, tool_outputs=outputs, stream=True
    )
    ended = {event.event: event.data for event in resumed}
    assert ended["thread.run.completed"].status == "completed"
    whole = story.steps(parked)[0]
    assert whole.status == "completed"
    kinds = [call.type for call in whole.step_details.tool_calls]
    assert kinds == ["function", "file_search", "function"]
    assert [text.partition("\n")[0] for text in heard(story.model)] == [
        "-5",
        "[1] text-0.txt",
        "18",
    ]
    assert last_text(story, thread.id).annotations[0].text == "【4:0†text-0.txt】"


def test_words_before_a_search_are_a_message_of_their_own(story: Story, shelf: Shelf) -> None:
    story.model.calls_all(searches("cake"), saying="Let me look [1].").then_says("Filip [1].")
    run = story.ask("Cake?", assistant=searcher(story, shelf.store(FOODS)))
    assert [step.type for step in story.steps(run)] == [
        "message_creation",
        "tool_calls",
        "message_creation",
    ]
    said = [text for _, text in story.messages(run.thread_id)]
    assert said == ["Cake?", "Let me look [1].", "Filip 【4:0†text-0.txt】."]


@pytest.mark.once
def test_a_model_that_only_searches_has_to_answer(story: Story, shelf: Shelf) -> None:
    store = shelf.store(FOODS)
    for _ in range(16):
        story.model.calls_all(searches("cake"))
    story.model.says("Filip [16].")
    run = story.ask("Cake?", assistant=searcher(story, store))
    assert run.status == "completed"
    *_, before, last = story.model.requests
    assert before.body.get("tool_choice") is None
    assert last.body["tool_choice"] == "none" and "Answer now" in last.said[0][1]
    assert last_text(story, run.thread_id).annotations[0].text.startswith("【34:0†")


@pytest.mark.once
def test_a_model_that_does_not_answer_even_then_fails(story: Story, shelf: Shelf) -> None:
    for _ in range(17):
        story.model.calls_all(searches("cake"))
    run = story.ask("Cake?", assistant=searcher(story, shelf.store(FOODS)))
    assert run.status == "failed"
    assert "`file_search`" in run.last_error.message


# -- later runs ------------------------------------------------------------------------


def test_later_runs_read_answers_without_what_was_found(story: Story, shelf: Shelf) -> None:
    """Neither passages nor markers: both would be taken for those of the new search."""
    store = shelf.store(FOODS)
    assistant = searcher(story, store, tools=[SEARCH, function_tool("weather")])
    calls = (searches("cake"), Call("weather", {"city": "Oslo"}))
    story.model.calls_all(*calls).then_says("Filip [1] is cold.")
    thread = story.thread("Cake?")
    run = story.wait(story.run(thread, assistant))
    story.wait(story.submit(run, "-5"), "completed")
    story.threads.messages.create(thread.id, role="user", content="And pizza?")
    story.model.calls_all(searches("pizza")).then_says("Effie [1].")
    story.wait(story.run(thread, assistant), "completed")
    read = story.model.requests[2].said
    assert read == [
        ("user", "Cake?"),
        ("assistant", ""),
        ("tool", "-5"),
        ("assistant", "Filip  is cold."),
        ("user", "And pizza?"),
    ]
    assert heard(story.model)[1].startswith("[1] text-0.txt")


# -- what a model can read -------------------------------------------------------------


@pytest.mark.once
def test_a_model_with_a_small_window_searches_too(
    servers: Any, db: str, connect: Callable[[Adjutant], Story], ledger: Ledger
) -> None:
    """Of large files only as much is found as leaves room for the question and the answer."""
    server = servers.shared(db, ADJUTANT_CONTEXT_TOKENS="8192")
    story, shelf = connect(server), Shelf(openai_client(server.base_url, ledger))
    text = "\n\n".join(
        f"Section {n}. " + f"cake{n} and many other words. " * 100 for n in range(30)
    )
    store = shelf.store(text)
    story.model.calls_all(searches("cake1"), searches("cake2"))
    story.model.calls_all(searches("cake3", "cake4"))
    story.model.calls_all(searches("cake5")).then_says("Yes.")
    question = "Which cake is it? " * 50
    run = story.ask(question, assistant=searcher(story, store))
    assert run.status == "completed"
    for request in story.model.requests[1:]:
        words = sum(len(text.split()) for _, text in request.said)
        assert 500 < words < 6_000
        assert question in [text for role, text in request.said if role == "user"]
        assert request.messages[-1]["content"].startswith("[")
    # What was found first gives way to what was found last.
    assert "left out" in heard(story.model)[0]
    for step in story.steps(run)[:3]:
        for call in step.step_details.tool_calls:
            assert 0 < len(call.file_search.results) < 20


@pytest.mark.once
def test_a_model_that_cannot_call_functions_searches_too(
    servers: Any, db: str, upstream: ScriptedUpstream, ledger: Ledger, model: Model
) -> None:
    server = servers.new(
        db,
        settings={
            "ADJUTANT_EMBEDDINGS_UPSTREAM": "weak",
            "ADJUTANT_EMBEDDINGS_MODEL": "scripted-embedder",
        },
        upstream="",
        config=(
            f'[[upstreams]]\nname = "weak"\nbase_url = "{upstream.base_url}"\n'
            'models = ["*"]\ntools = "emulated"\n'
        ),
    )
    client = openai_client(server.base_url, ledger)
    story, shelf = Story(client, model, ledger), Shelf(client)
    model.says('{"calls": [\n  {"name": "file_search", ', '"arguments": {"queries": ["cake"]}}\n]}')
    model.says('{"reply": "Filip lik', 'es cake."}')
    run = story.ask("Who likes cake?", assistant=searcher(story, shelf.store(FOODS)))
    assert run.status == "completed"
    # It is not asked to cite, for it would do so at random: its sentences are traced.
    assert last_text(story, run.thread_id).value == "Filip likes cake【4:0†text-0.txt】."
    assert "file_search(queries: string[])" in model.requests[0].said[0][1]
    # It is shown how to search, and its question again after what was found.
    asked = [text for role, text in model.requests[0].said if role == "user"]
    assert asked[0] == "Hello!" and asked[-1] == "Who likes cake?"
    role, read = model.requests[1].said[-1]
    searched = 'Result of file_search({"queries":["cake"]}): '
    assert (role, read) == ("user", f"{searched}text-0.txt\n{FOODS}\n\nWho likes cake?")
