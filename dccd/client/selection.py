"""Which datasets' ticks are wanted: names and wildcards flow in, one subject flows out. Pure.

>>> Selection.make("binance", "trades", "*").subject
'dccd.ticks.binance.trades.*'
>>> Selection.parse("*.ohlc.BTC-USDT.1m").data_type
<DataType.OHLC: 'ohlc'>
"""

from __future__ import annotations

import re

import msgspec

from dccd import subjects
from dccd.errors import IdentityError
from dccd.symbols import Dataset, DataType, Symbol, parse_span, span_label

__all__ = ["ANY", "Selection"]

ANY = "*"
_REST = ">"


class Selection(msgspec.Struct, frozen=True):
    """One dataset, or all whose names match ``pattern``, as NATS matches: ``*`` is one part, ``>`` at the end the rest.

    ``dataset`` is the one, None where there may be several; ``data_type`` that of all, None where they differ.
    """

    pattern: str
    dataset: Dataset | None
    data_type: DataType | None

    @classmethod
    def make(cls, exchange: str, data_type: str, symbol: str, span: str | int | None = None) -> Selection:
        """Of parts, of which exchange, symbol and span may be ``*``. Raises IdentityError."""
        if ANY not in (exchange, symbol, span):
            dataset = Dataset.make(exchange, data_type, symbol, span)
            return cls(dataset.name, dataset, dataset.data_type)
        if data_type == ANY:
            raise IdentityError("data_type", "one data type, or a pattern: pattern='binance.>' is all of Binance")
        # What is named is checked as it is for one dataset; what isn't is stood in for by something that is right.
        kind = DataType.read(data_type)
        like = Dataset.make(
            "any" if exchange == ANY else exchange,
            kind,
            "A/B" if symbol == ANY else symbol,
            60 if span == ANY and kind is DataType.OHLC else span,
        )
        parts = [exchange, str(kind), ANY if symbol == ANY else like.symbol.token]
        if like.span is not None:
            parts.append(ANY if span == ANY else span_label(like.span))
        return cls(".".join(parts), None, kind)

    @classmethod
    def parse(cls, pattern: str) -> Selection:
        """Of a pattern, or of a dataset's name. Raises IdentityError."""
        tail = pattern.removeprefix(f"{subjects.TICKS}.")
        parts = tail.split(".")
        if ANY not in parts and parts[-1] != _REST:
            dataset = Dataset.parse(tail)
            return cls(dataset.name, dataset, dataset.data_type)
        whole = parts[-1] == _REST
        named = parts[:-1] if whole else parts
        if not (0 if whole else 3) <= len(named) <= (3 if whole else 4):
            raise IdentityError("pattern", f"{pattern[:80]!r} has not the parts exchange.data_type.SYMBOL[.span]")
        checked = [part if part == ANY else check(part) for part, check in zip(named, _CHECKS, strict=False)]
        kind = None if len(named) < 2 or named[1] == ANY else DataType(named[1])
        if len(named) == 4 and kind not in (None, DataType.OHLC):
            raise IdentityError("pattern", f"{kind} has no span")
        if len(named) == 3 and not whole and kind is DataType.OHLC:
            raise IdentityError("pattern", "bars have a span: end it with .* for all, or with one, as .1m")
        return cls(".".join([*checked, *([_REST] if whole else [])]), None, kind)

    @property
    def subject(self) -> str:
        """What to subscribe to."""
        return f"{subjects.TICKS}.{self.pattern}"

    def matches(self, dataset: Dataset) -> bool:
        """Whether it is one of these."""
        return subjects.matches(self.pattern, dataset.name)

    def __str__(self) -> str:
        return self.pattern


def _exchange(text: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9]{1,31}", text):
        raise IdentityError("pattern", f"{text[:40]!r} is no exchange; a * stands for a whole part")
    return text


def _data_type(text: str) -> str:
    return str(DataType.read(text))


def _symbol(text: str) -> str:
    if ANY in text:
        raise IdentityError("pattern", f"{text[:40]!r}: a * stands for a whole part, as the bus matches")
    return Symbol.parse(text).token


def _span(text: str) -> str:
    return span_label(parse_span(text))


_CHECKS = (_exchange, _data_type, _symbol, _span)
