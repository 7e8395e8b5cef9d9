"""Runs one session's code behind the walls.

Standard input brings commands and standard output takes answers: lines of JSON, some followed by as many bytes as
they say. What the code prints is sent as it comes. The server trusts nothing of this: the code shares the
interpreter and can do whatever this program can.
"""

import ast
import codecs
import contextlib
import io
import json
import linecache
import os
import queue
import resource
import signal
import site
import sys
import threading
import time
import traceback
import types

DATA = "/mnt/data"
PACKAGES = "/opt/packages"
TEMPORARY = "/tmp"

FLUSH_SECONDS = 0.05
FLUSH_CHARACTERS = 4096
LONGEST_TRACEBACK = 8000
CHUNK_BYTES = 1 << 16
FIGURE_DPI = 100
CJK_FONT = "Noto Sans CJK JP"
# Names of fonts that code written in Korea, Japan and China asks for.
CJK_ALIASES = (
    *("AppleGothic", "Apple SD Gothic Neo", "Malgun Gothic", "NanumBarunGothic", "NanumGothic", "Noto Sans CJK KR"),
    *("Noto Sans CJK SC", "Noto Sans CJK TC", "Noto Sans JP", "Noto Sans KR", "Noto Sans SC", "Microsoft YaHei"),
    *("SimHei", "MS Gothic", "Yu Gothic"),
)


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

    def write(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]


class Interruption:
    """The server's wish that the code stop, as KeyboardInterrupt in the main thread."""

    def __init__(self):
        self.code_waits = False
        self.code_runs = False
        self.late = False

    def handle(self, *_):
        if not self.code_runs:
            # Code that has yet to begin will not; code that has ended cannot be stopped.
            self.late = self.code_waits
        elif getattr(channel.writing, "now", False):
            self.late = True
        else:
            raise KeyboardInterrupt

    def raise_if_late(self):
        if self.late and self.code_runs and threading.current_thread() is threading.main_thread():
            self.late = False
            raise KeyboardInterrupt


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


class Stream(io.TextIOBase):
    """Standard output or error as the code sees it."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name):
        self.name = name
        self.buffer = Bytes(self)

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        printed.add(text)
        return len(text)

    def flush(self):
        printed.flush()


class Bytes(io.RawIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, stream):
        self.stream = stream
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self):
        return True

    def write(self, data):
        self.stream.write(self.decoder.decode(bytes(data)))
        return len(data)

    def flush(self):
        self.stream.flush()


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


class Files:
    """The session's folder, for the server. Runs while no code does, or beside it."""

    def __init__(self):
        # What was put there: each file with all its names, by the first of them.
        self.stored = {}

    def put(self, command, source):
        pieces = self.pieces(source, command["size"])
        # New each time, since what has the name may be another file's content, too.
        new = self.path(".incoming")
        fault = None
        try:
            with open(new, "wb") as file:
                for piece in pieces:
                    file.write(piece)
            self.name(new, command["name"], command["link"])
        except (OSError, ValueError) as error:
            fault = reason(error)
            for _ in pieces:
                pass
        # Half a file takes up room, and a name that the file has already is left over.
        with contextlib.suppress(OSError):
            os.unlink(new)
        channel.send({"type": "refused", "reason": fault} if fault else {"type": "stored"})

    def name(self, new, name, link):
        path = self.path(name)
        os.replace(new, path)
        self.stored[name] = (os.stat(path), [name, link] if link else [name])
        if not link:
            return
        try:
            os.link(path, new)
            os.replace(new, self.path(link))
        except OSError:
            # Who is told that it is not there would not have it taken away.
            os.unlink(path)
            raise

    def remove(self, command):
        file, names = self.stored.get(command["name"], (None, []))
        fault = None
        for path in map(self.path, names):
            try:
                # By now the name may be that of another file, or of one that the code wrote.
                if os.path.samestat(os.lstat(path), file):
                    os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                fault = reason(error)
        if fault:
            channel.send({"type": "refused", "reason": fault})
        else:
            self.stored.pop(command["name"], None)
            channel.send({"type": "removed"})

    def pieces(self, source, left):
        while left:
            piece = source.read(min(left, CHUNK_BYTES))
            if not piece:
                raise EOFError
            left -= len(piece)
            yield piece

    def fetch(self, command):
        # Not what a link leads to, and without waiting for whoever might write into it one day.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            file = open(self.path(command["name"]), "rb", opener=lambda path, _: os.open(path, flags))
            # What is no regular file has none.
            size = os.fstat(file.fileno()).st_size
            if size > command["most"]:
                raise ValueError("it is too large")
        except (OSError, ValueError) as error:
            channel.send({"type": "refused", "reason": reason(error)})
            return
        with file, channel.lock:
            channel.write(json.dumps({"type": "file", "size": size}).encode() + b"\n")
            while size:
                # A file that shrinks while it is read is filled up, since its length has been said.
                piece = file.read(min(size, CHUNK_BYTES)) or bytes(min(size, CHUNK_BYTES))
                size -= len(piece)
                channel.write(piece)

    def path(self, name):
        return os.path.join(DATA, name)


def reason(error):
    return getattr(error, "strerror", None) or str(error)


