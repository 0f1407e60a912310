"""The identities: what a dataset is called everywhere.

Text flows in (from people, requests, file names, exchanges), frozen values flow out; the same value
prints as the tail of a subject, as a KV key and as a folder. Pure: no clock, no I/O.

>>> ds = Dataset.parse("binance.ohlc.BTC-USDT.1h")
>>> ds.symbol.human, ds.span, ds.folder
('BTC/USDT', 3600, 'binance/ohlc/BTC-USDT/1h')
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

import msgspec

from dccd.errors import IdentityError

__all__ = [
    "EARLIEST",
    "NS",
    "DataType",
    "Dataset",
    "Symbol",
    "format_time",
    "is_under",
    "job_name",
    "parse_interval",
    "parse_range",
    "parse_span",
    "parse_time",
    "span_label",
]

NS = 1_000_000_000
"""Nanoseconds in a second."""
EARLIEST = 1_230_768_000 * NS
"""The beginning of 2009 (ns): no time of a record is before that."""

_CONTRACTS = ("perp", "quarter", "next_quarter")
_ALIASES = {"XBT": "BTC"}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SYMBOL = re.compile(rf"([A-Z0-9]{{1,20}})[/-]([A-Z0-9]{{1,20}})(?:[:_]({'|'.join(_CONTRACTS).upper()}))?")
_EXCHANGE = re.compile(r"[a-z][a-z0-9]{1,31}")
_LABEL = re.compile(r"([0-9]{1,9})([smhdw]?)")
_MAX_SPAN = 4 * 604800
_DIGITS = re.compile(r"[0-9]{1,40}")
_FRACTION = re.compile(r"(?<=[T ][0-9][0-9]:[0-9][0-9]:[0-9][0-9])[.,]([0-9]+)")


class DataType(StrEnum):
    """What kind of market data a dataset holds."""

    OHLC = "ohlc"
    TRADES = "trades"
    ORDERBOOK = "orderbook"
    FUNDING = "funding"
    OPEN_INTEREST = "open_interest"

    @classmethod
    def read(cls, text: str) -> DataType:
        """Return the data type called *text*; raises IdentityError that lists them all."""
        try:
            return cls(text)
        except ValueError:
            raise IdentityError("data_type", f"{text!r} is no data type; there are {', '.join(cls)}") from None


class Symbol(msgspec.Struct, frozen=True, order=True):
    """What is traded: base and quote asset, and the contract when it is not spot.

    ``contract`` is ``""`` (spot), ``"perp"``, ``"quarter"`` or ``"next_quarter"``.
    """

    base: str
    quote: str
    contract: str = ""

    @classmethod
    @lru_cache(maxsize=4096)
    def parse(cls, text: str) -> Symbol:
        """Read ``BTC/USDT``, ``BTC-USDT``, ``BTC/USDT:perp`` or ``BTC-USDT_PERP``; XBT is BTC.

        Raises IdentityError for anything else.
        """
        # ASCII before upper case: upper() makes FI of the one letter 'ﬁ'.
        match = _SYMBOL.fullmatch(text.strip().upper()) if text.isascii() else None
        if match is None:
            raise IdentityError(
                "symbol",
                f"{text[:60]!r} is no symbol; write BASE/QUOTE, as BTC/USDT, or a contract, "
                f"as BTC/USDT:perp (:{', :'.join(_CONTRACTS)})",
            )
        base, quote, contract = match.groups("")
        return cls(_ALIASES.get(base, base), _ALIASES.get(quote, quote), contract.lower())

    @property
    def token(self) -> str:
        """As in subjects, keys and folders: ``BTC-USDT``, ``BTC-USDT_PERP``."""
        return f"{self.base}-{self.quote}" + (f"_{self.contract.upper()}" if self.contract else "")

    @property
    def human(self) -> str:
        """As people write it: ``BTC/USDT``, ``BTC/USDT:perp``."""
        return f"{self.base}/{self.quote}" + (f":{self.contract}" if self.contract else "")

    def __str__(self) -> str:
        return self.human


def _shown(value: str | int) -> str:
    """*value* for an error's text, cut short; Python refuses to print an int of more than 4,300 digits."""
    if isinstance(value, int) and abs(value) >= 10**40:
        return "this number"
    return repr(value[:40] if isinstance(value, str) else value)


