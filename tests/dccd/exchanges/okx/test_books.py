"""The live order book of OKX."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.okx import Okx
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS, Dataset

Levels = list[tuple[str, str]]
T0 = 1_696_436_730_005
MS = 1_000_000


def stream(market: Market | None = None, name: str = "okx.orderbook.BTC-USDT", **options: Any) -> StreamProtocol:
    return Okx().stream(Dataset.parse(name), StreamOptions(**options), market or Market("BTC-USDT"))


class Exchange:
    """OKX's side: a book of decimal text, its frames, numbers and checksums, written without the code under test."""

    def __init__(self, checksums: bool = False, numbers: bool = True, inst: str = "BTC-USDT") -> None:
        self.checksums, self.numbers, self.inst = checksums, numbers, inst
        self.sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self.seq = 100

    def best(self, side: int) -> Levels:
        return sorted(self.sides[side].items(), key=lambda level: Decimal(level[0]) * (1 if side else -1))

    def checksum(self) -> int:
        bids, asks = self.best(0)[:25], self.best(1)[:25]
        parts: list[str] = []
        for n in range(25):
            parts += [text for levels in (bids, asks) for level in levels[n : n + 1] for text in level]
        value = crc32(":".join(parts).encode())
        return value - 2**32 if value >= 2**31 else value

    def frame(self, action: str, bids: Levels, asks: Levels, /, **fields: object) -> bytes:
        before = -1 if action == "snapshot" else self.seq
        if action == "snapshot":
            self.sides = ({}, {})
        for side, levels in zip(self.sides, (bids, asks), strict=True):
            for price, size in levels:
                if size == "0":
                    side.pop(price, None)
                else:
                    side[price] = size
        self.seq += 7
        data: dict[str, object] = {
            "asks": [[*level, "0", "1"] for level in asks],
            "bids": [[*level, "0", "1"] for level in bids],
            "ts": str(T0 + self.seq),
            "checksum": self.checksum() if self.checksums else 0,
        }
        if self.numbers:
            data |= {"prevSeqId": before, "seqId": self.seq}
        return msgspec.json.encode(
            {"arg": {"channel": "books", "instId": self.inst}, "action": action, "data": [data | fields]}
        )

    def floats(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        bids, asks = ([(float(price), float(size)) for price, size in self.best(side)] for side in (0, 1))
        return bids, asks


BIDS, ASKS = [("10", "1"), ("9", "2"), ("8", "3")], [("11", "4"), ("12", "5"), ("13", "6")]


def applied(out: list[Record]) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """What whoever has the records has."""
    sides: tuple[dict[float, float], dict[float, float]] = ({}, {})
    for record in out:
        assert isinstance(record, BookSnapshot | BookDelta)
        for side, levels in zip(sides, (record.bids, record.asks), strict=True):
            if isinstance(record, BookSnapshot):
                side.clear()
            side.update(levels)
            for price in [price for price, amount in side.items() if not amount]:
                del side[price]
    return sorted(sides[0].items(), reverse=True), sorted(sides[1].items())


@pytest.mark.parametrize("name", ["book", "book_checksums"])
def test_documented_frames(frames: Callable[[str], list[bytes]], name: str) -> None:
    """Snapshot, changes, an empty update and numbers that start anew; the same without numbers, but with checksums."""
    made = stream()
    out: list[Record] = []
    assert [made.receive(one, 5 + n, out) for n, one in enumerate(frames(f"okx/{name}"))] == [
        None,
        Subscribed(),
        *[None] * 4,
    ]
    first = out[0]
    assert isinstance(first, BookSnapshot)
    assert first.bids == [(27541.1, 0.5), (27541.0, 1.25), (27540.5, 0.00001), (27539.0, 3.0)]
    assert first.asks == [(27541.2, 0.75), (27541.3, 2.0), (27542.0, 0.1), (27545.5, 10.0)]
    assert (first.ts, first.recv_ts) == (T0 * MS, 6)
    assert applied(out) == (
        [(27541.1, 0.4), (27540.5, 0.00001), (27539.0, 3.0), (27538.0, 7.125)],
        [(27541.3, 2.0), (27541.4, 0.3), (27542.0, 0.1), (27545.5, 10.0), (27546.0, 0.2)],
    )
    seqs = [record.seq for record in out if isinstance(record, BookSnapshot | BookDelta)]
    assert seqs == ([123456, 123463, 123470, 12] if name == "book" else [6, 7, 8, 10])


@pytest.mark.parametrize("action", ["snapshot", "update"])
def test_contracts_that_are_no_amount(action: str) -> None:
    """Such a frame is refused and changes nothing, so that the next update shows that it is missing."""
    exchange, out = Exchange(inst="BTC-USD-SWAP"), list[Record]()
    made = stream(Market("BTC-USD-SWAP", 100.0, inverse=True), "okx.orderbook.BTC-USD_PERP")
    made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out)
    before = list(out)
    with pytest.raises(ParseError, match="no amount"):
        made.receive(exchange.frame(action, [("9", "5"), ("1e-307", "5")], []), 0, out)
    assert out == before
    broken = made.receive(exchange.frame("update", [], []), 0, out)
    assert isinstance(broken, Broken)
    assert broken.resync == "resubscribe"


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=8), max_size=20),
    st.integers(1, 40),
    st.booleans(),
)
def test_whatever_changes(updates: list[list[tuple[int, int]]], depth: int, checksums: bool) -> None:
    """Records give the exchange's book to the depth in view, both sides."""
    exchange, made = Exchange(checksums), stream(depth=depth)
    out: list[Record] = []
    made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out)
    for update in updates:
        # Bids below 10.5, asks above.
        bids = [(str(n / 10), str(size)) for n, size in update if 0 < n <= 30]
        asks = [(str(11 + n / 10), str(size)) for n, size in update if n > 30]
        made.receive(exchange.frame("update", bids, asks), 0, out)
        bid_levels, ask_levels = exchange.floats()
        assert applied(out) == (bid_levels[:depth], ask_levels[:depth])


