
import threading

HELD = (OSError, MemoryError, RuntimeError, AttributeError)

wall("network")(network)
wall("programs")(programs)


@wall("files")
def _():
    return visible(set(os.listdir("/")) - {"mnt", "opt", "tmp", "usr"})


@wall("writing")
def _():
    return written(("/", "/mnt", "/opt", "/opt/packages", "/usr", "/usr/local/lib"))


@wall("environment")
def _():
    known = {"HOME", "JOBLIB_MULTIPROCESSING", "LANG", "MPLBACKEND", "MPLCONFIGDIR", "TMPDIR", "TZ"}
    return visible(set(os.environ) - known)


@wall("threads")
def _():
    threading.Thread(target=lambda: None).start()
    return "a thread could be started"


@wall("memory")
def _():
    piece = min(256 << 20, LIMITS["memory_bytes"])
    return [bytearray(piece) for _ in range(LIMITS["memory_bytes"] // piece)] and "more can be had"


@wall("disk")
def _():
    with tempfile.TemporaryFile(dir=".") as file:
        file.truncate(LIMITS["disk_bytes"] + 1)
    return "more can be written"


print(json.dumps(through))
