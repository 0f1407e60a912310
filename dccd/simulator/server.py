"""The simulator: options flow in, exchanges on loopback that speak the real formats come out.

>>> async with Simulator(SimConfig(seed=7, rate=20)) as sim:
...     sim.binance.rest_url, sim.kraken.ws_url             # for the client under test
...     sim.faults.inject(Disconnect(exchange="kraken"))
...     sim.binance.truth.trades("BTC/USDT", start, end)    # what it must have got
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from dccd.simulator.clock import Clock, SystemClock
from dccd.simulator.config import SimConfig
from dccd.simulator.control import Control
from dccd.simulator.faults import Disconnect, FaultPlan, Injected, SharedMillisecond
from dccd.simulator.http import RestServer
from dccd.simulator.replay import Replay
from dccd.simulator.truth import Truth
from dccd.simulator.venue import Venue
from dccd.simulator.venues import VENUES
from dccd.simulator.websocket import Hub
from dccd.symbols import Symbol

__all__ = ["SimulatedExchange", "Simulator"]


class SimulatedExchange:
    """One exchange of a running simulator."""

    def __init__(self, venue: Venue, clock: Clock, faults: FaultPlan) -> None:
        self.id = venue.id
        self.venue = venue
        self.truth = Truth(venue)
        self.hub = Hub(venue, clock, faults)
        self.rest = RestServer(venue, clock, faults, Control(self.truth, faults, self.statistics))
        self.rest_url = ""
        """Scheme, host and port of the REST API (and of ``/_sim``)."""
        self.ws_url = ""
        """Scheme, host and port of the WebSocket."""

    def __repr__(self) -> str:
        return f"<SimulatedExchange {self.id} {self.rest_url} {self.ws_url}>"

    def statistics(self) -> dict[str, Any]:
        """Clients, frames, requests."""
        return {"exchange": self.id, **self.hub.statistics(), **self.rest.statistics()}

    async def subscribed(self, symbol: str, data_type: str, clients: int = 1) -> None:
        """Wait until that many clients are subscribed to *data_type* (``trades``, ``ohlc``, ``orderbook`` …)."""
        pair = (Symbol.parse(symbol).human, data_type)
        await self.hub.until(lambda: sum(pair in peer.pairs() for peer in self.hub.peers) >= clients)

    async def start(self, host: str, ports: tuple[int, int]) -> None:
        """Listen on *ports* (REST, WebSocket; 0 takes free ones). Raises OSError."""
        self.rest_url = f"http://{host}:{await self.rest.start(host, ports[0])}"
        self.ws_url = f"ws://{host}:{await self.hub.start(host, ports[1])}"

    async def stop(self) -> None:
        """Close all connections, and listen no more."""
        await self.hub.stop()
        await self.rest.stop()


class Simulator:
    """Simulated exchanges on loopback; ``async with``, or :meth:`start` and :meth:`stop`.

    *clock*: the system's, at the configured speed, unless given (``ManualClock`` for tests without sleeping).
    Raises ValueError for options that can't be, OSError for ports that are taken.
    """

    def __init__(self, config: SimConfig | None = None, clock: Clock | None = None) -> None:
        self.config = config or SimConfig()
        unknown = set(self.config.exchanges) - set(VENUES)
        if unknown or not self.config.exchanges:
            raise ValueError(f"exchanges {sorted(unknown)} can't be simulated; there are {', '.join(VENUES)}")
        for name, least in (("history", 0), ("total", 1), ("book_depth", 10), ("replay_speed", 0)):
            value = getattr(self.config, name)
            if value is not None and not value >= least:
                raise ValueError(f"{name} is {value}; at least {least} is wanted")
        if self.config.replay is not None and len(self.config.exchanges) != 1:
            raise ValueError("a recording is of one exchange: name that in exchanges")
        self.clock: Clock = clock or SystemClock(speed=self.config.speed)
        self.started = self.clock.now()
        self.faults = FaultPlan(self.clock.now)
        self.faults.performers.append(self._pin)
        self.exchanges: dict[str, SimulatedExchange] = {}
        for id in self.config.exchanges:
            venue: Venue = VENUES[id](self.config, self.faults, self.started)
            if self.config.replay is not None:
                venue = Replay(venue, self.config, self.faults, self.started)
            self.exchanges[id] = SimulatedExchange(venue, self.clock, self.faults)
        self.faults.performers.append(_settle)

    def __repr__(self) -> str:
        return f"<Simulator {', '.join(self.exchanges)} seed={self.config.seed}>"

    @property
    def binance(self) -> SimulatedExchange:
        """Binance."""
        return self.exchanges["binance"]

    @property
    def kraken(self) -> SimulatedExchange:
        """Kraken."""
        return self.exchanges["kraken"]

    def statistics(self) -> dict[str, Any]:
        """By exchange."""
        return {id: exchange.statistics() for id, exchange in self.exchanges.items()}

    def urls(self) -> dict[str, dict[str, str]]:
        """``{exchange: {"rest_url": …, "ws_url": …}}``: as in dccd's configuration under ``exchanges``."""
        return {id: {"rest_url": one.rest_url, "ws_url": one.ws_url} for id, one in self.exchanges.items()}

    async def start(self) -> None:
        """Listen, and let the configured faults work."""
        try:
            for id, exchange in self.exchanges.items():
                await exchange.start(self.config.host, self.config.ports.get(id, (0, 0)))
            for fault in self.config.faults:
                self.faults.inject(fault)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close everything."""
        await asyncio.gather(*(exchange.stop() for exchange in self.exchanges.values()))

    async def __aenter__(self) -> Simulator:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self.stop())

    def _pin(self, injected: Injected) -> None:
        """Perform a SharedMillisecond: it changes the market."""
        fault = injected.fault
        if not isinstance(fault, SharedMillisecond):
            return
        exchange = self.exchanges.get(fault.exchange)
        symbol = Symbol.parse(fault.symbol).human if fault.symbol else ""
        if exchange is None or symbol not in exchange.truth.symbols:
            raise ValueError("sharedmillisecond needs an exchange and a symbol that are simulated")
        market = exchange.truth.market(symbol)
        if (fault.first is None) == (fault.at is None):
            raise ValueError("sharedmillisecond needs either first (a trade id) or at (ns)")
        first = market.index(fault.at) if fault.at is not None else (fault.first or 0) - exchange.venue.first_id
        if first < 0:
            raise ValueError(f"there is no trade with id {fault.first}")
        market.pin(first, fault.trades)
        injected.strike()
        injected.lift()


def _settle(injected: Injected) -> None:
    """After all hubs: a Disconnect that strikes at once has struck whom it was meant for."""
    fault = injected.fault
    if isinstance(fault, Disconnect) and not fault.skip:
        injected.lift()
