"""The real built-in models, fetched once into a folder that all tests of them share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.server import ROOT

MARKS = [
    pytest.mark.builtin_model,
    pytest.mark.skipif(os.environ.get("ADJUTANT_TEST_BUILTIN") == "0", reason="switched off"),
]
# A key would lead to OpenAI; the rest may say how packages are reached.
ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    if key not in ("OPENAI_API_KEY", "OPENAI_BASE_URL")
}


def marked(test: Callable[..., None]) -> Callable[..., None]:
    """A test that asks them."""
    for mark in MARKS:
        test = mark(test)
    return test


def folder() -> Path:
    """A server's folder with the models in it, and nothing of an earlier server, which had other tables perhaps."""
    default = ROOT / "target/conformance/built-in"
    folder = Path(os.environ.get("ADJUTANT_TEST_BUILTIN_FOLDER", default))
    for database in (folder / "data").glob("adjutant.db*"):
        database.unlink()
    shutil.rmtree(folder / "data/blobs", ignore_errors=True)
    return folder
