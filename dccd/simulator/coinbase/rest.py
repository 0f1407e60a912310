"""Coinbase's public REST API: paths and queries flow in, answers flow out, without I/O.

https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/public/list-public-products: at most 350
candles, 100 trades (the newest of a range of whole seconds) and 1,000 levels an answer, all newest or best first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from dccd.simulator.coinbase.formats import US, Formats, iso
from dccd.simulator.coinbase.listing import crypto_currencies, fiat_currencies, product_info, rates
from dccd.simulator.coinbase.session import CoinbaseSession
from dccd.simulator.coinbase.streams import make_stream
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument, instrument
from dccd.simulator.venue import Answer, Listing, Maker, Session, Venue
from dccd.symbols import NS, Symbol

__all__ = ["Coinbase"]

_MOST_CANDLES = 350
_MOST_TRADES = 100
_LIMIT = 1000
_RATE = 10  # public requests that an address may make in a second
_GRANULARITIES = {
    "ONE_MINUTE": 60,
    "FIVE_MINUTE": 300,
    "FIFTEEN_MINUTE": 900,
    "THIRTY_MINUTE": 1800,
    "ONE_HOUR": 3600,
    "TWO_HOUR": 7200,
    "FOUR_HOUR": 14_400,
    "SIX_HOUR": 21_600,
    "ONE_DAY": 86_400,
}
_MARKET = "/api/v3/brokerage/market/"
_TAIL = ',"bid":"","ask":"","exchange":"coinbase"'

Query = dict[str, str]


class _Refused(Exception):
    """An error answer: status, Coinbase's token for it, and words."""

    def __init__(self, status: int, error: str, words: str) -> None:
        self.answer = _error(status, error, words)
        super().__init__(words)


