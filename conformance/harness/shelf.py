"""Files and vector stores in few words, for tests of any SDK generation."""

from __future__ import annotations

import io
from typing import Any

import openai

WORDS = "그림 없는 그림책 plain words"


class Shelf:
    """Puts texts on a server and finds them again."""

    def __init__(self, client: openai.OpenAI) -> None:
        self.client = client
        # Older SDKs have it among what was beta then.
        self.stores: Any = getattr(client, "vector_stores", None) or client.beta.vector_stores

    def file(self, text: str | bytes, name: str = "notes.txt") -> str:
        content = text.encode() if isinstance(text, str) else text
        upload = (name, io.BytesIO(content))
        return self.client.files.create(file=upload, purpose="assistants").id

    def store(self, *texts: str, **options: Any) -> str:
        """A store of these texts, ready to be searched."""
        store = self.stores.create(**options).id
        for number, text in enumerate(texts):
            self.attach(store, self.file(text, f"text-{number}.txt"))
        return store

    def attach(self, store: str, file: str, **options: Any) -> Any:
        """Attaches a file and waits until it is searchable, or is not going to be."""
        if options:
            self.client.post(
                f"/vector_stores/{store}/files", cast_to=object, body={"file_id": file, **options}
            )
            return self.stores.files.poll(file, vector_store_id=store, poll_interval_ms=50)
        return self.stores.files.create_and_poll(
            vector_store_id=store, file_id=file, poll_interval_ms=50
        )

    def search(self, store: str, query: str | list[str], **options: Any) -> list[dict[str, Any]]:
        body = {"query": query, **options}
        answer = self.client.post(f"/vector_stores/{store}/search", cast_to=object, body=body)
        assert isinstance(answer, dict)
        return answer["data"]

    def found(self, store: str, query: str | list[str], **options: Any) -> list[str]:
        """The names of the files in which something was found, best first, each once."""
        names = [result["filename"] for result in self.search(store, query, **options)]
        return list(dict.fromkeys(names))
