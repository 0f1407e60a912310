"""What the log does to those who write it: nothing."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Iterator

import pytest
import structlog

from actors.log import configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


class Disk(io.StringIO):
    """A log file on a disk that may be full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_full_disk_fails_nobody() -> None:
    """Lines that find no room are left out; those after it come again."""
    disk = Disk()
    configure("info", "json", disk)
    log = structlog.get_logger("test")
    for disk.full, number in ((False, 1), (True, 2), (False, 3)):
        log.info("line", number=number)
    assert [json.loads(line)["number"] for line in disk.getvalue().split("\n") if line] == [1, 3]


def test_a_closed_stream_fails_nobody() -> None:
    """Somebody's redirection has ended; the daemon goes on."""
    stream = io.StringIO()
    configure("info", "console", stream)
    stream.close()
    structlog.get_logger("test").info("line")


def test_less_than_the_level_is_left_out() -> None:
    """A level is the least that is written."""
    stream = io.StringIO()
    configure("warning", "console", stream)
    log = structlog.get_logger("test")
    log.info("quiet")
    log.warning("loud", why="so")
    assert "quiet" not in stream.getvalue()
    assert "[warning] loud why=so" in stream.getvalue()
