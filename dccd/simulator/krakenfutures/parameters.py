"""Kraken Futures' query parameters and errors: text flows in, values or refusals flow out. Pure.

Each of its APIs tells errors in a form of its own.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from datetime import datetime

from dccd.simulator.krakenfutures.names import MS
from dccd.simulator.venue import Answer
from dccd.symbols import NS

__all__ = [
    "Query",
    "Refused",
    "as_json",
    "as_text",
    "bad_request",
    "invalid",
    "milliseconds",
    "moment",
    "seconds",
    "token",
    "token_of",
]

Query = dict[str, str]


class Refused(Exception):
    """An error answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.body)


def as_json(value: object, status: int = 200) -> Answer:
    """An answer of *value*."""
    return Answer(json.dumps(value, separators=(",", ":")).encode(), status)


def as_text(words: str) -> Answer:
    """An error of the charts."""
    return Answer(words.encode(), 400, content_type="text/plain")


def invalid(field: str) -> Answer:
    """An error of the charts' analytics."""
    return as_json({"errors": [{"severity": "error", "type": "Invalid arguments", "field": field}]}, 400)


def bad_request(reason: str) -> Answer:
    """An error of the market's history."""
    return as_json({"status": "bad_request", "reason": reason}, 400)


def seconds(query: Query, name: str, default: int) -> int:
    """The time *name*, which is in seconds, as ns. Raises Refused."""
    value = query.get(name)
    if not value:
        return default
    if not re.fullmatch(r"[0-9]{1,11}", value):
        raise Refused(as_text(f"Invalid {name}"))
    return int(value) * NS


def milliseconds(query: Query, name: str, default: int) -> int:
    """The number *name*. Raises Refused."""
    value = query.get(name)
    if not value:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", value):
        raise Refused(bad_request(f"Invalid {name}"))
    return int(value)


def token(at: int, number: int) -> str:
    """What says that the next page begins with trade *number*; *at* in ms."""
    return b64encode(f"{at}/{number}".encode()).decode()


def token_of(text: str) -> int:
    """The number that a token is of. Raises Refused."""
    try:
        return int(b64decode(text, validate=True).partition(b"/")[2])
    except (NoBase64, ValueError):
        raise Refused(bad_request("Invalid continuation token")) from None


def moment(text: str) -> int:
    """A time as Kraken writes it, in ns. Raises Refused."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000) * MS
    except ValueError:
        raise Refused(as_json({"result": "error", "error": "invalidArgument: lastTime"}, 400)) from None
