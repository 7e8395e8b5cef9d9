"""Settings of servers that run code."""

from __future__ import annotations

import os
from pathlib import Path

from harness.server import ROOT

# One folder of packages for all servers, filled by the first of them and kept like what the suite itself installs.
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "code-interpreter"
SETTINGS = {
    "ADJUTANT_CODE_INTERPRETER_ENGINE": "native",
    "ADJUTANT_CODE_INTERPRETER_FOLDER": str(FOLDER.resolve()),
}
INSTALLING_SECONDS = 900
