
# What follows is for an interpreter of WebAssembly, inside the host of `wasm/`. It has one thread, so the host reads
# commands ahead, sends what is printed, and interrupts. Everything up to `serve` is done once, when the interpreter is
# built; its memory is kept, and each session begins as a copy.

import gc
import random

# Descriptors that the host gives: where commands come from, where answers go, and how often it was asked to interrupt.
COMMANDS, ANSWERS, INTERRUPTIONS = 1000, 1001, 1002


class Channel:
    """The way to the server. A message is written whole, whoever interrupts."""

    def __init__(self):
        self.lock = contextlib.nullcontext()
        self.writes = False

    def send(self, message, payload=b""):
        self.writes = True
        try:
            self.write(json.dumps(message).encode() + b"\n")
            self.write(payload)
        finally:
            self.writes = False
        interruption.raise_if_late()

    def is_writing(self):
        return self.writes

    def write(self, data):
        write_all(ANSWERS, data)


class Printed:
    """What the code prints. The host cuts it to what may be printed, and sends it in pieces."""

    def add(self, text):
        write_all(1, text.encode("utf-8", "replace"))

    def flush(self):
        pass


class CountedInterruption(Interruption):
    """Each interruption comes twice: at once, and as a command behind the one that it is for. The first may come before
    that one is read and the second when the next is on its way, so they are told apart by their numbers."""

    def __init__(self):
        self.come = self.done = self.commands = 0
        super().__init__()
        self.code_waits = True

    @property
    def late(self):
        return self.come > self.done

    @late.setter
    def late(self, is_late):
        if is_late:
            self.come = int.from_bytes(os.read(INTERRUPTIONS, 4), "little")
        else:
            self.done = max(self.come, self.done)

    def take_command(self):
        """What it was for has ended, or has been interrupted."""
        self.commands += 1
        self.done = max(self.commands, self.done)


def is_main_thread():
    return True


def begin_anew():
    """What must not be the same in all sessions, since all are copies of one."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy:
        numpy.random.seed()


def close_fonts():
    """Files that are open now would not be in a copy."""
    from matplotlib import font_manager

    font_manager._get_font.cache_clear()
    gc.collect()


def serve():
    """Obeys commands, for ever. The end of them ends the process."""
    begin_anew()
    cells = Cells()
    files = Files()
    source = os.fdopen(COMMANDS, "rb", CHUNK_BYTES, closefd=False)
    channel.send({"type": "ready", "faults": faults})
    try:
        while True:
            command = json.loads(source.readline())
            match command["do"]:
                case "run":
                    succeeded = cells.run(command["code"])
                    interruption.code_waits = True
                    channel.send({"type": "done", "succeeded": succeeded})
                case "interrupt":
                    interruption.take_command()
                case "put":
                    files.put(command, source)
                case "remove":
                    files.remove(command)
                case "fetch":
                    files.fetch(command)
    finally:
        # The code has taken this program apart.
        leave(1)


set_environment()
interruption = CountedInterruption()
channel = Channel()
printed = Printed()
sys.stdin = io.StringIO()
settle_in()
faults = warm(modules)
close_fonts()
signal.signal(signal.SIGINT, interruption.handle)
