"""The seam to a remote: a handful of operations on whole objects.

Bytes flow in and out by key. An object is there as a whole or not at all; keys are relative to the remote's URL. What
goes wrong becomes a RemoteError here: RemoteAway where trying again may help, as :func:`patiently` does.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Protocol, TypeVar

import msgspec

from dccd.errors import RemoteAway, RemoteDamaged, Stopped

__all__ = ["ATTEMPTS", "CHUNK", "Object", "Remote", "Wait", "checked", "chunks", "patiently", "waiting"]

CHUNK = 4 * 2**20
"""Bytes that are held of a file on its way."""
ATTEMPTS = 6
"""How often something is tried while a remote is away: for half a minute."""

T = TypeVar("T")
Wait = Callable[[float], None]
"""Waits so many seconds; raises Stopped when it is told to stop meanwhile."""


class Object(msgspec.Struct, frozen=True):
    """An object as a listing shows it: its key, and its size in bytes."""

    key: str
    size: int


class Remote(Protocol):
    """Where copies go. Sync, thread-safe. Each may raise RemoteAway or RemoteError."""

    name: str
    url: str
    """For people: without credentials."""

    def put(self, key: str, content: Iterable[bytes], size: int) -> None:
        """Store *size* bytes under *key*, in place of what was there. What *content* raises goes through, and nothing
        of the object is seen then."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """Yield the object's bytes. Raises RemoteMissing."""
        ...

    def list(self, prefix: str) -> Iterator[Object]:
        """Yield every object whose key begins with *prefix*, which ends with ``/``."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, those already gone too."""
        ...


def waiting(stop: threading.Event | None = None) -> Wait:
    """Return what waits in real time, and ends with *stop*."""
    stop = stop or threading.Event()

    def wait(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped("stopped")

    return wait


def patiently(call: Callable[[], T], wait: Wait, attempts: int = ATTEMPTS, longest: float = 30.0) -> T:
    """Return what *call* does, tried again after growing pauses while the remote is away. Raises RemoteAway at last."""
    for attempt in range(attempts):
        wait(0)
        try:
            return call()
        except RemoteAway:
            if attempt == attempts - 1:
                raise
            wait(min(2.0**attempt, longest) * random.uniform(0.5, 1.0))
    raise AssertionError("unreachable")


def chunks(file: BinaryIO, size: int, tell: Callable[[int], None], wait: Wait) -> Iterator[bytes]:
    """Yield the first *size* bytes of *file* from its beginning; *tell* hears how many, after each."""
    file.seek(0)
    left = size
    while left:
        wait(0)
        piece = file.read(min(CHUNK, left))
        if not piece:
            raise OSError(f"{left} bytes fewer than there were")
        left -= len(piece)
        yield piece
        tell(len(piece))


def checked(remote: Remote, key: str, size: int, sha256: str, wait: Wait) -> Iterator[bytes]:
    """Yield the bytes of an object, and raise RemoteDamaged at their end if they aren't those of *sha256*."""
    seen, digest = 0, hashlib.sha256()
    for piece in remote.read(key):
        wait(0)
        seen += len(piece)
        digest.update(piece)
        yield piece
    if seen != size:
        raise RemoteDamaged(remote.name, key, f"it has {seen:,} bytes, where its manifest says {size:,}")
    if digest.hexdigest() != sha256:
        raise RemoteDamaged(remote.name, key, "its content isn't what its manifest says: the hash differs")
