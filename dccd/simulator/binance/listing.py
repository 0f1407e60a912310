"""How Binance describes a pair: what is listed flows in, its entry of ``exchangeInfo`` flows out. Pure."""

from __future__ import annotations

from dccd.simulator.instruments import Instrument

__all__ = ["limit_info", "symbol_info"]


def symbol_info(pair: Instrument) -> dict[str, object]:
    """A pair's entry of ``exchangeInfo``."""
    tick, lot = _unit(pair.price_decimals), _unit(pair.amount_decimals)
    return {
        "symbol": pair.symbol.base + pair.symbol.quote,
        "status": "TRADING",
        "baseAsset": pair.symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": pair.symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000000.00000000", "stepSize": lot},
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": "9000.00000000",
                "stepSize": "0.00000000",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": "5.00000000",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def limit_info(kind: str, interval: str, count: int, limit: int) -> dict[str, object]:
    """An entry of ``rateLimits``."""
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def _unit(decimals: int) -> str:
    return f"{10**-decimals:.8f}"
