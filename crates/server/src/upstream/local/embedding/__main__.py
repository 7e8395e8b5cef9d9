"""Serves multilingual-e5-small at `/v1/embeddings` on a loopback port. `started.py` says how it starts and ends.

Settings: `model`, `alias`, `key` and `threads`.
"""

import hmac
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import started
from model import PREFIXES, Model

# Below everything else that runs here: the chat model, the server, and whoever searches meanwhile.
PASSAGES_NICE = 10


def step_back() -> None:
    """Lets others go first. Where a thread has no priority of its own, it stays as it was."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PASSAGES_NICE)


class Server(ThreadingHTTPServer):
    """Queries are embedded at once, on their connection's thread; passages wait for one of a few threads."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, settings: dict) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.model = Model(settings["model"])
        self.model_name = settings["alias"]
        self.authorization = f"Bearer {settings['key']}"
        self.passages = ThreadPoolExecutor(settings["threads"], initializer=step_back)

    def embed(self, texts: list[str], kind: str) -> dict:
        at_work = self.passages.map if kind == "passage" else map
        embedded = list(at_work(lambda text: self.model.embed(text, kind), texts))
        tokens = sum(tokens for _, tokens in embedded)
        data = [
            {"object": "embedding", "index": index, "embedding": vector.tolist()}
            for index, (vector, _) in enumerate(embedded)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": self.model_name, "usage": usage}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = self.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), self.server.authorization.encode()):
            return self._answer(401, {"error": {"message": "The key is wrong."}})
        if self.path != "/v1/embeddings":
            return self._answer(404, {"error": {"message": "There is only /v1/embeddings."}})
        try:
            request = json.loads(body)
            texts, kind = request["input"], request["kind"]
            if kind not in PREFIXES or not all(isinstance(text, str) for text in texts):
                raise ValueError("`input` must be texts, and `kind` query or passage")
        except (ValueError, KeyError, TypeError) as error:
            return self._answer(400, {"error": {"message": str(error)}})
        return self._answer(200, self.server.embed(texts, kind))

    def _answer(self, status: int, value: dict) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_: object) -> None:
        """Only what goes wrong is worth a line."""


# A query must not wait long for threads that cut passages into tokens.
sys.setswitchinterval(0.001)
server = Server(started.read_settings())
started.say_ready(f"http://127.0.0.1:{server.server_port}")
server.serve_forever()
