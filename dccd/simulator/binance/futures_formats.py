"""Binance's JSON of its futures, where it differs from spot's: runs of a market and times flow in, text out. Pure.

https://developers.binance.com/docs/derivatives/usds-margined-futures: as many decimals as a tick has, the matching
engine's time beside an event's, updates of books numbered with gaps, each naming the one before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from dccd.simulator.binance.formats import MS, TRADE_ID, Formats
from dccd.simulator.book import Levels
from dccd.simulator.derivatives import RATE_DECIMALS
from dccd.simulator.expiries import expiry, expiry_day
from dccd.simulator.instruments import Instrument
from dccd.simulator.market import Run
from dccd.simulator.venue import Listing
from dccd.symbols import Symbol

__all__ = ["FuturesFormats", "contract_id", "contract_info"]

_DELAY = 3
"""ms between the matching engine and an event."""
_OTHERS = 5
"""Update ids that are other symbols', before each event's."""
_NEVER = 4_133_404_800_000
"""When perpetuals are said to be delivered (ms): in the year 2100."""
_TYPES = {"perp": "PERPETUAL", "quarter": "CURRENT_QUARTER", "next_quarter": "NEXT_QUARTER"}


def contract_id(symbol: Symbol, at: int) -> str:
    """``BTCUSDT``, and of contracts that expire ``BTCUSDT_240628``; *at* (ns) says which."""
    id = symbol.base + symbol.quote
    return id if symbol.contract == "perp" else f"{id}_{expiry_day(expiry(symbol.contract, at)):%y%m%d}"


class FuturesFormats(Formats):
    """The JSON of one contract's data; *at* (ns) says which one is the quarter's."""

    shown = None

    def __init__(self, listing: Listing, first_id: int, at: int) -> None:
        super().__init__(listing, first_id)
        self.id = contract_id(listing.symbol, at)

    # ------------------------------------------------------------ trades

    def agg_frames(self, runs: Iterable[Run]) -> list[str]:
        """``aggTrade`` stream payloads."""
        out: list[str] = []
        symbol, price_of, amount_of = self.id, self.price, self.amount
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + self.first_id):
                at, amount = (start + offset) // MS, amount_of(lots)
                out.append(
                    f'{{"e":"aggTrade","E":{at + _DELAY},"a":{id},"s":"{symbol}","p":"{price_of(price + step)}",'
                    f'"q":"{amount}","nq":"{amount}","f":{id + TRADE_ID},"l":{id + TRADE_ID},"T":{at},'
                    f'"m":{"true" if sell else "false"},"st":1}}'
                )
        return out

    def trade_frames(self, runs: Iterable[Run]) -> list[str]:
        """``trade`` stream payloads."""
        out: list[str] = []
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + self.first_id + TRADE_ID):
                at = (start + offset) // MS
                out.append(
                    f'{{"e":"trade","E":{at + _DELAY},"T":{at},"s":"{self.id}","t":{id},'
                    f'"p":"{self.price(price + step)}","q":"{self.amount(lots)}","X":"MARKET",'
                    f'"m":{"true" if sell else "false"},"st":1}}'
                )
        return out

    def agg_rows(self, runs: Iterable[Run]) -> list[str]:
        """Elements of ``/fapi/v1/aggTrades``."""
        out: list[str] = []
        price_of, amount_of = self.price, self.amount
        for first, start, price, ticks in runs:
            for id, (offset, step, lots, sell) in enumerate(ticks, first + self.first_id):
                amount = amount_of(lots)
                out.append(
                    f'{{"a":{id},"p":"{price_of(price + step)}","q":"{amount}","nq":"{amount}","f":{id + TRADE_ID},'
                    f'"l":{id + TRADE_ID},"T":{(start + offset) // MS},"m":{"true" if sell else "false"}}}'
                )
        return out

    def trade_rows(self, runs: Iterable[Run]) -> list[str]:
        """Elements of ``/fapi/v1/trades``."""
        return [f"{row.removesuffix(_BEST)}}}" for row in super().trade_rows(runs)]

    # ------------------------------------------------------------ book

    def depth_frame(self, at: int, first: int, last: int, bids: Levels, asks: Levels) -> str:
        """A ``depthUpdate`` payload, following the update before *first*."""
        return (
            f'{{"e":"depthUpdate","E":{at // MS + _DELAY},"T":{at // MS},"s":"{self.id}","ps":"{self.id}","st":1,'
            f'"U":{min(first + _OTHERS, last)},"u":{last},"pu":{first - 1},'
            f'"b":{self.levels(bids)},"a":{self.levels(asks)}}}'
        )

    def partial_frame(self, at: int, first: int, last: int, bids: Levels, asks: Levels) -> str:
        """The payload of a partial depth stream looks the same, but has the best levels, changed or not."""
        return self.depth_frame(at, first, last, bids, asks)

    def depth_body(self, at: int, last: int, bids: Levels, asks: Levels) -> str:
        """The answer of ``/fapi/v1/depth``."""
        times = f'"E":{at // MS + _DELAY},"T":{at // MS}'
        return f'{{"lastUpdateId":{last},{times},"bids":{self.levels(bids)},"asks":{self.levels(asks)}}}'

    def ticker_frame(self, at: int, last: int, bid: tuple[int, int], ask: tuple[int, int]) -> str:
        """A ``bookTicker`` payload."""
        times = f'"E":{at // MS + _DELAY},"T":{at // MS}'
        return (
            f'{{"e":"bookTicker","u":{last},"s":"{self.id}","ps":"{self.id}",{self._touch(bid, ask)},{times},"st":1}}'
        )

    # ------------------------------------------------------------ what only contracts have

    def mark_frame(self, at: int) -> str:
        """A ``markPriceUpdate`` payload at *at*; a dated contract's has no rate, and 0 for the time of its payment."""
        it, rate, due = self._listing.derivative, *self._announced(at)
        mark, index = self.price(it.mark(at)), self.price(it.index(at))
        return (
            f'{{"e":"markPriceUpdate","E":{at // MS},"s":"{self.id}","p":"{mark}","ap":"{mark}","i":"{index}",'
            f'"P":"{index}","r":"{rate}","T":{due},"st":1}}'
        )

    def premium(self, at: int) -> str:
        """An element of ``/fapi/v1/premiumIndex``."""
        it, rate, due = self._listing.derivative, *self._announced(at)
        return (
            f'{{"symbol":"{self.id}","markPrice":"{self.price(it.mark(at))}","indexPrice":"{self.price(it.index(at))}",'
            f'"estimatedSettlePrice":"{self.price(it.index(at))}","lastFundingRate":"{rate}",'
            f'"interestRate":"{"0.00010000" if rate else ""}","nextFundingTime":{due},"time":{at // MS}}}'
        )

    def funding_row(self, at: int, rate: float) -> str:
        """An element of ``/fapi/v1/fundingRate``: paid *at*."""
        mark = self.price(self._listing.derivative.mark(at))
        return (
            f'{{"symbol":"{self.id}","fundingTime":{at // MS},"fundingRate":"{rate:.{RATE_DECIMALS}f}",'
            f'"markPrice":"{mark}"}}'
        )

    def interest(self, at: int) -> str:
        """The answer of ``/fapi/v1/openInterest``."""
        lots = self._listing.derivative.open_lots(at)
        return f'{{"symbol":"{self.id}","openInterest":"{self.amount(lots)}","time":{at // MS}}}'

    def interest_row(self, at: int) -> str:
        """An element of ``/futures/data/openInterestHist``."""
        it = self._listing.derivative
        return (
            f'{{"symbol":"{self.id}","sumOpenInterest":"{self.amount(it.open_lots(at))}",'
            f'"sumOpenInterestValue":"{self.quote(it.open_value(at))}","CMCCirculatingSupply":"0",'
            f'"timestamp":{at // MS}}}'
        )

    def _announced(self, at: int) -> tuple[str, int]:
        """The rate to be paid next, and when (ms)."""
        it = self._listing.derivative
        if not it.perpetual:
            return "", 0
        rate, due = it.predicted(at)
        return f"{rate:.{RATE_DECIMALS}f}", due // MS


