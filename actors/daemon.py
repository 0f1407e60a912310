"""The daemon: a configuration flows in, a running tree (and in the end an exit code) flows out.

``dccd start`` calls :func:`main` through the entry point group ``dccd.daemon``; commands that need no daemon running
use :func:`daemon` the same way, on a free port and without the jobs.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import termios
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Literal

import structlog
from rich.console import Console

from actors.demo import demo_config, simulated
from actors.links import Links
from actors.log import configure
from actors.look import Look, farewell
from actors.runtime.clock import SystemClock
from actors.runtime.exits import ActorError, path_text
from actors.runtime.root import open_root
from actors.runtime.spec import ChildSpec
from actors.screen import Screen
from actors.settings import remotes_of, rest_options
from actors.tree import build, node, observer
from dccd import __version__
from dccd.config import Config, parse_size
from dccd.errors import DccdError, StoreError
from dccd.feeds import elsewhere
from dccd.feeds.history import RestPool
from dccd.feeds.pool import SocketPools
from dccd.jobs import specs_of
from dccd.store.claims import NoteBook
from dccd.store.files import locked
from dccd.store.hosts import note_host
from dccd.store.layout import Layout
from dccd.store.reader import Store
from dccd.store.remote.past import Past

__all__ = ["Daemon", "daemon", "main"]


class Daemon:
    """A running daemon, as :func:`daemon` yields it."""

    def __init__(self, links: Links) -> None:
        self.links = links

    def __repr__(self) -> str:
        return f"<Daemon {self.links.host} on {self.bus_url}>"

    @property
    def bus_url(self) -> str:
        """Where clients connect to."""
        return self.links.bus_url


def make_links(config: Config, path: Path | None = None) -> Links:
    """The shared names of a daemon to be, with what needs no bus: the store and the exchanges' REST.

    *path*: the file that *config* is from, and is to follow.
    """
    rest = {name: rest_options(exchange) for name, exchange in config.exchanges.items()}
    urls = {name: exchange.ws_url for name, exchange in config.exchanges.items() if exchange.ws_url is not None}
    clock = SystemClock()
    rests = RestPool(rest, clock=clock)
    elsewhere.install()
    try:
        config.data_path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise StoreError(config.data_path, f"settings.data_path can't be made: {exc.strerror or exc}") from exc
    layout, host = Layout(config.data_path), config.settings.host_id
    note_host(layout, host)
    remotes = remotes_of(config)
    past = Past(layout, [state.remote for state in remotes.values()], host, parse_size(config.storage.cache))
    return Links(
        config=config,
        host=config.settings.host_id,
        data_path=config.data_path,
        clock=clock,
        layout=Layout(config.data_path),
        store=Store(layout, past),
        notes=NoteBook(Layout(config.data_path), config.settings.host_id),
        rest=rests,
        sockets=SocketPools(urls, rests=rests, clock=clock),
        started=clock.wall_ns(),
        version=__version__,
        config_path=path,
        remotes=remotes,
        specs={spec.name: spec for spec in specs_of(config)},
        bus_url=config.bus.url or "",
    )


@contextlib.asynccontextmanager
async def daemon(
    config: Config,
    *,
    jobs: bool = True,
    extra: list[ChildSpec] | None = None,
    links: Links | None = None,
    path: Path | None = None,
) -> AsyncIterator[Daemon]:
    """Run the whole tree while the block runs; leaving it stops all in order. *path*: the file of *config*, to be
    followed when it changes.

    Raises DccdError when it can't start: the configured port is taken, the bus refuses, the folder can't be written, or
    another daemon stores there.
    """
    links = links or make_links(config, path)
    spec = build(links, jobs=jobs, extra=extra)
    told = "another dccd stores what comes over its bus in this folder; give this one its own settings.data_path"
    try:
        with locked(links.layout.archive_lock_path, why=told):
            async with open_root(spec, clock=links.clock, observer=observer(links)) as root:
                links.tree = lambda: node(root.tree())
                try:
                    yield Daemon(links)
                finally:
                    links.stopping = True
        links.abandoned = [path_text(process.path) for process in root.process.runtime.abandoned]
    except ActorError as exc:
        cause = _root_cause(exc)
        if isinstance(cause, DccdError):
            raise cause from exc
        raise
    finally:
        await links.sockets.aclose()
        await links.rest.aclose()


def _root_cause(exc: BaseException) -> BaseException:
    """The error below the runtime's: what a person can do something about."""
    while isinstance(exc, ActorError) and exc.__cause__ is not None:
        exc = exc.__cause__
    return exc


