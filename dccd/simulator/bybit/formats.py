"""Bybit's JSON of trades, bars, books and tickers: runs of a market flow in, text flows out. Pure.

Formats: bybit-exchange.github.io/docs/v5, "Market" and "WebSocket Stream".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dccd.simulator.aggregate import Aggregate
from dccd.simulator.book import Levels
from dccd.simulator.bybit.names import MS, category, market_id, spot_trade_id, uuid
from dccd.simulator.derivatives import RATE_DECIMALS
from dccd.simulator.expiries import expiry
from dccd.simulator.intervals import Interval
from dccd.simulator.market import Run
from dccd.simulator.venue import Listing, fixed
from dccd.symbols import NS

__all__ = ["Formats", "trade_name"]

_DAY = 86_400 * NS


def trade_name(contract: str) -> Callable[[int], str]:
    """What makes an id of a trade's number, on spot (``""``) or of contracts."""
    return uuid if contract else spot_trade_id


class Formats:
    """The JSON of one market's data."""

    def __init__(self, listing: Listing, first_id: int, at: int) -> None:
        pair = listing.instrument
        self.category = category(pair.symbol)
        self.id = market_id(pair.symbol, at)
        """As ``BTCUSDT``."""
        self.listing = listing
        self._first_id = first_id
        self._name = trade_name(pair.symbol.contract)
        self._expires = expiry(pair.symbol.contract, at) if pair.symbol.contract not in ("", "perp") else 0
        self.price = fixed(pair.price_decimals)
        self.amount = fixed(pair.amount_decimals)
        self.quote = fixed(pair.price_decimals + pair.amount_decimals)

    # ------------------------------------------------------------ trades

    def trade_items(self, runs: Iterable[Run]) -> list[str]:
        """Elements of ``publicTrade`` frames."""
        out: list[str] = []
        symbol, price_of, amount_of, name = self.id, self.price, self.amount, self._name
        for first, start, price, ticks in runs:
            for number, (offset, step, lots, sell) in enumerate(ticks, first + self._first_id):
                out.append(
                    f'{{"T":{(start + offset) // MS},"s":"{symbol}","S":"{"Sell" if sell else "Buy"}",'
                    f'"v":"{amount_of(lots)}","p":"{price_of(price + step)}","L":"{"Minus" if sell else "Plus"}Tick",'
                    f'"i":"{name(number)}","BT":false,"RPI":false,"seq":{number * 3}}}'
                )
        return out

    def trade_rows(self, runs: Iterable[Run]) -> list[str]:
        """Elements of ``recent-trade``, oldest first."""
        out: list[str] = []
        for first, start, price, ticks in runs:
            for number, (offset, step, lots, sell) in enumerate(ticks, first + self._first_id):
                out.append(
                    f'{{"execId":"{self._name(number)}","symbol":"{self.id}","price":"{self.price(price + step)}",'
                    f'"size":"{self.amount(lots)}","side":"{"Sell" if sell else "Buy"}",'
                    f'"time":"{(start + offset) // MS}","isBlockTrade":false,"isRPITrade":false,"seq":"{number * 3}"}}'
                )
        return out

    # ------------------------------------------------------------ bars

    def kline_row(self, start: int, bar: Aggregate) -> str:
        """An element of ``kline``."""
        price = self.price
        return (
            f'["{start // MS}","{price(bar.open)}","{price(bar.high)}","{price(bar.low)}","{price(bar.close)}",'
            f'"{self.amount(bar.volume)}","{self.quote(bar.quote)}"]'
        )

    def kline_frame(self, topic: str, interval: Interval, start: int, now: int, *, closed: bool) -> str:
        """A ``kline`` frame: the bar from *start* on as it stands at *now*."""
        end = interval.shift(start, 1)
        bar, price = self.listing.market.bar(start, min(end, now + 1)), self.price
        return (
            f'{{"topic":"{topic}","type":"snapshot","ts":{now // MS},"data":[{{"start":{start // MS},'
            f'"end":{end // MS - 1},"interval":"{topic.split(".")[1]}","open":"{price(bar.open)}",'
            f'"close":"{price(bar.close)}","high":"{price(bar.high)}","low":"{price(bar.low)}",'
            f'"volume":"{self.amount(bar.volume)}","turnover":"{self.quote(bar.quote)}",'
            f'"confirm":{"true" if closed else "false"},"timestamp":{min(now, end) // MS}}}]}}'
        )

    # ------------------------------------------------------------ books

    def levels(self, levels: Levels) -> str:
        """``[["price","amount"],…]``."""
        return "[" + ",".join([f'["{self.price(price)}","{self.amount(lots)}"]' for price, lots in levels]) + "]"

    def book(self, bids: Levels, asks: Levels, u: int, seq: int) -> str:
        """What a frame and an answer have in common, without the braces."""
        return f'"s":"{self.id}","b":{self.levels(bids)},"a":{self.levels(asks)},"u":{u},"seq":{seq}'

    # ------------------------------------------------------------ tickers

    def ticker(self, now: int) -> dict[str, str]:
        """The fields of a ticker at *now*; of a contract with those that only such have."""
        market, price, amount = self.listing.market, self.price, self.amount
        day = market.bar(now - _DAY, now + 1)
        ((bid, bid_lots),), ((ask, ask_lots),) = self.listing.book.levels(self.listing.book.step(now), 1)
        out = {
            "symbol": self.id,
            "lastPrice": price(day.close),
            "prevPrice24h": price(day.open),
            "price24hPcnt": f"{(day.close - day.open) / day.open:.6f}",
            "highPrice24h": price(day.high),
            "lowPrice24h": price(day.low),
            "turnover24h": self.quote(day.quote),
            "volume24h": amount(day.volume),
        }
        if not self.listing.symbol.contract:
            return out
        derivative = self.listing.derivative
        rate, due = "", ""
        if derivative.perpetual:
            predicted = derivative.predicted(now)
            rate, due = f"{predicted.rate:.{RATE_DECIMALS}f}", str(predicted.due // MS)
        out |= {
            "tickDirection": "PlusTick",
            "prevPrice1h": price(market.price(market.index(now - 3600 * NS) - 1)),
            "markPrice": price(derivative.mark(now)),
            "indexPrice": price(derivative.index(now)),
            "openInterest": amount(derivative.open_lots(now)),
            "openInterestValue": self.quote(derivative.open_value(now)),
            "nextFundingTime": due,
            "fundingRate": rate,
            "bid1Price": price(bid),
            "bid1Size": amount(bid_lots),
            "ask1Price": price(ask),
            "ask1Size": amount(ask_lots),
        }
        if self._expires:
            out |= {"deliveryTime": f"{self._expires // MS}", "deliveryFeeRate": "0.0005", "basisRate": "0.0001"}
        return out
