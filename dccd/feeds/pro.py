"""Live data through ccxt.pro: a stream's request flows in, frames of what ccxt.pro has made of the exchange's flow out.

A :class:`ProPool` stands where :class:`~dccd.feeds.pool.SocketPool` stands for an exchange with a folder, a
:class:`ProLine` where a line of a connection does. One object of ccxt.pro's serves all streams of an exchange; it is
made anew when none is left, so that nothing of a subscription outlives it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import anyio
from websockets.frames import CloseCode

from dccd.errors import ExchangeError, SocketClosed
from dccd.exchanges.base import Exchange, StreamProtocol
from dccd.exchanges.unified.frames import Watch
from dccd.feeds.history import Rest
from dccd.feeds.pro_client import Taps, watched
from dccd.feeds.pro_line import METHODS, ProLine, lost
from dccd.feeds.timing import Clock, SystemClock
from dccd.feeds.turns import Turns

__all__ = ["ProLine", "ProPool"]

_LEAVE_TIMEOUT = 5.0
_CLOSE_TIMEOUT = 2.0


class _Live:
    """One object of ccxt.pro's, and the lines that it serves."""

    def __init__(self, rest: Rest, clock: Clock, turns: Turns) -> None:
        self.api: Any = None
        self._rest = rest
        self._turns = turns
        self._waiting: set[str] = set()
        self.lines: list[ProLine] = []
        self._clock = clock
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._left: dict[str, set[str]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unread = 0

    def __repr__(self) -> str:
        return f"<_Live {self.api!s} streams={len(self.lines)}>"

    async def open(self, ws_url: str | None) -> None:
        """Make the object. Raises ExchangeError."""
        client = await self._rest.client()
        self.api = await asyncio.to_thread(client.live, lambda kind, given: watched(kind, given, self, ws_url))
        self.api.trades = Taps(self._deliver)
        self.api.open()  # it takes the event loop from here

    def statistics(self) -> dict[str, Any]:
        """What there is of connections, and messages that ccxt.pro failed over."""
        return {"streams": len(self.lines), "connections": len(self.api.clients or ()), "unread": self._unread}

    async def ready(self, topic: str) -> None:
        """Wait until a subscription of *topic* that ends has ended, so that it can begin again."""
        if (leaving := self._leaving.get(topic)) is not None:
            await asyncio.wait([leaving])
        if (urls := self._left.pop(topic, None)) is not None:
            # ccxt.pro can't end it, and would take it for standing: only a new connection starts it afresh.
            self.break_off(urls, f"{topic} begins again, which takes a new connection")

    async def leave(self, line: ProLine, unsubscribe: bool) -> None:
        """*line*'s stream takes no more part."""
        if line not in self.lines:
            return
        self.lines.remove(line)
        if not self.lines:
            await self.aclose()
        elif unsubscribe and line.watch is not None and line.urls & set(self.api.clients or ()):
            topic = line.protocol.topic
            self._leaving[topic] = self._start(self._unwatch(line, line.watch, topic))

    async def aclose(self) -> None:
        """Close all connections."""
        for task in [*self._tasks]:
            task.cancel()
        with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.api.close()
            # aiohttp's parts of a connection end one turn of the event loop later.
            await asyncio.sleep(0)

    def ping(self, urls: set[str]) -> None:
        """A ping on each."""
        for client in self._clients(urls):
            if client.connection is not None and not client.closed():
                self._start(client.connection.ping())

    def last_message(self, urls: set[str]) -> float:
        """When one of them gave a message last (monotonic)."""
        at = [client.last_message_at for client in self._clients(urls) if client.last_message_at is not None]
        return self._clock.now() - max(0.0, (self.api.milliseconds() - max(at)) / 1000) if at else float("-inf")

    def waits(self, urls: set[str]) -> bool:
        """Whether one of them waits until it may be opened: that nothing comes of it means nothing then."""
        return not self._waiting.isdisjoint(urls)

    def break_off(self, urls: set[str], reason: str) -> None:
        """End these connections, for all that use them."""
        for client in self._clients(urls):
            client.on_error(ConnectionError(reason))

    # ------------------------------------------------------------ what ccxt.pro does

    async def turn(self, cost: float | None) -> None:
        """Before a REST request, as for a book's snapshot: that goes before backfills."""
        await self._rest.turn(cost, urgent=True)

    async def opening(self, client: Any) -> bool:
        """Before a connection is opened, by ccxt.pro alone: False when it isn't wanted any more."""
        url, task = client.url, asyncio.current_task()
        if task is not None:
            self._tasks.add(task)  # ended with the rest, should it still wait then
        self._waiting.add(url)
        try:
            return await self._turns.take(lambda: (self.api.clients or {}).get(url) is client)
        finally:
            self._waiting.discard(url)
            if task is not None:
                self._tasks.discard(task)

    def gone(self, url: str, reason: str) -> None:
        """A connection has ended: so it has for all that use it, whether or not they were waiting just then."""
        for line in [line for line in self.lines if url in line.urls]:
            line.end(lost(reason))

    def unread(self, url: str, message: Any, error: Exception) -> None:
        """It failed over a message."""
        self._unread += 1
        for line in [line for line in self.lines if url in line.urls]:
            line.unread(message, error)

    # ------------------------------------------------------------ inner

    def _deliver(self, symbol: str, trade: Any) -> None:
        symbol = trade.get("symbol") or symbol
        for line in self.lines:
            if line.watch is not None and line.watch.method == "watchTrades" and line.watch.symbol == symbol:
                line.trade(trade)

    def _clients(self, urls: set[str]) -> list[Any]:
        return [client for url, client in [*(self.api.clients or {}).items()] if url in urls]

    async def _unwatch(self, line: ProLine, watch: Watch, topic: str) -> None:
        _, method, name = METHODS[watch.method]
        ended = False
        if self.api.has.get(name) is True:
            # Whatever comes of it: what isn't known to have ended stands.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_LEAVE_TIMEOUT):
                    await getattr(self.api, method)(watch.symbol, *([watch.timeframe] if watch.timeframe else []))
                ended = True
        self._leaving.pop(topic, None)
        if not ended:
            self._left[topic] = line.urls

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return task


class ProPool:
    """ccxt.pro's side of one exchange. *rest* is where its requests go; *ws_url* scheme, host and port of another."""

    def __init__(
        self, exchange: Exchange, rest: Rest, *, ws_url: str | None = None, clock: Clock | None = None
    ) -> None:
        self._exchange = exchange
        self._rest = rest
        self._ws_url = ws_url
        self._clock: Clock = clock or SystemClock()
        self._turns = Turns(exchange.connections, self._clock)
        self._live: _Live | None = None
        self._opening = asyncio.Lock()
        self._opened = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"<ProPool {self._exchange.id} {self._live!r}>"

    def statistics(self) -> dict[str, Any]:
        """How often ccxt.pro was begun with, connections opened since the start, and what there is now."""
        live = self._live
        return {
            "opened": self._opened,
            "opens": self._turns.given,
            "connections": [] if live is None else [live.statistics()],
        }

    async def join(self, protocol: StreamProtocol, changed: asyncio.Event) -> ProLine:
        """A line for *protocol*'s stream. Raises SocketClosed."""
        async with self._opening:
            if self._closed:
                raise SocketClosed(CloseCode.GOING_AWAY, "closed by us")
            if self._live is None or not self._live.lines:
                live = _Live(self._rest, self._clock, self._turns)
                try:
                    await live.open(self._ws_url)
                except ExchangeError as exc:
                    raise lost(str(exc)) from exc
                self._live = live
                self._opened += 1
            live = self._live
            line = ProLine(live, protocol, changed, self._clock)
            live.lines.append(line)
        try:
            await live.ready(protocol.topic)
        except BaseException:
            await line.aclose(unsubscribe=False)
            raise
        return line

    async def aclose(self) -> None:
        """Close all, at once."""
        self._closed = True
        if self._live is not None:
            for line in [*self._live.lines]:
                line.end(SocketClosed(CloseCode.NORMAL_CLOSURE, "closed by us"))
            await self._live.aclose()
