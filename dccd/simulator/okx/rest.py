"""OKX's public REST API: paths and queries flow in, answers flow out, without I/O.

https://www.okx.com/docs-v5/en/#order-book-trading-market-data: lists come newest first, ``before`` and ``after`` are
exclusive, errors have a code and come with status 200 as a rule. Options are there, none, since ccxt asks for them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlsplit

from dccd.simulator.config import SimConfig
from dccd.simulator.derivatives import RATE_DECIMALS
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument
from dccd.simulator.okx import tapes
from dccd.simulator.okx.formats import Formats
from dccd.simulator.okx.names import BARS, MS, listed_instrument, listing_info
from dccd.simulator.okx.parameters import Query, Refused, limited, mandatory, number, refusal
from dccd.simulator.okx.session import OkxSession
from dccd.simulator.okx.streams import DEPTH, make_stream
from dccd.simulator.venue import Answer, Maker, Reader, Session, Stream, Venue
from dccd.symbols import NS, Symbol

__all__ = ["Okx"]

_PERIOD = 2 * NS
_MONTHS = 90 * 86_400 * NS  # what trades, funding rates and candles of a second are kept for
_NEWEST = 1440  # candles and values of open interest that there are of the present ones
_TYPES = ("SPOT", "SWAP", "FUTURES", "OPTION")

Handler = Callable[[Query, int], str]


class Okx(Venue):
    """OKX: spot, swaps and dated futures."""

    id = "okx"
    resolution = MS
    first_id = 1
    kinds = frozenset({"", "perp", "quarter", "next_quarter"})
    first_message_within = 30.0
    metadata = ("/api/v5/public/time", "/api/v5/public/instruments")

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        made = [Formats(listing, self.first_id, started) for listing in self.listings.values()]
        self.formats = {formats.id: formats for formats in made}
        self._used: dict[tuple[str, str], tuple[int, int]] = {}  # (address, path): (period, requests)
        # path: (requests in two seconds, answer)
        self._paths: dict[str, tuple[int, Handler]] = {
            "/api/v5/public/time": (10, lambda query, now: f'[{{"ts":"{now // MS}"}}]'),
            "/api/v5/public/instruments": (20, self._instruments),
            "/api/v5/market/ticker": (20, self._ticker),
            "/api/v5/market/tickers": (20, self._tickers),
            "/api/v5/market/books": (40, self._books),
            "/api/v5/market/candles": (40, self._candles),
            "/api/v5/market/history-candles": (20, self._history_candles),
            "/api/v5/market/trades": (100, self._trades),
            "/api/v5/market/history-trades": (20, self._history_trades),
            "/api/v5/public/mark-price": (10, self._mark_price),
            "/api/v5/public/funding-rate": (10, self._funding_rate),
            "/api/v5/public/funding-rate-history": (10, self._funding_history),
            "/api/v5/public/open-interest": (20, self._open_interest),
            "/api/v5/rubik/stat/contracts/open-interest-history": (10, self._interest_history),
        }

    def instrument(self, symbol: Symbol) -> Instrument:
        """See ``names``."""
        return listed_instrument(symbol)

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """``/ws/v5/public`` or ``/ws/v5/business``."""
        which = urlsplit(path).path.removeprefix("/ws/v5/")
        if which not in ("public", "business"):
            return None

        def make(channel: str, inst: str, at: int) -> Stream | None:
            return make_stream(self, which == "business", channel, inst, at)

        return OkxSession(now, self.faults, tapes.maker(tape) if tape else make, limits=self.config.limits)

    @classmethod
    def reader(cls) -> Reader:
        """See ``tapes``."""
        return tapes.read

    @classmethod
    def identity(cls, name: str) -> tuple[str, str]:
        """See ``tapes``."""
        return tapes.identity(name)

    # ------------------------------------------------------------ requests

    def get(self, path: str, query: Query, now: int, client: str) -> Answer:
        """Answer a request."""
        known = self._paths.get(path)
        if known is None:
            return Answer(refusal(404, "Not Found"), 404)
        most, answer = known
        if self._too_often(most, path, now, client):
            return self.error(429, None)
        try:
            return Answer(f'{{"code":"0","msg":"","data":{answer(query, now)}}}'.encode())
        except Refused as exc:
            return Answer(refusal(exc.code, exc.message), exc.status)

    def error(self, status: int, retry_after: float | None) -> Answer:
        """An error as OKX words it."""
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        if status in (418, 429):
            return Answer(refusal(50011, "Too Many Requests"), status, headers)
        if status in (502, 504):
            # From the load balancer in front of it, which knows no JSON.
            page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
            return Answer(page.encode(), status, headers, "text/html")
        if status == 503:
            return Answer(refusal(50001, "Service temporarily unavailable. Try again later"), status, headers)
        return Answer(refusal(50026, "System error. Try again later"), status, headers)

    def _too_often(self, most: int, path: str, now: int, client: str) -> bool:
        period = now // _PERIOD
        at, used = self._used.get((client, path), (period, 0))
        used = used + 1 if at == period else 1
        self._used[client, path] = period, used
        return self.config.limits and used > most

    def _market(self, query: Query, *, contract: bool = False) -> Formats:
        formats = self.formats.get(mandatory(query, "instId"))
        if formats is None or (contract and not formats.listing.symbol.contract):
            raise Refused(51001, "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return formats

    def _of_type(self, query: Query) -> list[Formats]:
        kind = mandatory(query, "instType")
        if kind not in _TYPES:
            raise Refused(51000, "Parameter instType error", 400)
        return [one for one in self.formats.values() if one.type == kind and query.get("instId", one.id) == one.id]

    # ------------------------------------------------------------ answers

    def _instruments(self, query: Query, now: int) -> str:
        return _json([listing_info(one.listing.instrument, self.started, self.opened) for one in self._of_type(query)])

    def _ticker(self, query: Query, now: int) -> str:
        return _json([self._market(query).ticker(now)])

    def _tickers(self, query: Query, now: int) -> str:
        return _json([one.ticker(now) for one in self._of_type(query)])

    def _books(self, query: Query, now: int) -> str:
        formats = self._market(query)
        book = formats.listing.book
        step = book.step(now)
        data = formats.book(*book.levels(step, limited(query, 1, DEPTH, "sz")), book.time(step))
        return f'[{{{data},"seqId":{book.last_id(step)}}}]'

    def _candles(self, query: Query, now: int) -> str:
        """The newest 1,440."""
        return self._bars(query, now, _NEWEST)

    def _history_candles(self, query: Query, now: int) -> str:
        """Of a second three months, else all."""
        return self._bars(query, now, _MONTHS // NS if query.get("bar") == "1s" else None)

    def _bars(self, query: Query, now: int, kept: int | None) -> str:
        """Bars that begin between the times, newest first; with ``before`` alone the newest of all. One is open."""
        formats = self._market(query)
        interval, market = BARS.get(query.get("bar", "1m")), formats.listing.market
        if interval is None:
            raise Refused(51000, "Parameter bar error", 400)
        limit, after, before = limited(query, 100, 300), number(query, "after"), number(query, "before")
        present = interval.start(now)
        newest = present if after is None else min(present, interval.start(after * MS - 1))
        oldest = interval.start(market.time(0))
        if kept is not None:
            oldest = max(oldest, interval.shift(present, 1 - kept))
        if before is not None:
            oldest = max(oldest, interval.shift(interval.start(before * MS), 1))
        starts = interval.starts(max(oldest, interval.shift(newest, 1 - limit)), newest, limit)
        rows = [
            formats.candle(at, market.bar(at, min(interval.shift(at, 1), now + 1)), complete=at < present)
            for at in starts
        ]
        return _list(rows[::-1])

    def _trades(self, query: Query, now: int) -> str:
        """The newest."""
        formats = self._market(query)
        until = formats.listing.market.index(now + 1)
        runs = formats.listing.market.runs(max(0, until - limited(query, 100, 500)), until)
        return _list(formats.trades(runs)[::-1])

    def _history_trades(self, query: Query, now: int) -> str:
        """The newest of those before (and after) ids, or before a time; of the last three months."""
        formats = self._market(query)
        market, kind = formats.listing.market, query.get("type", "1")
        if kind not in ("1", "2"):
            raise Refused(51000, "Parameter type error", 400)
        limit, after, before = limited(query, 100, 100), number(query, "after"), number(query, "before")
        first, last = market.index(now - _MONTHS), market.index(now + 1)
        if after is not None:
            last = min(last, after - self.first_id if kind == "1" else market.index(after * MS))
        if before is not None and kind == "1":
            first = max(first, before + 1 - self.first_id)
        return _list(formats.trades(market.runs(max(first, last - limit), max(0, last)))[::-1])

    def _mark_price(self, query: Query, now: int) -> str:
        return _json([one.mark_price(now) for one in self._of_type(query) if one.listing.symbol.contract])

    def _funding_rate(self, query: Query, now: int) -> str:
        formats = self._market(query, contract=True)
        return _json([formats.funding(now)] if formats.listing.derivative.perpetual else [])

    def _funding_history(self, query: Query, now: int) -> str:
        """Rates paid between the times."""
        formats = self._market(query, contract=True)
        limit, after, before = limited(query, 400, 400), number(query, "after"), number(query, "before")
        start = max(now - _MONTHS, 0 if before is None else before * MS + 1)
        rates = formats.listing.derivative.settlements(start, now + 1 if after is None else min(now + 1, after * MS))
        return _json(
            [
                {
                    "formulaType": "withRate",
                    "fundingRate": f"{one.rate:.{RATE_DECIMALS}f}",
                    "fundingTime": str(one.ts // MS),
                    "instId": formats.id,
                    "instType": formats.type,
                    "method": "current_period",
                    "realizedRate": f"{one.rate:.{RATE_DECIMALS}f}",
                }
                for one in rates[-limit:][::-1]
            ]
        )

    def _open_interest(self, query: Query, now: int) -> str:
        found = []
        for one in self._of_type(query):
            contracts, base, usd = one.interest(now)
            ts = str(now // MS)
            found.append(
                {"instId": one.id, "instType": one.type, "oi": contracts, "oiCcy": base, "oiUsd": usd, "ts": ts}
            )
        return _json(found)

    def _interest_history(self, query: Query, now: int) -> str:
        """Values at multiples of the period between the times, the newest 1,440 of them."""
        formats = self._market(query, contract=True)
        interval = BARS.get(query.get("period", "5m"))
        if interval is None or query.get("period") in ("1s", "1m", "3m"):
            raise Refused(51000, "Parameter period error", 400)
        limit, begin, end = limited(query, 100, 100), number(query, "begin"), number(query, "end")
        newest = interval.start(now)
        oldest = max(self.opened, interval.shift(newest, 1 - _NEWEST))
        found = []
        for at in interval.starts(interval.start(oldest), newest, _NEWEST)[::-1]:
            if at < oldest or (begin is not None and at <= begin * MS) or (end is not None and at >= end * MS):
                continue
            found.append([str(at // MS), *formats.interest(at)])
            if len(found) >= limit:
                break
        return _json(found)


def _list(rows: list[str]) -> str:
    return f"[{','.join(rows)}]"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
