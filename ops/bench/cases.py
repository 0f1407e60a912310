"""Frames of one channel as a benchmark hands them on: what has made the stream live, then what is measured.

Read and written as JSON: :mod:`simulated` makes cases, and the programs that take them run in interpreters of their
own. Of dccd only its exchanges are needed here, which are at home wherever msgspec is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from dccd.exchanges.base import Broken, Market, Refused, Signal, StreamOptions
from dccd.exchanges.registry import get
from dccd.records import Record
from dccd.symbols import Dataset

__all__ = ["Case", "Step", "receiver"]

Step = tuple[Literal["frame", "snapshot", "tick"], int, str]
"""What comes, when (ns), and its text: a frame, the body of a REST snapshot, or nothing."""


class Case(msgspec.Struct):
    """One channel. ``symbol``: as ``BTC/USDT:perp``; ``native``: the exchange's name of it; ``frames``: (ns, text)."""

    exchange: str
    symbol: str
    data_type: str
    dataset: str
    market: Market
    native: str
    before: list[Step]
    frames: list[tuple[int, str]]

    @property
    def name(self) -> str:
        """``bybit perp orderbook``"""
        return f"{self.exchange} {'perp' if ':' in self.symbol else 'spot'} {self.data_type}"


Receive = Callable[[bytes, int, list[Record]], Signal | None]


def receiver(case: Case) -> tuple[Callable[[bytes], str | None], Receive, str]:
    """A new connection's ``route`` and a live stream's ``receive`` and topic: all that a frame goes through."""
    exchange = get(case.exchange)
    router = exchange.router()
    router.opening()
    protocol = exchange.stream(Dataset.parse(case.dataset), StreamOptions(), case.market)
    protocol.subscribe()
    out: list[Record] = []
    for kind, ts, text in case.before:
        if kind == "tick":
            signal = protocol.tick(ts, out)
        elif kind == "snapshot":
            signal = protocol.snapshot(text.encode(), ts, out)
        else:
            frame = text.encode()
            topic = router.route(frame)
            signal = protocol.receive(frame, ts, out) if topic is None or topic == protocol.topic else None
        if isinstance(signal, Broken | Refused):
            raise RuntimeError(f"{case.name}: {signal}")
    return router.route, protocol.receive, protocol.topic
