# Says, as one line of JSON, what a session has to see of this Python.
import json, os, sys, sysconfig

modules = os.path.realpath(sysconfig.get_path("stdlib"))
prefix = os.path.realpath(sys.base_prefix)

# What these load of the machine's own is not below the prefix, and what of it is missing nobody misses.
for name in ("bz2", "ctypes", "curses", "decimal", "lzma", "readline", "sqlite3", "ssl", "uuid", "zlib"):
    try:
        __import__(name)
    except ImportError:
        pass

with open("/proc/self/maps") as maps:
    loaded = {line.split(maxsplit=5)[5].strip() for line in maps if "/" in line}
libraries = set()
for path in loaded:
    folder = os.path.dirname(path)
    is_own = path.startswith(prefix + "/") and not path.startswith(modules + "/")
    if is_own and ".so" in os.path.basename(path):
        # Under all its names: it is loaded by a shorter one.
        names = (os.path.join(folder, name) for name in os.listdir(folder) if ".so" in name)
        libraries.update(name for name in names if os.path.realpath(name) == path)

about = {"executable": os.path.realpath(sys.executable), "prefix": prefix}
print(json.dumps({**about, "modules": modules, "libraries": sorted(libraries)}))
