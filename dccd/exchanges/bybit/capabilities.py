"""What Bybit offers on spot and of linear contracts."""

from __future__ import annotations

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.exchanges.bybit.symbols import INTERVALS, Category
from dccd.symbols import DataType

__all__ = ["CAPABILITIES", "DEFAULT_DEPTH", "DEPTHS", "REST_DEPTH", "REST_TRADES"]

DEPTHS = (1, 50, 200, 1000)
"""Levels a side that a book can be subscribed with."""
DEFAULT_DEPTH = 200
"""Levels a side of a book when the job names no depth."""
REST_DEPTH: dict[Category, int] = {"spot": 200, "linear": 500}
"""Levels a side of a REST snapshot, as all versions of the documentation allow."""
REST_TRADES: dict[Category, int] = {"spot": 60, "linear": 1000}
"""How many trades REST has: the newest."""

_DAY = 86_400
_SPANS = tuple(INTERVALS)
_LIVE = {
    DataType.TRADES: Capability(fields=("side", "tid")),
    DataType.OHLC: Capability(fields=("quote_volume",), spans=_SPANS),
    DataType.ORDERBOOK: Capability(
        depths=DEPTHS,
        note="every 10 ms of 1 level a side, 20 ms of 50, 100 ms (spot: 200 ms) of 200, 200 ms of 1000; counted",
    ),
}
_INTEREST = Capability(fields=("open_interest_value",), note="whenever it changes")


def _historical(category: Category) -> dict[DataType, Capability]:
    trades = REST_TRADES[category]
    return {
        # The time is a bound for quiet markets: of a busy one the newest trades are those of some seconds.
        DataType.TRADES: Capability(
            fields=("side", "tid"),
            recent=_DAY,
            note=f"the newest {trades} trades only, however short a time they span; Bybit's REST has no older ones",
        ),
        DataType.OHLC: Capability(fields=("quote_volume",), spans=_SPANS),
        DataType.ORDERBOOK: Capability(recent=0, note="the book of now; Bybit keeps no past ones"),
    }


_PAST_INTEREST = Capability(note="every 5 minutes, without its value, from the first one on")

CAPABILITIES = Capabilities(
    spot=Offer(live=_LIVE, historical=_historical("spot")),
    perp=Offer(
        live={
            **_LIVE,
            DataType.FUNDING: Capability(
                fields=("mark_price", "due_ts"), note="the rate announced for the next payment, whenever it changes"
            ),
            DataType.OPEN_INTEREST: _INTEREST,
        },
        historical={
            **_historical("linear"),
            DataType.FUNDING: Capability(fields=("due_ts",), note="the rates paid, from the first one on"),
            DataType.OPEN_INTEREST: _PAST_INTEREST,
        },
    ),
    dated=Offer(
        live={**_LIVE, DataType.OPEN_INTEREST: _INTEREST},
        historical={**_historical("linear"), DataType.OPEN_INTEREST: _PAST_INTEREST},
    ),
)
