"""OKX's query parameters and refusals: text flows in, values or errors in OKX's words flow out. Pure.

https://www.okx.com/docs-v5/en/#error-code
"""

from __future__ import annotations

import json
import re

__all__ = ["Query", "Refused", "limited", "mandatory", "number", "refusal"]

Query = dict[str, str]


class Refused(Exception):
    """An error answer: its code, words and HTTP status."""

    def __init__(self, code: int, message: str, status: int = 200) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(message)


def refusal(code: int, message: str) -> bytes:
    """The body of an error."""
    return json.dumps({"msg": message, "code": str(code), "data": []}, separators=(",", ":")).encode()


def mandatory(query: Query, name: str) -> str:
    """The parameter *name*. Raises Refused."""
    if not query.get(name):
        raise Refused(50014, f"Parameter {name} cannot be empty.", 400)
    return query[name]


def number(query: Query, name: str) -> int | None:
    """The number *name*, if it was sent. Raises Refused when it is none."""
    value = query.get(name, "")
    if not value:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise Refused(51000, f"Parameter {name} error", 400)
    return int(value)


def limited(query: Query, default: int, most: int, name: str = "limit") -> int:
    """How many are asked for: what is more than allowed is cut to it. Raises Refused."""
    value = number(query, name)
    if value is not None and value < 1:
        raise Refused(51000, f"Parameter {name} error", 400)
    return default if value is None else min(value, most)
