
# What follows is for an interpreter of this machine, behind the walls of `native.rs`.

import queue
import resource
import threading
import time

FLUSH_SECONDS = 0.05
FLUSH_CHARACTERS = 4096


class Channel:
    """The way to the server. A message is written whole, whoever interrupts."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.lock = threading.Lock()
        self.writing = threading.local()

    def send(self, message, payload=b""):
        self.writing.now = True
        try:
            with self.lock:
                self.write(json.dumps(message).encode() + b"\n")
                self.write(payload)
        finally:
            self.writing.now = False
        interruption.raise_if_late()

    def is_writing(self):
        return getattr(self.writing, "now", False)

    def write(self, data):
        write_all(self.descriptor, data)


def is_main_thread():
    return threading.current_thread() is threading.main_thread()


class Printed:
    """What the code prints, both streams in one, in pieces that are neither small nor late."""

    def __init__(self):
        self.lock = threading.RLock()
        self.pieces = []
        self.characters = 0
        self.left = 0
        self.waiting = threading.Event()
        threading.Thread(target=self.flush_often, daemon=True).start()

    def add(self, text):
        with self.lock:
            text = text[: max(self.left, 0)]
            self.left -= len(text)
            if not text:
                return
            self.pieces.append(text)
            self.characters += len(text)
            if self.characters >= FLUSH_CHARACTERS:
                self.flush()
            else:
                self.waiting.set()

    def flush(self):
        with self.lock:
            text = "".join(self.pieces)
            self.pieces.clear()
            self.characters = 0
            self.waiting.clear()
            if text:
                channel.send({"type": "text", "text": text})

    def flush_often(self):
        while self.waiting.wait():
            time.sleep(FLUSH_SECONDS)
            self.flush()


class Console:
    """What libraries write to descriptors 1 and 2 past Python: a file without a name, read when the code ends."""

    def __init__(self):
        path = os.path.join(TEMPORARY, ".console")
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.unlink(path)
        os.dup2(self.descriptor, 1)
        os.dup2(self.descriptor, 2)

    def take(self):
        text = os.pread(self.descriptor, CHUNK_BYTES, 0)
        os.ftruncate(self.descriptor, 0)
        return text.decode("utf-8", "replace")


def limit(limits):
    for name, most in (
        ("RLIMIT_AS", limits["memory_bytes"]),
        ("RLIMIT_CPU", limits["cpu_seconds"]),
        ("RLIMIT_FSIZE", limits["disk_bytes"]),
        ("RLIMIT_NOFILE", limits["open_files"]),
        ("RLIMIT_NPROC", limits["threads"]),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_MSGQUEUE", 0),
    ):
        resource.setrlimit(getattr(resource, name), (most, most))
    # The server comes first.
    os.nice(5)


def obey(source, inbox):
    """Reads commands. The end of them means that the server is gone, however it went."""
    files = Files()
    try:
        while line := source.readline():
            command = json.loads(line)
            match command["do"]:
                case "run":
                    interruption.code_waits = True
                    inbox.put(command)
                case "interrupt":
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
                case "put":
                    files.put(command, source)
                case "remove":
                    files.remove(command)
                case "fetch":
                    files.fetch(command)
    finally:
        leave(0)


def execute(inbox, console):
    """Runs what is asked for, for ever."""
    cells = Cells()
    try:
        while True:
            command = inbox.get()
            printed.left = command["output_characters"]
            succeeded = cells.run(command["code"])
            printed.add(console.take())
            printed.flush()
            channel.send({"type": "done", "succeeded": succeeded})
    finally:
        # The code has taken this program apart.
        leave(1)


def main(source, start):
    inbox = queue.SimpleQueue()
    sys.stdin = open(0)
    settle_in()
    console = Console()
    faults = warm(start["modules"])
    console.take()
    signal.signal(signal.SIGINT, interruption.handle)
    threading.Thread(target=obey, args=(source, inbox), daemon=True).start()
    channel.send({"type": "ready", "faults": faults})
    execute(inbox, console)


def begin():
    """Takes the two pipes away from where the code would find them by accident."""
    commands, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    source = os.fdopen(commands, "rb", CHUNK_BYTES)
    start = json.loads(source.readline())
    limit(start["limits"])
    threads = str(min(len(os.sched_getaffinity(0)), 4))
    set_environment(OMP_NUM_THREADS=threads, OPENBLAS_NUM_THREADS=threads)
    return source, answers, start


source, answers, start = begin()
interruption = Interruption()
channel = Channel(answers)
printed = Printed()
main(source, start)
