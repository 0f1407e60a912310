"""ccxt's unified structures, cut to what is used here: JSON flows in, records flow out.

Records have base asset. ccxt counts trades and books of contracts in contracts, so a market's contract size counts in;
whether it does so for bars and open interest depends on the exchange, so these are of contracts of one base asset only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from dccd.exchanges.base import Market
from dccd.exchanges.open_bars import check_bar
from dccd.exchanges.wire import MS, Amount, Millis, Price, Rate, Traded
from dccd.records import Bar, FundingRate, Level, OpenInterest, Trade

__all__ = [
    "BarRow",
    "BookRow",
    "FundingRow",
    "InterestRow",
    "TradeRow",
    "bar",
    "funding",
    "interest",
    "levels",
    "trade",
]

_Level = tuple[Price, Amount]


class TradeRow(msgspec.Struct, gc=False):
    """https://docs.ccxt.com/#/?id=public-trades"""

    timestamp: Millis
    price: Price
    amount: Traded
    side: Literal["buy", "sell"] | None = None
    id: str | None = None


class BarRow(msgspec.Struct, array_like=True, gc=False):
    """https://docs.ccxt.com/#/?id=ohlcv-structure"""

    timestamp: Millis
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Amount


class BookRow(msgspec.Struct, gc=False):
    """https://docs.ccxt.com/#/?id=order-book-structure"""

    bids: list[_Level]
    asks: list[_Level]
    timestamp: Millis | None = None
    nonce: int | None = None


class FundingRow(msgspec.Struct, gc=False, rename="camel"):
    """https://docs.ccxt.com/#/?id=funding-rate-history-structure"""

    timestamp: Millis
    funding_rate: Rate


class InterestRow(msgspec.Struct, gc=False, rename="camel"):
    """https://docs.ccxt.com/#/?id=open-interest-structure"""

    timestamp: Millis
    open_interest_amount: Amount
    open_interest_value: Amount | None = None


def trade(row: TradeRow, market: Market, recv_ts: int | None = None) -> Trade:
    """A trade; an exchange without ids has none, nor has one that doesn't tell the taker's side.

    Raises ValueError.
    """
    amount = market.base(row.amount, row.price)
    return Trade(row.timestamp * MS, row.price, amount, row.side, row.id or None, recv_ts)


def bar(row: BarRow, recv_ts: int | None = None, *, closed: bool) -> Bar:
    """A bar of a market whose contract is one of the base asset. Raises ValueError when its high or low is none."""
    values = (row.open, row.high, row.low, row.close, row.volume)
    return check_bar(Bar(row.timestamp * MS, *values, recv_ts=recv_ts, closed=closed))


def levels(rows: Sequence[_Level], market: Market) -> list[Level]:
    """One side of a book. Raises ValueError."""
    if (base := market.to_base) is None:
        return list(rows)
    return [(price, base(amount, price)) for price, amount in rows]


def funding(row: FundingRow) -> FundingRate:
    """A rate that was paid."""
    ts = row.timestamp * MS
    return FundingRate(ts, row.funding_rate, due_ts=ts)


def interest(row: InterestRow) -> OpenInterest:
    """Open interest of a market whose contract is one of the base asset."""
    return OpenInterest(row.timestamp * MS, row.open_interest_amount, row.open_interest_value)
