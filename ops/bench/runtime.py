"""What the actor runtime costs: 1,000 actors started and stopped, a restart, a message; next to bare anyio and asyncio.

Each round measures ours and the bare way in turns, in this process, on the real clock; figures are microseconds of
wall time for each. The bare ways do what one would write without the runtime: tasks in a task group, a memory object
stream of the same size as a mailbox, a future for the answer. They have no supervision, no bounded stop, no exits and
no events: the difference is what those cost. Logging is off, as it would measure the terminal.
"""

from __future__ import annotations

import asyncio
import logging
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import structlog
from harness import Measurement, Report, arguments, finish

from actors.runtime import Actor, ActorRef, ChildSpec, DynamicSupervisor, open_root

ACTORS = 1_000
MAILBOX = Actor.mailbox_size
SPAWN = f"{ACTORS:,} started and stopped, each"
MEMORY = f"{ACTORS:,} running, each"
RESTART = "crash to ready again"
STORM = f"{ACTORS:,} crash at once, each"
TELL = "message, one sender"
ASK = "message and answer"


class Idle(Actor):
    """Does nothing, until it is told to crash."""

    async def on_message(self, message: Any) -> Any:
        if message == "crash":
            raise RuntimeError(message)
        return message


class Sink(Actor):
    """Counts what it gets and says when it has got enough."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.enough = anyio.Event()

    async def on_message(self, message: Any) -> None:
        self.left -= 1
        if not self.left:
            self.enough.set()


@asynccontextmanager
async def supervised(**options: Any) -> AsyncIterator[DynamicSupervisor]:
    """A running dynamic supervisor that restarts as often as it must.

    The window is short: a supervisor remembers the restarts of its period, and in earnest these are a few.
    """
    supervisor = DynamicSupervisor(intensity=10**9, period=0.01, **options)
    async with open_root(supervisor):
        yield supervisor


async def start_all(supervisor: DynamicSupervisor) -> list[ActorRef]:
    return [await supervisor.start_child(ChildSpec(str(number), Idle)) for number in range(ACTORS)]


async def spawn_ours() -> dict[str, float]:
    """Started one after the other, each awaited until it is ready; then all stopped together."""
    async with supervised() as supervisor:
        begun = time.perf_counter()
        await start_all(supervisor)
        ready = time.perf_counter()
        begun_stop = time.perf_counter()
    return {
        "µs to start": (ready - begun) / ACTORS * 1e6,
        "µs to stop": (time.perf_counter() - begun_stop) / ACTORS * 1e6,
    }


async def spawn_bare() -> dict[str, float]:
    """Tasks of one group, each awaited until it says that it has started; then the group is cancelled."""

    async def idle(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        task_status.started()
        await anyio.sleep_forever()

    begun = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(ACTORS):
            await group.start(idle)
        ready = time.perf_counter()
        begun_stop = time.perf_counter()
        group.cancel_scope.cancel()
    return {
        "µs to start": (ready - begun) / ACTORS * 1e6,
        "µs to stop": (time.perf_counter() - begun_stop) / ACTORS * 1e6,
    }


async def memory_ours() -> dict[str, float]:
    """What Python has allocated for them, by tracemalloc (which makes all slow: nothing is timed here)."""
    async with supervised() as supervisor:
        tracemalloc.start()
        await start_all(supervisor)
        allocated, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return {"KB": allocated / ACTORS / 1024}


async def memory_bare() -> dict[str, float]:
    """The same of tasks in a group."""
    async with anyio.create_task_group() as group:
        tracemalloc.start()
        for _ in range(ACTORS):
            group.start_soon(anyio.sleep_forever)
        await asyncio.sleep(0)
        allocated, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        group.cancel_scope.cancel()
    return {"KB": allocated / ACTORS / 1024}


async def restart_ours(count: int) -> dict[str, float]:
    """One child among 1,000 crashes again and again; the next crash comes when it is ready again."""
    ready = asyncio.Event()
    async with supervised(observer=lambda event: ready.set() if event.kind == "restarted" else None) as supervisor:
        await start_all(supervisor)
        begun = time.perf_counter()
        for _ in range(count):
            ref = supervisor.whereis("500")
            assert ref is not None
            ready.clear()
            ref.tell_nowait("crash")
            await ready.wait()
            await asyncio.sleep(0)  # the supervisor gets the signal that the observer saw
        return {"µs": (time.perf_counter() - begun) / count * 1e6}


async def restart_bare(count: int) -> dict[str, float]:
    """A loop around a task that raises: caught, and started again."""

    async def worker(ready: asyncio.Event, crash: asyncio.Event) -> None:
        ready.set()
        await crash.wait()
        raise RuntimeError("crash")

    begun = time.perf_counter()
    for _ in range(count):
        ready, crash = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(worker(ready, crash))
        await ready.wait()
        crash.set()
        try:
            await task
        except RuntimeError:
            pass
    return {"µs": (time.perf_counter() - begun) / count * 1e6}


async def storm_ours() -> dict[str, float]:
    """All 1,000 are told to crash before any has done so; done when the last one is ready again."""
    restarted = 0
    done = asyncio.Event()

    def observe(event: Any) -> None:
        nonlocal restarted
        restarted += event.kind == "restarted"
        if restarted == ACTORS:
            done.set()

    async with supervised(observer=observe) as supervisor:
        refs = await start_all(supervisor)
        begun = time.perf_counter()
        for ref in refs:
            ref.tell_nowait("crash")
        await done.wait()
        return {"µs": (time.perf_counter() - begun) / ACTORS * 1e6}


async def tell_ours(count: int) -> dict[str, float]:
    """Through a mailbox of 64, waiting for room whenever it is full."""
    sink = Sink(count)
    async with supervised() as supervisor:
        ref = await supervisor.start_child(ChildSpec("sink", lambda: sink))
        begun = time.perf_counter()
        for number in range(count):
            await ref.tell(number)
        await sink.enough.wait()
        return {"µs": (time.perf_counter() - begun) / count * 1e6}


async def tell_bare(count: int) -> dict[str, float]:
    """Through an anyio memory object stream that buffers 64."""
    send, receive = anyio.create_memory_object_stream[int](MAILBOX)

    async def sink() -> None:
        async for _ in receive:
            pass

    begun = time.perf_counter()
    async with receive, anyio.create_task_group() as group:
        group.start_soon(sink)
        async with send:
            for number in range(count):
                await send.send(number)
    return {"µs": (time.perf_counter() - begun) / count * 1e6}


async def ask_ours(count: int) -> dict[str, float]:
    """One after the other, each with its timeout."""
    async with supervised() as supervisor:
        ref = await supervisor.start_child(ChildSpec("echo", Idle))
        begun = time.perf_counter()
        for number in range(count):
            await ref.ask(number)
        return {"µs": (time.perf_counter() - begun) / count * 1e6}


async def ask_bare(count: int) -> dict[str, float]:
    """A memory object stream of pairs of a message and a future, awaited with a timeout."""
    send, receive = anyio.create_memory_object_stream[tuple[int, asyncio.Future[int]]](MAILBOX)

    async def echo() -> None:
        async for message, reply in receive:
            reply.set_result(message)

    loop = asyncio.get_running_loop()
    async with receive, anyio.create_task_group() as group:
        group.start_soon(echo)
        begun = time.perf_counter()
        async with send:
            for number in range(count):
                reply: asyncio.Future[int] = loop.create_future()
                with anyio.fail_after(5):
                    await send.send((number, reply))
                    await reply
        return {"µs": (time.perf_counter() - begun) / count * 1e6}


def main() -> None:
    options = arguments(
        str(__doc__), ("--messages", {"type": int, "default": 50_000, "help": "messages a round (50,000)"})
    )
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    restarts = 2_000
    ours, bare = "actors.runtime", "bare"
    runs: list[tuple[str, str, Callable[[], Awaitable[dict[str, float]]], str]] = [
        (SPAWN, ours, spawn_ours, "supervised"),
        (SPAWN, bare, spawn_bare, "anyio task group"),
        (MEMORY, ours, memory_ours, "tracemalloc"),
        (MEMORY, bare, memory_bare, "tracemalloc"),
        (RESTART, ours, lambda: restart_ours(restarts), f"one of {ACTORS:,}"),
        (RESTART, bare, lambda: restart_bare(restarts), "asyncio task in a loop"),
        (STORM, ours, storm_ours, "supervised"),
        (TELL, ours, lambda: tell_ours(options.messages), f"tell, mailbox of {MAILBOX}"),
        (TELL, bare, lambda: tell_bare(options.messages), f"anyio memory object stream of {MAILBOX}"),
        (ASK, ours, lambda: ask_ours(options.messages), "ask with timeout"),
        (ASK, bare, lambda: ask_bare(options.messages), "memory object stream and future, fail_after"),
    ]
    report = Report("The actor runtime: wall time for each, in microseconds")
    for _ in range(options.rounds):
        for case, who, run, note in runs:
            report.add(Measurement(case, who, asyncio.run(run()), note))  # type: ignore[arg-type]
    for case, figure in ((SPAWN, "µs to start"), (SPAWN, "µs to stop"), (RESTART, "µs"), (TELL, "µs"), (ASK, "µs")):
        found = {one.who: one.figures[figure] for one in report.medians() if one.case == case}
        report.verdicts.append(f"{case}: {found[ours] / found[bare]:.2f} × bare in {figure}")
    finish(report, options.json)


if __name__ == "__main__":
    main()