class Cells:
    """The code, piece by piece, in one namespace."""

    def __init__(self):
        self.number = 0
        self.module = types.ModuleType("__main__")
        self.module.__dict__["display"] = self.display
        sys.modules["__main__"] = self.module

    def run(self, code):
        """Whether it ran to its end."""
        self.number += 1
        name = f"<cell {self.number}>"
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
        try:
            interruption.code_runs = True
            interruption.raise_if_late()
            self.execute(without_magic(code, name), name)
            return True
        except SystemExit as left:
            return left.code in (None, 0)
        except BaseException as fault:
            printed.add(self.explain(fault))
            return False
        finally:
            interruption.code_runs = interruption.code_waits = False
            interruption.late = False

    def execute(self, code, name):
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        namespace = self.module.__dict__
        exec(compile(tree, name, "exec"), namespace)
        if last is not None:
            self.display(eval(compile(ast.Expression(last.value), name, "eval"), namespace))
        show_figures()

    def display(self, *values):
        for value in values:
            if value is not None and not is_of_a_plot(value):
                self.module.__dict__["_"] = value
                printed.add(repr(value) + "\n")

    def explain(self, fault):
        explanation = traceback.TracebackException.from_exception(fault)
        leave_out_own_frames(explanation)
        text = "".join(explanation.format())
        if len(text) > LONGEST_TRACEBACK:
            half = LONGEST_TRACEBACK // 2
            text = f"{text[:half]}\n[…]\n{text[-half:]}"
        return text


def leave_out_own_frames(explanation):
    """What leads to the code, and this program anywhere, is none of the code's business."""
    is_first = True
    while explanation:
        frames = [frame for frame in explanation.stack if frame.filename != __file__]
        while is_first and frames and not frames[0].filename.startswith("<cell "):
            del frames[0]
        explanation.stack = traceback.StackSummary.from_list(frames) if frames else None
        explanation = explanation.__cause__ or explanation.__context__
        is_first = False


def without_magic(code, name):
    """Notebook commands are no Python; those that set up plots are not needed, and programs cannot be started."""
    lines = code.split("\n")
    if not any(line.lstrip().startswith(("%", "!")) for line in lines):
        return code
    try:
        ast.parse(code, name)
        return code
    except SyntaxError:
        return "\n".join(map(without_command, lines))


def without_command(line):
    bare = line.lstrip()
    indent = line[: len(line) - len(bare)]
    if bare.startswith("%"):
        return indent + "pass"
    if bare.startswith("!"):
        return indent + "print('No programs can be started here, and there is no network.')"
    return line


def is_of_a_plot(value):
    """Whether it is what plotting functions return, which says nothing to anybody."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(is_of_a_plot, value))
    return type(value).__module__.startswith("matplotlib.")


def show_figures(*_, **__):
    """Sends the open figures as images and closes them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if not pyplot:
        return
    for number in pyplot.get_fignums():
        picture = io.BytesIO()
        pyplot.figure(number).savefig(picture, format="png", dpi=FIGURE_DPI, bbox_inches="tight")
        pyplot.close(number)
        printed.flush()
        channel.send({"type": "image", "size": picture.tell()}, picture.getvalue())


def prepare_plots():
    """Images instead of windows, and letters of Korea, Japan and China."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import font_manager, pyplot

    path = os.path.join(PACKAGES, "noto_cjk_sans_otc", "NotoSansCJK-Regular.ttc")
    if os.path.exists(path):
        for name in (CJK_FONT, *CJK_ALIASES):
            font_manager.fontManager.ttflist.append(font_manager.FontEntry(fname=path, name=name))
        # By name: of a generic family, only the first font would be asked for a letter.
        matplotlib.rcParams["font.family"] = ["DejaVu Sans", CJK_FONT]
    pyplot.show = show_figures
    # The first picture finds fonts and fills caches.
    pyplot.plot([1])
    pyplot.title("a가")
    pyplot.savefig(io.BytesIO(), format="png")
    pyplot.close("all")


def warm(modules):
    """Imports ahead what code is likely to import. Gives what could not be."""
    faults = []
    for name in modules:
        try:
            __import__(name)
            if name == "matplotlib":
                prepare_plots()
        except Exception as error:
            faults.append(f"{name}: {error!r}")
    return faults


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


def set_environment():
    threads = str(min(len(os.sched_getaffinity(0)), 4))
    os.environ.clear()
    os.environ.update(
        {
            "HOME": TEMPORARY,
            "TMPDIR": TEMPORARY,
            "LANG": "C.UTF-8",
            "MPLBACKEND": "Agg",
            "MPLCONFIGDIR": TEMPORARY,
            # There are no other processes to share work with.
            "JOBLIB_MULTIPROCESSING": "0",
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "TZ": "UTC",
        }
    )


# The end of this program, without waiting for threads: one that is stopped on the way out may hold what the last of
# them waits for. Kept, since the code may take names away.
leave = os._exit


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
    sys.stdout = Stream("<stdout>")
    sys.stderr = Stream("<stderr>")
    sys.path.append(DATA)
    site.addsitedir(PACKAGES)
    site.setquit()
    os.chdir(DATA)
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
    set_environment()
    return source, answers, start


source, answers, start = begin()
interruption = Interruption()
channel = Channel(answers)
printed = Printed()
main(source, start)
