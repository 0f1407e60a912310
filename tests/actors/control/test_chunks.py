"""Pieces made in threads, and what becomes of them when nobody wants more."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.control.chunks import in_threads
from dccd.errors import CorruptFile, RequestError

pytestmark = pytest.mark.anyio


async def test_pieces_come_in_order_and_errors_as_requests_have_them() -> None:
    """Each is made in a thread, and what making one raises is the request's error."""

    def pieces() -> Iterator[bytes]:
        yield b"1"
        assert threading.current_thread() is not threading.main_thread()
        yield b"2"
        raise CorruptFile(Path("x"), "no Parquet")

    made = in_threads(pieces())
    assert [await anext(made), await anext(made)] == [b"1", b"2"]
    with pytest.raises(RequestError) as caught:
        await anext(made)
    assert caught.value.reason == "corrupt_file"


async def test_a_piece_that_is_being_made_is_finished_before_all_is_closed() -> None:
    """Cancelled in the middle of one, the maker is closed after it: not at the same time, which can't be."""
    begun, go_on, closed = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def pieces() -> Iterator[bytes]:
        try:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(10)
            yield b"1"
        finally:
            closed.set()

    async def take() -> None:
        async with contextlib.aclosing(in_threads(pieces())) as taken:  # type: ignore[type-var]  # it is a generator
            async for _ in taken:
                pass

    task = asyncio.create_task(take())
    await begun.wait()
    task.cancel()
    asyncio.get_running_loop().call_soon(go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()
