"""Binance's recordings: which stream a frame is of, on raw and on combined connections."""

from __future__ import annotations

import pytest

from dccd.simulator.binance.tapes import identity, read


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"stream":"a@trade","data":{"e": "trade"} }', [("a@trade", '{"e": "trade"}')]),
        ('{"e":"trade","s":"AB"}', [("ab@trade", '{"e":"trade","s":"AB"}')]),
        ('{"e":"kline","s":"AB","k":{"i":"5m"}}', [("ab@kline_5m", '{"e":"kline","s":"AB","k":{"i":"5m"}}')]),
        ('{"e":"depthUpdate","s":"AB"}', [("ab@depth@100ms", '{"e":"depthUpdate","s":"AB"}')]),
        ('{"result":null,"id":1}', []),
        ("[1]", []),
    ],
)
def test_frames_know_their_stream(text: str, found: list[tuple[str, str]]) -> None:
    """By name, or by what the payload is; the payload to the letter."""
    assert read(text) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("abusdt@aggTrade", ("ABUSDT", "trades")),
        ("abusdt@trade", ("ABUSDT", "trades")),
        ("abusdt@kline_1m", ("ABUSDT", "ohlc")),
        ("abusdt@depth5", ("ABUSDT", "orderbook")),
        ("abusdt@bookTicker", ("", "")),
        ("tradeusdt@ticker", ("", "")),
    ],
)
def test_streams_are_known_to_faults(name: str, found: tuple[str, str]) -> None:
    """By symbol, as Binance writes it, and data type."""
    assert identity(name) == found