_BEST = ',"isBestMatch":true}'


def contract_info(pair: Instrument, at: int, opened: int) -> dict[str, object]:
    """A contract's entry of ``/fapi/v1/exchangeInfo``."""
    symbol = pair.symbol
    tick, lot = (f"{10**-places:.{places}f}" for places in (pair.price_decimals, pair.amount_decimals))
    return {
        "symbol": contract_id(symbol, at),
        "pair": symbol.base + symbol.quote,
        "contractType": _TYPES[symbol.contract],
        "deliveryDate": _NEVER if symbol.contract == "perp" else expiry(symbol.contract, at) // MS,
        "onboardDate": opened // MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "marginAsset": symbol.quote,
        "pricePrecision": pair.price_decimals,
        "quantityPrecision": pair.amount_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": json.loads(
            f'[{{"filterType":"PRICE_FILTER","minPrice":"{tick}","maxPrice":"4529764","tickSize":"{tick}"}},'
            f'{{"filterType":"LOT_SIZE","minQty":"{lot}","maxQty":"1000","stepSize":"{lot}"}},'
            f'{{"filterType":"MARKET_LOT_SIZE","minQty":"{lot}","maxQty":"120","stepSize":"{lot}"}},'
            '{"filterType":"MAX_NUM_ORDERS","limit":200},{"filterType":"MIN_NOTIONAL","notional":"100"},'
            '{"filterType":"PERCENT_PRICE","multiplierUp":"1.0500","multiplierDown":"0.9500","multiplierDecimal":"4"}]'
        ),
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }
