"""BitMEX's JSON of trades, bars, books and instruments: a market's integers flow in, text flows out. Pure.

Rows are the same on REST and on the WebSocket. Sizes are in contracts, times cut to milliseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

from dccd.simulator.aggregate import Aggregate
from dccd.simulator.bitmex.names import asset, contract_id, is_inverse, settled_in
from dccd.simulator.expiries import expiry
from dccd.simulator.market import Run
from dccd.simulator.venue import Listing, fixed
from dccd.symbols import NS

__all__ = ["HOUR", "MS", "Formats", "dumps", "iso", "trade_id"]

MS = 1_000_000
HOUR = 3600 * NS


def iso(time: int) -> str:
    """``2024-05-01T12:00:00.123Z``."""
    seconds, rest = divmod(time, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // MS:03d}Z"


def trade_id(number: int) -> str:
    """A GUID of the shape that BitMEX's are of."""
    return f"00000000-006d-1000-0000-{number:012x}"


class Formats:
    """The JSON of one contract's data."""

    def __init__(self, listing: Listing, first_id: int, at: int, interval: int) -> None:
        self.listing = listing
        self.id = contract_id(listing.symbol, at)
        self._interval = interval
        self._pair = listing.instrument
        self._expires = None if listing.symbol.contract == "perp" else expiry(listing.symbol.contract, at)
        self._first_id = first_id
        self.price = fixed(self._pair.price_decimals)

    # ------------------------------------------------------------ rows

    def trades(self, runs: Iterable[Run]) -> list[str]:
        """Rows of ``trade``."""
        out: list[str] = []
        pair, price_of, last = self._pair, self.price, 0
        for first, start, price, ticks in runs:
            for number, (offset, step, lots, sell) in enumerate(ticks, first + self._first_id):
                at = price + step
                home, foreign = self._notional(lots, lots * at)
                home = pair.amount(lots, at)
                direction = "ZeroPlusTick" if at == last else "PlusTick" if at > last else "MinusTick"
                last = at
                out.append(
                    f'{{"timestamp":"{iso(start + offset)}","symbol":"{self.id}","side":"{"Sell" if sell else "Buy"}",'
                    f'"size":{lots},"price":{price_of(at)},"tickDirection":"{direction}",'
                    f'"trdMatchID":"{trade_id(number)}","grossValue":{self._value(home, foreign)},'
                    f'"homeNotional":{home!r},"foreignNotional":{foreign!r},"trdType":"Regular"}}'
                )
        return out

    def bar(self, end: int, before: int, bar: Aggregate) -> str:
        """A row of ``tradeBin1m`` and the like: its time is its *end*, its open the price *before* it began."""
        home, foreign = self._notional(bar.volume, bar.quote)
        price = self.price
        vwap = price(round(bar.quote / bar.volume)) if bar.volume else "null"
        return (
            f'{{"timestamp":"{iso(end)}","symbol":"{self.id}","open":{price(before)},"high":{price(bar.high)},'
            f'"low":{price(bar.low)},"close":{price(bar.close)},"trades":{bar.trades},"volume":{bar.volume},'
            f'"vwap":{vwap},"lastSize":{"100" if bar.trades else "null"},"turnover":{self._value(home, foreign)},'
            f'"homeNotional":{home!r},"foreignNotional":{foreign!r}}}'
        )

    def level(self, price: int, side: str, lots: int, at: int) -> str:
        """A row of ``orderBookL2``; of none (0 lots) without a size. Ids mean nothing, but are a price's own."""
        size = f'"size":{lots},' if lots else ""
        return (
            f'{{"symbol":"{self.id}","id":{62_400_000_000 + price},"side":"{side}",{size}"price":{self.price(price)},'
            f'"timestamp":"{iso(at)}"}}'
        )

    def payment(self, at: int, rate: float) -> str:
        """A row of ``funding``."""
        daily = rate * 24 * HOUR / self._interval
        return (
            f'{{"timestamp":"{iso(at)}","symbol":"{self.id}","fundingInterval":"{iso(_ZERO + self._interval)}",'
            f'"fundingRate":{rate!r},"fundingRateDaily":{daily!r}}}'
        )

    def moving(self, at: int) -> dict[str, object]:
        """Of the row of ``instrument`` what moves, each second anew."""
        derivative, pair = self.listing.derivative, self._pair
        lots, mark = derivative.open_lots(at), derivative.mark_price(at)
        last = self.listing.market.price(self.listing.market.index(at + 1) - 1)
        found: dict[str, object] = {
            "lastPrice": last / pair.price_unit,
            "openInterest": lots,
            "openValue": self._value(*pair.volumes(lots, lots * derivative.mark(at))),
            "fairPrice": mark,
            "markPrice": mark,
            "indicativeSettlePrice": derivative.index_price(at),
        }
        if self._expires is None:
            rate, due = derivative.predicted(at)
            found |= {"fundingTimestamp": iso(due), "fundingRate": rate, "indicativeFundingRate": rate}
        return found

    def instrument(self, at: int) -> dict[str, object]:
        """The row of ``instrument``."""
        pair, symbol = self._pair, self.listing.symbol
        inverse, (settle, unit) = is_inverse(symbol), settled_in(symbol)
        # What a contract is: ccxt takes it from the first of those that there is.
        linear = {"underlyingToPositionMultiplier": pair.lot_unit // pair.contract, "quoteToSettleMultiplier": unit}
        step = self.listing.book.step(at)
        ((bid, _),), ((ask, _),) = self.listing.book.levels(step, 1)
        day = self.listing.market.bar(at - 24 * HOUR, at + 1)
        home, foreign = self._notional(day.volume, day.quote)
        expiry = None if self._expires is None else iso(self._expires)
        return {
            "symbol": self.id,
            "rootSymbol": asset(symbol.base),
            "state": "Open",
            "typ": "FFWCSX" if expiry is None else "FFCCSX",
            "listing": iso(self.listing.market.opened),
            "front": iso(self.listing.market.opened),
            "expiry": expiry,
            "settle": expiry,
            "positionCurrency": symbol.quote if inverse else asset(symbol.base),
            "underlying": asset(symbol.base),
            "quoteCurrency": symbol.quote,
            "underlyingSymbol": f"{asset(symbol.base)}=",
            "reference": "BMEX",
            "referenceSymbol": f".B{asset(symbol.base)}",
            "maxOrderQty": 10_000_000,
            "maxPrice": 1_000_000,
            "lotSize": pair.contract,
            "tickSize": 1 / pair.price_unit,
            "multiplier": -unit if inverse else pair.contract * unit // pair.lot_unit or 1,
            "settlCurrency": settle,
            **({"underlyingToSettleMultiplier": -unit} if inverse else linear),
            "isQuanto": False,
            "isInverse": inverse,
            "initMargin": 0.01,
            "maintMargin": 0.005,
            "makerFee": 0.0002,
            "takerFee": 0.00075,
            "settlementFee": 0,
            "fundingInterval": iso(_ZERO + self._interval) if expiry is None else None,
            "prevPrice24h": day.open / pair.price_unit,
            "highPrice": day.high / pair.price_unit,
            "lowPrice": day.low / pair.price_unit,
            "volume24h": day.volume,
            "turnover24h": self._value(home, foreign),
            "homeNotional24h": home,
            "foreignNotional24h": foreign,
            "bidPrice": bid / pair.price_unit,
            "midPrice": (bid + ask) / 2 / pair.price_unit,
            "askPrice": ask / pair.price_unit,
            "hasLiquidity": True,
            "markMethod": "FairPrice",
            **self.moving(at),
            "timestamp": iso(at),
        }

    # ------------------------------------------------------------ inner

    def _notional(self, volume: int, quote: int) -> tuple[float, float]:
        """In base and in quote asset."""
        return self._pair.volumes(volume, quote)

    def _value(self, home: float, foreign: float) -> int:
        """In the smallest units of the asset that it is paid in."""
        _, unit = settled_in(self.listing.symbol)
        return round((home if self._pair.inverse else foreign) * unit)


_ZERO = 946_684_800 * NS
"""2000-01-01: intervals are written as a time after that."""


def dumps(value: object) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))
