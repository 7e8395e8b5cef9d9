# Attacks each wall once and prints, as one line of JSON, what got through: the wall's name and what was seen.
# It changes nothing outside, even where there is no wall. The other half, `probe_native.py` or `probe_wasm.py`, is put
# behind this one: it says how a wall refuses there (`HELD`), and attacks.
import json, os, socket, sys, tempfile

through = {}


def wall(name):
    def attack(function):
        try:
            seen = function()
        except Exception as error:
            seen = None if isinstance(error, HELD) else repr(error)
        if seen:
            through[name] = str(seen)

    return attack


def network():
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM) and "a socket could be made"


def programs():
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return "a process could be started"


def visible(things):
    if things:
        return f"these are visible: {' '.join(sorted(things))}"


def written(folders):
    for folder in folders:
        try:
            descriptor, path = tempfile.mkstemp(dir=folder)
        except OSError:
            continue
        os.close(descriptor)
        os.unlink(path)
        return f"{folder} can be written"