class Coinbase(Venue):
    """Coinbase spot."""

    id = "coinbase"
    resolution = US
    first_id = 1
    message_limit = 8
    first_message_within = 5.0
    metadata = ("/v2/",)

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        self.products: dict[str, Listing] = {}
        self.formats: dict[str, Formats] = {}
        for listing in self.listings.values():
            text = Formats(listing, self.first_id)
            self.products[text.product], self.formats[text.product] = listing, text
        self._requests: dict[str, tuple[int, int]] = {}  # address: (second, requests in it)
        self._paths: dict[str, Callable[[Query, int], str]] = {
            "/v2/time": self._old_time,
            "/v2/currencies": self._fiat,
            "/v2/currencies/crypto": self._crypto,
            "/v2/exchange-rates": self._rates,
            "/api/v3/brokerage/time": self._time,
            f"{_MARKET}products": self._products,
            f"{_MARKET}product_book": self._book,
        }
        self._of_product: dict[str, Callable[[str, Query, int], str]] = {
            "": lambda product, query, now: json.dumps(self._info(product, now)),
            "candles": self._candles,
            "ticker": self._ticker,
        }

    def listed(self) -> Iterable[str]:
        """Without what is in the book of another: BTC/USDC is BTC/USD."""
        return [text for text in super().listed() if Symbol.parse(text).quote != "USDC"]

    def instrument(self, symbol: Symbol) -> Instrument:
        """Seven significant digits of price, eight decimals of amount."""
        return instrument(symbol, digits=7, amount_decimals=8)

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """``/``."""
        if urlsplit(path).path.rstrip("/"):
            return None
        symbols = {product: listing.symbol.human for product, listing in self.products.items()}
        return CoinbaseSession(now, self.faults, lambda *what: make_stream(self, *what), symbols)

    # ------------------------------------------------------------ requests

    def get(self, path: str, query: Query, now: int, client: str) -> Answer:
        """Answer a request."""
        if self.config.limits and self._over(client, now):
            return self.error(429, None)
        try:
            if (answer := self._paths.get(path)) is not None:
                return Answer(answer(query, now).encode())
            product, _, what = path.removeprefix(f"{_MARKET}products/").partition("/")
            if path.startswith(f"{_MARKET}products/") and what in self._of_product:
                self._listing(product)
                return Answer(self._of_product[what](product, query, now).encode())
        except _Refused as exc:
            return exc.answer
        return _error(404, "NOT_FOUND", "Not Found")

    def error(self, status: int, retry_after: float | None) -> Answer:
        """An error as Coinbase words it."""
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        if status in (429, 418):
            return _error(status, "resource_exhausted", "rate limit exceeded", headers)
        return _error(status, "INTERNAL" if status == 500 else "UNAVAILABLE", "upstream error", headers)

    def _over(self, client: str, now: int) -> bool:
        second, count = now // NS, 1
        if self._requests.get(client, (0, 0))[0] == second:
            count += self._requests[client][1]
        self._requests[client] = (second, count)
        return count > _RATE

    # ------------------------------------------------------------ lists

    def _old_time(self, query: Query, now: int) -> str:
        return json.dumps({"data": {"iso": iso(now - now % NS), "epoch": now // NS}})

    def _time(self, query: Query, now: int) -> str:
        times = {"epochSeconds": str(now // NS), "epochMillis": str(now // 1_000_000)}
        return json.dumps({"iso": iso(now - now % NS)} | times)

    def _assets(self) -> list[str]:
        return list(dict.fromkeys(a for one in self.listings.values() for a in (one.symbol.base, one.symbol.quote)))

    def _fiat(self, query: Query, now: int) -> str:
        return json.dumps({"data": fiat_currencies(self._assets())})

    def _crypto(self, query: Query, now: int) -> str:
        return json.dumps({"data": crypto_currencies(self._assets())})

    def _rates(self, query: Query, now: int) -> str:
        return json.dumps({"data": {"currency": "USD", "rates": rates(self.listings.values(), now)}})

    def _products(self, query: Query, now: int) -> str:
        kind = query.get("product_type", "SPOT")
        found = [self._info(product, now) for product in self.products] if kind == "SPOT" else []
        return json.dumps({"products": found, "num_products": len(found), "pagination": None})

    def _info(self, product: str, now: int) -> dict[str, object]:
        return product_info(self.products[product], self.formats[product], now)

    # ------------------------------------------------------------ data

    def _candles(self, product: str, query: Query, now: int) -> str:
        """Those that begin between two times, both included; none for an interval without a trade."""
        if (seconds := _GRANULARITIES.get(query.get("granularity", ""))) is None:
            raise _Refused(400, "INVALID_ARGUMENT", "granularity argument is invalid")
        start, end = _number(query, "start"), _number(query, "end")
        if start is None or end is None or end < start or (end - start) // seconds > _MOST_CANDLES:
            words = f"number of candles requested should be less than {_MOST_CANDLES}"
            raise _Refused(400, "INVALID_ARGUMENT", f"start and end argument is invalid - {words}")
        market, text, span = self.products[product].market, self.formats[product], seconds * NS
        opened = market.time(0)
        first = max(-(-start * NS // span) * span, opened - opened % span)
        starts = range(first, min(end * NS, now) + 1, span)
        edges = [market.index(at) for at in starts] + [market.index(min(at + span, now + 1)) for at in starts[-1:]]
        found = [one for one in zip(starts, market.aggregates(edges), strict=True) if one[1].trades]
        rows = [text.candle(*one) for one in reversed(found[-_MOST_CANDLES:])]
        return f'{{"candles":[{",".join(rows)}]}}'

    def _ticker(self, product: str, query: Query, now: int) -> str:
        """The newest trades, or the newest between two times, both included."""
        limit = _number(query, "limit")
        if limit is None or limit < 1:
            raise _Refused(400, "INVALID_ARGUMENT", "limit argument is invalid")
        if limit > _LIMIT:
            raise _Refused(500, "INTERNAL", "internal server error")
        listing, text = self.products[product], self.formats[product]
        start, end = _number(query, "start"), _number(query, "end")
        last = listing.market.index(min(now, now if end is None else end * NS + US - 1) + 1)
        first = max(0 if start is None else listing.market.index(start * NS), last - min(limit, _MOST_TRADES))
        rows = [row for _, row in text.trades(listing.market.runs(first, last), _TAIL)]
        ((bid, _),), ((ask, _),) = listing.book.levels(listing.book.step(now), 1)
        best = f'"best_bid":"{text.price(bid)}","best_ask":"{text.price(ask)}"'
        return f'{{"trades":[{",".join(reversed(rows))}],{best}}}'

    def _book(self, query: Query, now: int) -> str:
        product = query.get("product_id", "")
        listing, text = self._listing(product), self.formats[product]
        limit = _number(query, "limit")
        step = listing.book.step(now)
        bids, asks = listing.book.levels(step, min(limit or _LIMIT, _LIMIT))
        book = (
            f'{{"product_id":"{product}","bids":[{text.levels(bids)}],"asks":[{text.levels(asks)}],'
            f'"time":"{iso(listing.book.time(step))}"}}'
        )
        last = listing.market.price(listing.market.index(now + 1) - 1)
        middle = text.price((bids[0][0] + asks[0][0]) // 2)
        return f'{{"pricebook":{book},"last":"{text.price(last)}","mid_market":"{middle}"}}'

    def _listing(self, product: str) -> Listing:
        if product not in self.products:
            raise _Refused(404, "NOT_FOUND", f"Product {product} not supported")
        return self.products[product]


def _number(query: Query, name: str) -> int | None:
    value = query.get(name)
    if value is None:
        return None
    if not value.isascii() or not value.isdecimal() or len(value) > 11:
        raise _Refused(400, "INVALID_ARGUMENT", f"{name} argument is invalid")
    return int(value)


def _error(status: int, error: str, words: str, headers: dict[str, str] | None = None) -> Answer:
    body = {"error": error, "error_details": words, "message": words}
    return Answer(json.dumps(body, separators=(",", ":")).encode(), status, headers or {})
