"""Work of a thread that takes long, of an actor that can be stopped: it is told to, and waited for.

A function that calls the :data:`~dccd.store.remote.base.Wait` that it is given flows in, its result flows out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import anyio

from dccd.store.remote.base import Wait, waiting

__all__ = ["Aside"]

T = TypeVar("T")
_STOP_SECONDS = 15.0


class Aside:
    """One piece of work at a time, in a thread."""

    def __init__(self) -> None:
        self._halt = threading.Event()
        self._idle = threading.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"<Aside {'idle' if self._idle.is_set() else 'working'}>"

    async def run(self, work: Callable[[Wait], T]) -> T:
        """Return what *work* does. Cancelled, it goes on until :meth:`stop`. Raises what it raises."""
        wait = waiting(self._halt)

        def worked() -> T:
            try:
                return work(wait)
            finally:
                self._idle.set()

        self._idle.clear()
        return await anyio.to_thread.run_sync(worked, abandon_on_cancel=True)

    async def stop(self) -> bool:
        """Tell the work to stop, and wait for that; False when it doesn't in time."""
        self._halt.set()
        return await anyio.to_thread.run_sync(self._idle.wait, _STOP_SECONDS)
