"""Waiting for what sets no event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["Until", "until"]

Until = Callable[[Callable[[], object]], Awaitable[None]]
"""What the fixtures of that name give."""


async def until(condition: Callable[[], object], seconds: float = 30.0, pause: float = 0.001) -> None:
    """Return once *condition* holds, which the event loop's other tasks bring about; fail after *seconds*.

    Without a *pause* it is seen at the very next turn of the loop.
    """
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what it looks at has no event
            await asyncio.sleep(pause)
