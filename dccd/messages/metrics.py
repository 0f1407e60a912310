"""Metrics: what a daemon counts of itself."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from dccd.messages.base import Name, Reply, Request

__all__ = ["MetricFamily", "MetricSample", "Metrics", "MetricsGet"]


class MetricsGet(Request, frozen=True, kw_only=True):
    """Ask for metrics whose name begins with ``prefix``, as ``dccd_stream``, or all. ``after``: the ``next`` of the
    page before."""

    prefix: Name | None = None
    after: Annotated[str, Meta(max_length=200, pattern=r"^[a-z0-9_]+:[0-9]{1,9}$(?!\n)")] | None = None


class MetricSample(Reply, frozen=True, kw_only=True, gc=False):
    """One value. ``name`` is the metric's, of a histogram that with ``_bucket``, ``_sum`` or ``_count`` behind it."""

    name: str
    labels: dict[str, str] = {}
    value: float


class MetricFamily(Reply, frozen=True, kw_only=True):
    """One metric and all its samples, one for each set of labels."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[MetricSample] = []


class Metrics(Reply, frozen=True, kw_only=True):
    """What ``host`` has counted, at ``at`` (ns). ``next``: ask again with this ``after`` for what a message had no room
    for, null at the end."""

    host: str
    at: int
    families: list[MetricFamily]
    next: str | None = None