def main(
    config: Config, *, mode: Literal["start", "demo"] = "start", screen: bool = True, path: Path | None = None
) -> int:
    """Run until SIGINT or SIGTERM; return the exit code. *screen*: draw the live status when stdout is a terminal.

    *path* is the file of *config*; edits of it are taken over as they come, and at SIGHUP. Raises DccdError when the
    daemon can't start, or ended by itself.
    """
    return asyncio.run(_main(config, mode, screen, path))


async def _main(config: Config, mode: str, screen: bool, path: Path | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    up = asyncio.Event()
    running = asyncio.create_task(_run(config, mode, screen, path, stop, up))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        # Told to stop while it starts: a cancellation ends the start. Once it runs, it waits for `stop` by itself.
        if not running.done() and not up.is_set():
            running.cancel()
        return await running
    except asyncio.CancelledError:
        return 130
    finally:
        stopping.cancel()


def _settle() -> None:
    """Take what the imports have made out of the garbage collector's sight: it is there to stay, and each of its full
    passes would hold up ticks and requests by the time that 200,000 objects take (50 ms)."""
    gc.collect()
    gc.freeze()


def _on_hangup(links: Links, stop: asyncio.Event, at_terminal: bool) -> None:
    """SIGHUP: the file is to be read again; or the terminal that the daemon was started at is gone."""
    if at_terminal:
        try:
            termios.tcgetattr(sys.stdin)
        except (OSError, ValueError, termios.error):
            stop.set()
            return
    links.reload()


async def _run(
    config: Config, mode: str, screen: bool, path: Path | None, stop: asyncio.Event, up: asyncio.Event
) -> int:
    console = Console()
    drawing = screen and console.is_terminal
    async with contextlib.AsyncExitStack() as stack:
        if mode == "demo":
            config, path = demo_config(config, await stack.enter_async_context(simulated())), None
        log_file = None
        if drawing:
            # Log lines would tear the screen: they go to a file beside the data.
            config.data_path.joinpath(".dccd").mkdir(parents=True, exist_ok=True)
            log_file = stack.enter_context((config.data_path / ".dccd" / "dccd.log").open("a"))
        configure(config.settings.log_level, config.settings.log_format, log_file)
        links = make_links(config, path)
        hangup = partial(_on_hangup, links, stop, sys.stdin is not None and sys.stdin.isatty())
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup)
        look = Look(links, "dccd demo, simulated exchanges" if mode == "demo" else f"dccd on {links.host}")
        extra = [ChildSpec(id="screen", start=lambda: Screen(look, console))] if screen else []
        async with daemon(config, extra=extra, links=links):
            up.set()
            _settle()
            if not drawing:
                log = structlog.get_logger("dccd")
                log.info("running", bus=links.bus_shown, data=str(links.data_path), pid=os.getpid())
                for hint in look.hints():
                    log.info("try", command=hint)
            await stop.wait()
            begun = time.monotonic()
        text = farewell(look(), time.monotonic() - begun)
    print(text, file=sys.stderr, flush=True)
    if links.abandoned:
        # Their tasks still run and would keep the event loop, hence the process, from ending.
        print(f"did not stop when told to: {', '.join(links.abandoned)}", file=sys.stderr, flush=True)
        os._exit(1)
    return 0
