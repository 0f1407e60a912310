"""Bybit's public REST API: paths and queries flow in, answers flow out, without I/O.

https://bybit-exchange.github.io/docs/v5/market/kline and its neighbours. Lists come newest first; errors come with
status 200 and a code of their own. Inverse contracts and options are there, empty, since ccxt asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from urllib.parse import parse_qs, quote, unquote, urlsplit

from dccd.simulator.bybit.formats import Formats, trade_name
from dccd.simulator.bybit.names import BARS, CATEGORIES, MS, instrument_info
from dccd.simulator.bybit.parameters import Query, Refused, choice, limited, milliseconds
from dccd.simulator.bybit.session import BybitSession
from dccd.simulator.bybit.streams import first_u, make_stream
from dccd.simulator.config import SimConfig
from dccd.simulator.derivatives import RATE_DECIMALS
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument, instrument
from dccd.simulator.venue import Answer, Maker, Reader, Session, Venue
from dccd.symbols import NS, Symbol

__all__ = ["Bybit"]

_REQUESTS = 600  # in five seconds and address
_PERIOD = 5 * NS
_SPANS = {"5min": 300, "15min": 900, "30min": 1800, "1h": 3600, "4h": 14_400, "1d": 86_400}
_QUOTES = ("USDT", "USDC")


class Bybit(Venue):
    """Bybit: spot and linear contracts."""

    id = "bybit"
    resolution = MS
    first_id = 1
    kinds = frozenset({"", "perp", "quarter", "next_quarter"})
    metadata = ("/v5/market/time", "/v5/market/instruments-info")

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        made = [Formats(listing, self.first_id, started) for listing in self.listings.values()]
        self.formats = {(formats.category, formats.id): formats for formats in made}
        """By category and id: BTCUSDT is in two."""
        self._used: dict[str, tuple[int, int]] = {}  # address: (period, requests)
        self._paths: dict[str, Callable[[Query, int], str]] = {
            "/v5/market/time": lambda query, now: f'{{"timeSecond":"{now // NS}","timeNano":"{now}"}}',
            "/v5/market/instruments-info": self._instruments,
            "/v5/market/kline": self._klines,
            "/v5/market/recent-trade": self._trades,
            "/v5/market/orderbook": self._order_book,
            "/v5/market/tickers": self._tickers,
            "/v5/market/funding/history": self._funding,
            "/v5/market/open-interest": self._open_interest,
        }

    def listed(self) -> Iterable[str]:
        """Contracts in USDT and USDC: those in USD are inverse."""
        symbols = {text: Symbol.parse(text) for text in super().listed()}
        return [text for text, symbol in symbols.items() if not symbol.contract or symbol.quote in _QUOTES]

    def instrument(self, symbol: Symbol) -> Instrument:
        """Seven significant digits of price; finer amounts for dearer assets. Contracts are counted in base asset."""
        return instrument(symbol, digits=7)

    def trade_ids(self, symbol: str) -> Callable[[int], str]:
        """Numbers on spot, UUIDs of contracts."""
        return trade_name(Symbol.parse(symbol).contract)

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """``/v5/public/spot`` or ``/v5/public/linear``."""
        category = urlsplit(path).path.removeprefix("/v5/public/")
        if category not in ("spot", "linear"):
            return None
        return BybitSession(
            now, self.faults, category, tape or (lambda topic, at: make_stream(self, category, topic, at))
        )

    @classmethod
    def reader(cls) -> Reader:
        """A frame is of the topic that it names."""

        def read(text: str) -> list[tuple[str, str]]:
            frame = json.loads(text)
            return [(frame["topic"], text)] if isinstance(frame, dict) and "topic" in frame else []

        return read

    @classmethod
    def identity(cls, name: str) -> tuple[str, str]:
        """The symbol as Bybit writes it, since none is listed."""
        kind, _, symbol = name.rpartition(".")
        kinds = {"publicTrade": "trades", "kline": "ohlc", "orderbook": "orderbook", "tickers": "funding"}
        return symbol, kinds.get(kind.partition(".")[0], "")

    # ------------------------------------------------------------ requests

    def get(self, path: str, query: Query, now: int, client: str) -> Answer:
        """Answer a request."""
        answer = self._paths.get(path)
        if answer is None:
            return Answer(b"404 page not found", 404, content_type="text/plain")
        if self._too_often(now, client):
            return Answer(b"access too frequent", 403, content_type="text/plain")
        try:
            return Answer(_wrapped(0, "OK", answer(query, now), now))
        except Refused as exc:
            return Answer(_wrapped(exc.code, exc.message, "{}", now))

    def error(self, status: int, retry_after: float | None) -> Answer:
        """An error as Bybit words it."""
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        if status == 403:
            return Answer(b"access too frequent", status, headers, "text/plain")
        if status in (418, 429):
            return Answer(_wrapped(10006, "Too many visits. Exceeded the API Rate Limit.", "{}", 0), status, headers)
        if status in (502, 503, 504):
            # From the load balancer in front of it, which knows no JSON.
            page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
            return Answer(page.encode(), status, headers, "text/html")
        return Answer(_wrapped(10016, "Server error.", "{}", 0), status, headers)

    def _too_often(self, now: int, client: str) -> bool:
        period = now // _PERIOD
        at, used = self._used.get(client, (period, 0))
        used = used + 1 if at == period else 1
        self._used[client] = period, used
        return self.config.limits and used > _REQUESTS

    # ------------------------------------------------------------ answers

    def _instruments(self, query: Query, now: int) -> str:
        category = choice(query, "category", CATEGORIES)
        wanted, status = query.get("symbol"), query.get("status", "Trading")
        infos = [
            instrument_info(formats.listing.instrument, self.started, self.opened, self.funding_interval)
            for (its, id), formats in self.formats.items()
            if its == category and wanted in (None, id) and status == "Trading"
        ]
        if wanted is not None and not infos:
            raise Refused("params error: symbol invalid")
        result: dict[str, object] = {"category": category, "list": infos, "nextPageCursor": ""}
        return json.dumps(result, separators=(",", ":"))

    def _klines(self, query: Query, now: int) -> str:
        """Bars that begin within the times, both inclusive: from the start on if there is no end, else the newest."""
        formats, market = (found := self._market(query)), found.listing.market
        interval = BARS[choice(query, "interval", tuple(BARS))]
        limit, start, end = limited(query, 200, 1000), milliseconds(query, "start"), milliseconds(query, "end")
        oldest = interval.start(market.time(0))
        newest = interval.start(now if end is None else min(now, end * MS))
        if start is not None:
            oldest = max(oldest, interval.shift(interval.start(start * MS - 1), 1))
        first = oldest
        if start is None or end is not None:
            first = max(oldest, interval.shift(newest, 1 - limit))
        starts = interval.starts(first, newest, limit)
        bars = [market.bar(at, min(interval.shift(at, 1), now + 1)) for at in starts]
        rows = [formats.kline_row(at, bar) for at, bar in zip(starts, bars, strict=True)]
        return _list(formats, rows[::-1])

    def _trades(self, query: Query, now: int) -> str:
        """The newest: 60 at most on spot."""
        formats = self._market(query)
        spot = formats.category == "spot"
        limit = limited(query, 60 if spot else 500, 60 if spot else 1000)
        market = formats.listing.market
        until = market.index(now + 1)
        rows = formats.trade_rows(market.runs(max(0, until - limit), until))
        return f'{{"category":"{formats.category}","list":[{",".join(rows[::-1])}]}}'

    def _order_book(self, query: Query, now: int) -> str:
        """Its ``u`` is that of the topic of a thousand levels."""
        formats = self._market(query)
        spot, book = formats.category == "spot", formats.listing.book
        limit = limited(query, 1 if spot else 25, 200 if spot else 500)
        step = book.step(now)
        data = formats.book(*book.levels(step, limit), first_u(step, 2), book.last_id(step))
        ms = book.time(step) // MS
        return f'{{{data},"ts":{ms + 3},"cts":{ms}}}'

    def _tickers(self, query: Query, now: int) -> str:
        category = choice(query, "category", CATEGORIES)
        if "symbol" in query:
            self._market(query)
        found = [
            formats.ticker(now)
            for (its, id), formats in self.formats.items()
            if its == category and query.get("symbol", id) == id
        ]
        return json.dumps({"category": category, "list": found}, separators=(",", ":"))

    def _funding(self, query: Query, now: int) -> str:
        """Rates paid within the times, both inclusive; a start alone is an error."""
        formats = self._market(query, ("linear", "inverse"))
        limit, start, end = limited(query, 200, 200), milliseconds(query, "startTime"), milliseconds(query, "endTime")
        if start is not None and end is None:
            raise Refused("params error: endTime is required with startTime")
        until = now + 1 if end is None else min(now + 1, end * MS + 1)
        rates = formats.listing.derivative.settlements(0 if start is None else start * MS, until)
        rows = [
            f'{{"symbol":"{formats.id}","fundingRate":"{one.rate:.{RATE_DECIMALS}f}",'
            f'"fundingRateTimestamp":"{one.ts // MS}"}}'
            for one in rates[-limit:]
        ]
        return f'{{"category":"{formats.category}","list":[{",".join(rows[::-1])}]}}'

    def _open_interest(self, query: Query, now: int) -> str:
        """Values at multiples of the interval within the times, both inclusive; a cursor goes on with older ones."""
        formats, derivative = (found := self._market(query, ("linear", "inverse"))), found.listing.derivative
        span = _SPANS[choice(query, "intervalTime", tuple(_SPANS))] * NS
        limit, start, end = limited(query, 50, 200), milliseconds(query, "startTime"), milliseconds(query, "endTime")
        until = now + 1 if end is None else min(now + 1, end * MS + 1)
        if cursor := query.get("cursor"):
            until = min(until, int(parse_qs(unquote(cursor)).get("lasttime", ["0"])[0]) * NS)
        oldest = max(self.opened, 0 if start is None else start * MS)
        newest = until - 1 - (until - 1) % span
        times = range(newest, oldest - 1, -span)
        rows = [
            f'{{"openInterest":"{formats.amount(derivative.open_lots(at))}","timestamp":"{at // MS}"}}'
            for at in times[:limit]
        ]
        more = quote(f"lastid={len(times)}&lasttime={times[limit - 1] // NS}") if len(times) > limit else ""
        return _list(formats, rows)[:-1] + f',"nextPageCursor":"{more}"}}'

    def _market(self, query: Query, categories: tuple[str, ...] = CATEGORIES) -> Formats:
        category = choice(query, "category", categories)
        formats = self.formats.get((category, query.get("symbol", "")))
        if formats is None:
            raise Refused("Not supported symbols")
        return formats


def _list(formats: Formats, rows: list[str]) -> str:
    return f'{{"category":"{formats.category}","symbol":"{formats.id}","list":[{",".join(rows)}]}}'


def _wrapped(code: int, message: str, result: str, now: int) -> bytes:
    words = json.dumps(message)
    return f'{{"retCode":{code},"retMsg":{words},"result":{result},"retExtInfo":{{}},"time":{now // MS}}}'.encode()
