#!/usr/bin/env python3
"""How fast the server takes documents in and finds passages, over HTTP, as a client sees it.

    speed.py BINARY [--chunks 1000,10000,100000] [--database-url postgres://…] [--questions FILE]

The embedding model is a stand-in that answers at once with vectors made of the text's hash: what is measured is the
server, not a model. Each store has as many passages as named, of 100 tokens without overlap. Prints for each how
long the words took to be searchable and the vectors to be there, then the search's latency.
"""

import argparse
import hashlib
import http.client
import http.server
import json
import os
import pathlib
import random
import re
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

DIMENSIONS = 384
PARAGRAPH_WORDS = 60
FILE_CHUNKS = 500
SEARCHES = 200


class Embedder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        texts = request["input"] if isinstance(request["input"], list) else [request["input"]]
        data = []
        for index, text in enumerate(texts):
            vector = [byte - 127 for byte in hashlib.shake_256(text.encode()).digest(DIMENSIONS)]
            data.append({"object": "embedding", "index": index, "embedding": vector})
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        body = json.dumps({"object": "list", "data": data, "model": "stand-in", "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        body = b'{"object":"list","data":[]}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Threaded(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Client:
    def __init__(self, url):
        address = urllib.parse.urlparse(url)
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=600)

    def ask(self, method, path, body=None, kind="application/json"):
        payload = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        self.connection.request(method, "/v1" + path, payload, {"content-type": kind, "authorization": "Bearer x"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"{method} {path} answered {answer.status}: {text[:500]!r}")
        return json.loads(text)

    def upload(self, name, text):
        border = "border-of-the-form"
        form = (
            f'--{border}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: text/plain\r\n\r\n{text}\r\n--{border}--\r\n"
        )
        kind = f"multipart/form-data; boundary={border}"
        return self.ask("POST", "/files", form.encode(), kind)["id"]


def words_of(folder):
    """Words of real text, each as often as it stands there."""
    known = pathlib.Path(folder) / "documents.jsonl" if folder else None
    if known and known.exists():
        text = " ".join(
            block["text"] for line in known.open() for block in json.loads(line)["blocks"]
        )
        return text.split()
    return (pathlib.Path(__file__).read_text() + (__doc__ or "")).split()


def paragraphs(words, random_, count):
    for _ in range(count):
        start = random_.randrange(max(1, len(words) - PARAGRAPH_WORDS))
        some = words[start : start + PARAGRAPH_WORDS]
        random_.shuffle(some)
        yield " ".join(some) + "."


def start(binary, folder, embedder, database_url):
    config = pathlib.Path(folder) / "config.toml"
    config.write_text(
        f'[[upstreams]]\nname = "stand-in"\nbase_url = "http://127.0.0.1:{embedder}/v1"\nmodels = ["x"]\n'
        f'[embeddings]\nupstream = "stand-in"\nmodel = "stand-in"\ndimensions = {DIMENSIONS}\n'
    )
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", f"{folder}/data", "--config", str(config)]
    command += ["--database-url", database_url] if database_url else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in process.stdout:
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        if found and "listening" in line:
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return process, found[0]
    sys.exit("the server did not start")


def memory_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024


def fill(client, words, chunks, seed):
    """A store of about so many passages; how long until it was found by its words, and was complete."""
    random_ = random.Random(seed)
    store = client.ask("POST", "/vector_stores", {})["id"]
    files = []
    for number in range(max(1, chunks // FILE_CHUNKS)):
        text = "\n\n".join(paragraphs(words, random_, min(chunks, FILE_CHUNKS)))
        files.append(client.upload(f"{number}.txt", text))
    began = time.monotonic()
    sizes = {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 0}
    strategy = {"type": "static", "static": sizes}
    for some in range(0, len(files), 500):
        body = {"file_ids": files[some : some + 500], "chunking_strategy": strategy}
        client.ask("POST", f"/vector_stores/{store}/file_batches", body)
    while True:
        state = client.ask("GET", f"/vector_stores/{store}")
        if state["file_counts"]["in_progress"] == 0:
            return store, state, time.monotonic() - began
        time.sleep(0.2)


def search(client, words, store):
    random_ = random.Random(5)
    client.ask("POST", f"/vector_stores/{store}/search", {"query": "warm up"})
    taken = []
    for _ in range(SEARCHES):
        query = " ".join(random_.sample(words, 6))
        began = time.monotonic()
        client.ask("POST", f"/vector_stores/{store}/search", {"query": query})
        taken.append((time.monotonic() - began) * 1000)
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("binary")
    options.add_argument("--chunks", default="1000,10000,100000")
    options.add_argument("--database-url")
    options.add_argument("--set")
    given = options.parse_args()
    embedder = Threaded(("127.0.0.1", 0), Embedder)
    threading.Thread(target=embedder.serve_forever, daemon=True).start()
    words = words_of(given.set)
    print(f"{'passages':>10} {'ingest/s':>9} {'bytes each':>10} {'search p50':>11} {'p99':>9} {'server':>9}")
    with tempfile.TemporaryDirectory() as folder:
        process, url = start(given.binary, folder, embedder.server_port, given.database_url)
        try:
            client = Client(url)
            for seed, chunks in enumerate(int(number) for number in given.chunks.split(",")):
                store, state, seconds = fill(client, words, chunks, seed)
                p50, p99 = search(client, words, store)
                disk = sum(path.stat().st_size for path in pathlib.Path(folder, "data").glob("adjutant.db*"))
                print(
                    f"{chunks:>10} {chunks / seconds:>9.0f} {state['usage_bytes'] / chunks:>10.0f} "
                    f"{p50:>8.1f} ms {p99:>6.1f} ms {memory_mib(process.pid):>5} MiB",
                    flush=True,
                )
            if disk:
                print(f"database: {disk / 2**20:.0f} MiB")
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
