"""Kraken's public REST API: paths and queries flow in, answers flow out, without I/O.

https://docs.kraken.com/exchange/api-reference/spot-rest: errors come with status 200 in ``error``, OHLC reaches back
720 bars whatever ``since`` says, Trades goes forward from ``since`` (exclusive), its ``last`` being the next ``since``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.instruments import Instrument, instrument
from dccd.simulator.kraken import tapes
from dccd.simulator.kraken.formats import US, Formats
from dccd.simulator.kraken.names import alt_asset, asset_id, pair_aliases, pair_alt, ws_name
from dccd.simulator.kraken.session import KrakenSession
from dccd.simulator.kraken.streams import MINUTES, make_stream
from dccd.simulator.venue import Answer, Listing, Maker, Reader, Session, Venue
from dccd.simulator.wire import spoil_checksum
from dccd.symbols import NS, Symbol

__all__ = ["Kraken"]

_MOST_BARS = 720
_BURST = 15  # public requests that an address may make at once; it regains one a second

Query = dict[str, str]


class _Refused(Exception):
    """An error answer, in Kraken's words."""


class Kraken(Venue):
    """Kraken spot."""

    id = "kraken"
    resolution = US
    first_id = 1
    metadata = ("/0/public/Time", "/0/public/SystemStatus", "/0/public/Assets", "/0/public/AssetPairs")

    def __init__(self, config: SimConfig, faults: FaultPlan, started: int) -> None:
        super().__init__(config, faults, started)
        self.formats: dict[str, Formats] = {}
        self._aliases: dict[str, Listing] = {}
        for symbol, listing in self.listings.items():
            self.formats[symbol] = Formats(listing, self.first_id)
            for alias in pair_aliases(listing.symbol):
                self._aliases[alias] = listing
        self._buckets: dict[str, tuple[int, float]] = {}  # address: (when, requests then counted)
        self._paths: dict[str, Callable[[Query, int], str]] = {
            "Time": self._time,
            "SystemStatus": self._status,
            "Assets": self._assets,
            "AssetPairs": self._pairs,
            "Ticker": self._ticker,
            "OHLC": self._candles,
            "Trades": self._trades,
            "Depth": self._depth,
        }

    def instrument(self, symbol: Symbol) -> Instrument:
        """Six significant digits of price, eight decimals of amount."""
        return instrument(symbol, digits=6, amount_decimals=8)

    def open(self, path: str, now: int, tape: Maker | None = None) -> Session | None:
        """``/v2``."""
        if urlsplit(path).path.rstrip("/") != "/v2":
            return None
        if tape is not None:
            return KrakenSession(now, self.faults, tapes.maker(tape))
        return KrakenSession(now, self.faults, lambda params, symbol, at: make_stream(self, params, symbol, at))

    def spoil(self, frame: str) -> str | None:
        """Book frames have a checksum."""
        return spoil_checksum(frame)

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
        if self.config.limits and self._over(client, now):
            return self.error(429, None)
        answer = self._paths.get(path.removeprefix("/0/public/"))
        if answer is None or not path.startswith("/0/public/"):
            return _errors("EGeneral:Unknown method", 404)
        try:
            return Answer(f'{{"error":[],"result":{answer(query, now)}}}'.encode())
        except _Refused as exc:
            return _errors(str(exc))

    def error(self, status: int, retry_after: float | None) -> Answer:
        """An error as Kraken words it."""
        headers = {} if retry_after is None else {"Retry-After": str(round(retry_after))}
        if status in (429, 418):
            return _errors("EGeneral:Too many requests", status, headers)
        return _errors("EService:Unavailable", status, headers)

    def _over(self, client: str, now: int) -> bool:
        at, level = self._buckets.get(client, (now, 0.0))
        level = max(0.0, level - (now - at) / NS)
        over = level + 1 > _BURST
        self._buckets[client] = (now, level if over else level + 1)
        return over

    # ------------------------------------------------------------ answers

    def _time(self, query: Query, now: int) -> str:
        moment = datetime.fromtimestamp(now // NS, UTC)
        return json.dumps({"unixtime": now // NS, "rfc1123": moment.strftime("%a, %d %b %y %H:%M:%S +0000")})

    def _status(self, query: Query, now: int) -> str:
        moment = datetime.fromtimestamp(now // NS, UTC)
        return json.dumps({"status": "online", "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ")})

    def _assets(self, query: Query, now: int) -> str:
        found = {}
        for listing in self.listings.values():
            for asset in (listing.symbol.base, listing.symbol.quote):
                old = asset_id(asset) != asset
                found[asset_id(asset)] = {
                    "aclass": "currency",
                    "altname": alt_asset(asset),
                    "decimals": 10 if old else 8,
                    "display_decimals": 5,
                    "status": "enabled",
                }
        return json.dumps(found, separators=(",", ":"))

    def _pairs(self, query: Query, now: int) -> str:
        listings = list(self.listings.values())
        if query.get("pair"):
            listings = [self._listing({"pair": name})[0] for name in query["pair"].split(",")]
        return json.dumps(
            {self.formats[listing.symbol.human].id: _pair_info(listing.instrument) for listing in listings},
            separators=(",", ":"),
        )

    def _ticker(self, query: Query, now: int) -> str:
        names = query["pair"].split(",") if query.get("pair") else [one.id for one in self.formats.values()]
        found = []
        midnight = now - now % (86_400 * NS)
        for name in names:
            listing, text = self._listing({"pair": name})
            market, price, amount = listing.market, text.price_long, text.amount
            day, last_day = market.bar(midnight, now + 1), market.bar(now - 86_400 * NS, now + 1)
            ((bid, bid_lots),), ((ask, ask_lots),) = listing.book.levels(listing.book.step(now), 1)
            end = market.index(now + 1)
            lots = next(market.runs(end - 1, end)).ticks[0].lots if end else 0
            both = (day, last_day)
            found.append(
                f'"{text.id}":'
                + json.dumps(
                    {
                        "a": [price(ask), str(max(1, ask_lots // 10**8)), f"{ask_lots / 10**8:.3f}"],
                        "b": [price(bid), str(max(1, bid_lots // 10**8)), f"{bid_lots / 10**8:.3f}"],
                        "c": [price(last_day.close), amount(lots)],
                        "v": [amount(bar.volume) for bar in both],
                        "p": [price(round(bar.quote / bar.volume) if bar.volume else bar.close) for bar in both],
                        "t": [bar.trades for bar in both],
                        "l": [price(bar.low) for bar in both],
                        "h": [price(bar.high) for bar in both],
                        "o": price(day.open),
                    },
                    separators=(",", ":"),
                )
            )
        return "{" + ",".join(found) + "}"

    def _candles(self, query: Query, now: int) -> str:
        """At most the newest 720, those after ``since`` of them; the last one is open."""
        listing, text = self._listing(query)
        minutes = query.get("interval", "1")
        if not minutes.isdecimal() or int(minutes) not in MINUTES:
            raise _Refused("EGeneral:Invalid arguments")
        span = int(minutes) * 60 * NS
        since = _since(query)
        market = listing.market
        newest = now - now % span
        first = market.time(0)
        oldest = max(first - first % span, newest - (_MOST_BARS - 1) * span)
        if since is not None:
            oldest = max(oldest, since - since % span + span)
        starts = range(oldest, newest + 1, span)
        edges = [market.index(start) for start in starts] + [market.index(now + 1)]
        rows = [text.candle_row(start, bar) for start, bar in zip(starts, market.aggregates(edges), strict=True)]
        return f'{{"{text.id}":[{",".join(rows)}],"last":{(newest - span) // NS}}}'

    def _trades(self, query: Query, now: int) -> str:
        """The first ``count`` after ``since``, or the newest."""
        listing, text = self._listing(query)
        market = listing.market
        count = _count(query, 1000, 1000)
        since = _since(query)
        end = market.index(now + 1)
        first = max(0, end - count) if since is None else min(end, market.index(since + 1))
        last = min(end, first + count)
        rows = text.trade_rows(market.runs(first, last))
        cursor = market.time(last - 1) if last > first else since or 0
        return f'{{"{text.id}":[{",".join(rows)}],"last":"{cursor}"}}'

    def _depth(self, query: Query, now: int) -> str:
        listing, text = self._listing(query)
        step = listing.book.step(now)
        bids, asks = listing.book.levels(step, _count(query, 100, 500))
        at = listing.book.time(step)
        return f'{{"{text.id}":{{"asks":{text.depth_rows(asks, at)},"bids":{text.depth_rows(bids, at)}}}}}'

    # ------------------------------------------------------------ parameters

    def _listing(self, query: Query) -> tuple[Listing, Formats]:
        name = query.get("pair", "")
        if not name:
            raise _Refused("EGeneral:Invalid arguments")
        listing = self._aliases.get(name)
        if listing is None:
            raise _Refused("EQuery:Unknown asset pair")
        return listing, self.formats[listing.symbol.human]


def _since(query: Query) -> int | None:
    """``since`` in ns: Kraken takes seconds, with decimals too, and the nanoseconds of its own ``last``."""
    value = query.get("since")
    if value is None or value == "":
        return None
    if not re.fullmatch(r"[0-9]{1,19}(\.[0-9]{1,9})?", value):
        raise _Refused("EGeneral:Invalid arguments")
    whole, _, part = value.partition(".")
    if len(whole) > 12:
        return int(whole)
    return int(whole) * NS + int(part.ljust(9, "0") or 0)


def _count(query: Query, default: int, most: int) -> int:
    value = query.get("count")
    if value is None:
        return default
    if not value.isdecimal() or not 1 <= int(value) <= most:
        raise _Refused("EGeneral:Invalid arguments")
    return int(value)


def _pair_info(pair: Instrument) -> dict[str, object]:
    fees = [[0, 0.4], [10_000, 0.35], [50_000, 0.24]]
    return {
        "altname": pair_alt(pair.symbol),
        "wsname": ws_name(pair.symbol),
        "aclass_base": "currency",
        "base": asset_id(pair.symbol.base),
        "aclass_quote": "currency",
        "quote": asset_id(pair.symbol.quote),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": pair.price_decimals,
        "lot_decimals": pair.amount_decimals,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3],
        "leverage_sell": [2, 3],
        "fees": fees,
        "fees_maker": [[volume, round(fee - 0.15, 2)] for volume, fee in fees],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": f"{10**-pair.price_decimals:.{pair.price_decimals}f}",
        "status": "online",
    }


def _errors(message: str, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Answer(json.dumps({"error": [message]}, separators=(",", ":")).encode(), status, headers or {})
