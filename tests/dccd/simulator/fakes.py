"""An exchange made up for tests, with what Binance and Kraken don't have: contracts, ids that are no numbers, numbers
that a connection gives to all its frames, and recordings in which an earlier frame says what later ones are of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import urlsplit

from dccd.simulator.binance import Binance
from dccd.simulator.binance.formats import Formats
from dccd.simulator.binance.session import BinanceSession
from dccd.simulator.binance.streams import make_stream
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.venue import Maker, Reader, Session, Stream, Venue
from dccd.symbols import NS

__all__ = ["Futures"]


class _Session(BinanceSession):
    """Frames and answers come as ``[number, stream, payload]``."""

    def __init__(self, opened_at: int, faults: FaultPlan, make: Maker) -> None:
        super().__init__(opened_at, faults, make, combined=False)
        self._sent = 0

    def _numbered(self, name: str, payload: str) -> str:
        self._sent += 1
        return f'[{self._sent},"{name}",{payload}]'

    def wrap(self, stream: Stream, frames: list[str]) -> list[str]:
        return [self._numbered(stream.name, frame) for frame in frames]

    def receive(self, text: str, now: int) -> list[str]:
        if text == "ping":
            return ["pong"]
        return [self._numbered("", answer) for answer in super().receive(text, now)]


class Futures(Binance):
    """Contracts only, funding each hour; the rest is Binance's."""

    id = "futures"
    kinds = frozenset({"perp", "next_quarter"})
    funding_interval = 3600 * NS

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        self.formats = {symbol: Formats(listing, self.first_id) for symbol, listing in self.listings.items()}
        self.by_id = {self.formats[symbol].id: listing for symbol, listing in self.listings.items()}

    def listed(self) -> Iterable[str]:
        return Venue.listed(self)

    def trade_id(self, number: int) -> str:
        return f"id-{number:x}"

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        if urlsplit(path).path != "/":
            return None
        return _Session(now, self.faults, tape or (lambda name, at: make_stream(self, name, at)))

    def spoil(self, frame: str) -> str | None:
        return frame.replace('"q":"', '"q":"9') if '"q":"' in frame else None

    @classmethod
    def reader(cls) -> Reader:
        channels: dict[int, str] = {}

        def read(text: str) -> list[tuple[str, str]]:
            number, payload = json.loads(text)
            if isinstance(payload, str):
                channels[number] = payload
                return []
            return [(channels[number], json.dumps(payload))]

        return read
