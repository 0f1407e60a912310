"""The live order book of Bybit."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bybit import Bybit
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS, Dataset

MS = 10**6
T0 = 1696613755000

Wire = list[tuple[float, float]]


def stream(depth: int | None = None, **options: object) -> StreamProtocol:
    made = StreamOptions(depth=depth, **options)
    return Bybit().stream(Dataset.parse("bybit.orderbook.BTC-USDT_PERP"), made, Market("BTCUSDT"))


def frame(kind: str, u: int, bids: Wire = [], asks: Wire = [], depth: int = 200, **fields: object) -> bytes:  # noqa: B006  # not changed
    data = {"s": "BTCUSDT", "b": [[str(p), str(a)] for p, a in bids], "a": [[str(p), str(a)] for p, a in asks]}
    return msgspec.json.encode(
        {
            "topic": f"orderbook.{depth}.BTCUSDT",
            "type": kind,
            "ts": T0 + u % 1000,
            "data": data | {"u": u, "seq": 7 * u},
        }
        | fields
    )


def book(out: list[Record]) -> tuple[dict[float, float], dict[float, float]]:
    """The book that whoever applies the records has."""
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for record in out:
        assert isinstance(record, BookSnapshot | BookDelta)
        if isinstance(record, BookSnapshot):
            bids.clear()
            asks.clear()
        for side, levels in ((bids, record.bids), (asks, record.asks)):
            side.update(levels)
            for price in [price for price, amount in side.items() if not amount]:
                del side[price]
    return bids, asks


START = frame("snapshot", 10, [(100, 1), (99, 2)], [(101, 3), (102, 4)])


@pytest.mark.parametrize(("depth", "asked"), [(None, 200), (1, 1), (2, 50), (50, 50), (500, 1000), (5000, 1000)])
def test_subscribes(depth: int | None, asked: int) -> None:
    """With the next depth that is offered."""
    protocol = stream(depth)
    assert msgspec.json.decode(protocol.subscribe()[0])["args"] == [f"orderbook.{asked}.BTCUSDT"]


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """A snapshot, then what changed, at the matching engine's time, with the update's number."""
    protocol, out = stream(), []
    protocol.subscribe()
    signals = [protocol.receive(text, n, out) for n, text in enumerate(frames("bybit/book"))]
    assert signals == [None, Subscribed(), None, None]
    bids = [(27955.3, 40.833), (27955.2, 0.513), (27950.0, 6.156)]
    assert out == [
        BookSnapshot(1696613755438 * MS, 13079592, bids, [(27955.4, 78.815), (27956.0, 8.858)], 1),
        BookDelta(1696613755539 * MS, 13079593, [], [(27955.4, 78.857), (27957.0, 1.51)], 2),
        BookDelta(1696613755631 * MS, 13079594, [(27955.2, 0.0), (27949.9, 2.5)], [(27955.4, 0.0)], 3),
    ]
    assert book(out) == ({27955.3: 40.833, 27950.0: 6.156, 27949.9: 2.5}, {27956.0: 8.858, 27957.0: 1.51})


def test_without_the_engines_time() -> None:
    """Frames of older days tell when they were sent only."""
    protocol, out = stream(), []
    protocol.receive(START, 5, out)
    assert out[0].ts == (T0 + 10) * MS


def test_a_snapshot_that_cannot_be_read_confirms_nothing() -> None:
    """Neither does the answer: the time for the confirmation runs out, and all begins anew."""
    protocol, out = stream(), []
    ask = msgspec.json.decode(protocol.subscribe()[0])
    answer = {"success": True, "ret_msg": "", "conn_id": "x", "req_id": ask["req_id"], "op": "subscribe"}
    assert protocol.receive(msgspec.json.encode(answer), 1, out) is None
    with pytest.raises(ParseError):
        protocol.receive(frame("snapshot", 10, [(-100, 1)], [(101, 3)]), 2, out)
    assert protocol.receive(frame("delta", 11, [(100, 9)]), 3, out) is None
    assert out == []


def test_a_missing_update_is_a_break() -> None:
    """The subscription is renewed on the same connection; until its snapshot comes, nothing counts."""
    protocol, out = stream(), []
    assert protocol.receive(START, 5, out) == Subscribed()
    protocol.receive(frame("delta", 11, [(100, 9)]), 6, out)
    signal = protocol.receive(frame("delta", 13, [(99, 9)]), 7, out)
    assert signal == Broken("updates 12 to 12 are missing", (T0 + 11) * MS, "resubscribe")
    assert [msgspec.json.decode(text)["op"] for text in protocol.resubscribe()] == ["unsubscribe", "subscribe"]
    assert protocol.receive(frame("delta", 14, [(99, 8)]), 8, out) is None
    assert len(out) == 2
    assert protocol.receive(frame("snapshot", 20, [(98, 1)], [(99, 1)]), 9, out) == Subscribed()
    protocol.receive(frame("delta", 21, [], [(99, 0), (99.5, 2)]), 10, out)
    assert book(out) == ({98.0: 1.0}, {99.5: 2.0})


def test_an_update_twice_is_dropped() -> None:
    """What the book holds already changes nothing and is no break."""
    protocol, out = stream(), []
    protocol.receive(START, 5, out)
    protocol.receive(frame("delta", 11, [(100, 9)]), 6, out)
    assert protocol.receive(frame("delta", 11, [(100, 7)]), 6, out) is None
    assert book(out)[0] == {100.0: 9.0, 99.0: 2.0}


@pytest.mark.parametrize("kind", ["snapshot", "delta"])
def test_a_restart_of_the_service(kind: str) -> None:
    """Update 1 is a whole book; what changed before it is a hole, and the feed goes on by itself."""
    protocol, out = stream(), []
    protocol.receive(START, 5, out)
    signal = protocol.receive(frame(kind, 1, [(97, 1)], [(98, 1)]), 6, out)
    assert signal == Broken("a snapshot at update 1 came after update 10", (T0 + 10) * MS, "none", (T0 + 10) * MS)
    assert isinstance(out[-1], BookSnapshot) and book(out) == ({97.0: 1.0}, {98.0: 1.0})
    assert protocol.receive(frame("delta", 2, [(97, 0), (96, 5)]), 7, out) is None
    assert book(out) == ({96.0: 5.0}, {98.0: 1.0})


def test_a_snapshot_that_goes_on() -> None:
    """A whole book that follows the last update, or repeats it, is given out as what it changes."""
    protocol, out = stream(), []
    protocol.receive(START, 5, out)
    assert protocol.receive(frame("snapshot", 10, [(100, 1), (99, 2)], [(101, 3), (102, 4)]), 6, out) is None
    assert protocol.receive(frame("snapshot", 11, [(100, 5)], [(101, 3), (103, 4)]), 7, out) is None
    assert out[1:] == [BookDelta((T0 + 11) * MS, 11, [(99.0, 0.0), (100.0, 5.0)], [(102.0, 0.0), (103.0, 4.0)], 7)]


def test_the_best_level_only() -> None:
    """With one level Bybit sends snapshots only, in any numbers that grow: they are given out as deltas."""
    protocol, out = stream(1), []
    protocol.receive(frame("snapshot", 10, [(100, 1)], [(101, 3)], 1), 5, out)
    protocol.receive(frame("snapshot", 15, [(100, 2)], [(101, 3)], 1), 6, out)
    protocol.receive(frame("snapshot", 15, [(100, 2)], [(101, 3)], 1), 7, out)
    protocol.receive(frame("snapshot", 16, [(100.5, 1)], [(101, 3)], 1), 8, out)
    assert [(type(record), record.seq) for record in out] == [(BookSnapshot, 10), (BookDelta, 15), (BookDelta, 16)]
    assert book(out) == ({100.5: 1.0}, {101.0: 3.0})
    signal = protocol.receive(frame("snapshot", 1, [(90, 1)], [(91, 3)], 1), 9, out)
    assert isinstance(signal, Broken) and signal.resync == "none"


def test_depth_is_cut() -> None:
    """Two levels of a book of fifty: one that comes into view is told, one pushed out of it is gone."""
    protocol, out = stream(2), []
    protocol.receive(frame("snapshot", 10, [(100, 1), (99, 2), (98, 3)], [(101, 1), (102, 2), (103, 3)], 50), 5, out)
    assert book(out) == ({100.0: 1.0, 99.0: 2.0}, {101.0: 1.0, 102.0: 2.0})
    protocol.receive(frame("delta", 11, [(100, 0)], [(100.5, 7)], 50), 6, out)
    assert book(out) == ({99.0: 2.0, 98.0: 3.0}, {100.5: 7.0, 101.0: 1.0})


def test_a_crossed_book_is_a_break() -> None:
    """Neither a delta nor a snapshot may cross the book."""
    protocol, out = stream(), []
    protocol.receive(START, 5, out)
    signal = protocol.receive(frame("delta", 11, [(101, 1)]), 6, out)
    assert signal == Broken("the book is crossed at update 11", (T0 + 10) * MS, "resubscribe")
    signal = protocol.receive(frame("snapshot", 20, [(101, 1)], [(101, 1)]), 7, out)
    assert signal == Broken("the snapshot at update 20 is crossed", (T0 + 10) * MS, "resubscribe")
    assert len(out) == 1


def test_snapshots_only() -> None:
    """At the interval asked for, though nothing changes; no deltas."""
    protocol, out = stream(book="snapshots", snapshot_interval=10.0), []
    protocol.receive(START, 5, out)
    protocol.receive(frame("delta", 11, [(100, 9)]), 6, out)
    assert len(out) == 1
    protocol.tick(11 * NS, out)
    assert len(out) == 2 and book(out)[0] == {100.0: 9.0, 99.0: 2.0}


@pytest.mark.parametrize(
    "broken",
    [
        frame("delta", 11, [(0, 1)]), frame("delta", 11, [(1, -1)]), frame("what", 11), frame("delta", -1),
        frame("delta", 11, [(100, 9)]).replace(b'"u":11,', b""), frame("delta", 11, ts="x"), frame("delta", 11)[:-1],
        frame("delta", 11, [(100, 9)]).replace(b'["100","9"]', b'["100"]'), frame("delta", 11, data=[]),
        frame("delta", 11, cts="nan"), b"{}",
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """To the next frame it didn't come."""
    protocol, out = stream(), []
    protocol.receive(START, 5, out)
    with pytest.raises(ParseError):
        protocol.receive(broken, 6, out)
    assert protocol.receive(frame("delta", 11, [(100, 9)]), 7, out) is None
    assert book(out) == ({100.0: 9.0, 99.0: 2.0}, {101.0: 3.0, 102.0: 4.0})