def test_contracts_are_base_asset() -> None:
    """Each level by the contract's size; of inverse ones by its price, too."""
    out: list[Record] = []
    linear = Exchange(inst="BTC-USDT-SWAP")
    made = stream(Market("BTC-USDT-SWAP", 0.01), "okx.orderbook.BTC-USDT_PERP")
    made.receive(linear.frame("snapshot", BIDS, ASKS), 0, out)
    made.receive(linear.frame("update", [("10", "7")], []), 0, out)
    assert applied(out) == ([(10.0, 0.07), (9.0, 0.02), (8.0, 0.03)], [(11.0, 0.04), (12.0, 0.05), (13.0, 0.06)])
    inverse = Exchange(inst="BTC-USD-SWAP", checksums=True)
    made = stream(Market("BTC-USD-SWAP", 100.0, inverse=True), "okx.orderbook.BTC-USD_PERP")
    out = []
    made.receive(inverse.frame("snapshot", BIDS[:1], ASKS[1:2]), 0, out)
    assert applied(out) == ([(10.0, 10.0)], [(12.0, 500.0 / 12.0)])


def test_a_missing_update() -> None:
    """Breaks the book, which is silent until a new subscription brings a snapshot on the same connection."""
    exchange, made = Exchange(), stream()
    out: list[Record] = []
    made.subscribe()
    made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out)
    exchange.frame("update", [("10", "9")], [])
    last = out[-1].ts
    broken = made.receive(exchange.frame("update", [("10", "8")], []), 0, out)
    assert broken == Broken("what came after update 107 is missing: 121 follows 114", last, "resubscribe")
    count = len(out)
    assert made.receive(exchange.frame("update", [("10", "7")], []), 0, out) is None
    made.tick(10**18, out)
    assert len(out) == count, "a broken book gives nothing"
    assert [msgspec.json.decode(frame)["op"] for frame in made.resubscribe()] == ["unsubscribe", "subscribe"]
    assert made.receive(exchange.frame("update", [("10", "6")], []), 0, out) is None, "of the one before"
    assert made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out) == Subscribed()
    assert applied(out) == exchange.floats()
    assert made.receive(exchange.frame("update", [], [("11", "0")]), 0, out) is None
    assert applied(out) == exchange.floats()


def test_sent_twice_and_out_of_order() -> None:
    """The last update once more is nothing; an older one after it is a break."""
    exchange, made = Exchange(), stream()
    out: list[Record] = []
    made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out)
    first, second = exchange.frame("update", [("10", "5")], []), exchange.frame("update", [("10", "6")], [])
    for one in (first, first, second, second):
        made.receive(one, 0, out)
    assert applied(out) == exchange.floats()
    assert isinstance(made.receive(first, 0, out), Broken)


