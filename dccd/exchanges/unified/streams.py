"""Live streams through ccxt.pro: :mod:`frames <dccd.exchanges.unified.frames>` flow in, records and signals flow out.

ccxt.pro never says that an exchange has confirmed a subscription. It counts as confirmed by its first record, or some
seconds after it was sent without a refusal: later than the exchange did, so that no hole seems to end too early.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import msgspec

from dccd.exchanges.base import Broken, Market, Refused, Signal, StreamOptions, StreamProtocol
from dccd.exchanges.book import Book as Levels
from dccd.exchanges.book_output import BookOutput
from dccd.exchanges.open_bars import OpenBars
from dccd.exchanges.stream import TopicStream
from dccd.exchanges.unified.frames import Bars, Book, Frame, Refusal, Sent, Trades, Watch
from dccd.exchanges.unified.rows import bar, levels, trade
from dccd.exchanges.wire import DECODE_ERRORS, MS, raise_parse_error
from dccd.records import Level, Record
from dccd.symbols import NS

__all__ = ["DEFAULT_DEPTH", "PATIENCE", "BarStream", "BookStream", "TradeStream", "changes"]

PATIENCE = 5 * NS
"""How long a refusal may take to come (ns)."""
DEFAULT_DEPTH = 100
"""Levels a side that are kept of a book when the job names no depth, where the exchange sends more."""

_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Frame)
_F = TypeVar("_F", Trades, Bars, Book)
_DROPPED = "more came at once than ccxt's cache holds: some may have been dropped"


class _Stream(TopicStream, StreamProtocol, ABC, Generic[_F]):
    """What the streams share. ccxt.pro sees to it that the connection lives: a market may be as quiet as it is."""

    kind: type[_F]

    def __init__(self, exchange: str, watch: Watch, market: Market) -> None:
        topic = ":".join(filter(None, (watch.method, watch.symbol, watch.timeframe)))
        super().__init__(f"ccxt://{exchange}", topic, heartbeat=float("inf"))
        self._exchange = exchange
        self._watch = watch
        self._market = market
        self._sent_at: int | None = None

    def subscribe(self) -> list[str]:
        """The one request."""
        return [msgspec.json.encode(self._watch).decode()]

    def unsubscribe(self) -> list[str]:
        """Nothing: whoever leaves ccxt.pro is taken off there."""
        return []

    def receive(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take one frame. Raises ParseError."""
        try:
            found = _DECODER.decode(frame)
            if isinstance(found, self.kind):
                return self.take(found, recv_ts, out) or self._confirm()
        except (*DECODE_ERRORS, ValueError) as exc:
            raise_parse_error(self._exchange, exc, frame)
        if isinstance(found, Refusal):
            return Refused(found.message, found.permanent)
        if isinstance(found, Sent):
            self._sent_at = recv_ts
        return None

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """No refusal has come for a while."""
        if self._sent_at is not None and now - self._sent_at >= PATIENCE:
            return self._confirm()
        return None

    @abstractmethod
    def take(self, frame: _F, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take what has come. Raises ValueError, having changed nothing."""


class TradeStream(_Stream[Trades]):
    """``watchTrades``. *ids*: whether history has the same."""

    kind = Trades

    def __init__(self, exchange: str, market: Market, *, ids: bool = True) -> None:
        super().__init__(exchange, Watch("watchTrades", market.id), market)
        self._ids = ids
        self._last_ts: int | None = None

    def take(self, frame: Trades, recv_ts: int, out: list[Record]) -> Signal | None:
        """Trades in the order of their times."""
        found = sorted((trade(row, self._market, recv_ts) for row in frame.trades), key=lambda one: one.ts)
        if not found:
            return None
        if not self._ids:
            found = [msgspec.structs.replace(one, tid=None) for one in found]
        out.extend(found)
        # Not ahead of us: a wrong time would hide what is dropped until then.
        last, self._last_ts = self._last_ts, max(self._last_ts or 0, min(found[-1].ts, recv_ts))
        # One more, since the end isn't part of a hole, and what is missing may share the first one's time.
        return Broken(_DROPPED, last, "none", found[0].ts + 1) if frame.dropped else None


class BarStream(_Stream[Bars]):
    """``watchOHLCV``. Bars that were over when the stream began are history's, and aren't given out here."""

    kind = Bars

    def __init__(self, exchange: str, market: Market, span: int, timeframe: str) -> None:
        super().__init__(exchange, Watch("watchOHLCV", market.id, timeframe), market)
        self._bars = OpenBars(span)
        self._begun = False

    def take(self, frame: Bars, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the states of some bars."""
        for found in [bar(row, recv_ts, closed=False) for row in frame.bars]:
            if self._begun or not self._bars.is_over(found, recv_ts):
                self._begun = True
                self._bars.take(found, out)
        return Broken(_DROPPED, None, "none") if frame.dropped else None

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Close the present bar when its end has passed."""
        self._bars.tick(now, out)
        return super().tick(now, out)


class BookStream(_Stream[Book]):
    """``watchOrderBook``: each frame is the whole book; what changed from one to the next is a delta.

    ``seq`` is the exchange's number where ccxt has one, else the time when a frame came (ns), growing always.
    """

    kind = Book

    def __init__(self, exchange: str, market: Market, options: StreamOptions) -> None:
        depth = options.depth or DEFAULT_DEPTH
        super().__init__(exchange, Watch("watchOrderBook", market.id, depth=depth), market)
        self._book = Levels()
        self._output = BookOutput(self._book, options)
        self._seq = 0

    def take(self, frame: Book, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the book of now."""
        row = frame.book
        bids, asks = levels(row.bids, self._market), levels(row.asks, self._market)
        ts = recv_ts if row.timestamp is None else row.timestamp * MS
        if not self._output.live:
            if not bids and not asks:
                return None  # ccxt has none yet
            self._book.reset(bids, asks)
            if wrong := self._book.wrong:
                return self._broken(wrong)
            self._output.start(ts, self._next(row.nonce, recv_ts), recv_ts, out)
            return None
        was_bids, was_asks = self._book.view()
        changed = self._book.apply(changes(was_bids, bids), changes(was_asks, asks))
        if wrong := self._book.wrong:
            return self._broken(wrong)
        self._output.change(ts, self._next(row.nonce, recv_ts), recv_ts, changed, out)
        return None

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Give out a snapshot that is due."""
        self._output.tick(now, out)
        return super().tick(now, out)

    def _broken(self, wrong: str) -> Broken:
        self._output.stop()
        return Broken(f"ccxt's book {wrong}", self._output.last_ts, "reconnect")

    def _next(self, nonce: int | None, recv_ts: int) -> int:
        # Two views may share a number, and rows are told apart by theirs.
        self._seq = max(self._seq + 1, recv_ts if nonce is None else nonce)
        return self._seq


def changes(before: list[Level], after: list[Level]) -> list[Level]:
    """What makes *before* into *after*: new amounts, 0 where a level is gone."""
    old, new = dict(before), dict(after)
    gone = [(price, 0.0) for price in old if price not in new]
    return gone + [(price, amount) for price, amount in new.items() if old.get(price) != amount]
