"""What is to be simulated: options flow in from Python, the command line or JSON."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dccd.simulator.faults import Fault

__all__ = ["SimConfig"]


class SimConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a simulator is made from; the same values (``opened`` given) make the same markets.

    * ``symbols`` and ``contracts``: what each exchange lists, as far as it has such markets (spot, perpetuals, dated
      futures). ``rate``: trades a second and symbol, on average.
    * ``history``: days of trades before the start; ``opened`` (ns) instead says when the markets opened.
    * ``speed``: how many times as fast as real time market time goes. (Sessions refuse times that are ahead of their
      clock: give them this one.)
    * ``total``: benchmark mode. Each subscription to trades gets this many, numbered, as fast as it takes them,
      from the first trade at or after the start on.
    * ``limits``: whether REST requests and connections are limited as on the real exchanges.
    * ``ports``: exchange → (REST, WebSocket); 0 takes free ones.
    * ``replay``: a file of captured frames that the one exchange in ``exchanges`` serves instead of a market, at
      ``replay_speed`` times the recorded speed (0: as fast as taken). See ``dccd.simulator.replay``.
    """

    exchanges: tuple[str, ...] = ("binance", "kraken")
    symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "BTC/USD", "ETH/USD")
    contracts: tuple[str, ...] = (
        "BTC/USDT:perp",
        "ETH/USDT:perp",
        "BTC/USD:perp",
        "BTC/USDT:quarter",
        "BTC/USDT:next_quarter",
    )
    seed: int = 1
    rate: float = 5.0
    history: float = 30.0
    opened: int | None = None
    speed: float = 1.0
    total: int | None = None
    limits: bool = False
    host: str = "127.0.0.1"
    ports: dict[str, tuple[int, int]] = {}
    book_depth: int = 1000
    faults: tuple[Fault, ...] = ()
    replay: Path | None = None
    replay_speed: float = 1.0
