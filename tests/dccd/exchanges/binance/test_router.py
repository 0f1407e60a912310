"""Whose a frame of Binance's is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.exchanges.base import Market, StreamOptions
from dccd.exchanges.binance import Binance
from dccd.symbols import Dataset

STREAMS = {
    "binance/futures_trades": "binance.trades.BTC-USDT_PERP",
    "binance/futures_bars": "binance.ohlc.BTC-USDT_PERP.1m",
    "binance/futures_book": "binance.orderbook.BTC-USDT_PERP",
    "binance/futures_funding": "binance.funding.BTC-USDT_PERP",
}


@pytest.mark.parametrize("source", STREAMS)
def test_frames(frames: Callable[[str], list[bytes]], source: str) -> None:
    """Each wrapped frame is for the stream that it is of; answers, and frames without a name, are for all."""
    router = Binance().router()
    assert router.opening() == []
    topic = Binance().stream(Dataset.parse(STREAMS[source]), StreamOptions(), Market("BTCUSDT")).topic
    for frame in frames(source):
        assert router.route(frame) == (topic if frame.startswith(b'{"stream"') else None)


def test_names_of_one_connection_differ() -> None:
    """Of one symbol, and of contracts whose names begin alike."""
    topics = {
        Binance().stream(Dataset.parse(name), StreamOptions(), Market(market)).topic
        for name in STREAMS.values()
        for market in ("BTCUSDT", "BTCUSDT_261225", "BTCUSDC")
    }
    assert len(topics) == 12


@pytest.mark.parametrize(
    "frame",
    [
        b'{"error":{"code":2,"msg":"Invalid request: invalid stream"},"id":1}', b'{"result":null,"id":7}',
        b'{"code":1,"msg":"Invalid value type: expected Boolean"}', b'{ "stream":"btcusdt@aggTrade","data":{}}',
        b'{"data":{},"stream":"btcusdt@aggTrade"}', b"", b"[]",
    ],
)  # fmt: skip
def test_what_names_nobody_is_for_all(frame: bytes) -> None:
    """Answers and errors, and frames that are written in another way."""
    assert Binance().router().route(frame) is None


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes(junk: bytes, named: bool) -> None:
    """Some text or None."""
    found = Binance().router().route(b'{"stream":"' + junk if named else junk)
    assert found is None or isinstance(found, str)
