"""What OKX calls markets and bars, and how it lists a market: what is simulated flows in, names flow out. Pure."""

from __future__ import annotations

from dccd.simulator.expiries import expiry, expiry_day
from dccd.simulator.instruments import Instrument, instrument
from dccd.simulator.intervals import Interval
from dccd.symbols import NS, Symbol

__all__ = ["BARS", "MS", "contract_value", "inst_id", "inst_type", "listed_instrument", "listing_info"]

MS = 1_000_000
"""Nanoseconds in a millisecond."""

_HONG_KONG = 8 * 3600 * NS


class _Local(Interval):
    """Days and the like that begin at midnight in Hong Kong."""

    def start(self, time: int) -> int:
        """When the bar that *time* (ns) is in began."""
        return super().start(time + _HONG_KONG) - _HONG_KONG

    def shift(self, start: int, count: int) -> int:
        """When the bar *count* bars after the one at *start* begins."""
        return super().shift(start + _HONG_KONG, count) - _HONG_KONG


BARS: dict[str, Interval] = {
    **{name: Interval(name) for name in ("1s", "1m", "3m", "5m", "15m", "30m")},
    **{name.upper(): Interval(name) for name in ("1h", "2h", "4h")},
    **{f"{name.upper()}utc": Interval(name) for name in ("6h", "12h", "1d", "2d", "3d", "1w")},
    **{name.upper(): _Local(name) for name in ("6h", "12h", "1d", "2d", "3d", "1w")},
}
"""Bars by OKX's names of them."""


def inst_type(symbol: Symbol) -> str:
    """``SPOT``, ``SWAP`` or ``FUTURES``."""
    return {"": "SPOT", "perp": "SWAP"}.get(symbol.contract, "FUTURES")


def inst_id(symbol: Symbol, at: int) -> str:
    """``BTC-USDT``, ``BTC-USDT-SWAP``, ``BTC-USDT-240628``."""
    pair = f"{symbol.base}-{symbol.quote}"
    if symbol.contract in ("", "perp"):
        return f"{pair}-SWAP" if symbol.contract else pair
    return f"{pair}-{expiry_day(expiry(symbol.contract, at)):%y%m%d}"


def listed_instrument(symbol: Symbol) -> Instrument:
    """Six significant digits of price. Contracts are whole here: of 0.01 BTC, 0.1 ETH, or 100 and 10 USD if inverse."""
    if not symbol.contract:
        return instrument(symbol, digits=6, amount_decimals=8)
    if symbol.quote == "USD":
        return instrument(
            symbol, digits=6, amount_decimals=0, contract=100 if symbol.base == "BTC" else 10, inverse=True
        )
    return instrument(symbol, digits=6, amount_decimals={"BTC": 2, "ETH": 1}.get(symbol.base, 0))


def contract_value(pair: Instrument) -> str:
    """How much one contract is, as OKX writes it."""
    return f"{pair.contract_size:.{pair.amount_decimals}f}"


def listing_info(pair: Instrument, at: int, opened: int) -> dict[str, object]:
    """A market's entry of ``public/instruments``."""
    symbol, contract = pair.symbol, bool(pair.symbol.contract)
    family = f"{symbol.base}-{symbol.quote}" if contract else ""
    dated = symbol.contract not in ("", "perp")
    lot = "1" if contract else f"{10**-pair.amount_decimals:.{pair.amount_decimals}f}"
    return {
        "alias": symbol.contract if dated else "",
        "auctionEndTime": "",
        "baseCcy": "" if contract else symbol.base,
        "category": "1",
        "contTdSwTime": "",
        "ctMult": "1" if contract else "",
        "ctType": ("inverse" if pair.inverse else "linear") if contract else "",
        "ctVal": contract_value(pair) if contract else "",
        "ctValCcy": (symbol.quote if pair.inverse else symbol.base) if contract else "",
        "expTime": str(expiry(symbol.contract, at) // MS) if dated else "",
        "futureSettlement": False,
        "instFamily": family,
        "instId": inst_id(symbol, at),
        "instType": inst_type(symbol),
        "lever": "100" if contract else "10",
        "listTime": str(opened // MS),
        "lotSz": lot,
        "maxIcebergSz": "999999999999.0000000000000000",
        "maxLmtAmt": "20000000",
        "maxLmtSz": "999999999999",
        "maxMktAmt": "" if contract else "1000000",
        "maxMktSz": "30000" if contract else "1000000",
        "maxStopSz": "30000" if contract else "1000000",
        "maxTriggerSz": "999999999999.0000000000000000",
        "maxTwapSz": "999999999999.0000000000000000",
        "minSz": lot,
        "openType": "",
        "optType": "",
        "quoteCcy": "" if contract else symbol.quote,
        "ruleType": "normal",
        "settleCcy": (symbol.base if pair.inverse else symbol.quote) if contract else "",
        "state": "live",
        "stk": "",
        "tickSz": f"{10**-pair.price_decimals:.{pair.price_decimals}f}",
        "uly": family,
    }
