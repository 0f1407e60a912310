"""What the machine of a live session has done: told to the consumer, or performed by :mod:`dccd.feeds.session`."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from dccd.exchanges.base import PageRequest
from dccd.feeds.items import Item
from dccd.feeds.silence import Probe

__all__ = ["Action", "Drop", "Fetch", "Ping", "Send"]


class Send(msgspec.Struct, frozen=True):
    """Send these frames."""

    frames: list[str]


class Fetch(msgspec.Struct, frozen=True):
    """Perform this REST request and hand its body to :meth:`Machine.snapshot`; it replaces one still under way."""

    request: PageRequest


class Ping(msgspec.Struct, frozen=True):
    """Send a ping."""


class Drop(msgspec.Struct, frozen=True):
    """Leave the connection, then call :meth:`Machine.lost` with this reason; nothing follows it.

    ``dead``: it is the connection that gives no more, to whoever shares it.
    """

    reason: str
    dead: bool = False


Action: TypeAlias = Item | Send | Fetch | Probe | Ping | Drop
