"""What can't be had of ccxt's exchanges although ccxt names it, against ccxt's own classes."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import ccxt
import ccxt.pro
import pytest

from dccd.errors import NoCapability
from dccd.exchanges.registry import EXCHANGES
from dccd.exchanges.unified.features import HISTORICAL, LIVE
from dccd.exchanges.unified.withheld import WITHHELD, withheld
from dccd.feeds import elsewhere
from dccd.symbols import Dataset, DataType

pytestmark = pytest.mark.anyio

REFUSALS = ("AuthenticationError", "ArgumentsRequired", "NotSupported")
KINDS = {"spot": ("BTC/USDT", ""), "swap": ("BTC/USDT:USDT", "USDT")}


class Asked(Exception):
    """ccxt has made its request, or subscription, without wanting anything more."""


def market(kind: str) -> dict[str, Any]:
    """One of each kind, in ccxt's form."""
    symbol, settle = KINDS[kind]
    swap = kind == "swap"
    return {
        "id": "BTCUSDT",
        "lowercaseId": "btcusdt",
        "symbol": symbol,
        "base": "BTC",
        "quote": "USDT",
        "settle": settle or None,
        "baseId": "BTC",
        "quoteId": "USDT",
        "settleId": settle or None,
        "type": kind,
        "spot": not swap,
        "margin": False,
        "swap": swap,
        "future": False,
        "option": False,
        "contract": swap,
        "linear": swap or None,
        "inverse": False if swap else None,
        "contractSize": 1.0,
        "active": True,
        "precision": {"price": 0.1, "amount": 0.1},
        "limits": {"amount": {}, "price": {}, "cost": {}},
        "info": {"id": "BTCUSDT", "id2": "BTC-USDT", "crossSymbolName": "BTCUSDT", "pair_code": 1},
        "expiry": None,
    }


async def asked(api: Any, method: str, kind: str) -> str:
    """What comes of calling *method* of one of ccxt.pro's objects without a key: "" or the name of its refusal."""
    told = market(kind)
    api.set_markets([told])

    async def fetch(*_: Any, **__: Any) -> None:
        raise Asked

    def watch(*_: Any, **__: Any) -> None:
        raise Asked

    api.open = lambda *_: None  # no session
    api.asyncio_loop = asyncio.get_running_loop()
    api.fetch, api.watch, api.watch_multiple, api.enableRateLimit = fetch, watch, watch, False
    further = list(api.timeframes or ()) if "OHLCV" in method else ["1h"] if "OpenInterest" in method else [None]
    refusal = ""
    for argument in further:
        try:
            await getattr(api, method)(told["symbol"], *([] if argument is None else [argument]))
        except ccxt.BaseError as exc:
            refusal = type(exc).__name__
            if refusal in REFUSALS:
                continue  # perhaps of this timeframe only
        except Exception:
            pass  # it has asked, or wants more of a market than ours has
        return ""
    return refusal


async def test_each_of_ccxts_methods_that_is_offered_can_be_called_without_a_key() -> None:
    """And each that is withheld can't, or gives something else: should ccxt change, this tells what to change here."""
    wrong = []
    for name in [name for name in elsewhere.names() if name not in EXCHANGES]:
        features = elsewhere.find(name).features
        kind_of = getattr(ccxt.pro if name in ccxt.pro.exchanges else ccxt.async_support, name)
        for kind in [kind for kind in KINDS if kind in features.kinds]:
            for data_type, method in [*LIVE.items(), *HISTORICAL.items()]:
                if method not in features.methods or (kind == "spot" and data_type in ("funding", "open_interest")):
                    continue  # it isn't offered anyway
                refused = bool(await asked(kind_of(), method, kind))
                why = withheld(name, kind, method)
                if refused != (why is not None) and not (why or "").startswith("its bars"):
                    wrong.append((name, kind, method, refused, why))
    assert wrong == []
    assert {name for name, _, _ in WITHHELD} <= set(elsewhere.names())


def test_one_user_s_fills_are_not_the_market_s_trades() -> None:
    """Hyperliquid's and CoinSpot's are refused, with the reason; what else there is goes on."""
    for name in ("hyperliquid", "coinspot"):
        exchange = elsewhere.find(name)
        with pytest.raises(NoCapability, match=f"{name} has no trades of .* one user's own trades, not the market's"):
            exchange.check(Dataset.make(name, "trades", "BTC/USDT"), live=False)
    perp = elsewhere.find("hyperliquid").capabilities.perp
    assert perp is not None and DataType.TRADES not in perp.historical and DataType.OHLC in perp.historical
    assert "no historical ones: what ccxt gives are one user's own trades" in perp.live[DataType.TRADES].note
    with pytest.raises(NoCapability, match="has no ohlc of spot markets in its history; it wants an API key"):
        elsewhere.find("luno").check(Dataset.make("luno", "ohlc", "BTC/USDT", "1m"), live=False)


def test_ccxt_says_the_same_of_hyperliquid() -> None:
    """Its class asks for a user's address."""
    source = inspect.getsource(ccxt.hyperliquid.fetch_trades)
    assert "userFills" in source
