"""What all parsers need: checked number types for msgspec, foreign errors made ours, times as nanoseconds.

Bytes and text flow in, typed values or ParseError flow out. The bounds of the types are checked by msgspec in C while
it decodes: ``"nan"`` and ``"inf"`` are valid text for a float there, but no price.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, Generic, NoReturn, TypeVar

import msgspec
from msgspec import Meta

from dccd.errors import ParseError
from dccd.symbols import NS

__all__ = [
    "DECODE_ERRORS",
    "MS",
    "Amount",
    "Count",
    "Decoder",
    "Id",
    "Millis",
    "Price",
    "Rate",
    "Seconds",
    "Traded",
    "WireLevel",
    "iso_ns",
    "parse_error",
    "passes",
]

MS = 1_000_000
"""Nanoseconds in a millisecond."""

Price = Annotated[float, Meta(gt=0, lt=1e30)]
"""In quote asset; above 0."""
Amount = Annotated[float, Meta(ge=0, lt=1e30)]
"""In base or quote asset; 0 where a level goes or nothing was traded."""
Traded = Annotated[float, Meta(gt=0, lt=1e30)]
"""The size of a trade, in base asset."""
Rate = Annotated[float, Meta(gt=-1e3, lt=1e3)]
"""A funding rate as a fraction; negative where shorts pay."""
Id = Annotated[int, Meta(ge=0, lt=2**62)]
"""A trade id or sequence number."""
Count = Annotated[int, Meta(ge=0, lt=2**53)]
Millis = Annotated[int, Meta(ge=0, lt=9_183_110_400_000)]
"""Milliseconds since 1970; in nanoseconds it still fits an int64."""
_END = 9_183_110_400
Seconds = Annotated[int, Meta(ge=0, lt=_END)]
WireLevel = tuple[Price, Amount]

_T = TypeVar("_T")
# All that msgspec raises on any bytes whatever: its own, invalid UTF-8 in a string, arrays nested a thousand deep.
DECODE_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

# Frequency, trouble of the exchange's own, and asking twice in a row, which is over once the connection is new.
_PASSING = re.compile(
    r"already|many|\brate|limit|frequen|overload|mainten|unavailable|internal|server error|busy|tempor|time.?out|later"
    r"|again|service",
    re.I,
)


def passes(words: str) -> bool:
    """Whether an error of these words is one that passes: asking again, later, may help."""
    return _PASSING.search(words) is not None


def parse_error(exchange: str, cause: Exception | str, sample: bytes) -> ParseError:
    """A ParseError that tells what is wrong with *sample*."""
    return ParseError(exchange, f"{exchange} sent what it doesn't document: {cause}", sample)


def raise_parse_error(exchange: str, cause: Exception, sample: bytes) -> NoReturn:
    """Raise that error from its cause."""
    raise parse_error(exchange, cause, sample) from cause


class Decoder(Generic[_T]):
    """msgspec's JSON decoder of one type, numbers in text allowed, whose errors are ParseErrors.

    Where each frame counts, a parser calls ``raw`` (msgspec's own) and catches DECODE_ERRORS by itself.
    """

    __slots__ = ("_exchange", "raw")

    def __init__(self, exchange: str, kind: type[_T] | Any) -> None:
        self._exchange = exchange
        self.raw: msgspec.json.Decoder[_T] = msgspec.json.Decoder(kind, strict=False)

    def __repr__(self) -> str:
        return f"<Decoder {self._exchange} {self.raw!r}>"

    def decode(self, body: bytes) -> _T:
        """Raises ParseError."""
        try:
            return self.raw.decode(body)
        except DECODE_ERRORS as exc:
            raise_parse_error(self._exchange, exc, body)


@lru_cache(maxsize=1024)
def _second(text: str) -> int:
    """Nanoseconds at ``2023-10-06T17:35:55``, UTC. Records come in order, so the same few seconds are asked for."""
    if len(text) != 19 or text[7] != "-" or text[10] != "T":
        raise ValueError(f"{text!r} is no time")
    seconds = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    if not 0 <= seconds < _END:
        raise ValueError(f"{text!r} is not between 1970 and 2261")
    return seconds * NS


def iso_ns(text: str) -> int:
    """Nanoseconds since 1970 at an RFC 3339 time in UTC with up to 9 decimals, as ``2023-10-06T17:35:55.440295Z``.

    Raises ValueError. msgspec's datetime keeps microseconds only.
    """
    fraction = text[20:-1]
    if len(text) == 27 and text[26] == "Z" and text[19] == "." and fraction.isdecimal() and fraction.isascii():
        return _second(text[:19]) + int(fraction) * 1000  # microseconds, as nearly all have
    if text[-1:] != "Z":
        raise ValueError(f"{text[:40]!r} is no time in UTC")
    if not fraction:
        return _second(text[:-1])
    if text[19] != "." or len(fraction) > 9 or not (fraction.isascii() and fraction.isdecimal()):
        raise ValueError(f"{text[:40]!r} is no time")
    return _second(text[:19]) + int(fraction.ljust(9, "0"))
