"""The live order book of Binance's futures: updates numbered with gaps, each of which names the one before."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.exchanges.base import Broken, Market, PageRequest, SnapshotWanted, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.binance import Binance
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS, Dataset

MS = 1_000_000
T0 = 1_672_515_782_000
ACK = b'{"result":null,"id":1}'
Levels = list[tuple[float, float]]
BIDS: Levels = [(9.0, 1.0), (8.0, 2.0)]
ASKS: Levels = [(10.0, 1.0), (11.0, 2.0)]


def stream(**options: object) -> StreamProtocol:
    dataset = Dataset.parse("binance.orderbook.BTC-USDT_PERP")
    return Binance().stream(dataset, StreamOptions(**options), Market("BTCUSDT"))  # type: ignore[arg-type]


def event(previous: int, first: int, last: int, bids: Levels | None = None, asks: Levels | None = None) -> bytes:
    """One depthUpdate; the engine's time is its last update id in milliseconds, and the event's is 7 ms more."""
    sides = {"b": [[str(p), str(a)] for p, a in bids or []], "a": [[str(p), str(a)] for p, a in asks or []]}
    data = {"e": "depthUpdate", "E": last + 7, "T": last, "s": "BTCUSDT", "U": first, "u": last, "pu": previous}
    return msgspec.json.encode({"stream": "btcusdt@depth@100ms", "data": {**data, **sides}})


def body(last: int, bids: Levels, asks: Levels) -> bytes:
    """A REST snapshot; the engine's time as in :func:`event`."""
    sides = {"bids": [[str(p), str(a)] for p, a in bids], "asks": [[str(p), str(a)] for p, a in asks]}
    return msgspec.json.encode({"lastUpdateId": last, "E": last + 7, "T": last, **sides})


def synced(out: list[Record], **options: object) -> StreamProtocol:
    """A book at update 100, which an event ended with."""
    protocol = stream(**options)
    protocol.receive(ACK, 0, out)
    assert isinstance(protocol.receive(event(80, 91, 100), 0, out), SnapshotWanted)
    assert protocol.snapshot(body(100, BIDS, ASKS), 0, out) is None
    return protocol


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """What the snapshot holds is dropped, the rest applied, at the matching engine's times."""
    protocol = stream(depth=3)
    out: list[Record] = []
    ack, *events = frames("binance/futures_book")
    assert protocol.receive(ack, 0, out) == Subscribed()
    assert protocol.receive(events[0], 0, out) == SnapshotWanted(
        PageRequest("fapiPublicGetDepth", {"symbol": "BTCUSDT", "limit": 100})
    )
    protocol.receive(events[1], 0, out)
    assert protocol.snapshot(body(160, [(16541.25, 1.0), (16541.24, 10.0)], [(16541.26, 100.0)]), 5, out) is None
    for recv_ts, one in enumerate(events[2:], 6):
        assert protocol.receive(one, recv_ts, out) is None
    assert out == [
        BookSnapshot((T0 + 197) * MS, 175, [(16541.24, 10.0)], [(16541.26, 100.0)], 5),
        BookDelta((T0 + 299) * MS, 204, [(16541.23, 1.0), (16500.0, 7.0)], [(16541.26, 0.0), (16541.27, 2.5)], 6),
        BookDelta((T0 + 391) * MS, 220, [], [(16541.28, 4.0)], 7),
    ]


@pytest.mark.parametrize("last", [100, 101, 104, 105, 109])
def test_where_a_snapshot_may_end(last: int) -> None:
    """With an event, between two of them (the numbers there are other symbols'), or within the next one."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(ACK, 0, out)
    protocol.receive(event(80, 91, 100, [(9.0, 7.0)]), 0, out)
    protocol.receive(event(100, 105, 110, [(8.0, 5.0)]), 0, out)
    assert protocol.snapshot(body(last, BIDS, ASKS), 0, out) is None
    assert out == [BookSnapshot(110 * MS, 110, [(9.0, 1.0), (8.0, 5.0)], ASKS, 0)]
    assert protocol.receive(event(110, 115, 120, [(8.0, 6.0)]), 0, out) is None
    assert out[1:] == [BookDelta(120 * MS, 120, [(8.0, 6.0)], [], 0)]


def test_a_snapshot_without_events_has_its_own_time() -> None:
    """The matching engine's, of a market in which nothing happens; what it holds already is then dropped."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(ACK, 0, out)
    assert isinstance(protocol.tick(NS, out), SnapshotWanted)
    protocol.snapshot(body(100, BIDS, ASKS), 3 * NS, out)
    assert out == [BookSnapshot(100 * MS, 100, BIDS, ASKS, 3 * NS)]
    assert protocol.receive(event(80, 91, 99, [(9.0, 0.0)]), 4 * NS, out) is None
    assert protocol.receive(event(99, 99, 103, [(9.0, 3.0)]), 4 * NS, out) is None
    assert out[1:] == [BookDelta(103 * MS, 103, [(9.0, 3.0)], [], 4 * NS)]


