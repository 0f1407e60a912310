"""Work of a thread that is told to stop, and waited for."""

from __future__ import annotations

import threading

import anyio
import pytest

from actors.aside import Aside
from dccd.errors import Stopped
from dccd.store.remote.base import Wait

pytestmark = pytest.mark.anyio


async def test_work_returns_what_it_finds() -> None:
    """Or raises what it raises."""
    aside = Aside()
    assert await aside.run(lambda wait: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await aside.run(lambda wait: 1 // 0)
    assert await aside.stop()


async def test_work_that_is_cancelled_is_stopped_and_waited_for() -> None:
    """When ``stop`` returns the thread does nothing any more."""
    aside, begun, ended = Aside(), threading.Event(), threading.Event()

    def work(wait: Wait) -> None:
        begun.set()
        try:
            wait(3600)
        except Stopped:
            ended.set()
            raise

    async with anyio.create_task_group() as group:
        group.start_soon(aside.run, work)
        await anyio.to_thread.run_sync(begun.wait)
        group.cancel_scope.cancel()
    assert not ended.is_set()
    assert await aside.stop()
    assert ended.is_set()
