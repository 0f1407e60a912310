"""Binance's query parameters: text flows in, numbers or Binance's refusals flow out. Pure.

https://developers.binance.com/docs/binance-spot-api-docs/errors
"""

from __future__ import annotations

import re

__all__ = ["Query", "Refused", "limited", "mandatory", "number"]

Query = dict[str, str]


class Refused(Exception):
    """An error answer: code and message."""

    def __init__(self, code: int, msg: str) -> None:
        self.code, self.msg = code, msg
        super().__init__(msg)


def mandatory(query: Query, name: str) -> str:
    """The parameter *name*. Raises Refused when it is missing."""
    value = query.get(name, "")
    if not value:
        raise Refused(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def number(query: Query, name: str) -> int | None:
    """The parameter *name* as a whole number, if it was sent. Raises Refused when it is none."""
    value = query.get(name)
    if value is None:
        return None
    if not value:
        raise Refused(-1105, f"Parameter '{name}' was empty.")
    if not re.fullmatch(r"[0-9]{1,20}", value):
        raise Refused(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    if int(value) >= 1 << 63:
        raise Refused(-1108, f"Parameter '{name}' overflowed.")
    return int(value)


def limited(query: Query, default: int, most: int) -> int:
    """The ``limit``: what is more than allowed is cut to it."""
    value = number(query, "limit")
    if value is not None and value < 1:
        raise Refused(-1130, "Data sent for parameter 'limit' is not valid.")
    return min(default if value is None else value, most)
