"""Starts programs in the future, for what happens in an hour or in a month."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


def ahead(seconds: int) -> dict[str, str]:
    """The variables under which a program's clock is so many seconds ahead of ours."""
    return {"LD_PRELOAD": str(_library()), "TEST_CLOCK_AHEAD": str(seconds)}


@functools.cache
def _library() -> Path:
    library = Path(_folder().name) / "clock.so"
    # Rust needs a C compiler to link, so there is one.
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"]
    subprocess.run(command, check=True)
    return library


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Kept for the whole test run, and removed after it."""
    return tempfile.TemporaryDirectory(prefix="adjutant-clock-")
