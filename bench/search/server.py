"""A server of ours for a bench, and a client of it that does as little as possible itself."""

import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.parse

# The code of the built-in embedding model.
EMBEDDING = pathlib.Path(__file__).parents[2] / "crates/server/src/upstream/local/embedding"
# With a model that nobody asks, no other is looked for; what embeds is the built-in one.
BUILT_IN = '[[upstreams]]\nname = "none"\nbase_url = "http://127.0.0.1:1/v1"\nmodels = ["none"]\n'


@contextlib.contextmanager
def running(binary, folder, config="", database_url=None):
    """Starts the server on a data folder; gives a client and the process, and stops it."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config)
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", str(folder / "data")]
    command += ["--config", str(folder / "config.toml")]
    command += ["--database-url", database_url] if database_url else []
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        for line in process.stdout:
            found = re.search(r"http://127\.0\.0\.1:\d+", line)
            if found and "listening" in line:
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield Client(found[0]), process
                return
        sys.exit(f"the server did not start: {(folder / 'log').read_text()}")
    finally:
        process.terminate()
        process.wait(20)


class Client:
    def __init__(self, url):
        address = urllib.parse.urlparse(url)
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=900)

    def ask(self, method, path, body=None, kind="application/json"):
        payload = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = {"content-type": kind, "authorization": "Bearer x"}
        self.connection.request(method, "/v1" + path, payload, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            sys.exit(f"{method} {path} answered {answer.status}: {text[:500]!r}")
        return json.loads(text)

    def upload(self, name, content):
        border = "border-of-the-form"
        form = (
            f'--{border}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
            f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = form.encode() + content + f"\r\n--{border}--\r\n".encode()
        return self.ask("POST", "/files", body, f"multipart/form-data; boundary={border}")["id"]

    def new_store(self):
        return self.ask("POST", "/vector_stores", {})["id"]

    def attach(self, store, files, chunking=None):
        """Begins to take files in."""
        strategy = {"chunking_strategy": {"type": "static", "static": chunking}} if chunking else {}
        for some in range(0, len(files), 500):
            body = {"file_ids": files[some : some + 500], **strategy}
            self.ask("POST", f"/vector_stores/{store}/file_batches", body)

    def wait(self, store):
        """Until every file of a store is taken in, or failed."""
        while True:
            state = self.ask("GET", f"/vector_stores/{store}")
            if state["file_counts"]["in_progress"] == 0:
                return state
            time.sleep(0.1)

    def wake_engine(self):
        """Until the built-in embedding model is at work; it is fetched first where it is not there."""
        # A search alone would not do: on an empty store it asks for no vector, and it does not wait for the model.
        store = self.new_store()
        self.attach(store, [self.upload("first.txt", f"passage {time.time_ns()}".encode())])
        self.wait(store)

    def search(self, store, query, most=10, meaning=1, words=1):
        weights = {"embedding_weight": meaning, "text_weight": words}
        options = {"max_num_results": most, "ranking_options": {"hybrid_search": weights}}
        return self.ask("POST", f"/vector_stores/{store}/search", {"query": query, **options})["data"]

    def passages(self, store, file):
        return [part["text"] for part in self.ask("GET", f"/vector_stores/{store}/files/{file}/content")["data"]]


class Engine:
    """The built-in embedding model alone, as a server's data folder has it, without the server around it."""

    def __init__(self, data, threads):
        folder = pathlib.Path(data) / "embedding-model"
        (weights,) = (folder / "weights").glob("*.bin")
        command = [folder / "python/bin/python", pathlib.Path(__file__).with_name("engine.py")]
        command += [EMBEDDING, weights, str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.embed(["warm up"], "query")

    def embed(self, texts, kind):
        """The texts' vectors, how many tokens were read, and the seconds that took."""
        self.process.stdin.write(json.dumps({"texts": texts, "kind": kind}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["vectors"], answer["tokens"], answer["seconds"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def memory_mib(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024
