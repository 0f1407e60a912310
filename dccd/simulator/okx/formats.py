"""OKX's JSON of trades, candles, books and what contracts have: runs of a market flow in, text flows out. Pure.

Formats: www.okx.com/docs-v5/en, "Market Data" and "Public Data". Numbers are text without trailing zeros. Sizes of
contracts are counted in those.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from dccd.simulator.aggregate import Aggregate
from dccd.simulator.book import Levels
from dccd.simulator.derivatives import RATE_DECIMALS
from dccd.simulator.market import Run
from dccd.simulator.okx.names import MS, inst_id, inst_type
from dccd.simulator.venue import Encoder, Listing, fixed
from dccd.symbols import NS

__all__ = ["Formats", "Volumes"]

_DAY = 86_400 * NS

Volumes = tuple[str, str, str]
"""A volume in contracts (base asset on spot), in base asset (quote asset on spot), and in quote asset."""


def _plain(decimals: int) -> Encoder:
    """Text of a whole number of ``10**-decimals`` without trailing zeros."""
    full, known = fixed(decimals), dict[int, str]()

    def encode(value: int) -> str:
        text = known.get(value)
        if text is None:
            if len(known) > 100_000:
                known.clear()
            text = full(value)
            text = known[value] = text.rstrip("0").rstrip(".") if decimals else text
        return text

    return encode


class Formats:
    """The JSON of one market's data."""

    def __init__(self, listing: Listing, first_id: int, at: int) -> None:
        pair = listing.instrument
        self.listing = listing
        self.id = inst_id(pair.symbol, at)
        """As ``BTC-USDT-SWAP``."""
        self.type = inst_type(pair.symbol)
        self._first_id = first_id
        self._pair = pair
        self._spot = not pair.symbol.contract
        self.price = _plain(pair.price_decimals)
        self._lots = _plain(pair.amount_decimals)
        self._quote = _plain(pair.price_decimals + pair.amount_decimals)

    def size(self, lots: int) -> str:
        """A size: base asset on spot, else contracts."""
        return self._lots(lots) if self._spot else str(lots // self._pair.contract)

    def volumes(self, volume: int, quote: int) -> Volumes:
        """From the sums of lots and of ticks × lots."""
        if self._spot:
            return self._lots(volume), self._quote(quote), self._quote(quote)
        if not self._pair.inverse:
            return self.size(volume), self._lots(volume), self._quote(quote)
        base, _ = self._pair.volumes(volume, quote)
        return self.size(volume), f"{Decimal(repr(base)):f}", self._lots(volume)

    # ------------------------------------------------------------ trades

    def trades(self, runs: Iterable[Run]) -> list[str]:
        """Each match by itself, oldest first, as in ``trades-all`` and ``history-trades``."""
        out: list[str] = []
        inst, price_of, size_of = self.id, self.price, self.size
        for first, start, price, ticks in runs:
            for number, (offset, step, lots, sell) in enumerate(ticks, first + self._first_id):
                out.append(
                    f'{{"instId":"{inst}","tradeId":"{number}","px":"{price_of(price + step)}",'
                    f'"sz":"{size_of(lots)}","side":"{"sell" if sell else "buy"}","source":"0",'
                    f'"ts":"{(start + offset) // MS}"}}'
                )
        return out

    def summed_trades(self, run: Run) -> list[str]:
        """Matches of one taker's order at one price under the id of the last one, as in ``trades``."""
        out: list[str] = []
        begin, ticks = 0, run.ticks
        for n in range(1, len(ticks) + 1):
            one = ticks[begin]
            if n < len(ticks) and (ticks[n].offset // 1000, ticks[n].step, ticks[n].sell) == (
                one.offset // 1000,
                one.step,
                one.sell,
            ):
                continue
            number = run.first + self._first_id + n - 1
            out.append(
                f'{{"instId":"{self.id}","tradeId":"{number}","px":"{self.price(run.price + one.step)}",'
                f'"sz":"{self.size(sum(tick.lots for tick in ticks[begin:n]))}",'
                f'"side":"{"sell" if one.sell else "buy"}","ts":"{(run.start + one.offset) // MS}",'
                f'"count":"{n - begin}","source":"0","seqId":{number * 3}}}'
            )
            begin = n
        return out

    # ------------------------------------------------------------ candles

    def candle(self, start: int, bar: Aggregate, *, complete: bool) -> str:
        """``[ts,o,h,l,c,vol,volCcy,volCcyQuote,confirm]``."""
        prices = '","'.join(map(self.price, (bar.open, bar.high, bar.low, bar.close)))
        volumes = '","'.join(self.volumes(bar.volume, bar.quote))
        return f'["{start // MS}","{prices}","{volumes}","{int(complete)}"]'

    # ------------------------------------------------------------ books

    def book(self, bids: Levels, asks: Levels, at: int) -> str:
        """``asks``, ``bids`` and ``ts``, without the braces. How many orders there are at a price is made up."""
        return f'"asks":{self._levels(asks)},"bids":{self._levels(bids)},"ts":"{at // MS}"'

    def _levels(self, levels: Levels) -> str:
        price, size = self.price, self.size
        rows = [f'["{price(at)}","{size(lots)}","0","{1 + lots % 9 if lots else 0}"]' for at, lots in levels]
        return f"[{','.join(rows)}]"

    # ------------------------------------------------------------ tickers and what contracts have

    def ticker(self, now: int) -> dict[str, str]:
        """The touch and the day's statistics."""
        market, price = self.listing.market, self.price
        day = market.bar(now - _DAY, now + 1)
        ((bid, bid_lots),), ((ask, ask_lots),) = self.listing.book.levels(self.listing.book.step(now), 1)
        size, currency, _ = self.volumes(day.volume, day.quote)
        return {
            "instType": self.type,
            "instId": self.id,
            "last": price(day.close),
            "lastSz": self.size(self._pair.contract),
            "askPx": price(ask),
            "askSz": self.size(ask_lots),
            "bidPx": price(bid),
            "bidSz": self.size(bid_lots),
            "open24h": price(day.open),
            "high24h": price(day.high),
            "low24h": price(day.low),
            "sodUtc0": price(market.price(market.index(now - now % _DAY) - 1)),
            "sodUtc8": price(market.price(market.index(now - now % _DAY) - 1)),
            "volCcy24h": currency,
            "vol24h": size,
            "ts": str(now // MS),
        }

    def mark_price(self, now: int) -> dict[str, str]:
        """The mark price."""
        mark = self.price(self.listing.derivative.mark(now))
        return {"instType": self.type, "instId": self.id, "markPx": mark, "ts": str(now // MS)}

    def funding(self, now: int) -> dict[str, str]:
        """The rate announced for the next payment, and the one that was paid last."""
        derivative = self.listing.derivative
        predicted, interval = derivative.predicted(now), derivative.interval
        paid = derivative.settlements(predicted.due - interval, predicted.due)
        return {
            "formulaType": "withRate",
            "fundingRate": f"{predicted.rate:.{RATE_DECIMALS}f}",
            "fundingTime": str(predicted.due // MS),
            "impactValue": "20000",
            "instId": self.id,
            "instType": self.type,
            "interestRate": "0.0001",
            "maxFundingRate": "0.00375",
            "method": "current_period",
            "minFundingRate": "-0.00375",
            "nextFundingRate": "",
            "nextFundingTime": str((predicted.due + interval) // MS),
            "premium": "0.0000746604960499",
            "settFundingRate": f"{paid[0].rate:.{RATE_DECIMALS}f}" if paid else "",
            "settState": "settled",
            "ts": str(now // MS),
        }

    def interest(self, at: int) -> Volumes:
        """The open interest in contracts, in base asset and in USD (which each quote asset is worth one of)."""
        derivative = self.listing.derivative
        lots = derivative.open_lots(at)
        return self.volumes(lots, lots * derivative.mark(at))
