"""Bybit's query parameters: text flows in, values or Bybit's refusals flow out. Pure.

https://bybit-exchange.github.io/docs/v5/error
"""

from __future__ import annotations

import re

__all__ = ["Query", "Refused", "choice", "limited", "milliseconds"]

Query = dict[str, str]


class Refused(Exception):
    """An error answer: code and message, under status 200."""

    def __init__(self, message: str, code: int = 10001) -> None:
        self.code, self.message = code, message
        super().__init__(message)


def choice(query: Query, name: str, allowed: tuple[str, ...]) -> str:
    """The parameter *name*, one of *allowed*. Raises Refused."""
    value = query.get(name, "")
    if value not in allowed:
        raise Refused(f"params error: {name} invalid")
    return value


def milliseconds(query: Query, name: str) -> int | None:
    """The time *name* in ms, if it was sent. Raises Refused when it is none."""
    value = query.get(name, "")
    if not value:
        return None
    if not re.fullmatch(r"[0-9]{1,15}", value):
        raise Refused(f"params error: {name} invalid")
    return int(value)


def limited(query: Query, default: int, most: int) -> int:
    """The ``limit``: what is more than allowed is cut to it. Raises Refused."""
    value = query.get("limit", "")
    if not value:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < 1:
        raise Refused("params error: limit invalid")
    return min(int(value), most)
