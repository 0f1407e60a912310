"""Whose a frame of BitMEX is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.exchanges.bitmex import Bitmex

ROWS = b'{"table":"trade","action":"insert","data":[{"timestamp":"2025-03-01T10:00:00.000Z","symbol":"XBTUSD","size":1}'


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("trades", "trade:XBTUSD"),
        ("bars", "tradeBin1m:XBTUSD"),
        ("book", "orderBookL2:XBTUSD"),
        ("instrument", "instrument:XBTUSD"),
    ],
)
def test_topics(frames: Callable[[str], list[bytes]], name: str, topic: str) -> None:
    """The welcome is for nobody, answers and frames that can't be told are for all, rows for their stream."""
    router = Bitmex().router()
    routed = [router.route(frame) for frame in frames(f"bitmex/{name}")]
    assert routed[:2] == ["", None]
    assert set(routed[2:]) <= {topic, None} and routed[2] == topic
    assert router.opening() == []


@pytest.mark.parametrize(
    ("frame", "topic"),
    [
        (ROWS + b"]}", "trade:XBTUSD"),
        (ROWS + b',{"symbol":"XBTUSD","size":2}]}', "trade:XBTUSD"),
        (ROWS + b',{"symbol":"ETHUSD","size":2}]}', None),
        (ROWS + b',{"symbol":"XBTUSDT","size":2}]}', None),
        (b'{"table":"orderBookL2","action":"insert","data":[]}', None),
        (b'{"table":"trade","action":"partial","types":{"symbol":"symbol"},"filter":{},"data":[]}', None),
        (b'{"table":"trade","action":"partial","types":{"symbol":"symbol"},"filter":{"symbol":"XBTH26"},"data":[]}',
         "trade:XBTH26"),
        (b'{"table": "trade", "action": "insert"}', None),
        (b'{"status":400,"error":"Bad"}', None),
        (b"pong", ""),
        (b"", None),
    ],
)  # fmt: skip
def test_frames(frame: bytes, topic: str | None) -> None:
    """A frame of several symbols is for all; a partial goes by its filter, as it may hold nothing."""
    assert Bitmex().router().route(frame) == topic


@given(st.one_of(st.binary(max_size=80), st.integers(0, len(ROWS)).map(lambda n: ROWS[:n])))
def test_any_bytes(frame: bytes) -> None:
    """Nothing is raised."""
    Bitmex().router().route(frame)
