"""What ccxt can do on an exchange: its methods and timeframes flow in, capabilities flow out."""

from __future__ import annotations

import msgspec

from dccd.exchanges.base import Capabilities, Capability, Offer
from dccd.exchanges.unified.withheld import withheld
from dccd.symbols import DataType

__all__ = ["HISTORICAL", "INTEREST_TIMEFRAME", "LIVE", "NO_COMMON_IDS", "Features", "capabilities"]

INTEREST_TIMEFRAME = "1h"
"""Of an open-interest history: the one that nearly all exchanges have."""

NO_COMMON_IDS = frozenset({("kucoin", "")})
"""Exchanges and kinds of market whose live trades have other ids than those of history, or history has none.

Live ones are left without, there, so that a trade that comes both ways is known by its time, price, amount and side.
"""

_CONTRACTS = {"spot": "", "swap": "perp", "future": "dated"}
_FAR = "as far back as the exchange serves, which a run finds out and tells"
LIVE = {DataType.TRADES: "watchTrades", DataType.OHLC: "watchOHLCV", DataType.ORDERBOOK: "watchOrderBook"}
HISTORICAL = {
    DataType.TRADES: "fetchTrades",
    DataType.OHLC: "fetchOHLCV",
    DataType.ORDERBOOK: "fetchOrderBook",
    DataType.FUNDING: "fetchFundingRateHistory",
    DataType.OPEN_INTEREST: "fetchOpenInterestHistory",
}
_OF_PERPETUALS = (DataType.FUNDING, DataType.OPEN_INTEREST)
_FIELDS: dict[DataType, tuple[str, ...]] = {
    DataType.TRADES: ("side", "tid"),
    DataType.FUNDING: ("due_ts",),
    DataType.OPEN_INTEREST: ("open_interest_value",),
}
_NOTES = {
    ("live", DataType.TRADES): "by ccxt.pro; tid and side where ccxt has them",
    ("live", DataType.OHLC): "by ccxt.pro",
    ("live", DataType.ORDERBOOK): "by ccxt.pro: changes from one of its views to the next",
    ("historical", DataType.TRADES): f"{_FAR}; tid and side where ccxt has them",
    ("historical", DataType.ORDERBOOK): "the book of now",
}


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """What ccxt says of the exchange *id*.

    ``methods``: the unified methods that it has (``fetchTrades``); ``kinds``: of markets, ``spot``, ``swap``,
    ``future``; ``timeframes``: seconds of a bar, and ccxt's name for that (``3600: "1h"``); ``page``: bars in one
    answer at most, where ccxt knows it.
    """

    id: str
    methods: frozenset[str]
    kinds: frozenset[str]
    timeframes: dict[int, str] = {}
    page: int | None = None


def capabilities(features: Features) -> Capabilities:
    """What dccd can do there."""
    return Capabilities(spot=_offer(features, "spot"), perp=_offer(features, "swap"), dated=_offer(features, "future"))


def _offer(features: Features, kind: str) -> Offer | None:
    if kind not in features.kinds:
        return None
    live, historical = _methods(features, kind, LIVE), _methods(features, kind, HISTORICAL)
    not_live, not_historical = _withheld(features, kind, live), _withheld(features, kind, historical)
    now = [data_type for data_type in live if data_type not in not_live]
    past = [data_type for data_type in historical if data_type not in not_historical]
    return Offer(
        live=_table(features, kind, "live", now, not_historical),
        historical=_table(features, kind, "historical", past, not_live),
        not_live=not_live,
        not_historical=not_historical,
    )


def _methods(features: Features, kind: str, methods: dict[DataType, str]) -> dict[DataType, str]:
    """Those that ccxt names of this kind of market."""
    return {
        data_type: method
        for data_type, method in methods.items()
        if method in features.methods
        and (kind == "swap" or data_type not in _OF_PERPETUALS)
        and (features.timeframes or data_type is not DataType.OHLC)
    }


def _withheld(features: Features, kind: str, methods: dict[DataType, str]) -> dict[DataType, str]:
    """Those of which there is something to be said against, and that."""
    found = {data_type: withheld(features.id, kind, method) for data_type, method in methods.items()}
    return {data_type: why for data_type, why in found.items() if why is not None}


def _table(
    features: Features, kind: str, mode: str, data_types: list[DataType], elsewise: dict[DataType, str]
) -> dict[DataType, Capability]:
    """What is offered in one *mode*; *elsewise*: why not in the other one, for people."""
    ids = (features.id, _CONTRACTS[kind]) not in NO_COMMON_IDS
    other = "live" if mode == "historical" else "historical"
    return {
        data_type: Capability(
            fields=tuple(field for field in _FIELDS.get(data_type, ()) if field != "tid" or ids),
            spans=tuple(sorted(features.timeframes)) if data_type is DataType.OHLC else (),
            recent=0 if (mode, data_type) == ("historical", DataType.ORDERBOOK) else None,
            note=_NOTES.get((mode, data_type), _FAR)
            + (f"; no {other} ones: {elsewise[data_type]}" if data_type in elsewise else ""),
        )
        for data_type in data_types
    }
