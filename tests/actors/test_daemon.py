"""What signals do to a daemon."""

from __future__ import annotations

import asyncio
import os
import pty
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, TextIO

import pytest

from actors.daemon import _on_hangup


class Counter(SimpleNamespace):
    """Counts how often it was told to read its file again."""

    reloads = 0

    def reload(self) -> None:
        self.reloads += 1


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, TextIO]]:
    """A terminal at standard input, and its other end."""
    other, this = pty.openpty()
    with os.fdopen(this) as file:
        monkeypatch.setattr(sys, "stdin", file)
        yield other, file


def test_sighup_of_a_terminal_that_is_there_reads_the_file_again(terminal: Any) -> None:
    """So does that of a daemon that has none."""
    for at_terminal in (True, False):
        links: Any = Counter()
        stop = asyncio.Event()
        _on_hangup(links, stop, at_terminal)
        assert (links.reloads, stop.is_set()) == (1, False)
    os.close(terminal[0])


def test_a_daemon_ends_with_the_terminal_that_it_was_started_at(terminal: Any) -> None:
    """Nobody could stop it with Ctrl-C any more."""
    links: Any = Counter()
    stop = asyncio.Event()
    os.close(terminal[0])
    _on_hangup(links, stop, True)
    assert (links.reloads, stop.is_set()) == (0, True)
