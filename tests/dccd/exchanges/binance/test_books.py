"""The live order book of Binance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, PageRequest, SnapshotWanted, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.binance import Binance
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS, Dataset

MS = 1_000_000
ACK = b'{"result":null,"id":1}'
Levels = list[tuple[float, float]]


def stream(**options: object) -> StreamProtocol:
    return Binance().stream(Dataset.parse("binance.orderbook.BTC-USDT"), StreamOptions(**options), Market("BTCUSDT"))  # type: ignore[arg-type]


def event(first: int, last: int, bids: Levels | None = None, asks: Levels | None = None) -> bytes:
    """One depthUpdate; its time is its last update id in milliseconds."""
    sides = {"b": [[str(p), str(a)] for p, a in bids or []], "a": [[str(p), str(a)] for p, a in asks or []]}
    return msgspec.json.encode({"e": "depthUpdate", "E": last, "s": "BTCUSDT", "U": first, "u": last, **sides})


def body(last: int, bids: Levels, asks: Levels) -> bytes:
    """A REST snapshot."""
    sides = {"bids": [[str(p), str(a)] for p, a in bids], "asks": [[str(p), str(a)] for p, a in asks]}
    return msgspec.json.encode({"lastUpdateId": last, **sides})


BIDS: Levels = [(9.0, 1.0), (8.0, 2.0)]
ASKS: Levels = [(10.0, 1.0), (11.0, 2.0)]


def synced(out: list[Record], **options: object) -> StreamProtocol:
    """A book at update 100."""
    protocol = stream(**options)
    protocol.receive(ACK, 0, out)
    assert isinstance(protocol.receive(event(100, 100), 0, out), SnapshotWanted)
    assert protocol.snapshot(body(100, BIDS, ASKS), 0, out) is None
    return protocol


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Events before the snapshot that it holds are dropped, the others applied; then each is a delta."""
    protocol = stream(depth=3)
    out: list[Record] = []
    ack, *events = frames("binance/book")
    assert protocol.receive(ack, 0, out) == Subscribed()
    assert protocol.receive(events[0], 0, out) == SnapshotWanted(
        PageRequest("publicGetDepth", {"symbol": "BTCUSDT", "limit": 100})
    )
    protocol.receive(events[1], 0, out)
    assert out == []
    rest = body(160, [(16541.25, 1.0), (16541.24, 10.0)], [(16541.26, 100.0)])
    assert protocol.snapshot(rest, 5, out) is None
    protocol.receive(events[2], 6, out)
    protocol.receive(events[3], 7, out)
    assert out == [
        BookSnapshot(1672515782200 * MS, 161, [(16541.24, 10.0)], [(16541.26, 100.0)], 5),
        BookDelta(
            1672515782300 * MS, 165, [(16541.23, 1.0), (16500.0, 7.0)], [(16541.26, 0.0), (16541.27, 2.5)], 6
        ),
    ]  # fmt: skip


def test_a_snapshot_that_is_too_old_is_asked_for_again() -> None:
    """When the first event begins after the snapshot's end, time asks for a later one, and events are still kept."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(ACK, 0, out)
    protocol.receive(event(50, 60), 0, out)
    assert protocol.snapshot(body(40, BIDS, ASKS), 0, out) is None
    assert out == []
    assert isinstance(protocol.tick(0, out), SnapshotWanted)
    protocol.receive(event(61, 70, [(7.0, 1.0)]), 0, out)
    protocol.snapshot(body(55, BIDS, ASKS), 0, out)
    assert out == [BookSnapshot(70 * MS, 70, [*BIDS, (7.0, 1.0)], ASKS, 0)]


def test_snapshots_that_never_fit_end_the_connection() -> None:
    """After ten that don't, a new connection is wanted."""
    protocol = stream()
    protocol.receive(ACK, 0, [])
    protocol.receive(event(50, 60), 0, [])
    for _ in range(9):
        assert protocol.snapshot(body(40, BIDS, ASKS), 0, []) is None
        assert isinstance(protocol.tick(0, []), SnapshotWanted)
    signal = protocol.snapshot(body(40, BIDS, ASKS), 0, [])
    assert isinstance(signal, Broken)
    assert signal.resync == "reconnect"