def parse_span(value: str | int) -> int:
    """Return a bar's span in seconds from ``60``, ``"60"``, ``"1m"``, ``"4h"`` or ``"7777s"``.

    Raises IdentityError when it is none, or not between 1 second and 4 weeks.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    else:
        match = _LABEL.fullmatch(str(value).strip())
        seconds = int(match[1]) * _UNITS[match[2] or "s"] if match else 0
    if not 0 < seconds <= _MAX_SPAN:
        raise IdentityError("span", f"{_shown(value)} is no span; write seconds or a label, as 60, 1m, 1h, 1d")
    return seconds


def span_label(seconds: int) -> str:
    """Return the one label of a span: the largest unit that divides it (``1m 1h 1d 1w``, ``7777s``)."""
    for unit in ("w", "d", "h", "m"):
        if seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"


_INTERVAL = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)?")
_INTERVAL_UNITS = {"ms": 1_000_000, "s": NS, "m": 60 * NS, "h": 3600 * NS, "d": 86_400 * NS}


def parse_interval(value: str | float, field: str = "every") -> int:
    """Return an interval in ns from seconds (``1``, ``0.25``) or a label: ``100ms``, ``1s``, ``5m``, ``1h``, ``1d``.

    Raises IdentityError when it is none, or not between 1 millisecond and 4 weeks.
    """
    match = None if isinstance(value, bool) else _INTERVAL.fullmatch(str(value).strip())
    ns = round(Decimal(match[1]) * _INTERVAL_UNITS[match[2] or "s"]) if match else 0
    if not 1_000_000 <= ns <= _MAX_SPAN * NS:
        raise IdentityError(field, f"{_shown(str(value))} is no interval; write seconds, or as 100ms, 1s, 5m, 1h")
    return ns


class Dataset(msgspec.Struct, frozen=True, order=True):
    """One dataset: ``exchange.data_type.SYMBOL[.span]``; ``span`` in seconds, for ohlc only."""

    exchange: str
    data_type: DataType
    symbol: Symbol
    span: int | None = None

    @classmethod
    def make(cls, exchange: str, data_type: str, symbol: str, span: str | int | None = None) -> Dataset:
        """Build one from loose text, checking each part; raises IdentityError naming the field."""
        if not _EXCHANGE.fullmatch(exchange):
            raise IdentityError("exchange", f"{exchange[:40]!r} is no exchange id; write it as ccxt does, as binance")
        kind = DataType.read(data_type)
        if kind is DataType.OHLC and span is None:
            raise IdentityError("span", "ohlc needs a span, as 60 or 1m")
        if kind is not DataType.OHLC and span is not None:
            raise IdentityError("span", f"{kind} has no span")
        return cls(exchange, kind, Symbol.parse(symbol), None if span is None else parse_span(span))

    @classmethod
    def parse(cls, name: str) -> Dataset:
        """Read a dataset's name (or its folder, with ``/`` for ``.``); raises IdentityError."""
        parts = name.replace("/", ".").split(".")
        if not 3 <= len(parts) <= 4:
            raise IdentityError(
                "dataset",
                f"{name[:80]!r} is no dataset; write exchange.data_type.SYMBOL[.span], as binance.ohlc.BTC-USDT.1m",
            )
        return cls.make(*parts)

    @property
    def name(self) -> str:
        """``binance.ohlc.BTC-USDT.1h``: the tail of its subject and its KV key."""
        tail = f".{span_label(self.span)}" if self.span else ""
        return f"{self.exchange}.{self.data_type}.{self.symbol.token}{tail}"

    @property
    def folder(self) -> str:
        """The same with ``/``: its folder under ``data_path``."""
        return self.name.replace(".", "/")

    def __str__(self) -> str:
        return self.name


def job_name(operation: str, dataset: Dataset) -> str:
    """``stream.binance.trades.BTC-USDT``: what a job is called."""
    return f"{operation}.{dataset.name}"


def is_under(name: str, prefix: str) -> bool:
    """Whether the dataset *name* is *prefix*, or its name goes on from there at a dot; all are under the empty one.

    >>> is_under("kraken.trades.BTC-USD", "kraken"), is_under("krakenfutures.trades.BTC-USD_PERP", "kraken")
    (True, False)
    """
    return not prefix or name == prefix or name.startswith(f"{prefix}.")


def parse_time(value: str | int, field: str = "time") -> int:
    """Return nanoseconds UTC from nanoseconds or an ISO 8601 date or time (UTC when it names no zone).

    Raises IdentityError for anything else, or for a time before 2009 or from 2261 on (int64 ns ends in 2262).
    """
    if isinstance(value, bool):
        raise IdentityError(field, f"{value!r} is no time")
    if isinstance(value, int):
        ns = value
    elif _DIGITS.fullmatch(value):
        ns = int(value)
    else:
        # fromisoformat keeps microseconds at most; the seconds' fraction is read apart so that nanoseconds
        # survive a round trip through text. Any other fraction (of an hour, of a UTC offset) is refused.
        fraction = _FRACTION.search(value)
        whole = _FRACTION.sub("", value, count=1)
        try:
            if "." in whole or "," in whole:
                raise ValueError
            moment = datetime.fromisoformat(whole)
        except ValueError:
            raise IdentityError(
                field,
                f"{value[:40]!r} is no time; write an ISO date or time, as 2024-01-01 or "
                "2024-01-01T12:00:00Z, or nanoseconds since 1970",
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        ns = int(moment.timestamp()) * NS
        if fraction:
            ns += int(fraction[1][:9].ljust(9, "0"))
    if not EARLIEST <= ns < 9_183_110_400 * NS:
        raise IdentityError(field, f"{_shown(value)} is not between 2009 and 2261; times are in nanoseconds")
    return ns


def parse_range(start: str | int | None, end: str | int | None) -> tuple[int | None, int | None]:
    """Return both as :func:`parse_time` does; None stays None. Raises IdentityError that names ``start`` or ``end``."""
    return None if start is None else parse_time(start, "start"), None if end is None else parse_time(end, "end")


def format_time(ns: int) -> str:
    """Return *ns* as ISO 8601 UTC with as many decimals as it needs: ``2024-01-01T00:00:00Z``."""
    seconds, rest = divmod(ns, NS)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0") + "Z" if rest else f"{text}Z"
