"""How much of a list one message has room for: items flow in, those of the first page flow out. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

__all__ = ["fitting"]

T = TypeVar("T")


def fitting(items: Iterable[T], room: int) -> list[T]:
    """Return the first of *items* that have *room*, in bytes of JSON; always one, if there is any.

    *items* are taken one by one, and none behind the first without room.
    """
    found: list[T] = []
    for item in items:
        room -= len(msgspec.json.encode(item)) + 1
        if room < 0 and found:
            break
        found.append(item)
    return found
