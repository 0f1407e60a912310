"""A real S3 server on loopback: the one in the ``rclone`` command, over a folder.

https://rclone.org/commands/rclone_serve_s3/
"""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import needed
from tests.ports import free_port

__all__ = ["S3Server", "serving"]

_SECONDS = 30.0


class S3Server:
    """``url`` is its endpoint; ``key`` and ``secret`` open it. Each folder below ``root`` is a bucket."""

    key, secret = "key", "secret-of-tests"

    def __init__(self, root: Path, port: int) -> None:
        self.root, self.port = root, port
        self.url = f"http://127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> dict[str, str]:
        """What reaches it takes."""
        return {
            "endpoint": self.url,
            "region": "us-east-1",
            "access_key_id": self.key,
            "secret_access_key": self.secret,
        }

    def start(self) -> None:
        """Return when it answers."""
        command = [needed("rclone"), "serve", "s3", str(self.root), "--addr", f"127.0.0.1:{self.port}"]
        command += ["--auth-key", f"{self.key},{self.secret}", "--config", str(self.root / "none.conf"), "--quiet"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        until = time.monotonic() + _SECONDS
        while True:
            try:
                urllib.request.urlopen(self.url, timeout=1)
                return
            except urllib.error.HTTPError:
                return  # it refuses, so it is there
            except OSError:
                if self._process.poll() is not None:
                    assert self._process.stderr is not None
                    pytest.fail(f"rclone serve s3: {self._process.stderr.read().decode()}")
                assert time.monotonic() < until, "the S3 server doesn't answer"

    def stop(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def serving(root: Path) -> Iterator[S3Server]:
    """Run a server with the bucket ``data`` below *root*."""
    needed("rclone")
    (root / "data").mkdir(parents=True)
    server = S3Server(root, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
