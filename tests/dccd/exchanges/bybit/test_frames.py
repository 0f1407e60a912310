"""Whose a frame is, on a connection that many streams share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.exchanges.base import Market, StreamOptions
from dccd.exchanges.bybit import Bybit
from dccd.exchanges.bybit.frames import BybitRouter
from dccd.symbols import Dataset

NAMES = {
    "trades": "bybit.trades.BTC-USDT_PERP",
    "bars": "bybit.ohlc.BTC-USDT_PERP.1m",
    "book": "bybit.orderbook.BTC-USDT_PERP",
    "funding": "bybit.funding.BTC-USDT_PERP",
    "interest": "bybit.open_interest.BTC-USDT_PERP",
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_frames_of_a_topic(frames: Callable[[str], list[bytes]], name: str) -> None:
    """A frame is for the stream of its topic, an answer for all."""
    protocol = Bybit().stream(Dataset.parse(NAMES[name]), StreamOptions(), Market("BTCUSDT"))
    routed = [BybitRouter().route(frame) for frame in frames(f"bybit/{name}") if b'"op":"pong"' not in frame]
    assert routed == [None] + [protocol.topic] * (len(routed) - 1)


@pytest.mark.parametrize(
    "pong",
    [
        b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"0","op":"ping"}',
        b'{"req_id":"0","op":"pong","args":["1696613756001"],"conn_id":"x"}',
    ],
)
def test_pongs_are_for_nobody(pong: bytes) -> None:
    """Both ways in which pings are answered."""
    assert BybitRouter().route(pong) == ""


@pytest.mark.parametrize(
    "frame",
    [b"", b"{}", b'{"topic":"', b'{"topic":""}', b'{"topic":"a\\"b"}', b' {"topic":"kline.1.BTCUSDT"}', b"\xff"],
)
def test_what_cannot_be_told_is_for_all(frame: bytes) -> None:
    """An unexpected layout is for whoever can read it."""
    assert BybitRouter().route(frame) is None


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda tail: b'{"topic":"' + tail)))
def test_any_bytes(frame: bytes) -> None:
    """The router takes anything."""
    assert BybitRouter().route(frame) is None or isinstance(BybitRouter().route(frame), str)
    assert BybitRouter().opening() == [] and repr(BybitRouter())
