"""Where a tree of actors hangs on ordinary async code: a spec flows in, the ref of the running root flows out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from actors.runtime.actor import Actor, ActorRef
from actors.runtime.clock import Clock, SystemClock
from actors.runtime.events import Observer
from actors.runtime.exits import AutoShutdown, RootExited, StartFailed
from actors.runtime.process import Ended, Process, Runtime, Signal
from actors.runtime.spec import ChildSpec

__all__ = ["open_root"]


@asynccontextmanager
async def open_root(
    root: ChildSpec | Actor,
    *,
    clock: Clock | None = None,
    observer: Observer | None = None,
    stop_within: float = 30.0,
    kill_grace: float = 1.0,
) -> AsyncIterator[ActorRef]:
    """Start *root* (a spec, or a supervisor) and all below it; yield its ref once it is ready.

    Leaving the block stops the tree in order. That is bounded: after *stop_within* seconds what is left is killed,
    and what does not end within *kill_grace* seconds then is abandoned: an ``unkillable`` event, and the process is in
    ``ref.process.runtime.abandoned``. Since ``asyncio.run`` waits for every task, a program that finds one there
    should end by ``os._exit``.

    Raises StartFailed from the cause when the tree can't be started (what had started is stopped again), and
    RootExited when the root ends by itself while the block runs, which is cancelled then, since it depends on
    what is gone. A root that ends in order (``normal``, auto-shutdown) leaves the block alone: await ``ref.wait()``.
    """
    if isinstance(root, ChildSpec):
        # A root that is stopped has no supervisor that could wait longer.
        within = stop_within if root.shutdown == "infinity" else root.shutdown
        spec = ChildSpec(root.id, root.start, root.restart, within, root.type)
    else:
        once = [root]
        spec = ChildSpec("root", once.pop, "temporary", stop_within, "supervisor")
    runtime = Runtime(clock if clock is not None else SystemClock(), kill_grace)
    settled = anyio.Event()
    block = anyio.CancelScope()

    def notify(signal: Signal) -> None:
        settled.set()
        if isinstance(signal, Ended) and _unexpected(signal.process):
            block.cancel("the root has ended")

    process = runtime.spawn(spec, (), notify, observer)
    try:
        await settled.wait()
        exit = process.exit
        if exit is not None and exit.kind == "start_failed":
            raise StartFailed(process.path, exit.error or exit.reason) from exit.error
        with block:
            yield process.ref
        if block.cancelled_caught and process.exit is not None:
            raise RootExited(process.exit) from process.exit.error
    finally:
        await _stop(process, runtime)


def _unexpected(process: Process) -> bool:
    exit = process.exit
    if exit is None or exit.kind == "start_failed":
        return False
    return exit.abnormal or (exit.error is not None and not isinstance(exit.error, AutoShutdown))


async def _stop(process: Process, runtime: Runtime) -> None:
    """Stop the tree and wait for it, whatever happens meanwhile."""
    process.stop()
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while runtime.live:
            try:
                await runtime.wait_idle()
            except asyncio.CancelledError as error:
                # Cancelled by asyncio itself, which no shield holds off (Ctrl-C once more): be quick about it.
                cancelled = error
                process.kill()
    if cancelled is not None:
        raise cancelled
