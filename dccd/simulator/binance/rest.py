"""Binance's public REST API: paths and queries flow in, answers flow out, without I/O.

https://developers.binance.com/docs/binance-spot-api-docs/rest-api: limits, error codes and which parameters go
together are as documented there. What is of futures is in ``futures``; those margined in coin are there too, empty,
since ccxt asks for them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from dccd.simulator.binance import tapes
from dccd.simulator.binance.formats import MS, TRADE_ID, Formats
from dccd.simulator.binance.futures import FuturesApi, Path
from dccd.simulator.binance.futures import weight as _weight
from dccd.simulator.binance.futures_formats import FuturesFormats
from dccd.simulator.binance.futures_streams import make_futures_stream
from dccd.simulator.binance.limits import SPOT, Limits
from dccd.simulator.binance.listing import limit_info, symbol_info
from dccd.simulator.binance.parameters import Query, Refused, limited, mandatory
from dccd.simulator.binance.session import open_session
from dccd.simulator.binance.streams import make_stream
from dccd.simulator.binance.tables import agg_trades, klines, trades
from dccd.simulator.binance.tables import listed as _list
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument, instrument
from dccd.simulator.intervals import INTERVALS
from dccd.simulator.venue import Answer, Listing, Maker, Reader, Session, Venue
from dccd.symbols import NS, Symbol

__all__ = ["Binance"]

_MARGINS = ("USDT", "USDC")


class Binance(Venue):
    """Binance: spot, perpetuals and quarterly contracts margined in USDT and USDC."""

    id = "binance"
    resolution = MS
    first_id = 1
    kinds = frozenset({"", "perp", "quarter", "next_quarter"})
    ping_interval = 20.0
    message_limit = 5
    metadata = (
        "/api/v3/ping",
        "/api/v3/time",
        "/api/v3/exchangeInfo",
        "/fapi/v1/ping",
        "/fapi/v1/time",
        "/fapi/v1/exchangeInfo",
        "/dapi/v1/exchangeInfo",
    )

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        self.by_id: dict[str, Listing] = {}
        """Of spot; ``BTCUSDT`` is a perpetual, too."""
        self.formats: dict[str, Formats] = {}
        self.contracts: dict[str, Listing] = {}
        self.futures_formats: dict[str, FuturesFormats] = {}
        for symbol, listing in self.listings.items():
            if listing.symbol.contract:
                futures = self.futures_formats[symbol] = FuturesFormats(listing, self.first_id, started)
                self.contracts[futures.id] = listing
            else:
                formats = self.formats[symbol] = Formats(listing, self.first_id)
                self.by_id[formats.id] = listing
        self._limits = Limits()
        spot: dict[str, tuple[tuple[str, ...], Callable[[Query], int], Callable[[Query, int], str]]] = {
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
            "/dapi/v1/exchangeInfo": ((), _weight(1), self._none_in_coin),
        }
        self._paths = {path: Path(*one, SPOT) for path, one in spot.items()} | FuturesApi(self).paths

    def listed(self) -> Iterable[str]:
        """Of contracts those in USDT and USDC: those in USD are margined in coin, and listed elsewhere."""
        symbols = {text: Symbol.parse(text) for text in super().listed()}
        return [text for text, symbol in symbols.items() if not symbol.contract or symbol.quote in _MARGINS]

    def instrument(self, symbol: Symbol) -> Instrument:
        """Seven significant digits of price; finer amounts for dearer assets."""
        return instrument(symbol, digits=7)

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """``/ws…`` or ``/stream…``; of futures under ``/public`` and ``/market``."""

        def make(part: str) -> Maker:
            if part:
                return lambda name, at: make_futures_stream(self, part, name, at)
            return lambda name, at: make_stream(self, name, at)

        return open_session(self.faults, path, now, make if tape is None else lambda part: tape)

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
        headers = self._limits.count(known.pool, known.weigh(query), now, client)
        if self.config.limits and (refusal := self._limits.refusal(known.pool, now, client)):
            return self._too_much(*refusal, known.pool.most)
        try:
            extra = sum(name not in known.parameters for name in query)
            if extra:
                raise Refused(
                    -1104,
                    f"Not all sent parameters were read; read '{len(query) - extra}' parameter(s) but was sent "
                    f"'{len(query)}'.",
                )
            return Answer(known.answer(query, now).encode(), headers=headers)
        except Refused as exc:
            return Answer(_error(exc.code, exc.msg), 400, headers)

    def error(self, status: int, retry_after: float | None) -> Answer:
        """An error as Binance words it."""
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        if status in (429, 418):
            return self._too_much(status, retry_after, SPOT.most)
        if status == 503:
            words = "Server is currently overloaded with other requests. Please try again in a few minutes."
            return Answer(_error(-1008, words), status, headers)
        if status in (502, 504):
            # From the load balancer in front of it, which knows no JSON.
            page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
            return Answer(page.encode(), status, headers, "text/html")
        return Answer(_error(-1000, "An unknown error occurred while processing the request."), status, headers)

    def _too_much(self, status: int, retry_after: float | None, most: int) -> Answer:
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        return Answer(_error(-1003, _BANNED if status == 418 else _TOO_MUCH.format(most)), status, headers)

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
                    limit_info("REQUEST_WEIGHT", "MINUTE", 1, SPOT.most),
                    limit_info("ORDERS", "SECOND", 10, 100),
                    limit_info("ORDERS", "DAY", 1, 200_000),
                    limit_info("RAW_REQUESTS", "MINUTE", 5, 61_000),
                ],
                "exchangeFilters": [],
                "symbols": [symbol_info(self.by_id[id].instrument) for id in wanted],
            },
            separators=(",", ":"),
        )

    def _none_in_coin(self, query: Query, now: int) -> str:
        return f'{{"timezone":"UTC","serverTime":{now // MS},"rateLimits":[],"exchangeFilters":[],"symbols":[]}}'

    def _depth(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        book, step = listing.book, listing.book.step(now)
        limit = limited(query, 100, 5000)
        return formats.depth_body(book.time(step), book.last_id(step), *book.levels(step, limit))

    def _trades(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        return trades(listing.market, formats, query, now)

    def _agg_trades(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        return agg_trades(listing.market, formats, query, now)

    def _klines(self, query: Query, now: int) -> str:
        listing, formats = self._listing(query)
        return klines(listing.market, formats, query, now, INTERVALS, 1000)

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
        return _list([answer(listing, self.formats[listing.symbol.human]) for listing in self.by_id.values()])


_KLINES = ("symbol", "interval", "startTime", "endTime", "timeZone", "limit")
_TOO_MUCH = (
    "Too much request weight used; current limit is {} request weight per 1 MINUTE. Please use "
    "WebSocket Streams for live updates to avoid polling the API."
)
_BANNED = "Way too much request weight used; IP banned. Please use WebSocket Streams for live updates to avoid bans."


def _depth_weight(query: Query) -> int:
    limit = query.get("limit", "100")
    levels = int(limit) if limit.isdecimal() else 100
    return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250


def _signed(price: Callable[[int], str], ticks: int) -> str:
    return ("-" if ticks < 0 else "") + price(abs(ticks))


def _error(code: int, msg: str) -> bytes:
    return json.dumps({"code": code, "msg": msg}, separators=(",", ":")).encode()
