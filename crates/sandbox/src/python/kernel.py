"""Runs one session's code behind the walls.

Standard input brings commands and standard output takes answers: lines of JSON, some followed by as many bytes as
they say. What the code prints is sent as it comes. The server trusts nothing of this: the code shares the
interpreter and can do whatever this program can.

This half is the same for all engines. The other half, `kernel_native.py` or `kernel_wasm.py`, is put behind it: it
knows how the interpreter talks with the server, and begins.
"""

import ast
import codecs
import contextlib
import io
import json
import linecache
import os
import signal
import site
import sys
import traceback
import types

DATA = "/mnt/data"
PACKAGES = "/opt/packages"
TEMPORARY = "/tmp"

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
        elif channel.is_writing():
            self.late = True
        else:
            raise KeyboardInterrupt

    def raise_if_late(self):
        if self.late and self.code_runs and is_main_thread():
            self.late = False
            raise KeyboardInterrupt


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


def write_all(descriptor, data):
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def set_environment(**more):
    os.environ.clear()
    os.environ.update({"HOME": TEMPORARY, "TMPDIR": TEMPORARY, "LANG": "C.UTF-8", "TZ": "UTC"})
    # There are no other processes to share work with.
    os.environ.update({"MPLBACKEND": "Agg", "MPLCONFIGDIR": TEMPORARY, "JOBLIB_MULTIPROCESSING": "0"}, **more)


def settle_in():
    """Makes this interpreter what the code expects: where it is, what it can import, where it prints."""
    sys.stdout = Stream("<stdout>")
    sys.stderr = Stream("<stderr>")
    sys.path.append(DATA)
    site.addsitedir(PACKAGES)
    site.setquit()
    os.chdir(DATA)


# The end of this program, without waiting for threads: one that is stopped on the way out may hold what the last of
# them waits for. Kept, since the code may take names away.
leave = os._exit