def test_a_quiet_book_is_asked_for_by_time() -> None:
    """A market in which nothing happens has a book all the same."""
    protocol = stream()
    out: list[Record] = []
    assert protocol.tick(0, out) is None
    protocol.receive(ACK, 0, out)
    assert isinstance(protocol.tick(NS, out), SnapshotWanted)
    assert protocol.tick(2 * NS, out) is None
    protocol.snapshot(body(100, BIDS, ASKS), 3 * NS, out)
    assert out == [BookSnapshot(3 * NS, 100, BIDS, ASKS, 3 * NS)]
    assert protocol.receive(event(99, 101, [(9.0, 0.0)]), 4 * NS, out) is None
    # The snapshot's time is our clock's, and the event's own is before it: sorted by time it would come first.
    assert out[-1] == BookDelta(3 * NS, 101, [(9.0, 0.0)], [], 4 * NS)


def test_the_first_event_is_kept_when_it_confirms() -> None:
    """Without an answer to SUBSCRIBE, nothing of what comes is lost."""
    protocol = stream()
    out: list[Record] = []
    assert protocol.receive(event(50, 60, [(7.0, 1.0)]), 0, out) == Subscribed()
    assert isinstance(protocol.receive(event(61, 62), 0, out), SnapshotWanted)
    protocol.snapshot(body(49, BIDS, ASKS), 0, out)
    assert out == [BookSnapshot(62 * MS, 62, [*BIDS, (7.0, 1.0)], ASKS, 0)]


def test_sent_twice_and_overtaken() -> None:
    """An event that the book holds already is ignored."""
    out: list[Record] = []
    protocol = synced(out)
    protocol.receive(event(101, 105, [(9.0, 5.0)]), 0, out)
    for first, last in ((101, 105), (101, 103), (100, 100)):
        assert protocol.receive(event(first, last, [(9.0, 7.0)]), 0, out) is None
    assert len(out) == 2
    assert protocol.receive(event(106, 106, [(9.0, 6.0)]), 0, out) is None
    assert len(out) == 3


def test_a_break_is_mended_by_a_snapshot() -> None:
    """A missing update is a break since the last good one; until the snapshot nothing is given out, then the book."""
    out: list[Record] = []
    protocol = synced(out)
    protocol.receive(event(101, 105), 0, out)
    broken = protocol.receive(event(110, 112, [(9.0, 0.0)]), 0, out)
    assert broken == Broken(
        "updates after 105 up to 109 are missing", 105 * MS, "snapshot",
        request=PageRequest("publicGetDepth", {"symbol": "BTCUSDT", "limit": 5000}),
    )  # fmt: skip
    assert protocol.receive(event(113, 114, [(7.0, 3.0)]), 0, out) is None
    assert len(out) == 1
    assert protocol.snapshot(body(111, [(9.0, 4.0), (8.0, 2.0)], ASKS), 0, out) is None
    assert out[1:] == [BookSnapshot(114 * MS, 114, [(8.0, 2.0), (7.0, 3.0)], ASKS, 0)]
    assert protocol.receive(event(115, 115, [(7.0, 0.0)]), 0, out) is None
    assert out[2] == BookDelta(115 * MS, 115, [(7.0, 0.0)], [], 0)


def test_a_crossed_book_is_a_break() -> None:
    """A bid above the asks shows that a removal was lost."""
    out: list[Record] = []
    protocol = synced(out)
    broken = protocol.receive(event(101, 101, [(10.5, 1.0)]), 0, out)
    assert isinstance(broken, Broken)
    assert broken.resync == "snapshot"
    assert len(out) == 1


def test_a_snapshot_nobody_asked_for() -> None:
    """A second answer to the same request changes nothing."""
    out: list[Record] = []
    protocol = synced(out)
    protocol.snapshot(body(500, [], []), 0, out)
    assert protocol.receive(event(101, 101, [(8.0, 0.0)]), 0, out) is None
    assert len(out) == 2


