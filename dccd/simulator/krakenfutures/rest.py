"""Kraken Futures' public REST APIs: paths and queries flow in, answers flow out, without I/O.

Four of them, each with errors of its own: ``/derivatives/api/v3`` (and ``v4``, where funding rates are), charts, which
tell errors in plain text, their analytics, and the market's history.
https://docs.kraken.com/exchange/api-reference/futures-rest
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from dccd.simulator.config import SimConfig
from dccd.simulator.derivatives import RATE_DECIMALS
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument
from dccd.simulator.intervals import INTERVALS
from dccd.simulator.krakenfutures import tapes
from dccd.simulator.krakenfutures.formats import Formats
from dccd.simulator.krakenfutures.names import MS, RESOLUTIONS, instrument_info, iso, listed_instrument, uuid
from dccd.simulator.krakenfutures.parameters import (
    Query,
    Refused,
    as_json,
    as_text,
    bad_request,
    invalid,
    milliseconds,
    moment,
    seconds,
    token,
    token_of,
)
from dccd.simulator.krakenfutures.session import FuturesSession
from dccd.simulator.krakenfutures.streams import make_stream
from dccd.simulator.venue import HOUR, Answer, Maker, Reader, Session, Venue
from dccd.symbols import NS, Symbol

__all__ = ["KrakenFutures"]

_REQUESTS = 500  # in ten seconds and address
_PERIOD = 10 * NS
_PAGE = 2000  # candles, and buckets of analytics
_TRADES = 100
_EXECUTIONS = 1000
_BUCKETS = (60, 300, 900, 1800, 3600, 14_400, 43_200, 86_400, 604_800)


class KrakenFutures(Venue):
    """Kraken Futures: contracts in USD."""

    id = "krakenfutures"
    resolution = MS
    first_id = 1
    kinds = frozenset({"perp", "quarter", "next_quarter"})
    funding_interval = HOUR
    funding_accrues = True
    message_limit = 100
    metadata = ("/derivatives/api/v3/instruments", "/derivatives/api/v3/tickers")

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        made = [Formats(listing, self.first_id, started) for listing in self.listings.values()]
        self.formats = {formats.id: formats for formats in made}
        """By product."""
        self._used: dict[str, tuple[int, int]] = {}  # address: (period, requests)
        self._paths: dict[str, Callable[[Query, int], str]] = {
            "v3/instruments": self._instruments,
            "v3/tickers": lambda query, now: f'"tickers":{json.dumps([one.ticker(now) for one in made])}',
            "v3/orderbook": self._order_book,
            "v3/history": self._history,
            "v4/historicalfundingrates": self._funding,
        }

    def listed(self) -> Iterable[str]:
        """All is quoted in USD."""
        return [text for text in super().listed() if Symbol.parse(text).quote == "USD"]

    def instrument(self, symbol: Symbol) -> Instrument:
        """See ``names``."""
        return listed_instrument(symbol)

    def trade_id(self, number: int) -> str:
        """A UUID."""
        return uuid(number)

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """``/ws/v1``."""
        if urlsplit(path).path.rstrip("/") != "/ws/v1":
            return None
        return FuturesSession(now, self.faults, tape or (lambda name, at: make_stream(self, name, at)))

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
        if self._too_often(now, client):
            return self.error(429, None)
        parts = path.strip("/").split("/")
        try:
            if parts[:3] == ["api", "charts", "v1"] and len(parts) == 6:
                if parts[3] == "analytics":
                    return self._analytics(parts[4], parts[5], query, now)
                return self._candles(parts[3], parts[4], parts[5], query, now)
            if parts[:4] == ["api", "history", "v3", "market"] and parts[5:] == ["executions"]:
                return self._executions(parts[4], query, now)
            answer = self._paths.get("/".join(parts[2:])) if parts[:2] == ["derivatives", "api"] else None
            if answer is not None:
                body = f'{{"result":"success",{answer(query, now)},"serverTime":"{iso(now)}"}}'
                return Answer(body.encode())
            if parts[:4] == ["derivatives", "api", "v3", "tickers"] and len(parts) == 5:
                ticker = json.dumps(self._product(parts[4]).ticker(now))
                return Answer(f'{{"result":"success","ticker":{ticker},"serverTime":"{iso(now)}"}}'.encode())
        except Refused as exc:
            return exc.answer
        return as_json(
            {"status": "NOT_FOUND", "result": "error", "errors": [{"code": 92, "message": "NOT_FOUND"}]}, 404
        )

    def error(self, status: int, retry_after: float | None) -> Answer:
        """An error as Kraken words it."""
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        words = "apiLimitExceeded" if status in (418, 429) else "Unavailable"
        return Answer(as_json({"result": "error", "error": words}).body, status, headers)

    def _too_often(self, now: int, client: str) -> bool:
        period = now // _PERIOD
        at, used = self._used.get(client, (period, 0))
        used = used + 1 if at == period else 1
        self._used[client] = period, used
        return self.config.limits and used > _REQUESTS

    # ------------------------------------------------------------ derivatives

    def _instruments(self, query: Query, now: int) -> str:
        listings = self.listings.values()
        infos = [instrument_info(listing.instrument, self.started, self.opened) for listing in listings]
        return f'"instruments":{json.dumps(infos, separators=(",", ":"))}'

    def _order_book(self, query: Query, now: int) -> str:
        """The whole book, asks upwards and bids from the worst on, as it has come."""
        formats = self._product(query.get("symbol"))
        book = formats.listing.book
        bids, asks = book.levels(book.step(now), book.depth)
        return f'"orderBook":{{"bids":{formats.rest_levels(bids[::-1])},"asks":{formats.rest_levels(asks)}}}'

    def _history(self, query: Query, now: int) -> str:
        """The newest hundred before ``lastTime``, newest first."""
        formats = self._product(query.get("symbol"))
        market, before = formats.listing.market, now + 1
        if last := query.get("lastTime"):
            before = min(before, moment(last))
        end = market.index(before)
        rows = formats.history_rows(market.runs(max(0, end - _TRADES), end))
        return f'"history":[{",".join(rows[::-1])}]'

    def _funding(self, query: Query, now: int) -> str:
        """All of a year, oldest first, at the beginnings of their hours."""
        formats = self._product(query.get("symbol"))
        rates = [
            f'{{"timestamp":"{iso(one.ts)}","fundingRate":{formats.money(one.rate, one.ts)!r},'
            f'"relativeFundingRate":{one.rate:.{RATE_DECIMALS}f}}}'
            for one in formats.listing.derivative.settlements(now - 8784 * HOUR, now + 1)
        ]
        return f'"rates":[{",".join(rates)}]'

    def _product(self, name: str | None) -> Formats:
        formats = self.formats.get(name or "")
        if formats is None:
            errors = (
                [{"code": 11, "message": "Argument invalid: symbol"}]
                if name
                else [{"code": 0, "message": "400 BAD_REQUEST"}]
            )
            raise Refused(as_json({"status": "BAD_REQUEST", "result": "error", "errors": errors}, 400))
        return formats

    # ------------------------------------------------------------ charts

    def _candles(self, kind: str, product: str, resolution: str, query: Query, now: int) -> Answer:
        """Candles that open within the times (s), both inclusive: the first 2000; without times the newest."""
        formats = self.formats.get(product)
        if kind not in ("trade", "mark", "spot"):
            raise Refused(as_text("Invalid tick type"))
        if formats is None:
            raise Refused(as_text("Invalid instrument"))
        if resolution not in RESOLUTIONS:
            raise Refused(as_text("Invalid resolution"))
        interval, market = INTERVALS[resolution], formats.listing.market
        newest = interval.start(min(now, seconds(query, "to", now)))
        start = seconds(query, "from", interval.shift(newest, 1 - _PAGE))
        first = max(interval.start(market.time(0)), interval.shift(interval.start(start - 1), 1))
        starts = interval.starts(first, newest, _PAGE + 1)
        bars = [market.bar(at, min(interval.shift(at, 1), now + 1)) for at in starts[:_PAGE]]
        rows = [
            formats.candle(at, bar if kind == "trade" else bar._replace(volume=0))
            for at, bar in zip(starts, bars, strict=False)
        ]
        more = "true" if len(starts) > _PAGE else "false"
        return Answer(f'{{"candles":[{",".join(rows)}],"more_candles":{more}}}'.encode())

    def _analytics(self, product: str, kind: str, query: Query, now: int) -> Answer:
        """The open interest in buckets: first, highest, lowest, last; the first 2000 within the times (s)."""
        formats, span = self.formats.get(product), query.get("interval", "")
        if formats is None or kind != "open-interest":
            raise Refused(invalid("symbol" if formats is None else "analytics_type"))
        if not span.isdecimal() or int(span) not in _BUCKETS:
            raise Refused(invalid("interval"))
        if not query.get("since"):
            raise Refused(invalid("since"))
        every, derivative = int(span) * NS, formats.listing.derivative
        start, end = max(self.opened, seconds(query, "since", 0)), min(now, seconds(query, "to", now))
        times = range(start + -start % every, end + 1, every)
        data = []
        for at in times[:_PAGE]:
            moments = (at, at + every // 3, at + every // 2, at + every - 1)
            lots = [derivative.open_lots(min(moment, now)) for moment in moments]
            data.append([formats.amount(one) for one in (lots[0], max(lots), min(lots), lots[-1])])
        stamps = [at // NS for at in times[:_PAGE]]
        return as_json({"result": {"timestamp": stamps, "more": len(times) > _PAGE, "data": data}, "errors": []})

    # ------------------------------------------------------------ the market's history

    def _executions(self, product: str, query: Query, now: int) -> Answer:
        """Trades between two times (ms), a page of them; the token says where the next one begins."""
        formats = self.formats.get(product)
        if formats is None:
            raise Refused(bad_request("Unknown tradeable"))
        market, ascending = formats.listing.market, query.get("sort") == "asc"
        count = min(_EXECUTIONS, max(1, milliseconds(query, "count", _EXECUTIONS)))
        first = market.index(milliseconds(query, "since", 0) * MS)
        last = market.index(min(now + 1, milliseconds(query, "before", now // MS + 1) * MS))
        if after := query.get("continuation_token"):
            at = token_of(after)
            first, last = (max(first, at), last) if ascending else (first, min(last, at))
        edges = (first, min(last, first + count)) if ascending else (max(first, last - count), last)
        rows = formats.executions(market.runs(*edges))
        more = edges[1] < last if ascending else edges[0] > first
        tail = f',"continuationToken":"{token(now // MS, edges[int(ascending)])}"' if more else ""
        listed = ",".join(rows if ascending else rows[::-1])
        return Answer(f'{{"elements":[{listed}],"len":{len(rows)}{tail}}}'.encode())
