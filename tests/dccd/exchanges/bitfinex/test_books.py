"""The live order book of Bitfinex."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import Decimal
from zlib import crc32

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, StreamProtocol, Subscribed
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS

Make = Callable[..., StreamProtocol]
Sides = tuple[dict[str, str], dict[str, str]]
CHAN = 17082
MS = 1_000_000
T0 = 1_696_436_740_000


class Exchange:
    """Bitfinex's side: a book of decimal text, its messages and checksums, written without the code under test."""

    def __init__(self, bids: dict[str, str], asks: dict[str, str]) -> None:
        self.sides: Sides = (dict(bids), dict(asks))
        self.seq = 0

    def message(self, content: str) -> bytes:
        self.seq += 1
        return f"[{CHAN},{content},{self.seq},{T0 + self.seq}]".encode()

    def best(self, side: int, count: int | None = None) -> list[tuple[str, str]]:
        return sorted(self.sides[side].items(), key=lambda level: Decimal(level[0]), reverse=side == 0)[:count]

    def snapshot(self) -> bytes:
        rows = [f"[{price},1,{amount}]" for price, amount in self.best(0)]
        rows += [f"[{price},2,-{amount}]" for price, amount in self.best(1)]
        return self.message(f"[{','.join(rows)}]")

    def change(self, side: int, price: str, amount: str | None) -> bytes:
        if amount is None:
            self.sides[side].pop(price, None)
            return self.message(f"[{price},0,{'-' if side else ''}1]")
        self.sides[side][price] = amount
        return self.message(f"[{price},3,{'-' if side else ''}{amount}]")

    def check(self, wrong: int = 0) -> bytes:
        texts: list[str] = []
        for n in range(25):
            texts += [text for level in self.best(0)[n : n + 1] for text in level]
            texts += [text for price, amount in self.best(1)[n : n + 1] for text in (price, f"-{amount}")]
        value = crc32(":".join(texts).encode()) ^ wrong
        return self.message(f'"cs",{value - 2**32 if value >= 2**31 else value}')


@pytest.fixture
def made() -> Exchange:
    return Exchange({"9": "1", "8": "2"}, {"10": "1.5", "11": "0.25"})


def subscribed(stream: Make, **options: object) -> StreamProtocol:
    protocol = stream("orderbook.BTC-USD", **options)
    protocol.subscribe()
    confirm(protocol)
    return protocol


def confirm(protocol: StreamProtocol) -> None:
    answer = {"event": "subscribed", "channel": "book", "chanId": CHAN, "symbol": "tBTCUSD"}
    assert protocol.receive(msgspec.json.encode(answer), 0, []) is None


def test_subscribes_with_the_next_depth(stream: Make) -> None:
    """Lengths that Bitfinex hasn't are cut from the next larger one; the largest is the limit."""
    for depth, length in ((None, "100"), (1, "25"), (25, "25"), (26, "100"), (101, "250"), (5000, "250")):
        request = msgspec.json.decode(stream("orderbook.BTC-USD", depth=depth).subscribe()[0])
        expected = {"event": "subscribe", "channel": "book", "symbol": "tBTCUSD", "prec": "P0", "freq": "F0"}
        assert request == expected | {"len": length, "subId": 1}


def test_frames(stream: Make, frames: Callable[[str], list[bytes]]) -> None:
    """A snapshot of both sides, then what changed at once as one delta, at the time of its checksum."""
    protocol, out = stream("orderbook.BTC-USD"), list[Record]()
    signals = [protocol.receive(frame, n, out) for n, frame in enumerate(frames("bitfinex/book"))]
    assert signals == [None, None, None, Subscribed(), *[None] * 9]
    assert out == [
        BookSnapshot(
            T0 * MS,
            3,
            [(27700.0, 1.5), (27699.5, 1.5e-7), (27690.0, 2.0)],
            [(27701.0, 0.25), (27702.5, 19203.444049780002), (27710.0, 3.0)],
            3,
        ),
        BookDelta((T0 + 1101) * MS, 8, [(27700.0, 0.0), (27698.0, 4.25)], [(27701.0, 0.3)], 8),
        BookDelta((T0 + 17001) * MS, 12, [(27701.0, 0.001)], [(27701.0, 0.0)], 12),
    ]