def test_a_wrong_checksum() -> None:
    """Is a break, in a snapshot and in an update; 0 is none."""
    exchange, made = Exchange(checksums=True), stream()
    out: list[Record] = []
    assert isinstance(made.receive(exchange.frame("snapshot", BIDS, ASKS, checksum=5), 0, out), Broken)
    assert out == []
    made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out)
    assert made.receive(exchange.frame("update", [("10", "5")], [], checksum=0), 0, out) is None
    assert made.receive(exchange.frame("update", [("9", "5.0")], []), 0, out) is None
    broken = made.receive(exchange.frame("update", [("9", "6")], [], checksum=5), 0, out)
    assert isinstance(broken, Broken) and broken.reason == "the book's checksum is not 5"
    made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out)
    exchange.sides[0]["10"] = "7"  # a change that we are not told of
    assert isinstance(made.receive(exchange.frame("update", [("9", "6")], []), 0, out), Broken)


@pytest.mark.parametrize("action", ["snapshot", "update"])
def test_a_crossed_book(action: str) -> None:
    """Is a break."""
    exchange, made = Exchange(), stream()
    out: list[Record] = []
    made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out)
    count = len(out)
    assert isinstance(made.receive(exchange.frame(action, [("11", "1")], ASKS), 0, out), Broken)
    assert len(out) == count


def test_updates_without_a_snapshot() -> None:
    """After ten seconds of them the subscription is renewed."""
    exchange, made = Exchange(), stream()
    made.subscribe()
    assert made.receive(exchange.frame("update", [("10", "5")], []), NS, []) is None
    assert made.tick(11 * NS, []) is None
    assert made.tick(12 * NS, []) == Broken("updates come, but no snapshot", None, "resubscribe")
    made.resubscribe()
    assert made.tick(30 * NS, []) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"prevSeqId": None}, {"seqId": None}, {"prevSeqId": -2}, {"seqId": "x"}, {"ts": None}, {"ts": "-1"},
        {"checksum": "x"},
        {"bids": [["10", "-1", "0", "1"]]}, {"bids": [["0", "1", "0", "1"]]}, {"bids": [["", "1", "0", "1"]]},
        {"asks": [["nan", "1", "0", "1"]]}, {"asks": [["12"]]}, {"asks": None},
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(fields: dict[str, object]) -> None:
    """A frame with one bad level is a ParseError; to the next one it didn't come."""
    exchange, made = Exchange(), stream()
    out: list[Record] = []
    made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out)
    seq = exchange.seq
    with pytest.raises(ParseError):
        made.receive(exchange.frame("update", [], [], **fields), 0, out)
    exchange.seq = seq
    assert made.receive(exchange.frame("update", [("10", "5")], [("12", "0")]), 0, out) is None
    assert applied(out) == exchange.floats()


def test_snapshots_at_an_interval() -> None:
    """With ``book: snapshots`` nothing else, each when it is due."""
    exchange, made = Exchange(), stream(book="snapshots", snapshot_interval=10.0)
    out: list[Record] = []
    made.receive(exchange.frame("snapshot", BIDS, ASKS), 0, out)
    made.receive(exchange.frame("update", [("10", "5")], []), 9 * NS, out)
    assert len(out) == 1
    made.tick(10 * NS, out)
    assert isinstance(out[1], BookSnapshot)
    assert (out[1].bids[0], out[1].asks[0], out[1].seq) == ((10.0, 5.0), (11.0, 4.0), 114)


def test_four_hundred_levels() -> None:
    """Are held, and as many as are asked for given out."""
    bids = [(str(1000 - n), "1") for n in range(400)]
    asks = [(str(1001 + n), "1") for n in range(400)]
    exchange = Exchange()
    frame = exchange.frame("snapshot", bids, asks)
    for depth, expected in ((None, 400), (50, 50), (5000, 400)):
        out: list[Record] = []
        stream(depth=depth).receive(frame, 0, out)
        (snapshot,) = out
        assert isinstance(snapshot, BookSnapshot)
        assert (len(snapshot.bids), len(snapshot.asks)) == (expected, expected)
