"""Starts, watches, kills and restarts the binary under test."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from harness import clock
from harness.postgres import die_with_parent

ROOT = Path(__file__).parent.parent.parent
BINARY = Path(os.environ.get("ADJUTANT_BIN", ROOT / "target/debug/adjutant")).resolve()
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
START_DEADLINE_SECONDS = 30.0
STOP_DEADLINE_SECONDS = 15.0
# Nobody waits for runs that a test has left at a gate, nor for a balancer that is not there.
STOPPING = {"ADJUTANT_STOP_SECONDS": "1", "ADJUTANT_STOP_DELAY_SECONDS": "0"}
# Passed on to the server; everything else of the environment could change what it does.
INHERITED = ("PATH", "LANG", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE")


class Adjutant:
    """One server on its own data folder, and on its own database if one is named."""

    def __init__(
        self,
        folder: Path,
        *,
        upstream: str | None,
        database_url: str | None = None,
        settings: Mapping[str, str] | None = None,
        config: str | None = None,
        environment: Mapping[str, str] | None = None,
        start_seconds: float = START_DEADLINE_SECONDS,
        inside: Sequence[str] = (),
    ) -> None:
        """`inside`: a command that runs the server where the test wants it."""
        self.folder = folder
        self._inside = inside
        self._upstream = upstream
        self._database_url = database_url
        self.settings = dict(settings or {})
        self._config = config
        self._environment = dict(environment or {})
        self._start_seconds = start_seconds
        self.log: deque[str] = deque(maxlen=4000)
        self.panics: list[str] = []
        self.start()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._found_address = threading.Event()
        self.address = ""
        self._process = subprocess.Popen(
            self._command(),
            env=self.environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            preexec_fn=die_with_parent,
        )
        for output in (self._process.stdout, self._process.stderr):
            threading.Thread(target=self._read, args=(output,), daemon=True).start()
        self._wait_for_address()

    @property
    def place(self) -> list[str]:
        """The options that lead another command to the same database."""
        if self._database_url:
            return ["--database-url", self._database_url]
        return ["--data", str(self.data)]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def database_url(self) -> str:
        """The PostgreSQL that it keeps everything in."""
        assert self._database_url, "this server keeps everything in SQLite"
        return self._database_url

    @property
    def base_url(self) -> str:
        return f"{self.address}/v1"

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where it listens; of no use while it does not."""
        host, _, port = self.address.removeprefix("http://").partition(":")
        return host, int(port or 0)

    def wait_until_ended(self, seconds: float = STOP_DEADLINE_SECONDS) -> int:
        """Its exit status, once it has ended by itself."""
        return self._process.wait(seconds)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """Asks the server to end, as a service manager would; it must obey in time."""
        self.ask_to_stop()
        try:
            self._process.wait(STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop when asked:\n{self.tail()}") from None

    def ask_to_stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        if self.is_running:
            self._process.send_signal(by)

    def restart(self, **settings: str) -> None:
        """Stops it and starts it again, with these settings in place of those that it had."""
        self.stop()
        self.settings.update(settings)
        self.start()

    def kill(self) -> None:
        """The power fails: no destructor runs, no buffer is written."""
        self._process.kill()
        self._process.wait()

    def pause(self) -> None:
        """It stands still, as where its machine sleeps, and its connections with it."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It wakes and knows nothing of the time that passed."""
        self._process.send_signal(signal.SIGCONT)

    def restart_later(self, seconds: int) -> None:
        """Stops the server and starts it again so many seconds in the future."""
        self.stop()
        self._environment |= clock.ahead(seconds)
        self.start()

    def tail(self, lines: int = 40) -> str:
        return "".join(list(self.log)[-lines:])

    def _command(self) -> list[str]:
        command = [*self._inside, str(BINARY), "serve", "--listen", "127.0.0.1:0"]
        command += ["--data", str(self.data)]
        if self._upstream:
            command += ["--upstream", self._upstream]
        if self._database_url:
            command += ["--database-url", self._database_url]
        if self._config is not None:
            path = self.folder / "adjutant.toml"
            path.write_text(self._config)
            command += ["--config", str(path)]
        return command

    def environment(self) -> dict[str, str]:
        """What the server, and another command on its data, finds in its environment."""
        inherited = {key: os.environ[key] for key in INHERITED if key in os.environ}
        home = {"HOME": str(self.folder), "RUST_BACKTRACE": "1"}
        return {**inherited, **home, **STOPPING, **self.settings, **self._environment}

    def _read(self, output: IO[str]) -> None:
        for line in output:
            self.log.append(line)
            if "panicked at" in line:
                self.panics.append(line)
            found = ADDRESS.search(line)
            if found and "listening" in line and not self.address:
                self.address = found.group()
                self._found_address.set()

    def _wait_for_address(self) -> None:
        deadline = time.monotonic() + self._start_seconds
        while not self._found_address.wait(0.05):
            if not self.is_running or time.monotonic() > deadline:
                state = "is silent" if self.is_running else f"exited {self._process.returncode}"
                self.kill()
                raise AssertionError(f"the server {state} instead of listening:\n{self.tail()}")
