"""Live bars of BitMEX: rows of ``tradeBin1m`` and its like flow in, closed bars flow out, each once.

A row's time is the end of its bar. The partial has the last bar that was closed.
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Market, Signal
from dccd.exchanges.bitmex.frames import Action, BitmexStream, Frame
from dccd.exchanges.bitmex.symbols import bin_size
from dccd.exchanges.open_bars import ClosedBars
from dccd.exchanges.wire import Amount, Count, Price, iso_ns
from dccd.records import Bar, Record
from dccd.symbols import NS, Dataset

__all__ = ["BarRow", "BarStream", "bars_of"]


class BarRow(msgspec.Struct, gc=False):
    """One bar; ``home`` is its volume in base asset, ``foreign`` in quote asset.

    Before a market's first trade it has no prices.
    """

    timestamp: str
    symbol: str
    trades: Count
    open: Price | None
    high: Price | None
    low: Price | None
    close: Price | None
    home: Amount | None = msgspec.field(name="homeNotional", default=None)
    foreign: Amount | None = msgspec.field(name="foreignNotional", default=None)


class BarStream(BitmexStream[BarRow]):
    """Table ``tradeBin1m``, ``tradeBin5m``, ``tradeBin1h``, ``tradeBin1d``."""

    decoder = msgspec.json.Decoder(Frame[BarRow], strict=False)

    def __init__(self, dataset: Dataset, market: Market) -> None:
        assert dataset.span is not None
        super().__init__(f"tradeBin{bin_size(dataset.span)}", market)
        self._span = dataset.span
        self._bars = ClosedBars(dataset.span)

    def take(self, action: Action, rows: list[BarRow], recv_ts: int, out: list[Record]) -> Signal | None:
        """Take bars that have been closed. Raises ValueError."""
        if action not in ("partial", "insert"):
            raise ValueError(f"{action} of a bar")
        return self._bars.take(bars_of(rows, self._span, recv_ts), out)


def bars_of(rows: list[BarRow], span: int, recv_ts: int | None = None) -> list[Bar]:
    """The bars of rows, by their opening times (ns). Raises ValueError.

    ``open`` is the close of the bar before: it may lie beyond high and low, which only the bar's trades make.
    """
    bars = []
    for row in rows:
        opened, high, low, close = row.open, row.high, row.low, row.close
        if opened is None or high is None or low is None or close is None:
            if row.trades or (opened, high, low, close) != (None,) * 4:
                raise ValueError("a bar without a price")
            continue
        if not low <= close <= high:
            raise ValueError(f"a bar from {low} to {high} that closes at {close}")
        if row.home is None:
            raise ValueError("a bar without homeNotional")
        ts = iso_ns(row.timestamp) - span * NS
        if ts < 0 or ts % (span * NS):
            raise ValueError(f"a bar of {span} s that ends at {row.timestamp}")
        bars.append(Bar(ts, opened, high, low, close, row.home, row.foreign, row.trades, recv_ts))
    return bars
