"""Patience with a remote, and the check of what comes from it."""

from __future__ import annotations

import io
import threading

import pytest

from dccd.errors import RemoteAway, RemoteDamaged, RemoteError, Stopped
from dccd.store.remote.base import checked, chunks, patiently, waiting
from dccd.store.remote.fake import FakeRemote

SHA = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of hello


def test_what_is_away_is_tried_again_with_growing_pauses() -> None:
    """So often, and no more."""
    waited: list[float] = []
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        raise RemoteAway("r", "away")

    with pytest.raises(RemoteAway):
        patiently(call, waited.append, attempts=4)
    pauses = [seconds for seconds in waited if seconds]
    assert calls == 4
    assert all(2**n / 2 <= pause <= 2**n for n, pause in enumerate(pauses))


def test_what_is_refused_is_not_tried_again() -> None:
    """It would be refused again."""
    calls = []

    def call() -> None:
        calls.append(1)
        raise RemoteError("r", "no")

    with pytest.raises(RemoteError):
        patiently(call, lambda seconds: None)
    assert calls == [1]


def test_a_stop_ends_a_pause() -> None:
    """However long it would be."""
    stop = threading.Event()
    wait = waiting(stop)
    wait(0)
    stop.set()
    with pytest.raises(Stopped):
        wait(3600)


def test_a_file_that_has_shrunk_is_an_error() -> None:
    """What was told of its size doesn't hold."""
    told: list[int] = []
    assert b"".join(chunks(io.BytesIO(b"hello"), 5, told.append, lambda seconds: None)) == b"hello"
    assert told == [5]
    with pytest.raises(OSError, match="1 bytes fewer"):
        list(chunks(io.BytesIO(b"hell"), 5, told.append, lambda seconds: None))


@pytest.mark.parametrize(
    ("content", "why"), [(b"hello", None), (b"hell", "it has 4 bytes"), (b"hullo", "the hash differs")]
)
def test_what_comes_is_checked(content: bytes, why: str | None) -> None:
    """By size and hash, at its end."""
    remote = FakeRemote()
    remote.objects["a"] = content
    pieces = checked(remote, "a", 5, SHA, lambda seconds: None)
    if why is None:
        assert b"".join(pieces) == content
        return
    with pytest.raises(RemoteDamaged, match=why):
        list(pieces)
