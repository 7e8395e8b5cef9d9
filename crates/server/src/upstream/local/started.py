"""What an engine and the server that started it say to each other, which is little.

Standard input: one line of JSON with the settings. Nothing else comes on it: its end means that the server is
gone, however it went.
Standard output: one line of JSON, `{"url": ...}`, once the model is loaded and answers.
Standard error: the engine's log.
"""

import json
import os
import sys
import threading


def read_settings() -> dict:
    """The settings. From then on this process ends with the server.

    Read byte by byte, since a buffered reader would swallow the end that is waited for.
    """
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(sys.stdin.fileno(), 1)
        if not byte:
            os._exit(0)
        line += byte
    threading.Thread(target=leave_with_the_server, daemon=True).start()
    return json.loads(line)


def leave_with_the_server() -> None:
    """The kernel closes our standard input even when the server is killed, so no orphan keeps the memory."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


def say_ready(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url}) + "\n")
    sys.stdout.flush()
