"""Binance's JSON of trades, klines and books: runs of a market flow in, text flows out. Pure.

Formats: developers.binance.com, spot, "REST API" and "WebSocket Streams"; what futures have otherwise is in
``futures_formats``. An aggregate trade here holds one trade. Its
id and the trade's differ, as they do on Binance, so that a client that mixes them up is found out.
"""

from __future__ import annotations

from collections.abc import Iterable

from dccd.simulator.aggregate import Aggregate
from dccd.simulator.book import Levels
from dccd.simulator.intervals import Interval
from dccd.simulator.market import Run
from dccd.simulator.venue import Listing, fixed, picture

__all__ = ["MS", "TRADE_ID", "Formats"]

MS = 1_000_000
"""Nanoseconds in a millisecond."""

TRADE_ID = 1_000_000
"""What a trade's id exceeds its aggregate trade's by."""


class Formats:
    """The JSON of one symbol's data."""

    shown: int | None = 8
    """How many decimals are written, whatever the tick; ``None``: as many as the tick has."""

    def __init__(self, listing: Listing, first_id: int) -> None:
        pair = listing.instrument
        self.id = pair.symbol.base + pair.symbol.quote
        """As ``BTCUSDT``."""
        self.first_id = first_id
        self._listing = listing
        self.price = fixed(pair.price_decimals, self.shown)
        self.amount = fixed(pair.amount_decimals, self.shown)
        self.quote = fixed(pair.price_decimals + pair.amount_decimals, self.shown)
        self._units = 10**pair.price_decimals, 10**pair.amount_decimals
        price, amount = picture(pair.price_decimals, self.shown), picture(pair.amount_decimals, self.shown)
        quote = picture(pair.price_decimals + pair.amount_decimals, self.shown)
        # One format a row: at hundreds of thousands of bars a second a call a field shows.
        self._kline = (
            f'[%d,"{price}","{price}","{price}","{price}","{amount}",%d,"{quote}",%d,"{amount}","{quote}","0"]'
        )

    # ------------------------------------------------------------ trades

    def agg_frames(self, runs: Iterable[Run]) -> list[str]:
        """``aggTrade`` stream payloads."""
        out: list[str] = []
        symbol, price_of, amount_of = self.id, self.price, self.amount
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + self.first_id):
                at = (start + offset) // MS
                out.append(
                    f'{{"e":"aggTrade","E":{at + 1},"s":"{symbol}","a":{id},"p":"{price_of(price + step)}",'
                    f'"q":"{amount_of(lots)}","f":{id + TRADE_ID},"l":{id + TRADE_ID},"T":{at},'
                    f'"m":{"true" if sell else "false"},"M":true}}'
                )
        return out

    def trade_frames(self, runs: Iterable[Run]) -> list[str]:
        """``trade`` stream payloads."""
        out: list[str] = []
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + self.first_id + TRADE_ID):
                at = (start + offset) // MS
                out.append(
                    f'{{"e":"trade","E":{at + 1},"s":"{self.id}","t":{id},"p":"{self.price(price + step)}",'
                    f'"q":"{self.amount(lots)}","T":{at},"m":{"true" if sell else "false"},"M":true}}'
                )
        return out

    def agg_rows(self, runs: Iterable[Run]) -> list[str]:
        """Elements of ``/api/v3/aggTrades``."""
        out: list[str] = []
        price_of, amount_of = self.price, self.amount
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + self.first_id):
                out.append(
                    f'{{"a":{id},"p":"{price_of(price + step)}","q":"{amount_of(lots)}","f":{id + TRADE_ID},'
                    f'"l":{id + TRADE_ID},"T":{(start + offset) // MS},"m":{"true" if sell else "false"},"M":true}}'
                )
        return out

    def trade_rows(self, runs: Iterable[Run]) -> list[str]:
        """Elements of ``/api/v3/trades`` and ``historicalTrades``."""
        out: list[str] = []
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + self.first_id + TRADE_ID):
                out.append(
                    f'{{"id":{id},"price":"{self.price(price + step)}","qty":"{self.amount(lots)}",'
                    f'"quoteQty":"{self.quote((price + step) * lots)}","time":{(start + offset) // MS},'
                    f'"isBuyerMaker":{"true" if sell else "false"},"isBestMatch":true}}'
                )
        return out

    # ------------------------------------------------------------ bars

    def kline_rows(self, starts: list[int], ends: list[int], bars: list[Aggregate]) -> list[str]:
        """Elements of ``/api/v3/klines``."""
        price, lot = self._units
        value = price * lot
        form = self._kline
        return [
            form
            % (
                start // MS,
                *divmod(opened, price),
                *divmod(high, price),
                *divmod(low, price),
                *divmod(close, price),
                *divmod(volume, lot),
                end // MS - 1,
                *divmod(quote, value),
                trades,
                *divmod(buys, lot),
                *divmod(buy_quote, value),
            )
            for start, end, (opened, high, low, close, volume, quote, trades, buys, buy_quote) in zip(
                starts, ends, bars, strict=True
            )
        ]

    def kline_frame(self, interval: Interval, start: int, end: int, now: int, closed: bool) -> str:
        """A ``kline`` stream payload: the bar of ``[start, end)`` as it stands at *now*."""
        market = self._listing.market
        first, last = market.index(start), market.index(end if closed else now + 1)
        bar = market.aggregate(first, last)
        ids = (first + self.first_id + TRADE_ID, last - 1 + self.first_id + TRADE_ID) if bar.trades else (-1, -1)
        return (
            f'{{"e":"kline","E":{now // MS},"s":"{self.id}","k":{{"t":{start // MS},"T":{end // MS - 1},'
            f'"s":"{self.id}","i":"{interval.name}","f":{ids[0]},"L":{ids[1]},"o":"{self.price(bar.open)}",'
            f'"c":"{self.price(bar.close)}","h":"{self.price(bar.high)}","l":"{self.price(bar.low)}",'
            f'"v":"{self.amount(bar.volume)}","n":{bar.trades},"x":{"true" if closed else "false"},'
            f'"q":"{self.quote(bar.quote)}","V":"{self.amount(bar.buy_volume)}","Q":"{self.quote(bar.buy_quote)}",'
            f'"B":"0"}}}}'
        )

    # ------------------------------------------------------------ book

    def levels(self, levels: Levels) -> str:
        """``[["price","amount"],…]``."""
        return "[" + ",".join([f'["{self.price(price)}","{self.amount(lots)}"]' for price, lots in levels]) + "]"

    def depth_frame(self, at: int, first: int, last: int, bids: Levels, asks: Levels) -> str:
        """A ``depthUpdate`` payload with update ids from *first* to *last*."""
        return (
            f'{{"e":"depthUpdate","E":{at // MS},"s":"{self.id}","U":{first},"u":{last},'
            f'"b":{self.levels(bids)},"a":{self.levels(asks)}}}'
        )

    def depth_body(self, at: int, last: int, bids: Levels, asks: Levels) -> str:
        """The answer of ``/api/v3/depth``, which doesn't tell the time *at* which the book was so."""
        return f'{{"lastUpdateId":{last},"bids":{self.levels(bids)},"asks":{self.levels(asks)}}}'

    def partial_frame(self, at: int, first: int, last: int, bids: Levels, asks: Levels) -> str:
        """The payload of a partial depth stream: the same."""
        return self.depth_body(at, last, bids, asks)

    def ticker_frame(self, at: int, last: int, bid: tuple[int, int], ask: tuple[int, int]) -> str:
        """A ``bookTicker`` payload."""
        return f'{{"u":{last},"s":"{self.id}",{self._touch(bid, ask)}}}'

    def _touch(self, bid: tuple[int, int], ask: tuple[int, int]) -> str:
        price, amount = self.price, self.amount
        return f'"b":"{price(bid[0])}","B":"{amount(bid[1])}","a":"{price(ask[0])}","A":"{amount(ask[1])}"'