@pytest.mark.parametrize(
    "broken",
    [
        event(101, 101).replace(b'"b":[]', b'"b":[["0","1"]]'), event(101, 101).replace(b'"b":[]', b'"b":[["9.0"]]'),
        event(101, 101).replace(b'"b":[]', b'"b":[["9.0","-1"]]'), event(101, 101).replace(b'"U":101,', b""),
        event(101, 101)[:-3],
    ],
)  # fmt: skip
def test_broken_events_change_nothing(broken: bytes) -> None:
    """A level without an amount, or with a price of 0, is a ParseError; the next event still fits."""
    out: list[Record] = []
    protocol = synced(out)
    with pytest.raises(ParseError):
        protocol.receive(broken, 0, out)
    assert protocol.receive(event(101, 102, [(8.0, 0.0)]), 0, out) is None
    assert len(out) == 2


def test_a_broken_snapshot_is_a_parse_error() -> None:
    """And the next one is taken."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(ACK, 0, out)
    protocol.receive(event(50, 60), 0, out)
    for bad in (b"", b"{}", b'{"code":-1003,"msg":"Too many requests"}', body(60, BIDS, ASKS)[:-5]):
        with pytest.raises(ParseError):
            protocol.snapshot(bad, 0, out)
    protocol.snapshot(body(60, BIDS, ASKS), 0, out)
    assert len(out) == 1


@pytest.mark.parametrize(("depth", "limit"), [(None, 5000), (10, 100), (50, 100), (51, 500), (500, 1000), (5000, 5000)])
def test_the_snapshot_is_twice_as_deep(depth: int | None, limit: int) -> None:
    """Levels that come into view when better ones go are known, and the request costs no more than that."""
    protocol = stream(depth=depth)
    protocol.receive(ACK, 0, [])
    signal = protocol.tick(0, [])
    assert isinstance(signal, SnapshotWanted)
    assert signal.request.params["limit"] == limit


def test_a_book_that_has_grown_thin_is_asked_for_again() -> None:
    """When fewer levels than are shown lie within what the snapshot told, a new one is wanted; the book goes on."""
    protocol = stream(depth=50)
    out: list[Record] = []
    protocol.receive(ACK, 0, out)
    protocol.tick(0, out)
    bids = [(1000.0 - n, 1.0) for n in range(100)]
    asks = [(1001.0 + n, 1.0) for n in range(100)]
    protocol.snapshot(body(100, bids, asks), 0, out)
    assert protocol.tick(61 * NS, out) is None
    protocol.receive(event(101, 101, [(price, 0.0) for price, _ in bids[:60]]), 61 * NS, out)
    assert isinstance(protocol.tick(62 * NS, out), SnapshotWanted)
    protocol.receive(event(102, 102, [(500.0, 3.0)]), 63 * NS, out)
    deltas = [record for record in out if isinstance(record, BookDelta)]
    assert deltas[-1].bids == [(500.0, 3.0)]
    deeper = [(940.0 - n, 1.0) for n in range(100)]
    protocol.snapshot(body(101, deeper, asks), 64 * NS, out)
    assert isinstance(out[-1], BookSnapshot)
    assert (out[-1].seq, len(out[-1].bids), out[-1].bids[-1]) == (102, 50, (891.0, 1.0))
    assert protocol.tick(200 * NS, []) is None


LEVEL = st.tuples(st.integers(1, 12).map(float), st.sampled_from([0.0, 1.0, 2.0]))
ASK = LEVEL.map(lambda level: (level[0] + 100, level[1]))


@given(
    st.lists(st.tuples(st.lists(LEVEL, max_size=4), st.lists(ASK, max_size=4)), min_size=1, max_size=30),
    st.integers(0, 29),
    st.integers(0, 29),
    st.sampled_from([None, 3]),
)
def test_equals_the_exchanges_book(
    updates: list[tuple[Levels, Levels]], taken: int, arrives: int, depth: int | None
) -> None:
    """Whenever the snapshot is taken and whenever it comes, the book rebuilt from the records is the exchange's."""
    taken, arrives = min(taken, len(updates) - 1), min(arrives, len(updates) - 1)
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    protocol = stream(depth=depth, snapshot_interval=3)
    out: list[Record] = []
    protocol.receive(ACK, 0, out)
    asked = isinstance(protocol.tick(0, out), SnapshotWanted)
    assert asked
    answer = b""
    for n, (new_bids, new_asks) in enumerate(updates):
        for side, changes in ((bids, new_bids), (asks, new_asks)):
            for price, amount in changes:
                side[price] = amount
                if not amount:
                    del side[price]
        if n == taken:
            answer = body(n, sorted(bids.items(), reverse=True), sorted(asks.items()))
        assert protocol.receive(event(n, n, new_bids, new_asks), n * NS, out) is None
        if n == max(taken, arrives):
            assert protocol.snapshot(answer, n * NS, out) is None
    view_bids: dict[float, float] = {}
    view_asks: dict[float, float] = {}
    for record in out:
        assert isinstance(record, BookSnapshot | BookDelta)
        if isinstance(record, BookSnapshot):
            fresh = not view_bids and not view_asks
            assert fresh or (dict(record.bids), dict(record.asks)) == (view_bids, view_asks)
            view_bids, view_asks = dict(record.bids), dict(record.asks)
        else:
            for side, changes in ((view_bids, record.bids), (view_asks, record.asks)):
                for price, amount in changes:
                    side[price] = amount
                    if not amount:
                        del side[price]
    assert sorted(view_bids.items(), reverse=True) == sorted(bids.items(), reverse=True)[:depth]
    assert sorted(view_asks.items()) == sorted(asks.items())[:depth]