def test_a_snapshot_that_is_too_old_is_asked_for_again() -> None:
    """When the first event follows one after the snapshot's end; events are still kept."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(ACK, 0, out)
    protocol.receive(event(50, 55, 60), 0, out)
    assert protocol.snapshot(body(49, BIDS, ASKS), 0, out) is None
    assert out == []
    assert isinstance(protocol.tick(0, out), SnapshotWanted)
    protocol.snapshot(body(50, BIDS, ASKS), 0, out)
    assert out == [BookSnapshot(60 * MS, 60, BIDS, ASKS, 0)]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (event(105, 112, 118), "updates after 100 up to 105 are missing"),
        (event(97, 112, 118), "the event after 100 says that it follows 97"),
    ],
)
def test_an_event_that_follows_another(broken: bytes, said: str) -> None:
    """Whichever way its ``pu`` isn't the last one's ``u``, it is a break; a snapshot mends it."""
    protocol = stream()
    for one in (ACK, event(80, 91, 95), event(95, 96, 100)):
        protocol.receive(one, 0, [])
    protocol.snapshot(body(95, BIDS, ASKS), 0, [])
    signal = protocol.receive(broken, 0, [])
    assert signal == Broken(
        said, 100 * MS, "snapshot", request=PageRequest("fapiPublicGetDepth", {"symbol": "BTCUSDT", "limit": 1000})
    )
    out: list[Record] = []
    assert protocol.receive(event(118, 120, 121, [(7.0, 3.0)]), 0, out) is None
    assert out == []
    protocol.snapshot(body(119, BIDS, ASKS), 0, out)
    assert out == [BookSnapshot(121 * MS, 121, [*BIDS, (7.0, 3.0)], ASKS, 0)]


def test_sent_twice() -> None:
    """An event that the book holds already is ignored."""
    out: list[Record] = []
    protocol = synced(out)
    for _ in range(2):
        assert protocol.receive(event(100, 101, 105, [(9.0, 5.0)]), 0, out) is None
    assert len(out) == 2
    assert protocol.receive(event(105, 106, 106, [(9.0, 6.0)]), 0, out) is None
    assert len(out) == 3


@pytest.mark.parametrize(
    ("depth", "limit"), [(None, 1000), (10, 100), (50, 100), (51, 500), (500, 1000), (1000, 1000), (5000, 1000)]
)
def test_the_snapshot_is_twice_as_deep(depth: int | None, limit: int) -> None:
    """As far as futures' snapshots go; without a depth half of that is given."""
    protocol = stream(depth=depth)
    protocol.receive(ACK, 0, [])
    signal = protocol.tick(0, [])
    assert isinstance(signal, SnapshotWanted)
    assert signal.request.params["limit"] == limit


LEVEL = st.tuples(st.integers(1, 12).map(float), st.sampled_from([0.0, 1.0, 2.0]))
ASK = LEVEL.map(lambda level: (level[0] + 100, level[1]))


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.lists(LEVEL, max_size=4), st.lists(ASK, max_size=4)),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, 29),
    st.integers(0, 29),
    st.integers(0, 5),
)
def test_equals_the_exchanges_book(
    updates: list[tuple[int, int, Levels, Levels]], taken: int, arrives: int, beyond: int
) -> None:
    """Whatever the gaps in the numbers, whenever the snapshot is taken and comes: both sides are the exchange's."""
    taken, arrives = min(taken, len(updates) - 1), min(arrives, len(updates) - 1)
    sides: tuple[dict[float, float], dict[float, float]] = {}, {}
    protocol = stream(snapshot_interval=3)
    out: list[Record] = []
    protocol.receive(ACK, 0, out)
    protocol.tick(0, out)
    seq, answer = 0, b""
    for n, (gap, count, *changes) in enumerate(updates):
        previous, first = seq, seq + 1 + gap
        seq = first + count
        for side, levels in zip(sides, changes, strict=True):
            for price, amount in levels:
                side[price] = amount
                if not amount:
                    del side[price]
        if n == taken:
            # It may end with a number that is another symbol's, up to where the next event begins.
            until = updates[n + 1][0] if n + 1 < len(updates) else beyond
            answer = body(seq + min(beyond, until), sorted(sides[0].items(), reverse=True), sorted(sides[1].items()))
        assert protocol.receive(event(previous, first, seq, *changes), n * NS, out) is None
        if n == max(taken, arrives):
            assert protocol.snapshot(answer, n * NS, out) is None
    view: tuple[dict[float, float], dict[float, float]] = {}, {}
    for record in out:
        assert isinstance(record, BookSnapshot | BookDelta)
        if isinstance(record, BookSnapshot):
            assert view == ({}, {}) or (dict(record.bids), dict(record.asks)) == view
            view = dict(record.bids), dict(record.asks)
        else:
            for side, levels in zip(view, (record.bids, record.asks), strict=True):
                side.update(levels)
                for price, amount in levels:
                    if not amount:
                        del side[price]
    assert view == sides
