"""Kraken's recordings: which stream a frame is of, and what a subscription to a tape is answered."""

from __future__ import annotations

import pytest

from dccd.simulator.kraken.streams import Refused
from dccd.simulator.kraken.tapes import identity, maker, read
from dccd.simulator.venue import Stream


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"channel":"trade","type":"update","data":[{"symbol":"A/B"}]}', ["trade:A/B"]),
        ('{"channel":"ohlc","type":"update","data":[{"symbol":"A/B","interval":5}]}', ["ohlc:A/B:5"]),
        ('{"channel":"instrument","type":"snapshot","data":{"pairs":[]}}', ["instrument"]),
        ('{"channel":"heartbeat"}', []),
        ('{"method":"subscribe","success":true}', []),
    ],
)
def test_frames_know_their_stream(text: str, names: list[str]) -> None:
    """By channel, symbol and interval; the frame to the letter."""
    assert read(text) == [(name, text) for name in names]


def test_streams_are_known_to_faults() -> None:
    """By symbol and data type."""
    names = ["trade:A/B", "ohlc:A/B:5", "book:A/B", "ticker:A/B", "instrument"]
    found = [identity(name) for name in names]
    assert found == [("A/B", "trades"), ("A/B", "ohlc"), ("A/B", "orderbook"), ("", ""), ("", "")]


class Played(Stream):
    """A tape's stream."""

    name, symbol, data_type = "book:A/B", "A/B", "orderbook"

    def due(self, now: int) -> list[str]:
        return [f"due {now}"]

    def take(self, count: int) -> list[str]:
        return [f"take {count}"]


def test_a_subscription_gets_the_tape() -> None:
    """Acknowledged with the depth asked for; what is on no tape is refused."""
    make = maker(lambda name, now: Played() if name == "book:A/B" else None)
    stream = make({"channel": "book", "depth": 25, "interval": None}, "A/B", 7)
    assert (stream.name, stream.symbol, stream.data_type, stream.result) == (
        "book:A/B",
        "A/B",
        "orderbook",
        {"depth": 25},
    )
    assert (stream.due(3), stream.take(4), stream.first(5)) == (["due 3"], ["take 4"], [])
    with pytest.raises(Refused, match="C/D"):
        make({"channel": "book"}, "C/D", 7)
