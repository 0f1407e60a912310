"""Bitfinex's public REST API: paths and queries flow in, answers flow out, without I/O.

https://docs.bitfinex.com/reference/rest-public-trades and its neighbours. Newest first unless ``sort`` is 1; ``start``
and ``end`` both belong to what is asked for; errors are arrays with status 500.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from urllib.parse import unquote, urlsplit

from dccd.simulator.bitfinex import tapes
from dccd.simulator.bitfinex.formats import MS, Formats
from dccd.simulator.bitfinex.names import asset_id, pair_id
from dccd.simulator.bitfinex.session import BitfinexSession
from dccd.simulator.bitfinex.streams import SPANS, make_stream
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument, instrument
from dccd.simulator.venue import Answer, Listing, Maker, Reader, Session, Venue
from dccd.symbols import NS, Symbol

__all__ = ["Bitfinex"]

_MOST = 10_000
_A_MINUTE = 90  # requests that an address may make; to the book 240
_BOOKS_A_MINUTE = 240
_MINUTE = 60 * NS

Query = dict[str, str]


class _Refused(Exception):
    """An error answer, in Bitfinex's words."""


class Bitfinex(Venue):
    """Bitfinex: spot, and perpetuals settled in USDT."""

    id = "bitfinex"
    resolution = MS
    first_id = 1
    kinds = frozenset({"", "perp"})
    metadata = ("/v2/conf/", "/v2/platform/")

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        self.formats: dict[str, Formats] = {}
        self.by_id: dict[str, Listing] = {}
        for listing in self.listings.values():
            formats = Formats(listing, self.trade_id, self.first_id)
            self.formats[formats.id] = formats
            self.by_id[formats.id] = listing
        self._counts: dict[tuple[str, bool], tuple[int, int]] = {}  # (address, book?) → (minute, requests in it)

    def listed(self) -> Iterable[str]:
        """Perpetuals are settled in USDT here."""
        return [text for text in super().listed() if not (s := Symbol.parse(text)).contract or s.quote == "USDT"]

    def instrument(self, symbol: Symbol) -> Instrument:
        """Five significant digits of price, eight decimals of amount."""
        return instrument(symbol, digits=5, amount_decimals=8)

    def trade_id(self, number: int) -> str:
        """Ids count the trades of all markets: within one they ascend in jumps."""
        return str(1_700_000_000 + number * 13 + number % 7)

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """``/ws/2``."""
        if urlsplit(path).path.rstrip("/") != "/ws/2":
            return None
        if tape is not None:
            return BitfinexSession(now, self.faults, tapes.maker(tape))
        return BitfinexSession(now, self.faults, lambda request, at: make_stream(self, request, at))

    def spoil(self, frame: str) -> str | None:
        """Another checksum in a ``cs`` message."""
        head, mark, tail = frame.partition('"cs",')
        value, _, rest = tail.partition(",") if "," in tail else (tail.removesuffix("]"), "", "")
        return None if not mark else f"{head}{mark}{int(value) ^ 1}" + (f",{rest}" if rest else "]")

    @classmethod
    def reader(cls) -> Reader:
        """By the channels that the recording's answers tell."""
        return tapes.reader()

    @classmethod
    def identity(cls, name: str) -> tuple[str, str]:
        """As in the stream's name."""
        return tapes.identity(name)

    # ------------------------------------------------------------ requests

    def get(self, path: str, query: Query, now: int, client: str) -> Answer:
        """Answer a request."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if self.config.limits and self._over(client, now, parts[1:2] == ["book"]):
            return self.error(429, None)
        try:
            match parts:
                case ["v2", "platform", "status"]:
                    return Answer(b"[1]")
                case ["v2", "conf", names]:
                    return Answer(json.dumps([self._conf(name) for name in names.split(",")]).encode())
                case ["v2", "trades", name, "hist"]:
                    return _rows(self._trades(name, query, now))
                case ["v2", "candles", key, "hist"]:
                    return _rows(self._candles(key, query, now))
                case ["v2", "status", "deriv"]:
                    return _rows(self._states(query, now))
                case ["v2", "status", "deriv", name, "hist"]:
                    return _rows(self._past_states(name, query, now))
                case ["v2", "book", name, precision]:
                    return _rows(self._book(name, precision, query, now))
        except _Refused as exc:
            return _error(500, 10020, str(exc))
        return _error(404, 10020, "path: invalid")

    def error(self, status: int, retry_after: float | None) -> Answer:
        """An error as Bitfinex words it."""
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        if status in (418, 429):
            return _error(status, 11010, "ratelimit: error", headers)
        words = "Sorry, the service is temporarily unavailable. See https://www.bitfinex.com/ for more info."
        body = {"code": status, "error": "temporarily_unavailable", "error_description": words}
        return Answer(json.dumps(body).encode(), status, headers)

    def _over(self, client: str, now: int, book: bool) -> bool:
        minute = now // _MINUTE
        before, count = self._counts.get((client, book), (minute, 0))
        count = count + 1 if before == minute else 1
        self._counts[client, book] = (minute, count)
        return count > (_BOOKS_A_MINUTE if book else _A_MINUTE)

    # ------------------------------------------------------------ answers

    def _conf(self, name: str) -> list[object]:
        """One of the lists of ``conf``; those of what isn't simulated (networks, labels) are empty."""
        symbols = [listing.symbol for listing in self.listings.values()]
        match name:
            case "pub:info:pair" | "pub:info:pair:futures":
                kind = "perp" if name.endswith("futures") else ""
                sizes = [None, None, None, "0.00004", "2000.0", None, None, None, 0.2, 0.1]
                return [[pair_id(symbol), sizes] for symbol in symbols if symbol.contract == kind]
            case "pub:list:pair:exchange":
                return [pair_id(symbol) for symbol in symbols if not symbol.contract]
            case "pub:list:currency":
                return [*sorted({asset_id(asset) for symbol in symbols for asset in (symbol.base, symbol.quote)})]
            case "pub:map:currency:sym":
                return [["UST", "USDt"], ["UDC", "USDC"]]
        return []

    def _trades(self, name: str, query: Query, now: int) -> list[str]:
        market, formats = self._listing(name).market, self.formats[name]
        limit, oldest_first = _int(query, "limit", 125), _int(query, "sort", -1) == 1
        start, end = _int(query, "start", 0), _int(query, "end", now // MS)
        first = market.index(start * MS)
        last = min(market.index((end + 1) * MS), market.index(now + 1))
        if oldest_first:
            last = min(last, first + limit)
        else:
            first = max(first, last - limit)
        rows = [row for _, row in formats.trade_rows(market.runs(first, max(first, last)))]
        return rows if oldest_first else rows[::-1]

    def _candles(self, key: str, query: Query, now: int) -> list[str]:
        """Candles that had trades."""
        kind, frame, name = [*key.split(":", 2), "", ""][:3]
        if kind != "trade" or frame not in SPANS:
            raise _Refused("time_interval: invalid")
        market, formats, span = self._listing(name).market, self.formats[name], SPANS[frame] * NS
        limit, oldest_first = _int(query, "limit", 100), _int(query, "sort", -1) == 1
        start, end = _int(query, "start", 0) * MS, min(_int(query, "end", now // MS) * MS, now)
        opened = market.time(0)
        oldest = max(start + -start % span, opened - opened % span)
        newest = end - end % span
        rows: list[str] = []
        while oldest <= newest and len(rows) < limit:
            count = min(limit - len(rows), (newest - oldest) // span + 1)
            begin = oldest if oldest_first else newest - (count - 1) * span
            edges = [market.index(min(begin + n * span, now + 1)) for n in range(count + 1)]
            bars = zip(range(begin, begin + count * span, span), market.aggregates(edges), strict=True)
            found = [formats.candle_row(at, bar) for at, bar in bars if bar.trades]
            rows += found if oldest_first else found[::-1]
            oldest, newest = (begin + count * span, newest) if oldest_first else (oldest, begin - span)
        return rows

    def _states(self, query: Query, now: int) -> list[str]:
        """Of the perpetuals asked for, each with its id in front."""
        keys = query.get("keys", "ALL").split(",")
        found = [
            (name, one) for name, one in self.by_id.items() if one.symbol.contract and (name in keys or keys == ["ALL"])
        ]
        return [f'["{name}",{self.formats[name].state_row(one.derivative, now)[1:]}' for name, one in found]

    def _past_states(self, name: str, query: Query, now: int) -> list[str]:
        """Every minute's."""
        listing = self._listing(name)
        if not listing.symbol.contract:
            raise _Refused("symbol: invalid")
        limit, oldest_first = _int(query, "limit", 100), _int(query, "sort", -1) == 1
        start, end = _int(query, "start", 0) * MS, min(_int(query, "end", now // MS) * MS, now)
        start = max(start, listing.market.opened)
        times = range(start + -start % _MINUTE, end + 1, _MINUTE)
        times = times[:limit] if oldest_first else times[::-1][:limit]
        return [self.formats[name].state_row(listing.derivative, at) for at in times]

    def _book(self, name: str, precision: str, query: Query, now: int) -> list[str]:
        book, formats = self._listing(name).book, self.formats[name]
        length = query.get("len", "25")
        if length not in ("1", "25", "100", "250"):
            raise _Refused("len: invalid")
        rows: Callable[..., list[str]] | None = {"P0": formats.level_rows, "R0": formats.order_rows}.get(precision)
        if rows is None:
            raise _Refused("precision: invalid")
        return rows(*book.levels(book.step(now), int(length)))

    def _listing(self, name: str) -> Listing:
        if name not in self.by_id:
            raise _Refused("symbol: invalid")
        return self.by_id[name]


def _int(query: Query, name: str, default: int) -> int:
    value = query.get(name)
    if value is None:
        return default
    if not value.removeprefix("-").isdecimal() or len(value) > 16 or (name == "limit" and not 0 < int(value) <= _MOST):
        raise _Refused(f"{name}: invalid")
    return int(value)


def _rows(rows: list[str]) -> Answer:
    return Answer(f"[{','.join(rows)}]".encode())


def _error(status: int, code: int, words: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(json.dumps(["error", code, words]).encode(), status, headers or {})
