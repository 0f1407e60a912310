"""Binance's public REST API: paths and queries flow in, answers flow out, without I/O.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api: limits, error codes and which parameters go
together are as documented there. Futures' exchangeInfo is there too, empty, since ccxt asks for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from dccd.simulator.binance import tapes
from dccd.simulator.binance.formats import MS, TRADE_ID, Formats
from dccd.simulator.binance.listing import limit_info, symbol_info
from dccd.simulator.binance.parameters import Query, Refused, limited, mandatory, number
from dccd.simulator.binance.session import open_session
from dccd.simulator.binance.streams import make_stream
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument, instrument
from dccd.simulator.intervals import INTERVALS
from dccd.simulator.venue import Answer, Listing, Maker, Reader, Session, Venue
from dccd.symbols import NS, Symbol

__all__ = ["Binance"]

_WEIGHT_LIMIT = 6000  # a minute and address
_BAN = 120  # seconds of 418 for who goes on after a 429
_HOUR_MS = 3_600_000


class Binance(Venue):
    """Binance spot."""

    id = "binance"
    resolution = MS
    first_id = 1
    ping_interval = 20.0
    message_limit = 5
    metadata = (
        "/api/v3/ping",
        "/api/v3/time",
        "/api/v3/exchangeInfo",
        "/fapi/v1/exchangeInfo",
        "/dapi/v1/exchangeInfo",
    )

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        self.by_id: dict[str, Listing] = {}
        self.formats: dict[str, Formats] = {}
        for symbol, listing in self.listings.items():
            formats = Formats(listing, self.first_id)
            self.formats[symbol] = formats
            self.by_id[formats.id] = listing
        self._used: dict[str, tuple[int, int]] = {}  # address: (minute, weight used)
        self._banned: dict[str, int] = {}  # address: until when (ns)
        # path: (parameters, weight, answer)
        self._paths: dict[str, tuple[tuple[str, ...], Callable[[Query], int], Callable[[Query, int], str]]] = {
            "/api/v3/ping": ((), _weight(1), lambda query, now: "{}"),
            "/api/v3/time": ((), _weight(1), lambda query, now: f'{{"serverTime":{now // MS}}}'),
            "/api/v3/exchangeInfo": (
                ("symbol", "symbols", "permissions", "showPermissionSets", "symbolStatus"),
                _weight(20),
                self._exchange_info,
            ),
            "/api/v3/depth": (("symbol", "limit"), _depth_weight, self._depth),
            "/api/v3/trades": (("symbol", "limit"), _weight(25), self._trades),
            "/api/v3/historicalTrades": (("symbol", "limit", "fromId"), _weight(25), self._trades),
            "/api/v3/aggTrades": (("symbol", "fromId", "startTime", "endTime", "limit"), _weight(4), self._agg_trades),
            "/api/v3/klines": (_KLINES, _weight(2), self._klines),
            "/api/v3/uiKlines": (_KLINES, _weight(2), self._klines),
            "/api/v3/avgPrice": (("symbol",), _weight(2), self._avg_price),
            "/api/v3/ticker/price": (("symbol",), _weight(2), self._ticker_price),
            "/api/v3/ticker/bookTicker": (("symbol",), _weight(2), self._book_ticker),
            "/api/v3/ticker/24hr": (("symbol", "type"), _weight(2), self._ticker),
            "/fapi/v1/exchangeInfo": ((), _weight(1), self._no_futures),
            "/dapi/v1/exchangeInfo": ((), _weight(1), self._no_futures),
        }

    def instrument(self, symbol: Symbol) -> Instrument:
        """Seven significant digits of price; finer amounts for dearer assets."""
        return instrument(symbol, digits=7)

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """``/ws…`` or ``/stream…``."""
        return open_session(self.faults, path, now, tape or (lambda name, at: make_stream(self, name, at)))

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
            return Answer(b"<html><body><h2>404 Not found</h2></body></html>", 404, content_type="text/html")
        params, weigh, answer = known
        headers, refusal = self._count(weigh(query), now, client)
        if refusal is not None:
            return refusal
        try:
            extra = sum(name not in params for name in query)
            if extra:
                raise Refused(
                    -1104,
                    f"Not all sent parameters were read; read '{len(query) - extra}' parameter(s) but was sent "
                    f"'{len(query)}'.",
                )
            return Answer(answer(query, now).encode(), headers=headers)
        except Refused as exc:
            return Answer(_error(exc.code, exc.msg), 400, headers)

    def error(self, status: int, retry_after: float | None) -> Answer:
        """An error as Binance words it."""
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        if status in (429, 418):
            banned = status == 418
            return Answer(_error(-1003, _TOO_MUCH_BANNED if banned else _TOO_MUCH), status, headers)
        if status == 503:
            words = "Server is currently overloaded with other requests. Please try again in a few minutes."
            return Answer(_error(-1008, words), status, headers)
        if status in (502, 504):
            # From the load balancer in front of it, which knows no JSON.
            page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
            return Answer(page.encode(), status, headers, "text/html")
        return Answer(_error(-1000, "An unknown error occurred while processing the request."), status, headers)

    def _count(self, weight: int, now: int, client: str) -> tuple[dict[str, str], Answer | None]:
        """Count a request: its headers, and the refusal if it is one too many."""
        minute = now // (60 * NS)
        at, used = self._used.get(client, (minute, 0))
        used = weight if at != minute else used + weight
        self._used[client] = (minute, used)
        headers = {"x-mbx-used-weight": str(used), "x-mbx-used-weight-1m": str(used)}
        if not self.config.limits:
            return headers, None
        until = self._banned.get(client, 0)
        if now < until:
            return headers, self.error(418, (until - now) / NS + 1)
        if used > _WEIGHT_LIMIT:
            if used > 2 * _WEIGHT_LIMIT:
                self._banned[client] = now + _BAN * NS
                return headers, self.error(418, _BAN)
            return headers, self.error(429, 60 - now // NS % 60)
        return headers, None

    # ------------------------------------------------------------ answers

    def _exchange_info(self, query: Query, now: int) -> str:
        if "symbol" in query:
            wanted = [query["symbol"]]
        elif "symbols" in query:
            try:
                wanted = json.loads(query["symbols"])
            except ValueError:
                raise Refused(-1100, "Illegal characters found in parameter 'symbols'.") from None
        else:
            wanted = list(self.by_id)
        if not all(id in self.by_id for id in wanted):
            raise Refused(-1121, "Invalid symbol.")
        return json.dumps(
            {
                "timezone": "UTC",
                "serverTime": now // MS,
                "rateLimits": [
                    limit_info("REQUEST_WEIGHT", "MINUTE", 1, _WEIGHT_LIMIT),
                    limit_info("ORDERS", "SECOND", 10, 100),
                    limit_info("ORDERS", "DAY", 1, 200_000),
                    limit_info("RAW_REQUESTS", "MINUTE", 5, 61_000),
                ],
                "exchangeFilters": [],
                "symbols": [symbol_info(self.by_id[id].instrument) for id in wanted],
            },
            separators=(",", ":"),
        )

    def _no_futures(self, query: Query, now: int) -> str:
        return (
            f'{{"timezone":"UTC","serverTime":{now // MS},"rateLimits":[],"exchangeFilters":[],"assets":[],'
            '"symbols":[]}'
        )

    def _depth(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        step = listing.book.step(now)
        limit = limited(query, 100, 5000)
        return formats.depth_body(listing.book.last_id(step), *listing.book.levels(step, limit))

    def _trades(self, query: Query, now: int) -> str:
        """``trades`` and ``historicalTrades``: the newest, or from a trade id on."""
        listing, formats = self._listing(query)
        limit, end = limited(query, 500, 1000), listing.market.index(now + 1)
        from_id = number(query, "fromId")
        first = end - limit if from_id is None else from_id - TRADE_ID - self.first_id
        first = max(0, first)
        return _list(formats.trade_rows(listing.market.runs(first, min(end, first + limit))))

    def _agg_trades(self, query: Query, now: int) -> str:
        """From an id, or a time, or up to a time; both times at most an hour apart; else the newest."""
        listing, formats = self._listing(query)
        market, limit = listing.market, limited(query, 500, 1000)
        from_id, start, end = (number(query, name) for name in ("fromId", "startTime", "endTime"))
        past = market.index(now + 1)
        if from_id is not None:
            if start is not None or end is not None:
                raise Refused(-1128, "Combination of optional parameters invalid.")
            first = max(0, from_id - self.first_id)
            last = first + limit
        else:
            until = past if end is None else min(past, market.index((end + 1) * MS))
            if start is None:
                first, last = max(0, until - limit), until
            else:
                if end is not None and end < start:
                    raise Refused(-1128, "Combination of optional parameters invalid.")
                if end is not None and end - start > _HOUR_MS:
                    raise Refused(-1127, "More than 1 hours between startTime and endTime.")
                first = market.index(start * MS)
                last = min(until, first + limit)
        return _list(formats.agg_rows(market.runs(first, min(past, last))))

    def _klines(self, query: Query, now: int) -> str:
        """Bars that begin within the times, from the older end on if a start is given; the last one may be open."""
        listing, formats = self._listing(query)
        interval = INTERVALS.get(mandatory(query, "interval"))
        if interval is None:
            raise Refused(-1120, "Invalid interval.")
        if query.get("timeZone", "0") not in ("0", "00:00", "+00:00"):
            raise Refused(-1130, "Data sent for parameter 'timeZone' is not valid.")
        limit = limited(query, 500, 1000)
        start, end = number(query, "startTime"), number(query, "endTime")
        market = listing.market
        oldest = interval.start(market.time(0))
        newest = interval.start(now if end is None else min(now, end * MS))
        if start is None:
            first = max(oldest, interval.shift(newest, 1 - limit))
        else:
            first = max(oldest, interval.shift(interval.start(start * MS - 1), 1))
        starts = interval.starts(first, newest, limit)
        if not starts:
            return "[]"
        edges = [market.index(start) for start in starts]
        ends = [*starts[1:], interval.shift(starts[-1], 1)]
        edges.append(market.index(min(ends[-1], now + 1)))
        return _list(formats.kline_rows(starts, ends, market.aggregates(edges)))

    def _avg_price(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        bar = listing.market.bar(now - 300 * NS, now + 1)
        average = bar.quote // bar.volume if bar.volume else bar.close
        return f'{{"mins":5,"price":"{formats.price(average)}","closeTime":{now // MS}}}'

    def _ticker_price(self, query: Query, now: int) -> str:
        def one(listing: Listing, formats: Formats) -> str:
            last = listing.market.price(listing.market.index(now + 1) - 1)
            return f'{{"symbol":"{formats.id}","price":"{formats.price(last)}"}}'

        return self._each(query, one)

    def _book_ticker(self, query: Query, now: int) -> str:
        def one(listing: Listing, formats: Formats) -> str:
            ((bid, bid_lots),), ((ask, ask_lots),) = listing.book.levels(listing.book.step(now), 1)
            return (
                f'{{"symbol":"{formats.id}","bidPrice":"{formats.price(bid)}","bidQty":"{formats.amount(bid_lots)}",'
                f'"askPrice":"{formats.price(ask)}","askQty":"{formats.amount(ask_lots)}"}}'
            )

        return self._each(query, one)

    def _ticker(self, query: Query, now: int) -> str:
        def one(listing: Listing, formats: Formats) -> str:
            market, price = listing.market, formats.price
            opened = now - 86_400 * NS
            bar = market.bar(opened, now + 1)
            ((bid, bid_lots),), ((ask, ask_lots),) = listing.book.levels(listing.book.step(now), 1)
            first, last = market.index(opened), market.index(now + 1)
            (newest,) = next(iter(market.runs(last - 1, last))).ticks if last else (None,)
            return json.dumps(
                {
                    "symbol": formats.id,
                    "priceChange": _signed(price, bar.close - bar.open),
                    "priceChangePercent": f"{(bar.close - bar.open) * 100 / bar.open:.3f}",
                    "weightedAvgPrice": price(bar.quote // bar.volume if bar.volume else bar.close),
                    "prevClosePrice": price(market.price(first - 1)),
                    "lastPrice": price(bar.close),
                    "lastQty": formats.amount(newest.lots if newest else 0),
                    "bidPrice": price(bid),
                    "bidQty": formats.amount(bid_lots),
                    "askPrice": price(ask),
                    "askQty": formats.amount(ask_lots),
                    "openPrice": price(bar.open),
                    "highPrice": price(bar.high),
                    "lowPrice": price(bar.low),
                    "volume": formats.amount(bar.volume),
                    "quoteVolume": formats.quote(bar.quote),
                    "openTime": opened // MS,
                    "closeTime": now // MS,
                    "firstId": first + self.first_id + TRADE_ID,
                    "lastId": last - 1 + self.first_id + TRADE_ID,
                    "count": bar.trades,
                },
                separators=(",", ":"),
            )

        return self._each(query, one)

    # ------------------------------------------------------------ parameters

    def _listing(self, query: Query) -> tuple[Listing, Formats]:
        id = mandatory(query, "symbol")
        if not re.fullmatch(r"[A-Z0-9_.-]{1,20}", id):
            raise Refused(
                -1100, "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'."
            )
        listing = self.by_id.get(id)
        if listing is None:
            raise Refused(-1121, "Invalid symbol.")
        return listing, self.formats[listing.symbol.human]

    def _each(self, query: Query, answer: Callable[[Listing, Formats], str]) -> str:
        """One symbol's answer, or a list of all."""
        if "symbol" in query:
            return answer(*self._listing(query))
        return _list([answer(listing, self.formats[symbol]) for symbol, listing in self.listings.items()])


_KLINES = ("symbol", "interval", "startTime", "endTime", "timeZone", "limit")
_TOO_MUCH = (
    f"Too much request weight used; current limit is {_WEIGHT_LIMIT} request weight per 1 MINUTE. Please use "
    "WebSocket Streams for live updates to avoid polling the API."
)
_TOO_MUCH_BANNED = (
    "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans."
)


def _weight(weight: int) -> Callable[[Query], int]:
    return lambda query: weight


def _depth_weight(query: Query) -> int:
    limit = query.get("limit", "100")
    levels = int(limit) if limit.isdecimal() else 100
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250


def _list(rows: list[str]) -> str:
    return "[" + ",".join(rows) + "]"


def _signed(price: Callable[[int], str], ticks: int) -> str:
    return ("-" if ticks < 0 else "") + price(abs(ticks))


def _error(code: int, msg: str) -> bytes:
    return json.dumps({"code": code, "msg": msg}, separators=(",", ":")).encode()