@pytest.mark.parametrize("pair", ["NKN-USDT", "BLZ-ETH", "LRC-BTC", "RUNE-EUR"])
def test_recording(captures: Path, pair: str) -> None:
    """After each recorded event the book is an independent reconstruction's, both sides."""
    symbol = pair.replace("-", "")
    snapshots = [
        (float(seconds), text)
        for seconds, _, url, text in (
            line.split("\t") for line in (captures / "frames" / "binance.rest.tsv").read_text().splitlines()
        )
        if f"/depth?symbol={symbol}&" in url
    ]
    ((snapshot_at, snapshot_text),) = snapshots
    protocol = Binance().stream(
        Dataset.parse(f"binance.orderbook.{pair}"), StreamOptions(depth=5000), Market(pair.replace("-", ""))
    )
    snapshot = msgspec.json.decode(snapshot_text)
    truth = {side: {float(p): float(a) for p, a in snapshot[side]} for side in ("bids", "asks")}
    view: dict[str, dict[float, float]] = {"bids": {}, "asks": {}}
    protocol.receive(ACK, 0, [])
    assert isinstance(protocol.tick(0, []), SnapshotWanted)
    held: list[dict[str, list[list[str]]]] = []
    done = False
    compared = 0
    for line in (captures / "frames" / "binance.tsv").read_text().splitlines():
        seconds, _, text = line.split("\t")
        out: list[Record] = []
        if not done and float(seconds) >= snapshot_at:
            done = True
            assert protocol.snapshot(snapshot_text.encode(), int(snapshot_at * 1e9), out) is None
        assert protocol.receive(text.encode(), int(float(seconds) * 1e9), out) is None
        wrapped = msgspec.json.decode(text)
        if wrapped["stream"] == f"{symbol.lower()}@depth@100ms":
            held.append(wrapped["data"])
        if done:
            for data in held:
                if data["u"] > snapshot["lastUpdateId"]:
                    for side, key in (("bids", "b"), ("asks", "a")):
                        for price, amount in data[key]:
                            truth[side][float(price)] = float(amount)
            held = []
        for record in out:
            assert isinstance(record, BookSnapshot | BookDelta)
            if isinstance(record, BookSnapshot):
                view = {"bids": {}, "asks": {}}
            view["bids"].update(record.bids)
            view["asks"].update(record.asks)
        if done:
            compared += 1
            for side in ("bids", "asks"):
                assert {p: a for p, a in view[side].items() if a} == {p: a for p, a in truth[side].items() if a}
    assert compared > 10
