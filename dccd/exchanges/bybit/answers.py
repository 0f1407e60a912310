"""The answers of Bybit's REST as types: a body flows in, its result flows out, or Bybit's error as a ParseError.

https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
from msgspec import field

from dccd.exchanges.bybit.frames import parse_error

__all__ = ["Answer", "Rows", "rows"]

_T = TypeVar("_T")


class Rows(msgspec.Struct, Generic[_T]):
    """The result of a list; of an error it is empty."""

    symbol: str | None = None
    rows: list[_T] | None = field(name="list", default=None)


class Answer(msgspec.Struct, Generic[_T]):
    """Every answer; errors come with status 200, and ccxt tells those apart by their code."""

    code: int = field(name="retCode")
    message: str = field(name="retMsg", default="")
    result: _T | None = None


def rows(found: Answer[Rows[_T]], market: str, body: bytes) -> list[_T]:
    """The rows of an answer, newest first, as Bybit gives them. Raises ParseError, in Bybit's words if it has any."""
    if found.code:
        raise parse_error(f"{found.message} ({found.code})", body)
    if found.result is None or found.result.rows is None:
        raise parse_error("an answer without a list", body)
    if found.result.symbol not in (None, market):
        raise parse_error(f"rows of {found.result.symbol} where {market} was asked for", body)
    return found.result.rows
