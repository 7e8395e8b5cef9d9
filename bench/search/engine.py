"""Embeds lines of {"texts", "kind"} with the built-in model's own code: `server.Engine` starts it."""

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

code, weights, threads = sys.argv[1:]
sys.path.insert(0, code)

from model import Model  # noqa: E402



def step_back():
    """As low as in the server, so that whatever else runs on the machine slows both down alike."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


model = Model(weights)
pool = ThreadPoolExecutor(int(threads), initializer=step_back)
for line in sys.stdin:
    request = json.loads(line)
    began = time.monotonic()
    at_work = pool.map if request["kind"] == "passage" else map
    embedded = list(at_work(lambda text: model.embed(text, request["kind"]), request["texts"]))
    seconds = time.monotonic() - began
    vectors = [vector.tolist() for vector, _ in embedded]
    tokens = sum(tokens for _, tokens in embedded)
    print(json.dumps({"vectors": vectors, "tokens": tokens, "seconds": seconds}), flush=True)
