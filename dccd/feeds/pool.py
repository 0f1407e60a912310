"""The connections of one exchange: streams that want to listen flow in, their lines of shared connections flow out.

One :class:`SocketPool` an exchange and host, as there is one Rest: what an exchange allows, it allows to an address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import anyio
from websockets.frames import CloseCode

from dccd.errors import SocketClosed
from dccd.exchanges.base import Exchange, StreamProtocol
from dccd.exchanges.unified import Unified
from dccd.feeds.history import RestPool
from dccd.feeds.line import Line
from dccd.feeds.pro import ProLine, ProPool
from dccd.feeds.shared import Pace, Shared
from dccd.feeds.timing import Backoff, Clock, SystemClock
from dccd.feeds.turns import Turns

__all__ = ["AnyLine", "Line", "Pool", "SocketPool", "SocketPools", "rebase"]

_EVERYWHERE = ""
_COOLING = Backoff(initial=0.25, maximum=30.0)
"""Between two attempts to open a connection that failed: half of what a stream waits, so that it is never in the way of
one alone."""


def rebase(url: str, base: str | None) -> str:
    """*url* with *base*'s scheme, host and port, and *base*'s path before its own; as it is without *base*."""
    if base is None:
        return url
    to, of = urlsplit(base), urlsplit(url)
    return f"{to.scheme}://{to.netloc}{to.path.rstrip('/')}{of.path}{f'?{of.query}' if of.query else ''}"


class SocketPool:
    """The connections to one exchange. *ws_url*: scheme, host and port instead of its own."""

    def __init__(self, exchange: Exchange, *, ws_url: str | None = None, clock: Clock | None = None) -> None:
        self._exchange = exchange
        self._ws_url = ws_url
        self._clock: Clock = clock or SystemClock()
        self._open: list[Shared] = []
        self._ending: set[Shared] = set()
        limits = exchange.connections
        self._turns = Turns(limits, self._clock)
        self._messages = Pace(limits.messages) if limits.by_address else None
        self._away: dict[str, tuple[float, SocketClosed]] = {}
        self._failures: dict[str, int] = {}
        self._failed = 0
        self._bytes = self._messages_read = 0  # of connections that have ended
        self._closed = False

    def __repr__(self) -> str:
        return f"<SocketPool {self._exchange.id} connections={len(self._open)}>"

    def statistics(self) -> dict[str, Any]:
        """Connections tried and failed, bytes and messages read since the start, and each present one's counters."""
        connections = [shared.statistics() for shared in self._open]
        sockets = [one.get("socket", {}) for one in connections]
        return {
            "opens": self._turns.given,
            "failed": self._failed,
            "bytes": self._bytes + sum(socket.get("bytes", 0) for socket in sockets),
            "messages": self._messages_read + sum(socket.get("messages", 0) for socket in sockets),
            "connections": connections,
        }

    async def join(self, protocol: StreamProtocol, changed: asyncio.Event) -> Line:
        """A line of a connection that has room for *protocol*'s stream, once it is open. Raises SocketClosed.

        All that come while a connection is being opened wait for that one. *changed* is set when the line has news.
        """
        if self._closed:
            raise SocketClosed(CloseCode.GOING_AWAY, "closed by us")
        url, now = rebase(protocol.url, self._ws_url), self._clock.now()
        shared = next((one for one in self._open if one.url == url and one.has_room(protocol.topic)), None)
        if shared is None:
            for where in (url, _EVERYWHERE):
                until, told = self._away.get(where, (now, None))
                if until > now and told is not None:
                    raise SocketClosed(told.code, told.reason, until - now)
            shared = Shared(url, self._exchange, self._clock, self._gone, self._messages)
            self._open.append(shared)
            shared.open(self._turns.take)
        line = shared.seat(protocol, changed)
        try:
            await shared.ready()
        except BaseException:
            shared.leave(line, unsubscribe=False)
            raise
        self._failures.pop(url, None)
        return line

    async def aclose(self) -> None:
        """Close all connections, at once; nobody unsubscribes."""
        self._closed = True
        for shared in [*self._open]:
            shared.end(SocketClosed(CloseCode.NORMAL_CLOSURE, "closed by us"))
        async with anyio.create_task_group() as group:
            for shared in [*self._ending]:
                group.start_soon(shared.closing)

    def _gone(self, shared: Shared, closed: SocketClosed) -> None:
        self._open.remove(shared)
        socket = shared.statistics().get("socket", {})
        self._bytes += socket.get("bytes", 0)
        self._messages_read += socket.get("messages", 0)
        self._ending.add(shared)
        shared.then(lambda: self._ending.discard(shared))
        if shared.was_open or closed.code == CloseCode.NORMAL_CLOSURE:
            return
        self._failed += 1
        failures, now = self._failures.get(shared.url, 0), self._clock.now()
        self._failures[shared.url] = failures + 1
        # Each stream has a backoff of its own: fifty of them would try fifty times as often as one.
        self._away[shared.url] = (now + _COOLING.delay(failures, 0.0), closed)
        if closed.retry_after:
            # The limit counts by address: what one is told, all must do.
            self._away[_EVERYWHERE] = (now + closed.retry_after, closed)


Pool: TypeAlias = SocketPool | ProPool
AnyLine: TypeAlias = Line | ProLine


class SocketPools:
    """One pool for each exchange that is asked for; *urls*: by exchange id, as configured.

    Those without a folder here go through ccxt.pro, and its requests through *rests*.
    """

    def __init__(
        self, urls: Mapping[str, str] | None = None, *, rests: RestPool | None = None, clock: Clock | None = None
    ) -> None:
        self._urls = dict(urls or {})
        self._rests = rests or RestPool(clock=clock)
        self._clock = clock
        self._pools: dict[str, Pool] = {}

    def __repr__(self) -> str:
        return f"<SocketPools {list(self._pools.values())}>"

    def get(self, exchange: Exchange) -> Pool:
        """The one pool of *exchange*."""
        id, ws_url = exchange.id, self._urls.get(exchange.id)
        if id not in self._pools:
            self._pools[id] = (
                ProPool(exchange, self._rests.get(id), ws_url=ws_url, clock=self._clock)
                if isinstance(exchange, Unified)
                else SocketPool(exchange, ws_url=ws_url, clock=self._clock)
            )
        return self._pools[id]

    def change(self, exchange: str, ws_url: str | None) -> Pool | None:
        """Connect to *exchange* at *ws_url* from now on. Returns the pool that there was: to be closed when no stream
        has a line of it."""
        self._urls.pop(exchange, None)
        if ws_url is not None:
            self._urls[exchange] = ws_url
        return self._pools.pop(exchange, None)

    def statistics(self) -> dict[str, Any]:
        """Each exchange's."""
        return {exchange: pool.statistics() for exchange, pool in self._pools.items()}

    async def aclose(self) -> None:
        """Close them all, at once."""
        async with anyio.create_task_group() as group:
            for pool in self._pools.values():
                group.start_soon(pool.aclose)
