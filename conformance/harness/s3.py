"""An S3 server over a temporary folder: `s3s-fs`, built from conformance/s3."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from harness.server import BINARY

S3_BINARY = Path(os.environ.get("ADJUTANT_S3_BIN", BINARY.parent / "s3-for-tests")).resolve()
BUCKET = "adjutant-files"
KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"


class S3:
    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="adjutant-s3-")
        self.folder = Path(self._temporary.name)
        # A folder in the server's root is a bucket.
        (self.folder / BUCKET).mkdir()
        # It ends when its input does, so with this process at the latest.
        self._process = subprocess.Popen(
            [S3_BINARY, self.folder, KEY, SECRET],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.address = self._process.stdout.readline().strip()
        assert self.address.startswith("http://"), "the S3 server did not start"

    def settings(self, prefix: str, secret: str = SECRET) -> dict[str, str]:
        """What makes a server of ours keep its files here, under a prefix of its own."""
        return {
            "ADJUTANT_BLOBS": f"s3://{BUCKET}/{prefix}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.address,
        }

    def objects(self, url: str) -> list[Path]:
        """What is in a bucket under a prefix."""
        found = (self.folder / url.removeprefix("s3://")).rglob("*")
        return [path for path in found if path.is_file()]

    def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)
        self._temporary.cleanup()
