#!/usr/bin/env python3
"""How fast the server takes documents in and finds passages, over HTTP, as a client sees it.

    speed.py BINARY FOLDER [--chunks 1000,10000,100000] [--database-url postgres://…]

FOLDER has a set that `make_set.py` made, whose words the documents are made of, and the server's data folder of
`quality.py`, whose embedding model embeds the questions. Passages get vectors made of their text's hash at once: what
is measured is the server, and of the model only what a search waits for. Each store has about as many passages as
named, of up to 200 tokens.
"""

import argparse
import hashlib
import http.server
import json
import pathlib
import random
import socketserver
import statistics
import sys
import tempfile
import threading
import time

from server import Engine, memory_mib, running

DIMENSIONS = 384
PARAGRAPH_WORDS = 60
FILE_PARAGRAPHS = 500
SEARCHES = 300
SIZES = {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 0}
QUERY = "query: "
CONFIG = """
[[upstreams]]
name = "stand-in"
base_url = "http://127.0.0.1:{port}/v1"
models = ["x"]
[embeddings]
upstream = "stand-in"
model = "stand-in"
dimensions = {dimensions}
query_prefix = "{prefix}"
"""


class Embedder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine = None
    one_at_a_time = threading.Lock()

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
        data = [
            {"object": "embedding", "index": index, "embedding": self.vector(text)}
            for index, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        self.answer({"object": "list", "data": data, "model": "stand-in", "usage": usage})

    def do_GET(self):
        self.answer({"object": "list", "data": []})

    def vector(self, text):
        if not text.startswith(QUERY):
            return [byte - 127 for byte in hashlib.shake_256(text.encode()).digest(DIMENSIONS)]
        with self.one_at_a_time:
            return self.engine.embed([text.removeprefix(QUERY)], "query")[0][0]

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


def words_of(folder):
    with (folder / "documents.jsonl").open(encoding="utf-8") as lines:
        return " ".join(block["text"] for row in map(json.loads, lines) for block in row["blocks"]).split()


def paragraphs(words, random_, count):
    for _ in range(count):
        start = random_.randrange(max(1, len(words) - PARAGRAPH_WORDS))
        some = words[start : start + PARAGRAPH_WORDS]
        random_.shuffle(some)
        yield " ".join(some) + "."


def fill(client, words, chunks, seed):
    """A store of about so many passages, how many they are, and how many were taken in a second."""
    random_ = random.Random(seed)
    store = client.new_store()

    def upload(number):
        text = "\n\n".join(paragraphs(words, random_, min(chunks, FILE_PARAGRAPHS)))
        return client.upload(f"{number}.txt", text.encode())

    first = upload(0)
    client.attach(store, [first], SIZES)
    client.wait(store)
    # Short paragraphs share a passage.
    each = len(client.passages(store, first))
    files = [upload(number) for number in range(1, max(2, round(chunks / each)))]
    began = time.monotonic()
    client.attach(store, files, SIZES)
    client.wait(store)
    return store, each * (len(files) + 1), each * len(files) / (time.monotonic() - began)


def search(client, words, store):
    random_ = random.Random(5)
    client.search(store, "warm up")
    taken = []
    for _ in range(SEARCHES):
        query = " ".join(random_.sample(words, 6))
        began = time.monotonic()
        client.search(store, query)
        taken.append((time.monotonic() - began) * 1000)
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("binary")
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--chunks", default="1000,10000,100000")
    options.add_argument("--database-url")
    given = options.parse_args()
    Embedder.engine = Engine(given.folder / "server/data", 1)
    embedder = Threaded(("127.0.0.1", 0), Embedder)
    threading.Thread(target=embedder.serve_forever, daemon=True).start()
    config = CONFIG.format(port=embedder.server_port, dimensions=DIMENSIONS, prefix=QUERY)
    words = words_of(given.folder)
    print("PostgreSQL" if given.database_url else "SQLite")
    print(f"{'passages':>10} {'taken in/s':>10} {'search p50':>13} {'p99':>9} {'server':>9} {'on disk, each':>14}")
    with tempfile.TemporaryDirectory() as folder, running(
        given.binary, folder, config, given.database_url
    ) as (client, process):
        disk = 0
        for seed, chunks in enumerate(int(number) for number in given.chunks.split(",")):
            store, chunks, rate = fill(client, words, chunks, seed)
            p50, p99 = search(client, words, store)
            before, disk = disk, sum(path.stat().st_size for path in pathlib.Path(folder, "data").glob("adjutant.db*"))
            each = "" if given.database_url else f"{(disk - before) / chunks:>8.0f} bytes"
            print(
                f"{chunks:>10} {rate:>10.0f} {p50:>10.1f} ms {p99:>6.1f} ms"
                f" {memory_mib(process.pid):>5} MiB {each}",
                flush=True,
            )
    Embedder.engine.stop()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    main()