def test_a_snapshot_that_cannot_be_read_confirms_nothing(stream: Make, made: Exchange) -> None:
    """Neither does the answer: the time for the confirmation runs out, and all begins anew."""
    protocol, out = subscribed(stream), list[Record]()
    with pytest.raises(ParseError):
        protocol.receive(b"[17082,[[9,1,3],[null,1,-3]],1,1]", 1, out)
    frames = made.change(0, "9", "3"), made.check()
    assert [protocol.receive(frame, 2, out) for frame in frames] == [None, None]
    assert out == []


def test_a_checksum_that_differs_renews_the_subscription(stream: Make, made: Exchange) -> None:
    """A break since the last good update; nothing is given out until the new subscription's snapshot."""
    protocol, out = subscribed(stream), list[Record]()
    frames = made.snapshot(), made.check(), made.change(0, "9", "3"), made.check()
    assert [protocol.receive(frame, 1, out) for frame in frames] == [Subscribed(), None, None, None]
    assert len(out) == 2
    protocol.receive(made.change(0, "8.5", "1"), 2, out)
    broken = protocol.receive(made.check(wrong=1), 3, out)
    assert isinstance(broken, Broken)
    assert (broken.since, broken.resync) == (out[-1].ts, "resubscribe")
    assert broken.reason.startswith("the book's checksum is not")
    leave, ask = map(msgspec.json.decode, protocol.resubscribe())
    assert (leave["event"], leave["chanId"], ask["event"]) == ("unsubscribe", CHAN, "subscribe")
    for frame in (made.change(0, "8.5", "2"), made.check(), made.snapshot()):
        assert protocol.receive(frame, 4, out) is None
    protocol.tick(10**19, out)
    assert len(out) == 2
    confirm(protocol)
    protocol.receive(made.change(0, "8.5", "2"), 5, out)
    assert protocol.receive(made.snapshot(), 5, out) == Subscribed()
    ts = (T0 + made.seq) * MS
    assert out[2:] == [BookSnapshot(ts, 5, [(9.0, 3.0), (8.5, 2.0), (8.0, 2.0)], [(10.0, 1.5), (11.0, 0.25)], 5)]


def test_a_level_that_is_missing_is_noticed(stream: Make, made: Exchange) -> None:
    """The checksum after it tells, whichever side it is of."""
    for side in (0, 1):
        protocol = subscribed(stream)
        protocol.receive(made.snapshot(), 1, [])
        made.change(side, "9.5" if side else "8.75", "1")
        assert isinstance(protocol.receive(made.check(), 2, []), Broken)


def test_without_checksums_each_level_is_given_out_at_once(stream: Make, made: Exchange) -> None:
    """As in recordings without; the exchange's time is the message's, or ours where it has none."""
    protocol, out = subscribed(stream), list[Record]()
    first, second, third = ((T0 + n) * MS for n in (1, 2, 3))
    protocol.receive(made.snapshot(), first, out)
    protocol.receive(made.change(1, "10", None), second, out)
    protocol.receive(b"[17082,[12,1,-3],9]", third, out)
    assert out[1:] == [
        BookDelta(second, second, [], [(10.0, 0.0)], second),
        BookDelta(third, third, [], [(12.0, 3.0)], third),
    ]


def test_checksums_that_stop_coming(stream: Make, made: Exchange) -> None:
    """What they don't come for is given out after five seconds."""
    protocol, out = subscribed(stream, snapshot_interval=1), list[Record]()
    for frame in (made.snapshot(), made.check(), made.change(0, "9", "7")):
        protocol.receive(frame, 0, out)
    protocol.tick(5 * NS, out)
    assert len(out) == 1
    assert protocol.tick(5 * NS + 1, out) is None
    assert [type(record) for record in out] == [BookSnapshot, BookDelta, BookSnapshot]
    assert isinstance(out[2], BookSnapshot)
    assert out[2].bids[0] == (9.0, 7.0)


