"""Frames of every exchange and channel that the simulator has: venues flow in, cases flow out, without any I/O.

A session is opened on the path of each stream's URL and handed what the stream sends; from then on time is moved on,
and what has become due is taken. Nothing here knows an exchange but ``_SNAPSHOTS`` and ``_MARKETS``.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from cases import Case, Step

from dccd.exchanges.base import Broken, Exchange, Market, Refused, SnapshotWanted, StreamOptions, StreamProtocol
from dccd.exchanges.registry import EXCHANGES
from dccd.records import Record
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.venue import Session, Venue
from dccd.simulator.venues import VENUES
from dccd.symbols import NS, Dataset, DataType, Symbol

__all__ = ["absent", "make_cases"]

START = 1_714_564_800 * NS
STEP = NS // 20
WARM = 5 * NS
LONGEST = 3600 * NS
"""Market time after which a slow channel (bars, funding rates) has given enough."""

SYMBOLS = ("BTC/USDT", "BTC/USD", "BTC/USDT:perp", "BTC/USD:perp")
"""The first of each kind that an exchange lists is taken."""

_SNAPSHOTS = {"publicGetDepth": "/api/v3/depth", "fapiPublicGetDepth": "/fapi/v1/depth"}
"""Where the REST snapshots are that live books ask for."""

_MARKETS = {
    ("bitfinex", "BTC/USDT"): Market("tBTCUST"),
    ("bitfinex", "BTC/USD"): Market("tBTCUSD"),
    ("bitfinex", "BTC/USDT:perp"): Market("tBTCF0:USTF0"),
    ("bitmex", "BTC/USDT"): Market("XBT_USDT"),
    ("bitmex", "BTC/USDT:perp"): Market("XBTUSDT", contract=1e-6),
    ("bitmex", "BTC/USD:perp"): Market("XBTUSD", inverse=True),
    ("kraken", "BTC/USDT"): Market("XBTUSDT"),
    ("kraken", "BTC/USD"): Market("XXBTZUSD"),
    ("krakenfutures", "BTC/USD:perp"): Market("PF_XBTUSD"),
    ("okx", "BTC/USDT:perp"): Market("BTC-USDT-SWAP", contract=0.01),
}
"""What ccxt's list of markets would tell."""


def make_cases(count: int, rate: float, only: str = "") -> Iterator[Case]:
    """Up to *count* frames of each channel, of markets with *rate* trades a second; *only*: part of the names."""
    for id, exchange in EXCHANGES.items():
        if id not in VENUES:
            continue
        config = SimConfig(exchanges=(id,), rate=rate, history=0.5, symbols=SYMBOLS[:2], contracts=SYMBOLS[2:])
        venue = VENUES[id](config, FaultPlan(lambda: START), START)
        for dataset in datasets(exchange, venue):
            case = Case(
                id,
                dataset.symbol.human,
                dataset.data_type.value,
                str(dataset),
                *market(exchange, venue, dataset.symbol),
                [],
                [],
            )
            if only in case.name:
                yield fill(case, exchange, venue, count)


def absent() -> list[str]:
    """Exchanges that aren't simulated, so that nothing is measured of them."""
    return [id for id in EXCHANGES if id not in VENUES]


def datasets(exchange: Exchange, venue: Venue) -> Iterator[Dataset]:
    """What there is live of its spot market and of its perpetual."""
    for kind in ("", "perp"):
        named = (name for name in SYMBOLS if name in venue.listings and Symbol.parse(name).contract == kind)
        name = next(named, None)
        if name is None:
            continue
        symbol = Symbol.parse(name)
        for data_type, found in exchange.capabilities.of(symbol).live.items():
            spans = [span for span in found.spans if span >= 60]
            yield Dataset.make(exchange.id, data_type, name, min(spans) if data_type is DataType.OHLC else None)


def market(exchange: Exchange, venue: Venue, symbol: Symbol) -> tuple[Market, str]:
    """Its market, and its name there."""
    found = exchange.market(symbol) or _MARKETS.get((exchange.id, symbol.human))
    if found is None:
        raise SystemExit(f"what {exchange.id} calls {symbol} has to be said in {__file__}")
    return found, found.id


def fill(case: Case, exchange: Exchange, venue: Venue, count: int) -> Case:
    """Subscribe, and let the market go on until there are *count* frames, or for LONGEST."""
    source = _Source(case, exchange, venue)
    now = START
    while now < START + LONGEST and len(case.frames) < count:
        now += STEP
        source.move(now, warm=now < START + WARM)
    if not case.frames:
        raise SystemExit(f"the simulator sends nothing of {case.name}")
    del case.frames[count:]
    return case


class _Source:
    """A connection to a simulated exchange, with one stream on it."""

    def __init__(self, case: Case, exchange: Exchange, venue: Venue) -> None:
        self._case = case
        self._venue = venue
        dataset = Dataset.parse(case.dataset)
        self._protocol: StreamProtocol = exchange.stream(dataset, StreamOptions(), case.market)
        self._router = exchange.router()
        url = urlsplit(self._protocol.url)
        session = venue.open(url.path + (f"?{url.query}" if url.query else ""), START)
        assert session is not None, f"{exchange.id} has no {url.path}"
        self._session: Session = session
        for frame in session.opening():
            self._take(("frame", START, frame))
        for request in [*self._router.opening(), *self._protocol.subscribe()]:
            for frame in session.receive(request, START):
                self._take(("frame", START, frame))

    def move(self, now: int, warm: bool) -> None:
        """Take what has become due; while *warm*, what makes the stream live."""
        for stream in list(self._session.streams.values()):
            for frame in self._session.wrap(stream, stream.due(now)):
                if warm:
                    self._take(("frame", now, frame))
                else:
                    self._case.frames.append((now, frame))
        if warm and now % NS == 0:
            self._take(("tick", now, ""))

    def _take(self, step: Step) -> None:
        """Hand it to the stream, and do what that asks for."""
        self._case.before.append(step)
        kind, now, text = step
        out: list[Record] = []
        if kind == "frame":
            topic = self._router.route(text.encode())
            if topic is not None and topic != self._protocol.topic:
                return
            signal = self._protocol.receive(text.encode(), now, out)
        elif kind == "snapshot":
            signal = self._protocol.snapshot(text.encode(), now, out)
        else:
            signal = self._protocol.tick(now, out)
        if isinstance(signal, Broken | Refused):
            raise SystemExit(f"{self._case.name}: {signal}")
        if isinstance(signal, SnapshotWanted):
            query = {name: str(value) for name, value in signal.request.params.items()}
            answer = self._venue.get(_SNAPSHOTS[signal.request.endpoint], query, now, "")
            self._take(("snapshot", now, answer.body.decode()))
