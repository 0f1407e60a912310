"""The live order book of Coinbase."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.coinbase import Coinbase
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS, Dataset

T0 = 1_781_416_458 * NS  # 2026-06-14T05:54:18Z
Changes = list[tuple[str, str, str]]


def stream(pair: str = "BTC-USD", **options: object) -> StreamProtocol:
    chosen = msgspec.convert(options, StreamOptions)
    return Coinbase().stream(Dataset.parse(f"coinbase.orderbook.{pair}"), chosen, Market("BTC-USD"))


def frame(kind: str, changes: Changes, time: str = "2026-06-14T05:54:18.5Z", **fields: object) -> bytes:
    updates = [
        {"side": side, "event_time": time, "price_level": price, "new_quantity": amount} | fields
        for side, price, amount in changes
    ]
    events = [{"type": kind, "product_id": "BTC-USD", "updates": updates}]
    head = {"channel": "l2_data", "timestamp": "2026-06-14T05:54:19Z", "sequence_num": 1}
    return msgspec.json.encode(head | {"events": events})


SNAPSHOT = frame("snapshot", [("bid", "10", "1"), ("bid", "9", "2"), ("offer", "11", "3"), ("offer", "12", "4")])


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Both sides are filled from the snapshot, and follow; times are the matching engine's, where it tells any."""
    protocol, out = stream(), list[Record]()
    signals = [protocol.receive(frame, n, out) for n, frame in enumerate(frames("coinbase/book"), 1)]
    assert signals == [Subscribed(), None, None, None, None]
    assert out == [
        BookSnapshot(
            T0 + 666_239_680,
            1,
            [(64340.7, 1.5), (64340.5, 0.25), (64339.0, 2.0)],
            [(64340.75, 0.5), (64341.0, 1.25), (64342.5, 1e-8)],
            1,
        ),
        BookDelta(T0 + 705_123_000, 3, [(64340.7, 0.0), (64340.6, 3.0)], [(64340.75, 0.75)], 3),
        BookDelta(T0 + 720_000_000, 5, [], [(64341.0, 4.0)], 5),
    ]
    out.clear()
    protocol.tick(60 * NS + 2, out)
    (snapshot,) = out
    assert isinstance(snapshot, BookSnapshot)
    assert snapshot.bids == [(64340.6, 3.0), (64340.5, 0.25), (64339.0, 2.0)]
    assert snapshot.asks == [(64340.75, 0.75), (64341.0, 4.0), (64342.5, 1e-8)]


def test_the_snapshot_confirms() -> None:
    """Neither the answer nor an update without a snapshot before; those are of the subscription before this one."""
    protocol, out = stream(), list[Record]()
    answer = b'{"channel":"subscriptions","sequence_num":1,"events":[{"subscriptions":{"level2":["BTC-USD"]}}]}'
    assert protocol.receive(answer, 0, out) is None
    assert protocol.receive(frame("update", [("bid", "9", "1")]), 0, out) is None
    assert out == []
    assert protocol.receive(SNAPSHOT, 0, out) == Subscribed()


def test_depth() -> None:
    """All levels are held; so many of them are given out, and a deeper one comes into view when a better one goes."""
    protocol, out = stream(depth=1), list[Record]()
    protocol.receive(SNAPSHOT, 1, out)
    protocol.receive(frame("update", [("bid", "10", "0"), ("offer", "11", "0")]), 2, out)
    first, second = out
    assert isinstance(first, BookSnapshot) and isinstance(second, BookDelta)
    assert (first.bids, first.asks) == ([(10.0, 1.0)], [(11.0, 3.0)])
    assert sorted(second.bids) == [(9.0, 2.0), (10.0, 0.0)]
    assert sorted(second.asks) == [(11.0, 0.0), (12.0, 4.0)]


@pytest.mark.parametrize("crossing", [("bid", "11", "1"), ("offer", "10", "1"), ("bid", "13", "1")])
def test_a_crossed_book_renews_the_subscription(crossing: tuple[str, str, str]) -> None:
    """A break since the last good update; nothing is given out until the new subscription's snapshot."""
    protocol, out = stream(), list[Record]()
    protocol.receive(SNAPSHOT, 1, out)
    out.clear()
    at = T0 + 500_000_000
    assert protocol.receive(frame("update", [crossing]), 2, out) == Broken("the book is crossed", at, "resubscribe")
    kinds = [msgspec.json.decode(text)["type"] for text in protocol.resubscribe()]
    assert kinds == ["unsubscribe", "subscribe"]
    assert protocol.receive(frame("update", [("bid", "9", "7")]), 3, out) is None
    protocol.tick(10**18, out)
    assert out == []
    assert protocol.receive(SNAPSHOT, 4, out) == Subscribed()
    assert out == [BookSnapshot(at, 4, [(10.0, 1.0), (9.0, 2.0)], [(11.0, 3.0), (12.0, 4.0)], 4)]


def test_a_snapshot_in_between_replaces_the_book() -> None:
    """What it doesn't have is gone."""
    protocol, out = stream(), list[Record]()
    protocol.receive(SNAPSHOT, 1, out)
    assert protocol.receive(frame("snapshot", [("bid", "5", "1"), ("offer", "6", "1")]), 2, out) is None
    assert out[1:] == [BookSnapshot(T0 + 500_000_000, 2, [(5.0, 1.0)], [(6.0, 1.0)], 2)]
    crossed = frame("snapshot", [("bid", "7", "1"), ("offer", "6", "1")])
    assert isinstance(protocol.receive(crossed, 3, out), Broken)


