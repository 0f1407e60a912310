"""One stream's share of ccxt.pro: what that returns and keeps flows in, frames for the stream flow out.

Nothing is dropped between the two: trades are taken from where ccxt.pro puts them, one by one; of bars and books the
newest state is all there is to know, and a return so full that older bars may have been pushed out says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Protocol

from websockets.frames import CloseCode

from dccd.errors import SocketClosed
from dccd.exchanges.base import StreamProtocol
from dccd.exchanges.unified.frames import Refusal, Sent, Watch, watch_of
from dccd.feeds import trim
from dccd.feeds.pro_client import ASKING, CACHE
from dccd.feeds.socket import Read
from dccd.feeds.timing import Clock

__all__ = ["METHODS", "ProLine", "lost"]

QUEUE_BYTES = 16 * 1024 * 1024
"""What may wait for one stream. ccxt.pro can't be held back, so one that lags so far behind loses its line."""
METHODS = {
    "watchTrades": ("watch_trades", "un_watch_trades", "unWatchTrades"),
    "watchOHLCV": ("watch_ohlcv", "un_watch_ohlcv", "unWatchOHLCV"),
    "watchOrderBook": ("watch_order_book", "un_watch_order_book", "unWatchOrderBook"),
}
"""What Python calls a method, and the one that ends it, with its name in ``has``."""
# Kinds of ccxt's errors: asking again is no use; the connection is dead, though ccxt.pro may still hold it.
_PERMANENT = {"BadSymbol", "NotSupported", "BadRequest", "ArgumentsRequired", "AuthenticationError"}
_DEAD = {"NetworkError", "RequestTimeout", "ExchangeNotAvailable"}


def lost(reason: str) -> SocketClosed:
    """The end of a line that nobody wanted."""
    return SocketClosed(CloseCode.ABNORMAL_CLOSURE, reason)


class Host(Protocol):
    """What a line asks of the object of ccxt.pro's that it shares."""

    api: Any

    def statistics(self) -> dict[str, Any]:
        """Its counters."""
        ...

    def ping(self, urls: set[str]) -> None:
        """A ping on each connection."""
        ...

    def last_message(self, urls: set[str]) -> float:
        """When one of them gave a message last (monotonic)."""
        ...

    def waits(self, urls: set[str]) -> bool:
        """Whether one of them waits until it may be opened."""
        ...

    def break_off(self, urls: set[str], reason: str) -> None:
        """End these connections."""
        ...

    async def leave(self, line: ProLine, unsubscribe: bool) -> None:
        """*line*'s stream takes no more part."""
        ...


