"""Kraken Futures' JSON of trades, bars, books and tickers: runs of a market flow in, text flows out. Pure.

https://docs.kraken.com/exchange/api-reference/futures-websocket, https://docs.kraken.com/exchange/api-reference/futures-rest
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from dccd.simulator.aggregate import Aggregate
from dccd.simulator.book import Levels
from dccd.simulator.derivatives import RATE_DECIMALS
from dccd.simulator.expiries import expiry
from dccd.simulator.krakenfutures.names import MS, XBT, iso, product_id, uuid
from dccd.simulator.market import Run
from dccd.simulator.venue import Listing, fixed
from dccd.symbols import NS

__all__ = ["Formats"]

_DAY = 86_400 * NS
_SIDES = ("buy", "sell")


class Formats:
    """The JSON of one product's data. Numbers on the WebSocket are numbers; on REST, in charts and executions, text."""

    def __init__(self, listing: Listing, first_id: int, at: int) -> None:
        pair = listing.instrument
        self.id = product_id(pair.symbol, at)
        """As ``PF_XBTUSD``."""
        self.listing = listing
        self._first_id = first_id
        self._expires = 0 if pair.symbol.contract == "perp" else expiry(pair.symbol.contract, at)
        self.price = fixed(pair.price_decimals)
        self.amount = fixed(pair.amount_decimals)

    def _trades(self, runs: Iterable[Run]) -> Iterator[tuple[int, int, str, str, str]]:
        """Number, time in ms, price, size, taker's side."""
        price_of, amount_of = self.price, self.amount
        for first, start, price, ticks in runs:
            for number, (offset, step, lots, sell) in enumerate(ticks, first + self._first_id):
                yield number, (start + offset) // MS, price_of(price + step), amount_of(lots), _SIDES[sell]

    # ------------------------------------------------------------ trades

    def trade_frames(self, runs: Iterable[Run]) -> list[str]:
        """``trade`` frames, a trade each."""
        id = self.id
        return [
            f'{{"feed":"trade","product_id":"{id}","uid":"{uuid(number)}","side":"{side}","type":"fill",'
            f'"seq":{number},"time":{ms},"qty":{size},"price":{price}}}'
            for number, ms, price, size, side in self._trades(runs)
        ]

    def trade_snapshot(self, runs: Iterable[Run]) -> str:
        """A ``trade_snapshot`` frame, the newest trade first."""
        newest = self.trade_frames(runs)[::-1]
        return f'{{"feed":"trade_snapshot","product_id":"{self.id}","trades":[{",".join(newest)}]}}'

    def history_rows(self, runs: Iterable[Run]) -> list[str]:
        """Elements of ``history``, oldest first."""
        return [
            f'{{"time":"{iso(ms * MS)}","trade_id":{number},"price":{price},"size":{size},"side":"{side}",'
            f'"type":"fill","uid":"{uuid(number)}","sequence_id":"{number}"}}'
            for number, ms, price, size, side in self._trades(runs)
        ]

    def executions(self, runs: Iterable[Run]) -> list[str]:
        """Elements of ``executions``, oldest first; the event has an id of its own."""
        out: list[str] = []
        for number, ms, price, size, side in self._trades(runs):
            maker, taker = ("Buy", "Sell") if side == "sell" else ("Sell", "Buy")
            out.append(
                f'{{"uid":"{uuid(~number)}","timestamp":{ms},"event":{{"Execution":{{"execution":{{'
                f'"uid":"{uuid(number)}","makerOrder":{self._order(number * 2, ms - 40, price, size, maker, "Post")},'
                f'"takerOrder":{self._order(number * 2 + 1, ms, price, size, taker, "IoC")},"timestamp":{ms},'
                f'"quantity":"{size}","price":"{price}","markPrice":"{price}","limitFilled":false,'
                f'"usdValue":"{float(size) * float(price):.2f}"}},"takerReducedQuantity":""}}}}}}'
            )
        return out

    def _order(self, number: int, ms: int, price: str, size: str, direction: str, kind: str) -> str:
        return (
            f'{{"uid":"{uuid(number + (1 << 64))}","tradeable":"{self.id}","direction":"{direction}",'
            f'"quantity":"{size}","timestamp":{ms},"limitPrice":"{price}","orderType":"{kind}","reduceOnly":false,'
            f'"lastUpdateTimestamp":{ms}}}'
        )

    # ------------------------------------------------------------ bars

    def candle(self, start: int, bar: Aggregate) -> str:
        """An element of ``candles``."""
        price = self.price
        return (
            f'{{"time":{start // MS},"open":"{price(bar.open)}","high":"{price(bar.high)}","low":"{price(bar.low)}",'
            f'"close":"{price(bar.close)}","volume":"{self.amount(bar.volume)}"}}'
        )

    # ------------------------------------------------------------ books

    def book_snapshot(self, bids: Levels, asks: Levels, seq: int, at: int) -> str:
        """A ``book_snapshot`` frame."""
        return (
            f'{{"feed":"book_snapshot","product_id":"{self.id}","timestamp":{at // MS},"seq":{seq},"tickSize":null,'
            f'"bids":{self._levels(bids)},"asks":{self._levels(asks)}}}'
        )

    def book_frame(self, side: str, price: int, lots: int, seq: int, at: int) -> str:
        """A ``book`` frame."""
        return (
            f'{{"feed":"book","product_id":"{self.id}","side":"{side}","seq":{seq},"price":{self.price(price)},'
            f'"qty":{self.amount(lots)},"timestamp":{at // MS}}}'
        )

    def rest_levels(self, levels: Levels) -> str:
        """A side of ``orderbook``."""
        return "[" + ",".join([f"[{self.price(price)},{self.amount(lots)}]" for price, lots in levels]) + "]"

    def _levels(self, levels: Levels) -> str:
        rows = [f'{{"price":{self.price(price)},"qty":{self.amount(lots)}}}' for price, lots in levels]
        return "[" + ",".join(rows) + "]"

    # ------------------------------------------------------------ tickers

    def money(self, rate: float, at: int) -> float:
        """What a rate comes to for a contract: in USD, or for one of a dollar in the base asset."""
        index = self.listing.derivative.index_price(at)
        return rate / index if self.listing.instrument.inverse else rate * index

    def ticker_frame(self, at: int) -> str:
        """A ``ticker`` frame. Rates that are 0 are left out; all four are missing of contracts that expire."""
        derivative, (statistics, bid, ask) = self.listing.derivative, self._statistics(at)
        frame: dict[str, object] = {"time": at // MS, "product_id": self.id}
        if derivative.perpetual:
            now, due = derivative.predicted(at)
            after, _ = derivative.predicted(due)
            rates = {
                "funding_rate": self.money(now, at),
                "funding_rate_prediction": self.money(after, at),
                "relative_funding_rate": round(now, RATE_DECIMALS),
                "relative_funding_rate_prediction": round(after, RATE_DECIMALS),
            }
            frame |= {name: rate for name, rate in rates.items() if rate}
            frame["next_funding_rate_time"] = due // MS
        frame |= {
            "feed": "ticker",
            "bid": bid[0],
            "ask": ask[0],
            "bid_size": bid[1],
            "ask_size": ask[1],
            "volume": statistics["vol24h"],
            "dtm": max(0, (self._expires - at) // _DAY),
            "leverage": "50x",
            "index": statistics["indexPrice"],
            "premium": 0.0,
            "last": statistics["last"],
            "change": statistics["change24h"],
            "suspended": False,
            "tag": statistics["tag"],
            "pair": statistics["pair"],
            "openInterest": statistics["openInterest"],
            "markPrice": statistics["markPrice"],
            "maturityTime": self._expires // MS,
            "post_only": False,
            "volumeQuote": statistics["volumeQuote"],
            "open": statistics["open24h"],
            "high": statistics["high24h"],
            "low": statistics["low24h"],
        }
        return json.dumps(frame, separators=(",", ":"))

    def ticker(self, at: int) -> dict[str, object]:
        """An element of ``tickers``: here rates are in money only."""
        derivative, (out, bid, ask) = self.listing.derivative, self._statistics(at)
        out |= {"bid": bid[0], "bidSize": bid[1], "ask": ask[0], "askSize": ask[1], "suspended": False}
        if derivative.perpetual:
            now, due = derivative.predicted(at)
            after = derivative.predicted(due).rate
            out |= {"fundingRate": self.money(now, at), "fundingRatePrediction": self.money(after, at)}
        return out

    def _statistics(self, at: int) -> tuple[dict[str, object], tuple[float, float], tuple[float, float]]:
        """Of the day before, and the best bid and ask with their sizes."""
        pair, derivative, market = self.listing.instrument, self.listing.derivative, self.listing.market
        ticks, lots_of = pair.price_unit, pair.lot_unit
        day = market.bar(at - _DAY, at + 1)
        ((bid, bid_lots),), ((ask, ask_lots),) = self.listing.book.levels(self.listing.book.step(at), 1)
        volume = day.volume / lots_of
        out: dict[str, object] = {
            "tag": "perpetual" if derivative.perpetual else "quarter",
            "pair": f"{XBT.get(pair.symbol.base, pair.symbol.base)}:{pair.symbol.quote}",
            "symbol": self.id,
            "markPrice": derivative.mark_price(at),
            "vol24h": volume,
            "volumeQuote": volume if pair.inverse else day.quote / (ticks * lots_of),
            "openInterest": derivative.open_lots(at) / lots_of,
            "open24h": day.open / ticks,
            "high24h": day.high / ticks,
            "low24h": day.low / ticks,
            "last": day.close / ticks,
            "lastTime": iso(market.time(max(0, market.index(at + 1) - 1))),
            "change24h": round((day.close - day.open) * 100 / day.open, 2),
            "indexPrice": derivative.index_price(at),
            "postOnly": False,
        }
        return out, (bid / ticks, bid_lots / lots_of), (ask / ticks, ask_lots / lots_of)
