"""BitMEX's public REST API: paths and queries flow in, answers flow out, without I/O.

https://www.bitmex.com/app/restAPI: 30 requests a minute and address, ``x-ratelimit-*`` in each answer; tables go by
time, oldest first unless ``reverse``, ``count`` rows at most after the first ``start``. Bars' times are their ends.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from dccd.simulator.bitmex.formats import HOUR, MS, Formats, dumps, trade_id
from dccd.simulator.bitmex.names import is_inverse
from dccd.simulator.bitmex.session import open_session
from dccd.simulator.bitmex.streams import BINS, make_stream
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument, instrument
from dccd.simulator.venue import Answer, Maker, Session, Venue
from dccd.symbols import NS, Symbol

__all__ = ["Bitmex"]

Query = dict[str, str]

_A_MINUTE = 30
_ASSETS = {"XBT": ("XBt", 8), "USDT": ("USDt", 6), "ETH": ("Gwei", 9)}


class Refused(Exception):
    """An error answer: a status, and BitMEX's words."""

    def __init__(self, words: str, status: int = 400) -> None:
        self.status = status
        super().__init__(words)


class Bitmex(Venue):
    """BitMEX's perpetuals and dated contracts; the real ones paid funding at 4, 12 and 20 o'clock."""

    id = "bitmex"
    resolution = MS
    first_id = 1
    kinds = frozenset({"perp", "quarter", "next_quarter"})
    funding_interval = 8 * HOUR

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        found = [Formats(one, self.first_id, started, self.funding_interval) for one in self.listings.values()]
        self.formats = {one.id: one for one in found}
        self._buckets: dict[str, tuple[int, float]] = {}  # address: (when, requests left then)
        self._paths: dict[str, Callable[[Query, int], str]] = {
            "instrument": self._instrument,
            "instrument/active": self._active,
            "instrument/activeAndIndices": self._active,
            "wallet/assets": self._assets,
            "stats": self._stats,
            "trade": self._trades,
            "trade/bucketed": self._bars,
            "funding": self._funding,
            "orderBook/L2": self._book,
        }

    def listed(self) -> list[str]:
        """Those paid in their base or quote asset: contracts paid in a third one are left out."""
        return [
            text
            for text in super().listed()
            if is_inverse(Symbol.parse(text)) or not text.split(":")[0].endswith("USD")
        ]

    def instrument(self, symbol: Symbol) -> Instrument:
        """Six significant digits of price; one lot is one contract, a power of ten of the base asset, or 1 USD."""
        if is_inverse(symbol):
            return instrument(symbol, digits=6, amount_decimals=0, inverse=True)
        rough = instrument(symbol, digits=6)
        whole = len(str(rough.price // rough.price_unit))
        return instrument(symbol, digits=6, amount_decimals=min(8, whole + 1))

    def trade_id(self, number: int) -> str:
        """A GUID."""
        return trade_id(number)

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """``/realtime``."""
        return open_session(self.faults, path, now, tape or (lambda topic, at: make_stream(self, topic, at)))

    # ------------------------------------------------------------ requests

    def get(self, path: str, query: Query, now: int, client: str) -> Answer:
        """Answer a request."""
        left = self._left(client, now)
        headers = {
            "x-ratelimit-limit": str(_A_MINUTE),
            "x-ratelimit-remaining": str(max(0, int(left))),
            "x-ratelimit-reset": str(now // NS + 1),
        }
        if self.config.limits and left < 0:
            return self.error(429, 2)
        answer = self._paths.get(path.removeprefix("/api/v1/")) if path.startswith("/api/v1/") else None
        try:
            if answer is None:
                raise Refused("Not Found", 404)
            return Answer(answer(query, now).encode(), headers=headers)
        except Refused as exc:
            return Answer(_error(str(exc)), exc.status, headers)

    def error(self, status: int, retry_after: float | None) -> Answer:
        """An error as BitMEX words it."""
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        if status == 429:
            return Answer(
                _error(f"Rate limit exceeded, retry in {retry_after or 1:.0f} seconds.", "RateLimitError"), 429, headers
            )
        words = "The system is currently overloaded. Please try again later." if status == 503 else "Server Error"
        return Answer(_error(words), status, headers)

    def _left(self, client: str, now: int) -> float:
        """Tokens left in an address's bucket, which gets one each two seconds; less than 0: there was none."""
        at, left = self._buckets.get(client, (now, float(_A_MINUTE)))
        left = min(_A_MINUTE, left + (now - at) / NS * _A_MINUTE / 60) - 1
        self._buckets[client] = now, max(0.0, left)
        return left

    # ------------------------------------------------------------ answers

    def _instrument(self, query: Query, now: int) -> str:
        wanted = query.get("symbol")
        return dumps([one.instrument(now) for id, one in self.formats.items() if wanted in (None, id)])

    def _active(self, query: Query, now: int) -> str:
        return dumps([one.instrument(now) for one in self.formats.values()])

    def _assets(self, query: Query, now: int) -> str:
        return dumps(
            [
                {"asset": asset, "currency": unit, "name": asset, "scale": scale, "enabled": True, "networks": [],
                 "currencyType": "Crypto", "majorCurrency": asset, "minDepositAmount": 1, "minWithdrawalAmount": 1}
                for asset, (unit, scale) in _ASSETS.items()
            ]
        )  # fmt: skip

    def _stats(self, query: Query, now: int) -> str:
        rows = []
        for one in self.formats.values():
            row = one.instrument(now)
            names = ("openInterest", "openValue", "turnover24h", "volume24h")
            rows.append(
                {"rootSymbol": row["rootSymbol"], "currency": row["settlCurrency"], **{n: row[n] for n in names}}
            )
        return dumps(rows)

    def _trades(self, query: Query, now: int) -> str:
        formats, start, end = self._asked(query, now)
        if formats is None:
            return "[]"
        market = formats.listing.market
        first, last = market.index(start), market.index(min(end + MS, now + 1))
        numbers = _page(range(first, max(first, last)), query, 1000)
        rows = formats.trades(market.runs(min(numbers), max(numbers) + 1)) if numbers else []
        return _list(rows[::-1] if numbers.step < 0 else rows)

    def _bars(self, query: Query, now: int) -> str:
        span = BINS.get(query.get("binSize", "1m"))
        if span is None:
            raise Refused("binSize must be one of 1m, 5m, 1h, 1d")
        formats, start, end = self._asked(query, now)
        if formats is None:
            return "[]"
        market = formats.listing.market
        oldest = market.time(0) - market.time(0) % span
        newest = now - now % span + (span if query.get("partial") == "true" else 0)  # the end of the last one
        start = max(start + -start % span, oldest + span)
        ends = _page(range(start, (min(end, newest) if query.get("endTime") else newest) + 1, span), query, 1000)
        return _list(
            [
                formats.bar(at, market.price(market.index(at - span) - 1), market.bar(at - span, min(at, now + 1)))
                for at in ends
            ]
        )

    def _funding(self, query: Query, now: int) -> str:
        formats, start, end = self._asked(query, now)
        if formats is None:
            return "[]"
        paid = formats.listing.derivative.settlements(start, min(end, now) + 1)
        return _list([formats.payment(paid[n].ts, paid[n].rate) for n in _page(range(len(paid)), query, 500)])

    def _book(self, query: Query, now: int) -> str:
        formats, _, _ = self._asked(query, now)
        if formats is None:
            return "[]"
        book, step, depth = formats.listing.book, formats.listing.book.step(now), _number(query, "depth", 25)
        bids, asks = book.levels(step, depth or book.depth)
        rows = [("Sell", level) for level in reversed(asks)] + [("Buy", level) for level in bids]
        return _list([formats.level(price, side, lots, book.time(step)) for side, (price, lots) in rows])

    # ------------------------------------------------------------ parameters

    def _asked(self, query: Query, now: int) -> tuple[Formats | None, int, int]:
        """The contract (None: no such), and the times from and to which rows are asked for."""
        symbol = query.get("symbol")
        if not symbol:
            raise Refused("symbol is required here")  # the real one answers for all of them
        return self.formats.get(symbol), _time(query, "startTime", self.opened), _time(query, "endTime", now)


def _page(found: range, query: Query, most: int) -> range:
    """Those of the rows *found* that the page holds, in its order."""
    count, start = _number(query, "count", 100), _number(query, "start", 0)
    if not 1 <= count <= most:
        raise Refused(f"count must be between 1 and {most}")
    if query.get("reverse") == "true":
        found = found[::-1]
    return found[start : start + count]


def _number(query: Query, name: str, default: int) -> int:
    value = query.get(name, str(default))
    if not value.isdecimal() or len(value) > 9:
        raise Refused(f"{name} must be a number")
    return int(value)


def _time(query: Query, name: str, default: int) -> int:
    """Nanoseconds; of a time without a zone it is UTC's."""
    value = query.get(name)
    if not value:
        return default
    try:
        moment = datetime.fromisoformat(value if value.endswith("Z") or "+" in value else f"{value}Z")
    except ValueError:
        raise Refused(f"{name} is not a valid time") from None
    return round(moment.timestamp() * 1000) * MS


def _list(rows: list[str]) -> str:
    return "[" + ",".join(rows) + "]"


def _error(words: str, name: str = "HTTPError") -> bytes:
    return dumps({"error": {"message": words, "name": name}}).encode()