class ProLine:
    """One stream's share of ccxt.pro. *changed* is set whenever there is something new."""

    lane = 1

    def __init__(self, host: Host, protocol: StreamProtocol, changed: asyncio.Event, clock: Clock) -> None:
        self.protocol = protocol
        self.unsent = 0
        """1 while the subscription waits to be sent."""
        self.spoke = False
        self.last_own: float | None = None
        """When there was data last (monotonic)."""
        self.urls: set[str] = set()
        self.watch: Watch | None = None
        self._host = host
        self._changed = changed
        self._clock = clock
        self._joined = clock.now()
        self._reads: list[Read] = []
        self._queued = self._count = 0
        self._trades: list[Any] = []
        self._tapped = False
        self._task: asyncio.Task[None] | None = None
        self._closed: SocketClosed | None = None

    def __repr__(self) -> str:
        return f"<ProLine {self.protocol.topic} of {self._host!r}>"

    def statistics(self) -> dict[str, Any]:
        """Counters, and those of ccxt.pro."""
        own = {"lane": self.lane, "frames": self._count, "queued_bytes": self._queued, "unsent": self.unsent}
        return {**own, "connection": self._host.statistics()}

    # ------------------------------------------------------------ for the session

    def take(self) -> list[Read]:
        """All that has come since the last call. Raises SocketClosed once all was taken and no more comes."""
        if self._trades:
            self._flush()
        if self._reads:
            reads, self._reads, self._queued = self._reads, [], 0
            return reads
        if self._closed is not None:
            raise self._closed
        return []

    def send(self, frames: list[str]) -> None:
        """Do what they ask: watch something. ``unsent`` is 0, and *changed* set, once the exchange was told."""
        for frame in frames:
            watch = watch_of(frame)
            if watch is None or self._task is not None or self._closed is not None:
                continue
            self.watch = watch
            self.unsent = 1
            self._task = asyncio.create_task(self._run(watch), name=f"watch {self.protocol.topic}")

    def ping(self) -> None:
        """Send a ping; what comes of it shows in ``last_read``."""
        self._host.ping(self.urls)

    @property
    def last_read(self) -> float:
        """When a connection of this stream last gave a message, or pong (monotonic). Now, while one waits."""
        if self._host.waits(self.urls):
            return self._clock.now()
        return max(self._joined, self._host.last_message(self.urls))

    @property
    def spoke_at(self) -> float:
        """As ``last_frame``."""
        return self.last_frame

    @property
    def last_frame(self) -> float:
        """The same: ccxt.pro doesn't tell more."""
        return self.last_read

    def give_up(self, reason: str) -> None:
        """The connection is dead: end it for all that share it."""
        self._host.break_off(self.urls, reason)
        self.end(lost(reason))

    async def aclose(self, *, unsubscribe: bool = True) -> None:
        """Leave; ccxt.pro goes on for others, and is closed when this is the last. Safe to call twice."""
        self.end(SocketClosed(CloseCode.NORMAL_CLOSURE, "closed by us"))
        await self._host.leave(self, unsubscribe)

    # ------------------------------------------------------------ for ccxt.pro

    def uses(self, url: str) -> None:
        """This stream is served by that connection."""
        self.urls.add(url)

    def sent(self) -> None:
        """The subscription was sent, or stands already."""
        if self.unsent and self._closed is None:
            self.unsent = 0
            self.spoke = True
            self._put(trim.encode(Sent()), data=False)

    def trade(self, found: Any) -> None:
        """ccxt.pro has a new trade; those of one turn of the event loop are one frame."""
        self._tapped = True
        if self._closed is not None:
            return
        if not self._trades:
            asyncio.get_running_loop().call_soon(self._flush)
        self._trades.append(found)

    def unread(self, message: Any, error: Exception) -> None:
        """ccxt.pro failed over a message of this stream's connection, which may have been for this one."""
        if self._is_book:
            self.end(lost(f"ccxt.pro failed over a message: {type(error).__name__}: {error}"))
            return
        with contextlib.suppress(TypeError, ValueError):
            self._put(trim.encode({"type": "unread", "error": f"{type(error).__name__}: {error}", "message": message}))

    def end(self, closed: SocketClosed) -> None:
        """Nothing comes any more."""
        if self._closed is None:
            self._flush()
            self._closed = closed
            self._changed.set()
            if self._task is not None and self._task is not asyncio.current_task():
                self._task.cancel()

    # ------------------------------------------------------------ inner

    @property
    def _is_book(self) -> bool:
        return self.watch is not None and self.watch.method == "watchOrderBook"

    async def _run(self, watch: Watch) -> None:
        ASKING.set(self)
        arguments = [watch.symbol, *([watch.timeframe] if watch.timeframe else [])]
        task = asyncio.current_task()
        try:
            method = getattr(self._host.api, METHODS[watch.method][0])
            while self._closed is None:
                # Between two calls nothing is awaited: what comes meanwhile counts as new for the second one.
                self._got(watch, await method(*arguments))
                if self._queued > QUEUE_BYTES // 2:
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            if task is not None and task.cancelling():
                raise
            self.end(lost("ccxt.pro closed the connection"))  # it cancels what is awaited then
        except Exception as exc:
            self._failed(exc)

    def _got(self, watch: Watch, found: Any) -> None:
        """What ``watch_…`` has returned; nothing of it may be kept, since ccxt.pro goes on changing it."""
        self.sent()
        if self._is_book:
            frame = trim.encode({"type": "book", "book": trim.book(found, watch.depth)})
            # A later view of a book says all that an earlier one does.
            self._put(frame, instead=bool(self._reads) and self._reads[-1][1][-1].startswith(b'{"type":"book"'))
        elif watch.method == "watchOHLCV":
            if found:
                rows = trim.bars(found)
                self._put(trim.encode({"type": "bars", "bars": rows, "dropped": len(rows) >= CACHE}))
        elif found and not self._tapped:
            # No tap where this exchange's class keeps its trades: what it returns are the newest that its cache holds.
            newest = trim.trades(found)
            self._put(trim.encode({"type": "trades", "trades": newest, "dropped": len(newest) >= CACHE}))

    def _flush(self) -> None:
        if self._trades:
            trades, self._trades = self._trades, []
            self.sent()
            self._put(trim.encode({"type": "trades", "trades": trim.trades(trades)}))

    def _put(self, frame: bytes, *, instead: bool = False, data: bool = True) -> None:
        if self._closed is not None:
            return
        if instead:
            self._queued -= len(self._reads.pop()[1][-1])
        self._reads.append((self._clock.wall_ns(), [frame]))
        self._queued += len(frame)
        self._count += 1
        if data:
            self.last_own = self._clock.now()
        self._changed.set()
        if self._queued > QUEUE_BYTES:
            self._reads, self._queued = [], 0
            self.end(lost("fell behind ccxt.pro, which can't be held back"))

    def _failed(self, exc: Exception) -> None:
        """ccxt's exception ends this line: by a refusal, if nothing has come yet and asking again is no use."""
        words = str(exc)[:600] or type(exc).__name__
        if self.last_own is None and _PERMANENT & {kind.__name__ for kind in type(exc).__mro__}:
            self._put(trim.encode(Refusal(words, permanent=True)), data=False)
        elif type(exc).__name__ in _DEAD:
            self._host.break_off(self.urls, words)
        self.end(lost(words))
