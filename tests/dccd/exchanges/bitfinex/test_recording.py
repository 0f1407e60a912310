"""A recording of a real session, through the router and the streams, against a reading of the same bytes by itself.

Its tickers are no data that is collected, and its trades are all in snapshots, which are history's.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dccd.errors import MessagesLost
from dccd.exchanges.base import Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bitfinex import Bitfinex
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import Dataset

SYMBOLS = ("tBFTUSD", "tIOTETH", "tDOGUSD", "tMNABTC", "tODEUSD", "tTESTBTC:TESTUSD", "tSNGUSD")
Sides = tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]


@pytest.fixture(scope="module")
def recording(captures: Path) -> list[bytes]:
    """What the exchange sent."""
    lines = (captures / "frames" / "bitfinex.tsv").read_bytes().splitlines()
    return [line.split(b"\t", 2)[2] for line in lines if line.split(b"\t", 2)[1] == b"<"]


def made(data_type: str, symbol: str) -> StreamProtocol:
    dataset = Dataset.parse(f"bitfinex.{data_type}.BTC-USD")
    return Bitfinex().stream(dataset, StreamOptions(depth=100, snapshot_interval=10**6), Market(symbol))


class Reading:
    """The books by themselves."""

    def __init__(self) -> None:
        self.channels: dict[int, str] = {}
        self.books: dict[str, Sides] = {}
        self.kinds: dict[str, int] = {}

    def take(self, frame: bytes) -> str | None:
        """The symbol whose book has changed."""
        found: Any = json.loads(frame, parse_float=Decimal, parse_int=Decimal)
        if isinstance(found, dict):
            if found["event"] == "subscribed":
                self.channels[int(found["chanId"])] = f"{found['channel']}:{found['symbol']}"
            return None
        channel, _, symbol = self.channels.get(int(found[0]), "hb:").partition(":")
        content = found[1]
        kind = "hb" if content == "hb" else channel
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if kind != "book":
            return None
        if isinstance(content[0], list):
            self.books[symbol] = ({}, {})
        for price, count, amount in content if isinstance(content[0], list) else [content]:
            side = self.books[symbol][0 if amount > 0 else 1]
            side[price] = abs(amount)
            if not count:
                del side[price]
        return symbol


def test_replayed(recording: list[bytes]) -> None:
    """All frames are routed and parsed, and each book is the reading's after each of its 1,600 messages."""
    router, reading = Bitfinex().router(), Reading()
    streams = {f"{kind}:{symbol}": made(name, symbol) for symbol in SYMBOLS
               for kind, name in (("book", "orderbook"), ("trades", "trades"))}  # fmt: skip
    views: dict[str, tuple[dict[float, float], dict[float, float]]] = {}
    signals: list[object] = []
    for n, frame in enumerate(recording):
        topic = router.route(frame)
        out: list[Record] = []
        takers = [stream for name, stream in streams.items() if topic in (None, name)]
        signals += [stream.receive(frame, n, out) for stream in takers]
        symbol = reading.take(frame)
        assert len(out) == (symbol is not None)
        if symbol is None:
            continue
        assert topic == f"book:{symbol}"
        (record,) = out
        assert record.ts == record.recv_ts == n  # nobody asked for the exchange's time
        if isinstance(record, BookSnapshot):
            views[symbol] = (dict(record.bids), dict(record.asks))
        assert isinstance(record, BookSnapshot | BookDelta)
        for view, changes, truth in zip(views[symbol], (record.bids, record.asks), reading.books[symbol], strict=True):
            view.update(changes)
            assert {p: a for p, a in view.items() if a} == {float(p): float(a) for p, a in truth.items()}
    assert signals.count(Subscribed()) == len(streams)
    assert set(signals) == {None, Subscribed()}
    assert reading.kinds == {"ticker": 21, "trades": 7, "book": 1600, "hb": 42}
    assert all(bids and asks for bids, asks in views.values())


def test_a_frame_left_out(recording: list[bytes]) -> None:
    """Any of the numbered ones is missed when the next one comes."""
    numbered = [n for n, frame in enumerate(recording) if frame[:1] == b"["]
    for gap in (numbered[0], numbered[len(numbered) // 2], numbered[-2]):
        router = Bitfinex().router()
        with pytest.raises(MessagesLost):
            for frame in recording[:gap] + recording[gap + 1 :]:
                router.route(frame)