def test_usdc_is_in_the_book_of_usd() -> None:
    """Coinbase sends BTC-USDC under the name of BTC-USD, but USDT-USDC under its own."""
    assert stream("BTC-USDC").topic == "l2_data:BTC-USD"
    assert stream("USDT-USDC").topic == "l2_data:USDT-USDC"
    (text,) = stream("BTC-USDC").subscribe()
    assert msgspec.json.decode(text) == {"type": "subscribe", "product_ids": ["BTC-USD"], "channel": "level2"}


@pytest.mark.parametrize(
    "broken",
    [
        frame("update", [("ask", "11", "1")]), frame("update", [("bid", "0", "1")]),
        frame("update", [("bid", "", "1")]),
        frame("update", [("bid", "9", "-1")]), frame("update", [("bid", "9", "nan")]),
        frame("update", [("bid", "9", "5")], time="now"), frame("update", [("bid", "9", "5")], price_level=None),
        frame("what", []), b'{"channel":"l2_data","timestamp":"","events":[{"type":"update","product_id":"BTC-USD"}]}',
        frame("update", [("bid", "9", "0"), ("bid", "8", "1e40")]), frame("update", [("bid", "9", "5")])[:-3],
        frame("update", [("bid", "9", "5")], time="1970-01-01T00:00:00Z").replace(b"2026-06-14", b""),
    ],
)  # fmt: skip
def test_a_frame_that_can_not_be_read_breaks_the_book(broken: bytes) -> None:
    """Each is a ParseError; what was in it no later frame tells, so that the book is begun anew."""
    protocol, out = stream(), list[Record]()
    protocol.receive(SNAPSHOT, 1, out)
    with pytest.raises(ParseError):
        protocol.receive(broken, 2, out)
    broke = Broken("a frame could not be read", T0 + 500_000_000, "resubscribe")
    assert protocol.receive(frame("update", [("bid", "9", "6")]), 3, out) == broke
    assert protocol.receive(frame("update", [("bid", "9", "7")]), 4, out) is None
    assert protocol.subscribe() and protocol.receive(SNAPSHOT, 5, out) == Subscribed()
    with pytest.raises(ParseError):
        protocol.receive(broken, 6, out)
    assert protocol.tick(7, out) == broke
    assert [type(record) for record in out] == [BookSnapshot, BookSnapshot]


@pytest.mark.parametrize(
    "other",
    [
        frame("update", [("bid", "9", "-1")]).replace(b"BTC-USD", b"ETH-USD"), b"", b"{}", b"\xff",
        b'{"channel":"market_trades","events":7}', b'{"channel":"subscriptions","events":[{"subscriptions":7}]}',
    ],
)  # fmt: skip
def test_what_others_have_that_can_not_be_read(other: bytes) -> None:
    """It isn't this book's: whatever is made of it, the book goes on."""
    protocol, out = stream(), list[Record]()
    protocol.receive(SNAPSHOT, 1, out)
    with contextlib.suppress(ParseError):
        protocol.receive(other, 2, out)
    assert protocol.receive(frame("update", [("bid", "9", "6")]), 3, out) is None
    assert out[1:] == [BookDelta(T0 + 500_000_000, 3, [(9.0, 6.0)], [], 3)]


LEVELS = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), max_size=8)


@given(LEVELS, LEVELS, st.lists(st.tuples(LEVELS, LEVELS), max_size=12))
def test_deltas_lead_from_view_to_view(bids: object, asks: object, updates: object) -> None:
    """Applied to the first snapshot, all deltas give the books that whole snapshots at each step show."""
    assert isinstance(updates, list)

    def changes(below: object, above: object) -> Changes:
        assert isinstance(below, list) and isinstance(above, list)
        return [("bid", str(p), str(q)) for p, q in below] + [("offer", str(p + 30), str(q)) for p, q in above]

    deltas, snapshots = stream(depth=3, snapshot_interval=10**6), stream(depth=3, book="snapshots", snapshot_interval=0)
    told, truth = list[Record](), list[Record]()
    for n, (kind, part) in enumerate([("snapshot", (bids, asks)), *(("update", part) for part in updates)]):
        for protocol, out in ((deltas, told), (snapshots, truth)):
            protocol.receive(frame(kind, changes(*part)), n * NS, out)
        view: tuple[dict[float, float], dict[float, float]] = ({}, {})
        for record in told:
            assert isinstance(record, BookSnapshot | BookDelta)
            for side, levels in zip(view, (record.bids, record.asks), strict=True):
                side.update(levels)
        whole = truth[-1]
        assert isinstance(whole, BookSnapshot)
        assert sorted((p, q) for p, q in view[0].items() if q) == sorted(whole.bids)
        assert sorted((p, q) for p, q in view[1].items() if q) == sorted(whole.asks)


def test_real_messages(captures: Path) -> None:
    """A real snapshot and update: both sides, against another reading of the same bytes."""
    folder = captures / "payloads" / "coinbase"
    bodies = [(folder / f"ws_l2_data_{kind}.json").read_bytes() for kind in ("snapshot", "update")]
    protocol, out = stream(), list[Record]()
    assert [protocol.receive(body, n, out) for n, body in enumerate(bodies)] == [Subscribed(), None]
    for got, body, count in zip(out, bodies, (3, 1), strict=True):
        assert isinstance(got, BookSnapshot | BookDelta)
        updates = msgspec.json.decode(body)["events"][0]["updates"]
        for side, levels in (("bid", got.bids), ("offer", got.asks)):
            expected = [
                (float(one["price_level"]), float(one["new_quantity"])) for one in updates if one["side"] == side
            ]
            assert levels == expected and len(levels) == count
    assert [got.ts for got in out] == [1_775_572_200_123_456_000, 1_775_572_201_456_789_000]
    assert isinstance(out[1], BookDelta) and out[1].asks == [(68901.0, 0.0)]