def test_other_topics_are_not_ours() -> None:
    """Another depth's update numbers are others."""
    protocol, out = stream(), []
    protocol.receive(START, 5, out)
    assert protocol.receive(frame("delta", 30, [(100, 9)], depth=50), 6, out) is None
    assert len(out) == 1


def test_real_messages(captures: Path) -> None:
    """A real snapshot, to which the real delta is not the next: two levels came with the topic of one."""
    folder = captures / "payloads" / "bybit"
    snapshot, delta = ((folder / f"ws_orderbook_{kind}.json").read_bytes() for kind in ("snapshot", "delta"))
    deeper = [body.replace(b"orderbook.1.", b"orderbook.50.") for body in (snapshot, delta)]
    protocol, out = stream(50), []
    signals = [protocol.receive(body, 1, out) for body in deeper]
    read = [json.loads(body) for body in (snapshot, delta)]
    sides = [
        [tuple(float(Decimal(part)) for part in level) for level in data["data"][side]]
        for data in read
        for side in "ba"
    ]
    assert [data["data"]["u"] for data in read] == [123456789, 123456790]
    assert out == [
        BookSnapshot(read[0]["ts"] * MS, 123456789, sides[0], sides[1], 1),
        BookDelta(read[1]["ts"] * MS, 123456790, sides[2], sides[3], 1),
    ]
    assert signals == [Subscribed(), None]