def test_changes_that_do_not_stop_coming(stream: Make, made: Exchange) -> None:
    """The time counts from the first of those that no checksum came for, however busy the market is."""
    protocol, out = subscribed(stream), list[Record]()
    for frame in (made.snapshot(), made.check()):
        protocol.receive(frame, 0, out)
    for n in range(1, 30):
        protocol.receive(made.change(0, "9", str(n + 1)), n * NS // 2, out)
        protocol.tick(n * NS // 2, out)
    assert [record.bids for record in out[1:] if isinstance(record, BookDelta)] == [[(9.0, 13.0)], [(9.0, 25.0)]]


def test_a_crossed_book_is_a_break(stream: Make, made: Exchange) -> None:
    """Even when its checksum holds; so is a crossed snapshot."""
    protocol = subscribed(stream)
    frames = made.snapshot(), made.check(), made.change(0, "10.5", "1")
    assert [protocol.receive(frame, 1, []) for frame in frames] == [Subscribed(), None, None]
    ts = (T0 + 1) * MS
    assert protocol.receive(made.check(), 2, []) == Broken("the book is crossed", ts, "resubscribe")
    protocol = subscribed(stream)
    assert protocol.receive(made.snapshot(), 1, []) == Broken("the snapshot is crossed", None, "resubscribe")


def test_what_changes_at_once_may_cross_on_the_way(stream: Make, made: Exchange) -> None:
    """Only when all of it has come the book is looked at."""
    protocol, out = subscribed(stream), list[Record]()
    frames = made.snapshot(), made.check(), made.change(0, "10", "1"), made.change(1, "10", None), made.check()
    assert [protocol.receive(frame, 1, out) for frame in frames] == [Subscribed(), *[None] * 4]
    assert isinstance(out[-1], BookDelta)
    assert (out[-1].bids, out[-1].asks) == ([(10.0, 1.0)], [(10.0, 0.0)])


def test_an_empty_book(stream: Make) -> None:
    """Is one, and its checksum is 0."""
    protocol, made, out = subscribed(stream), Exchange({}, {}), list[Record]()
    assert protocol.receive(made.snapshot(), 1, out) == Subscribed()
    assert protocol.receive(b'[17082,"cs",0,2,1]', 1, out) is None
    assert out == [BookSnapshot((T0 + 1) * MS, 1, [], [], 1)]


def test_numbers_grow_though_the_clock_stands_still(stream: Make, made: Exchange) -> None:
    """seq is the time of reception, or one more than before."""
    protocol, out = subscribed(stream), list[Record]()
    protocol.receive(made.snapshot(), 100, out)
    for n, recv_ts in enumerate((100, 50, 500)):
        protocol.receive(made.change(0, "9", str(n + 2)), recv_ts, out)
    assert [record.seq for record in out if isinstance(record, BookSnapshot | BookDelta)] == [100, 101, 102, 500]


@pytest.mark.parametrize(
    "broken",
    [
        b"[17082,[null,1,3],9,9]", b"[17082,[0,1,3],9,9]", b"[17082,[-9,1,3],9,9]", b"[17082,[9,1],9,9]",
        b"[17082,[9,1,0],9,9]", b"[17082,[9,-1,3],9,9]", b"[17082,[9,1.5,3],9,9]", b"[17082,[9,1,null],9,9]",
        b'[17082,[9,1,"nan"],9,9]', b"[17082,[9,1,1e400],9,9]", b"[17082,[9,1,3],9,-9]", b"[17082,[9,1,3],9,9",
        b"[17082,[[9,1,3],[8,0,3]],9,9]", b"[17082,[[9,1,3],[8,1,0]],9,9]", b"[17082,[[9,1,3],[null,1,3]],9,9]",
        b'[17082,"cs",null,9,9]', b'[17082,"cs",1.5,9,9]', b'[17082,"cs",4294967295,9,9]', b'[17082,"cs"]',
        b'[17082,"cx",5,9,9]', b"[17082]",
    ],
)  # fmt: skip
def test_a_frame_that_can_not_be_read_breaks_the_book(stream: Make, made: Exchange, broken: bytes) -> None:
    """Each is a ParseError; a level below the best 25 that was in it no checksum would tell for a long time."""
    for next_one in (made.change, made.check, None):
        protocol, out = subscribed(stream), list[Record]()
        protocol.receive(made.snapshot(), 1, out)
        with pytest.raises(ParseError):
            protocol.receive(broken, 2, out)
        broke = Broken("a frame could not be read", out[0].ts, "resubscribe")
        if next_one is None:
            assert protocol.tick(3, out) == broke
        else:
            frame = made.check() if next_one == made.check else made.change(0, "9", "3")
            assert protocol.receive(frame, 3, out) == broke
        assert protocol.receive(made.check(), 4, out) is None
        assert protocol.tick(10**19, out) is None
        assert len(out) == 1


@pytest.mark.parametrize(
    "other", [b"[5,[9,1,null],9,9]", b"[5,7]", b"[170829,[9]]", b'{"event":7}', b"", b"{}", b"\xff\xff"]
)
def test_what_others_have_that_can_not_be_read(stream: Make, made: Exchange, other: bytes) -> None:
    """It isn't this book's: whatever is made of it, the book goes on."""
    protocol, out = subscribed(stream), list[Record]()
    protocol.receive(made.snapshot(), 1, out)
    with contextlib.suppress(ParseError):
        protocol.receive(other, 2, out)
    assert [protocol.receive(frame, 3, out) for frame in (made.change(0, "9", "3"), made.check())] == [None, None]
    assert len(out) == 2


def test_other_channels_are_not_ours(stream: Make, made: Exchange) -> None:
    """Whatever they send, and what comes before the snapshot."""
    protocol, out = subscribed(stream), list[Record]()
    for frame in (
        b"[5,[9,1,3],1,1]", b"[5,[[9,1,3]],1,1]", b'[5,"cs",4,1,1]', b'[5,"tu",[1,2,3,4],1,1]', b"[5,[1,2,3,4,5,6],1]",
        b'[5,"hb",1]', b'[17082,"hb",1]', made.change(0, "9", "3"), made.check(),
    ):  # fmt: skip
        assert protocol.receive(frame, 0, out) is None
    assert out == []


LEVEL = st.tuples(st.booleans(), st.integers(1, 30), st.sampled_from([None, None, "1", "2.5", "1e-7", "0.00001"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(LEVEL, max_size=8), max_size=20), st.sampled_from([None, 3, 25]))
def test_equals_bitfinexs_book(
    stream: Make, rounds: list[list[tuple[bool, int, str | None]]], depth: int | None
) -> None:
    """Each checksum holds, and the book rebuilt from the records is Bitfinex's, cut."""
    made = Exchange({f"{n / 2:g}": "1" for n in range(1, 31)}, {str(n): "1.25" for n in range(101, 131)})
    protocol, out = subscribed(stream, depth=depth, snapshot_interval=3), list[Record]()
    protocol.receive(made.snapshot(), 0, out)
    frames = [made.check()]
    for n, changes in enumerate(rounds):
        frames += [made.change(int(ask), f"{p + 100 if ask else p / 2:g}", amount) for ask, p, amount in changes]
        frames.append(made.check())
        for frame in frames:
            assert protocol.receive(frame, n * NS, out) is None
        frames = []
        view: tuple[dict[float, float], dict[float, float]] = ({}, {})
        for record in out:
            assert isinstance(record, BookSnapshot | BookDelta)
            if isinstance(record, BookSnapshot):
                view = (dict(record.bids), dict(record.asks))
            else:
                view[0].update(record.bids)
                view[1].update(record.asks)
        for side, shown in enumerate(view):
            expected = {float(price): float(amount) for price, amount in made.best(side, depth)}
            assert {price: amount for price, amount in shown.items() if amount} == expected
