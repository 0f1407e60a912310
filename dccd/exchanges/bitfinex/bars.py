"""Live bars of Bitfinex: messages of channel ``candles`` flow in, bars flow out, each closed one once.

Bitfinex sends the state of the present bar as it changes and never says that one is closed.
https://docs.bitfinex.com/reference/ws-public-candles
"""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Signal
from dccd.exchanges.bitfinex.frames import EXCHANGE, BitfinexStream
from dccd.exchanges.bitfinex.symbols import candle_key
from dccd.exchanges.open_bars import OpenBars, check_bar
from dccd.exchanges.wire import MS, Amount, Decoder, Id, Millis, Price
from dccd.records import Bar, Record

__all__ = ["BarStream", "Candle", "make_bar"]


class Candle(msgspec.Struct, array_like=True, gc=False):
    """One bar, on WebSocket and REST; mind the order of the prices."""

    ms: Millis
    open: Price
    close: Price
    high: Price
    low: Price
    volume: Amount


class _Update(msgspec.Struct, array_like=True, gc=False):
    """``[343351,[1574698260000,7379.785,7383.8,7388.3,7379.785,1.68829482],2,1574698290000]``"""

    chan: Id
    candle: Candle


class _Snapshot(msgspec.Struct, array_like=True, gc=False):
    chan: Id
    candles: list[Candle]


_UPDATE: Decoder[_Update] = Decoder(EXCHANGE, _Update)
_SNAPSHOT: Decoder[_Snapshot] = Decoder(EXCHANGE, _Snapshot)


class BarStream(BitfinexStream):
    """Channel ``candles``. Its snapshot completes the bar that is open when the subscription begins.

    Bars of the snapshot that were closed by then are history's, and aren't given out here.
    """

    channel = "candles"

    def __init__(self, market: str, span: int) -> None:
        super().__init__({"key": candle_key(market, span)})
        self._bars = OpenBars(span)

    def take(self, frame: bytes, recv_ts: int, out: list[Record]) -> Signal | None:
        """Take the states of some bars. Raises what decoders do, or ValueError."""
        at = frame.find(b",") + 1
        if frame[at : at + 2] in (b"[[", b"[]"):
            snapshot = _SNAPSHOT.raw.decode(frame)
            if snapshot.chan == self._chan:
                bars = sorted((make_bar(candle, recv_ts) for candle in snapshot.candles), key=lambda bar: bar.ts)
                for bar in bars:
                    if not self._bars.is_over(bar, recv_ts):
                        self._bars.take(bar, out)
            return None
        update = _UPDATE.raw.decode(frame)
        if update.chan == self._chan:
            self._bars.take(make_bar(update.candle, recv_ts), out)
        return None

    def tick(self, now: int, out: list[Record]) -> Signal | None:
        """Close the present bar when its end has passed."""
        self._bars.tick(now, out)
        return None


def make_bar(row: Candle, recv_ts: int | None = None) -> Bar:
    """The record of it; open when it was received live. Raises ValueError."""
    values = (row.open, row.high, row.low, row.close, row.volume)
    return check_bar(Bar(row.ms * MS, *values, recv_ts=recv_ts, closed=recv_ts is None))
