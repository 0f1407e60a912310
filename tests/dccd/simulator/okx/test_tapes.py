"""Recordings of OKX."""

from __future__ import annotations

import pytest

from dccd.simulator.okx.tapes import identity, maker, read
from dccd.simulator.venue import Stream

TRADE = '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"tradeId":"1"}]}'


def test_whose_a_frame_is() -> None:
    """By channel and instrument; answers and pongs are of nobody."""
    assert read(TRADE) == [("trades:BTC-USDT", TRADE)]
    assert read('{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"}}') == []
    assert read("pong") == []
    with pytest.raises(ValueError):
        read("cut off")


def test_what_it_is_of() -> None:
    """For faults."""
    assert identity("trades:BTC-USDT") == ("BTC-USDT", "trades")
    assert identity("candle1m:BTC-USDT") == ("BTC-USDT", "ohlc")
    assert identity("tickers:BTC-USDT") == ("BTC-USDT", "")


class Tape(Stream):
    """A stream of a tape."""

    name, symbol, data_type = "trades:BTC-USDT", "BTC-USDT", "trades"

    def due(self, now: int) -> list[str]:
        """Nothing."""
        return []


def test_tapes_of_before_there_was_each_match() -> None:
    """Who asks for each match gets what the tape has."""
    tape = Tape()
    make = maker(lambda name, now: tape if name == tape.name else None)
    assert make("trades", "BTC-USDT", 0) is make("trades-all", "BTC-USDT", 0) is tape
    assert make("books", "BTC-USDT", 0) is None
    assert make("trades-all", "ETH-USDT", 0) is None
