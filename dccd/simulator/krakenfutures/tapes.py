"""Recordings of Kraken Futures: a recorded frame flows in, the stream that it is of flows out. Pure."""

from __future__ import annotations

import json

from dccd.simulator.krakenfutures.streams import FEEDS

__all__ = ["identity", "read"]


def read(text: str) -> list[tuple[str, str]]:
    """(stream, frame), snapshots too; nothing for answers, heartbeats and alerts. Raises ValueError."""
    frame = json.loads(text)
    if not isinstance(frame, dict) or "product_id" not in frame:
        return []
    feed = str(frame.get("feed")).removesuffix("_snapshot")
    return [(f"{feed}:{frame['product_id']}", text)] if feed in FEEDS else []


def identity(name: str) -> tuple[str, str]:
    """(product, data type) of a stream."""
    feed, _, product = name.partition(":")
    return product, {"ticker": "funding"}.get(feed, FEEDS.get(feed, ""))
