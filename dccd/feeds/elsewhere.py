"""The exchanges that have no folder here: an id flows in, what ccxt can do there flows out.

ccxt is imported on first use: half a second and 100 MB. Call :func:`learn` before ``registry.get`` in an event loop.
"""

from __future__ import annotations

import asyncio
from difflib import get_close_matches
from functools import cache
from typing import Any

from dccd.errors import IdentityError, NoCapability
from dccd.exchanges import registry
from dccd.exchanges.unified import Features, Unified
from dccd.symbols import parse_span

__all__ = ["find", "install", "learn", "names"]

_KINDS = ("spot", "swap", "future")
_PREFIXES = ("fetch", "watch", "unWatch")


def install() -> None:
    """Let ``registry.get`` find them."""
    registry.look_elsewhere(find)


async def learn(*exchanges: str) -> None:
    """Make what is known of these ready, in a thread, so that ``registry.get`` doesn't hold the event loop up.

    One that there isn't is left for ``registry.get`` to refuse.
    """
    others = [exchange for exchange in exchanges if exchange not in registry.EXCHANGES]
    if others:
        await asyncio.to_thread(lambda: [_features(exchange) for exchange in others])


def names() -> tuple[str, ...]:
    """Every exchange: those with a folder, and those that ccxt knows."""
    return tuple(sorted({*_ccxt().exchanges, *registry.EXCHANGES}))


@cache
def find(exchange: str) -> Unified:
    """The exchange called *exchange* through ccxt. Raises NoCapability that names those of similar names."""
    features = _features(exchange)
    if features is None:
        near = get_close_matches(exchange, names(), n=5, cutoff=0.5)
        told = f"did you mean {' or '.join(near)}?" if near else "`dccd exchanges --all` lists them"
        raise NoCapability(exchange, f"neither dccd nor ccxt knows an exchange {exchange!r}; {told}", "exchange")
    return Unified(features)


def _features(exchange: str) -> Features | None:
    """What ccxt says of one; None when it has no such. Any request may bring a name: nothing is kept of that."""
    return _known(exchange) if exchange in _ccxt().exchanges else None


@cache
def _known(exchange: str) -> Features:
    import ccxt.pro

    api = getattr(ccxt.pro if exchange in ccxt.pro.exchanges else ccxt.async_support, exchange)()
    return features_of(api)


def features_of(api: Any) -> Features:
    """What one of ccxt's exchange objects says of itself. What it only emulates, it can't do."""
    has = {name for name, there in api.has.items() if there is True}
    timeframes: dict[int, str] = {}
    for name in api.timeframes or {}:
        try:
            span = parse_span(name)
        except IdentityError:
            continue  # months, which are no number of seconds
        timeframes.setdefault(span, name)
    return Features(
        id=api.id,
        methods=frozenset(name for name in has if name.startswith(_PREFIXES)),
        kinds=frozenset(kind for kind in _KINDS if kind in has),
        timeframes=timeframes,
        page=_page(api.features or {}),
    )


def _page(features: dict[str, Any]) -> int | None:
    """Bars in one answer at most: the least that ccxt says of any kind of market."""
    found = [features.get("spot"), *((features.get(kind) or {}).get("linear") for kind in ("swap", "future"))]
    limits = [((kind or {}).get("fetchOHLCV") or {}).get("limit") for kind in found]
    return min((int(limit) for limit in limits if limit), default=None)


def _ccxt() -> Any:
    import ccxt.async_support

    return ccxt
