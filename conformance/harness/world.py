"""Objects in every state, so that made-up requests reach what lies behind a lookup."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from harness.scripted import Answer, Call, Seen
from harness.shelf import Shelf
from harness.story import Story, function_tool, wait_for


@dataclass(frozen=True)
class Place:
    """A thread and what is on it: ids by the names that paths have for them."""

    ids: dict[str, str]
    call_ids: list[str] = field(default_factory=list)


class World:
    """Places by the state of their run. Its model does what the last user of a thread says."""

    def __init__(self, story: Story) -> None:
        self._story = story
        story.model.always(self._answer)
        self._models = [model.id for model in story.client.models.list()]
        self._made: dict[str, Place] = {}
        self._before: dict[str, Any] = {}
        self._ways: dict[str, Callable[[], Place]] = {
            "no run": lambda: self._make(None),
            "completed": lambda: self._make("completed", "Say hello."),
            "requires_action": lambda: self._make("requires_action", "Call."),
            "in_progress": lambda: self._make("in_progress", "Half."),
            "cancelled": self._make_cancelled,
            "on the shelf": self._make_shelf,
        }
        # Whatever names a file or a store finds these.
        self._shelf: Place | None = None

    def states(self, path: str) -> list[str]:
        """The states that may matter to a path."""
        if path.startswith(("/vector_stores", "/files", "/uploads")):
            return ["on the shelf"]
        return [state for state in self._ways if state != "on the shelf"]

    def place(self, state: str) -> Place:
        """The place in this state, until it is spent."""
        if state not in self._made:
            self._made[state] = self._ways[state]()
            self._before[state] = self._look(self._made[state])
        return self._made[state]

    def spend(self, place: Place) -> None:
        """Something was done here: the next one who asks for the state gets another place."""
        self._made = {state: made for state, made in self._made.items() if made is not place}

    def changes(self) -> list[str]:
        """What became of the places that nobody has spent; nothing, it is to be hoped."""
        return [
            f"{state}: {self._before[state]} became {now}"
            for state, place in self._made.items()
            if (now := self._look(place)) != self._before[state]
        ]

    def names(self, place: Place, key: str) -> str | None:
        """What a request on a place means by a key of its body."""
        if key in {"file_id", "file_ids", "vector_store_id", "vector_store_ids"}:
            self._shelf = self._shelf or self._make_shelf()
            place = self._shelf
        return place.ids.get(key.removesuffix("s"))

    def _look(self, place: Place) -> Any:
        story, thread = self._story, place.ids.get("thread_id")
        if thread is None:
            store = place.ids["vector_store_id"]
            return [
                Shelf(story.client).stores.retrieve(store).name,
                story.client.files.retrieve(place.ids["file_id"]),
            ]
        messages = story.threads.messages.list(thread, limit=100)
        return [
            story.client.beta.assistants.retrieve(place.ids["assistant_id"]),
            story.threads.retrieve(thread),
            [message for message in messages if message.role == "user"],
            [(run.id, run.status, run.metadata) for run in story.runs.list(thread)],
        ]

    def _answer(self, seen: Seen) -> Answer:
        said = [text for role, text in seen.said if role == "user"][-1:]
        if said == ["Call."] and seen.body.get("tools") and seen.said[-1][0] != "tool":
            return Answer(tool_calls=(Call("weather", {"city": "Oslo"}), Call("weather", {})))
        if said == ["Half."]:
            return Answer(("Half a ", self._story.model.gate(), "sentence."))
        return Answer(("Hello.",))

    def _make(self, status: str | None, text: str = "Hi") -> Place:
        story = self._story
        assistant = story.assistant(tools=[function_tool("weather")])
        thread = story.thread(text)
        message = story.threads.messages.list(thread.id).data[0]
        ids = {"assistant_id": assistant.id, "thread_id": thread.id, "message_id": message.id}
        ids["model"] = self._models[0]
        if status is None:
            return Place(ids)
        run = story.wait(story.run(thread, assistant), status)
        steps = wait_for(lambda: story.steps(run), bool, "the run's first step")
        calls = run.required_action.submit_tool_outputs.tool_calls if run.required_action else []
        return Place({**ids, "run_id": run.id, "step_id": steps[0].id}, [call.id for call in calls])

    def _make_shelf(self) -> Place:
        shelf = Shelf(self._story.client)
        store = shelf.store()
        file = shelf.file("The ferry leaves at nine.")
        batch = shelf.stores.file_batches.create_and_poll(
            store, file_ids=[file], poll_interval_ms=20
        )
        upload = self._story.client.uploads.create(
            bytes=3, filename="a.txt", mime_type="text/plain", purpose="assistants"
        )
        part = self._story.client.uploads.parts.create(upload.id, data=b"abc")
        ids = {
            "vector_store_id": store,
            "file_id": file,
            "batch_id": batch.id,
            "upload_id": upload.id,
            "part_id": part.id,
        }
        return Place(ids)

    def _make_cancelled(self) -> Place:
        made = self._make("requires_action", "Call.")
        ids = {"thread_id": made.ids["thread_id"], "run_id": made.ids["run_id"]}
        self._story.wait(self._story.runs.cancel(**ids), "cancelled")
        return Place(made.ids)
