"""What users do with threads and runs."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import openai

from chaos import words
from chaos.client import Client, GaveUp, Refused, Unanswered, keyed
from chaos.history import Listing, Outputs, Removal, Setting, Told, Write, possible
from chaos.listening import Listener
from chaos.world import EXPIRES_SECONDS
from harness.story import TERMINAL, function_tool, text_of

KINDS = ["text", "text", "text", "calls", "calls", "slow"]
# A run may take all its time, and whoever ends it then may be away.
LONGEST_RUN_SECONDS = EXPIRES_SECONDS + 45.0
POLL_SECONDS = (0.1, 0.5)
MOST_NOTES = 60


class Commons:
    """A thread in which everybody writes, so that requests for one thread meet at different copies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: str | None = None
        self._notes = 0

    def take(self, talks: Talks) -> str:
        with self._lock:
            if self._thread is None or self._notes > MOST_NOTES:
                self._thread, self._notes = talks.thread().id, 0
            self._notes += 8
            assert self._thread
            return self._thread


class Talks:
    def __init__(self, client: Client, commons: Commons, assistant: str) -> None:
        self.client = client
        self.history = client.history
        self.random: random.Random = client.random
        self._listener = Listener(client)
        self._commons = commons
        self._assistant = assistant

    # -- what a user does, from beginning to end --------------------------------------
    def chat(self) -> None:
        """Some turns in a thread of one's own."""
        thread = self.thread().id
        assert thread
        for _ in range(self.random.randint(1, 3)):
            asked = self.say(thread, self.random.choice(KINDS))
            ended = self.run(thread) if self.random.random() < 0.5 else self.run_streamed(thread)
            if not ended:
                return
            self.listing(thread)
            if self.random.random() < 0.2 and asked.id:
                self.remove_message(thread, asked.id)

    def chat_begun_together(self) -> None:
        """The thread and its run are created by one request."""
        write = self.history.intends("run")
        message = self.history.intends("message", nonce=write.nonce)
        message.body = f"{self.random.choice(KINDS)} {write.nonce}"
        begun = self.history.intends("thread", nonce=write.nonce)
        thread = {
            "messages": [{"role": "user", "content": message.body}],
            "metadata": {"nonce": write.nonce},
        }
        run = self.client.ask(
            "create thread and run",
            lambda sdk: sdk.beta.threads.create_and_run(
                assistant_id=self._assistant,
                thread=thread,
                metadata={"nonce": write.nonce},
                **keyed(write.nonce),
            ),
            write,
        )
        write.id, write.thread = run.id, run.thread_id
        message.acked, message.thread = write.acked, run.thread_id
        begun.acked, begun.id = write.acked, run.thread_id
        self.saw(run, write.began)
        self.wait(run)
        self.listing(run.thread_id)

    def cancel_early(self) -> None:
        """The run is cancelled while it speaks, or has just ended."""
        thread = self.thread().id
        assert thread
        self.say(thread, "slow")
        run = self.create_run(thread)
        time.sleep(self.random.uniform(0.0, 2.0))
        began = self.history.now()
        try:
            run = self.client.ask(
                "cancel run", lambda sdk: sdk.beta.threads.runs.cancel(run.id, thread_id=thread)
            )
            self.saw(run, began)
        except Refused as refused:
            self.expect(refused.status == 400, f"cancelling {run.id} was refused: {refused}")
        self.wait(run)
        self.listing(thread)

    def delete_amid(self) -> None:
        """The thread goes while its run is at work."""
        thread = self.thread().id
        assert thread
        self.say(thread, "slow")
        self.create_run(thread)
        time.sleep(self.random.uniform(0.0, 1.0))
        removal = Removal(thread, self.history.now())
        self.history.add(removal)
        self.remove("delete thread", removal, lambda sdk: sdk.beta.threads.delete(thread))

    def take_notes(self) -> None:
        """Messages in a thread where others write as well, all in their order."""
        thread = self._commons.take(self)
        for _ in range(self.random.randint(2, 8)):
            self.say(thread, "note")
        self.listing(thread)

    def label(self) -> None:
        """Metadata that change, read at other copies."""
        write = self.thread()
        thread = write.id
        assert thread
        settings = self.history.settings[thread]
        for number in range(self.random.randint(2, 5)):
            metadata = {"nonce": write.nonce, "label": f"value {number}"}
            self.set_label(thread, settings, metadata)
            began = self.history.now()
            seen = self.client.ask("retrieve thread", lambda sdk: sdk.beta.threads.retrieve(thread))
            value = (seen.metadata or {}).get("label")
            allowed = possible(settings, began)
            self.expect(value in allowed, f"{thread} has the label {value}, not of {allowed}")

    # -- pieces ---------------------------------------------------------------------
    def thread(self) -> Write:
        write = self.history.intends("thread")
        thread = self.client.ask(
            "create thread",
            lambda sdk: sdk.beta.threads.create(
                metadata={"nonce": write.nonce}, **keyed(write.nonce)
            ),
            write,
        )
        write.id = thread.id
        return write

    def say(self, thread: str, kind: str) -> Write:
        write = self.history.intends("message", thread=thread)
        write.body = f"{kind} {write.nonce}"
        message = self.client.ask(
            "create message",
            lambda sdk: sdk.beta.threads.messages.create(
                thread, role="user", content=write.body, **keyed(write.nonce)
            ),
            write,
        )
        write.id = message.id
        self.expect(text_of(message) == write.body, f"{message.id} came back as another text")
        return write

    def create_run(self, thread: str) -> Any:
        write = self.history.intends("run", thread=thread)
        run = self.client.ask(
            "create run",
            lambda sdk: sdk.beta.threads.runs.create(
                thread,
                assistant_id=self._assistant,
                metadata={"nonce": write.nonce},
                **keyed(write.nonce),
            ),
            write,
        )
        write.id = run.id
        self.saw(run, write.began)
        return run

    def run(self, thread: str) -> bool:
        self.wait(self.create_run(thread))
        return True

    def run_streamed(self, thread: str) -> bool:
        """False where nobody can say whether there is a run."""
        write = self.history.intends("run", thread=thread, has_key=False, attempts=1)
        body: Any = {"assistant_id": self._assistant, "metadata": {"nonce": write.nonce}}
        if self.random.random() < 0.5:
            told = self._listener.begin(thread, body)
        else:
            told = self._listener.listen(
                "stream run",
                lambda sdk: sdk.beta.threads.runs.create(thread, stream=True, **body),
            )
        if told.run is None:
            told.run = self.find_run(thread, write.nonce)
            if told.run is None:
                return False
        else:
            # Announced, and so acknowledged.
            write.acked, write.id = self.history.now(), told.run
        if told.last_status not in TERMINAL:
            if told.last_status != "requires_action" and self.random.random() < 0.5:
                self._listener.follow_again(thread, told.run)
            self.wait(self.look(thread, told.run))
        return True

    def find_run(self, thread: str, nonce: str) -> str | None:
        runs = self.client.ask("list runs", lambda sdk: sdk.beta.threads.runs.list(thread)).data
        found = [run.id for run in runs if (run.metadata or {}).get("nonce") == nonce]
        return found[0] if found else None

    def wait(self, run: Any) -> Any:
        """Until the run has ended; its calls are answered meanwhile."""
        deadline = time.monotonic() + LONGEST_RUN_SECONDS
        while run.status not in TERMINAL:
            if time.monotonic() > deadline:
                # Whether it ends once all has healed, is looked at then.
                raise GaveUp(f"{run.id} is still {run.status} long after its expiry")
            if run.status == "requires_action":
                self.submit(run)
            time.sleep(self.random.uniform(*POLL_SECONDS))
            run = self.look(run.thread_id, run.id)
        return run

    def look(self, thread: str, run: str) -> Any:
        began = self.history.now()
        seen = self.client.ask(
            "retrieve run", lambda sdk: sdk.beta.threads.runs.retrieve(run, thread_id=thread)
        )
        self.saw(seen, began)
        return seen

    def saw(self, run: Any, began: float) -> None:
        self.history.add(Told(run.id, run.status, began, self.history.now(), "answer"))

    def submit(self, run: Any) -> None:
        calls = run.required_action.submit_tool_outputs.tool_calls
        outputs = {call.id: f"output {number} of {call.id}" for number, call in enumerate(calls)}
        submitted = Outputs(run.id, outputs)
        self.history.add(submitted)
        body = [{"tool_call_id": id, "output": output} for id, output in outputs.items()]
        streamed = self.random.random() < 0.3
        try:
            if streamed:
                told = self._listener.listen(
                    "submit and stream",
                    lambda sdk: sdk.beta.threads.runs.submit_tool_outputs(
                        run.id, thread_id=run.thread_id, tool_outputs=body, stream=True
                    ),
                    run.id,
                )
                if not told.last_status:
                    return
            else:
                began = self.history.now()
                answer = self.client.once(
                    "submit outputs",
                    lambda sdk: sdk.beta.threads.runs.submit_tool_outputs(
                        run.id, thread_id=run.thread_id, tool_outputs=body
                    ),
                )
                self.saw(answer, began)
        except Unanswered:
            return
        except Refused as refused:
            # An earlier attempt may have been taken, or the run's time is up.
            seen = self.look(run.thread_id, run.id)
            waits = seen.status == "requires_action"
            self.expect(not waits, f"{run.id} waits for outputs and refuses them: {refused}")
            return
        submitted.acked = self.history.now()

    def listing(self, thread: str) -> None:
        began = self.history.now()
        page = self.client.ask(
            "list messages",
            lambda sdk: sdk.beta.threads.messages.list(thread, limit=100, order="asc"),
        )
        self.history.add(Listing(thread, began, [message.id for message in page.data]))

    def remove_message(self, thread: str, message: str) -> None:
        removal = Removal(message, self.history.now())
        self.history.add(removal)
        self.remove(
            "delete message",
            removal,
            lambda sdk: sdk.beta.threads.messages.delete(message, thread_id=thread),
        )

    def remove(self, name: str, removal: Removal, call: Any) -> None:
        try:
            self.client.ask(name, call)
        except Refused as refused:
            # It is gone by an attempt whose answer was lost.
            self.expect(refused.status == 404, f"{name} {removal.id} was refused: {refused}")
        removal.acked = self.history.now()

    def set_label(self, thread: str, settings: list[Setting], metadata: dict[str, str]) -> None:
        setting = Setting(metadata["label"], self.history.now())
        settings.append(setting)

        def call(sdk: openai.OpenAI) -> Any:
            setting.attempts += 1
            return sdk.beta.threads.update(thread, metadata=metadata)

        self.client.ask("update thread", call)
        setting.acked = self.history.now()

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self.history.complain(what)


def make_assistant(client: Client) -> str:
    """An assistant whose model may call a function, for all talks."""
    write = client.history.intends("assistant")
    assistant = client.ask(
        "create assistant",
        lambda sdk: sdk.beta.assistants.create(
            model=words.MODEL,
            name=write.nonce,
            tools=[function_tool(words.TOOL)],
            **keyed(write.nonce),
        ),
        write,
    )
    write.id = assistant.id
    return assistant.id
