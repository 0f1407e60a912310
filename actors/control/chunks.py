"""Replies that are made while they are sent: pieces of bytes, each some work for a thread, flow in and are awaited."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Generator, Iterator

import anyio

from actors.control.refusals import as_request_errors

__all__ = ["in_threads"]


async def in_threads(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield *pieces*, each made in a worker thread: reading blocks, and finds out late that a file is corrupt.

    When nobody wants more, *pieces* is closed, and with it the files that it reads; a piece that is being made when
    the task is cancelled is finished before.
    """
    end, turn = object(), threading.Lock()

    def step() -> object:
        with turn:
            return next(pieces, end)

    def close() -> None:
        with turn:
            if isinstance(pieces, Generator):
                pieces.close()

    try:
        while True:
            with as_request_errors():
                piece = await anyio.to_thread.run_sync(step)
            if piece is end:
                return
            assert isinstance(piece, bytes)
            yield piece
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(close)
