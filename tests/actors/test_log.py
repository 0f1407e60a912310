"""What the log does to those who write it: nothing."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Iterator

import pytest
import structlog

from actors.log import configure, set_level
from actors.runtime.exits import StartFailed
from dccd.errors import BusPortTaken


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


@pytest.mark.parametrize(("level", "error", "told"), [
    ("info", BusPortTaken(4222), False),
    ("info", ValueError("a fault of ours"), True),
    ("debug", BusPortTaken(4222), True),
])  # fmt: skip
def test_tracebacks_are_for_faults(level: str, error: Exception, told: bool) -> None:
    """What a person can mend is said in a line, also of the supervisors above; --debug shows where it came from."""
    stream = io.StringIO()
    configure(level, "console", stream)
    above = StartFailed(("dccd",), "could not be started")
    above.__cause__ = error
    log = structlog.get_logger("test")
    log.error("start_failed", exc_info=error)
    log.error("start_failed", exc_info=above)
    text = stream.getvalue()
    assert text.count(str(error)) >= 2
    assert (type(error).__name__ in text, len(text.splitlines()) > 2) == (True, told)


def test_the_level_may_change_while_others_hold_loggers() -> None:
    """A logger that was made before knows the level of now."""
    stream = io.StringIO()
    configure("info", "console", stream)
    log = structlog.get_logger("test").bind(actor="a")
    log.debug("first")
    set_level("debug")
    log.debug("second")
    set_level("error")
    log.warning("third")
    assert [word for word in ("first", "second", "third") if word in stream.getvalue()] == ["second"]


def test_what_others_have_said_does_nothing_to_a_terminal() -> None:
    """Neither in the words of a line nor in its values."""
    disk = Disk()
    configure("info", "console", disk)
    structlog.get_logger("test").info("a\x1b[2Jline\nof", error="two\x9b31m")
    (line,) = disk.getvalue().splitlines()
    assert line.split("] ")[1].split() == ["a", "[2Jline", "of", "error='two", "31m'"]
