"""The daemon itself: health, its tree, what it can do."""

from __future__ import annotations

from typing import Any, Literal

from dccd.messages.base import Name, Reply, Request
from dccd.symbols import DataType

__all__ = [
    "CapabilityEntry",
    "Exchanges",
    "ExchangesList",
    "Health",
    "HealthCheck",
    "OperationEntry",
    "Operations",
    "RefusalEntry",
    "Tree",
    "TreeNode",
]


class HealthCheck(Reply, frozen=True, kw_only=True):
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str = ""


class Health(Reply, frozen=True, kw_only=True):
    """``ok`` when every check is; ``uptime`` in seconds, ``archiver_lag`` in messages not on disk yet."""

    ok: bool
    host: str
    version: str
    uptime: float
    bus_url: str
    data_path: str
    archiver_lag: int
    checks: list[HealthCheck]


class TreeNode(Reply, frozen=True, kw_only=True):
    """One actor of the supervision tree; ``uptime`` in seconds, ``reason``: how its incarnation before ended."""

    id: str
    type: str
    status: str
    restarts: int
    mailbox: int
    mailbox_size: int
    uptime: float
    reason: str | None = None
    children: list[TreeNode] = []


class Tree(Reply, frozen=True, kw_only=True):
    """A host's supervision tree."""

    host: str
    root: TreeNode


class CapabilityEntry(Reply, frozen=True, kw_only=True):
    """What one exchange offers of one data type of one kind of market, live or historical.

    ``dated``: ``:quarter`` and ``:next_quarter``. ``fields``: the optional columns that it fills. Spans as labels;
    history goes ``recent`` seconds or ``recent_bars`` bars back, or to the beginning. ``closed``: when the exchange
    ended, where it has; then it is had of a server only that the configuration names.
    """

    market: Literal["spot", "perp", "dated"]
    data_type: DataType
    mode: Literal["live", "historical"]
    fields: list[str] = []
    spans: list[str] = []
    depths: list[int] = []
    recent: int | None = None
    recent_bars: int | None = None
    closed: str = ""
    note: str = ""


class ExchangesList(Request, frozen=True, kw_only=True):
    """Tell what exchanges offer: those that dccd knows by heart, ``all`` that ccxt knows too, or just ``exchange``."""

    all: bool = False
    exchange: Name | None = None


class Exchanges(Reply, frozen=True, kw_only=True):
    """Capabilities by exchange."""

    exchanges: dict[str, list[CapabilityEntry]]


class RefusalEntry(Reply, frozen=True, kw_only=True):
    """An error that an operation may answer with, and when."""

    code: int
    reason: str
    when: str


class OperationEntry(Reply, frozen=True, kw_only=True):
    """One operation: its subject, what it does, who may ask (``role``: a viewer may what is a viewer's, an operator
    all), whether asking twice is as good as once, its ``errors`` beside those that any operation has, a request that is
    an ``example``, and the JSON schemas of request and reply."""

    name: str
    subject: str
    description: str
    role: Literal["viewer", "operator"]
    idempotent: bool
    errors: list[RefusalEntry] = []
    example: dict[str, Any] = {}
    request: dict[str, Any]
    reply: dict[str, Any]


class Operations(Reply, frozen=True, kw_only=True):
    """Every operation of this daemon."""

    host: str
    version: str
    operations: list[OperationEntry]
