"""Serves one GGUF model over HTTP on a loopback port, for as long as standard input stays open.

Standard input: one line of JSON with `model`, `alias`, `key`, `context_tokens` and `threads`.
Nothing else comes on it: its end means that the server which started us is gone, however it went.
Standard output: one line of JSON, `{"url": ...}`, once the model is loaded and answers.
Standard error: the engine's log.
"""

import json
import os
import sys
import threading


def leave_with_the_server() -> None:
    """The kernel closes our standard input even when the server is killed, so no orphan keeps the memory."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def read_settings() -> dict:
    """Byte by byte, since a buffered reader would swallow the end that the watcher waits for."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(sys.stdin.fileno(), 1)
        if not byte:
            os._exit(0)
        line += byte
    return json.loads(line)


def parameters(settings: dict):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {settings["alias"]}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]
    params.ui = False
    params.offline = True
    params.n_ctx = settings["context_tokens"]
    # One answer at a time, the others wait: two would share the context and fail when it is full.
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = 512
    # What was read of other conversations is kept here: reading it again would cost seconds.
    params.cache_ram_mib = 128
    # Where the request names no temperature. Small models do not bear the usual 1.
    params.sampling.temp = 0.2
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    return params


def main() -> None:
    settings = read_settings()
    threading.Thread(target=leave_with_the_server, daemon=True).start()
    import xllamacpp

    server = xllamacpp.Server(parameters(settings))
    sys.stdout.write(json.dumps({"url": server.listening_address}) + "\n")
    sys.stdout.flush()
    threading.Event().wait()


main()
