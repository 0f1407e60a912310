"""The live order book of Kraken."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.kraken import Kraken
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS, Dataset

Levels = list[tuple[str, str]]
TIME = "2023-10-06T17:35:55.440295Z"
T0 = 1696613755440295000


def stream(**options: object) -> StreamProtocol:
    return Kraken().stream(Dataset.parse("kraken.orderbook.BTC-USD"), StreamOptions(**options), Market("XXBTZUSD"))  # type: ignore[arg-type]


class Side:
    """Kraken's side: a book of decimal text, its frames and checksums, written without the code under test."""

    def __init__(self, depth: int = 10, zeros: bool = True) -> None:
        self.depth = depth
        self.zeros = zeros
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}

    def sides(self) -> tuple[Levels, Levels]:
        return (
            sorted(self.bids.items(), key=lambda level: -Decimal(level[0])),
            sorted(self.asks.items(), key=lambda level: Decimal(level[0])),
        )

    def checksum(self) -> int:
        bids, asks = self.sides()
        text = ""
        for price, amount in asks[:10] + bids[:10]:
            text += str(int(price.replace(".", ""))) + str(int(amount.replace(".", "")))
        return crc32(text.encode())

    def frame(
        self, kind: str, bids: Levels, asks: Levels, time: str | None = TIME, checksum: int | None = None
    ) -> bytes:
        def written(levels: Levels) -> str:
            numbers = [(f"{Decimal(p).normalize():f}", f"{Decimal(a).normalize():f}") for p, a in levels]
            shown = levels if self.zeros else numbers
            return ",".join(f'{{"price":{price},"qty":{amount}}}' for price, amount in shown)

        checksum = self.checksum() if checksum is None else checksum
        stamp = f',"timestamp":"{time}"' if time else ""
        return (
            f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"BTC/USD","bids":[{written(bids)}],'
            f'"asks":[{written(asks)}],"checksum":{checksum}{stamp}}}]}}'
        ).encode()

    def snapshot(self) -> bytes:
        return self.frame("snapshot", *self.sides(), time=None)

    def update(self, bids: Levels, asks: Levels) -> bytes:
        for side, changes, sign in ((self.bids, bids, -1), (self.asks, asks, 1)):
            for price, amount in changes:
                side[price] = amount
                if not Decimal(amount):
                    del side[price]
            for price in sorted(side, key=lambda text: sign * Decimal(text))[self.depth :]:
                del side[price]
        return self.frame("update", bids, asks)


def market(**options: object) -> Side:
    made = Side(**options)  # type: ignore[arg-type]
    made.bids = {"9.0": "1.00000000", "8.0": "2.00000000"}
    made.asks = {"10.0": "1.00000000", "11.0": "2.00000000"}
    return made


def test_subscribes_with_the_next_depth() -> None:
    """Depths that Kraken hasn't are cut from the next larger one."""
    for depth, asked in ((None, 100), (1, 10), (10, 10), (11, 25), (101, 500), (1000, 1000), (1001, 1000)):
        params = msgspec.json.decode(stream(depth=depth).subscribe()[0])["params"]
        assert params == {"channel": "book", "symbol": ["BTC/USD"], "depth": asked, "snapshot": True}


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """The guide's snapshot and updates after it: several changes of one price, removals, levels that fall out."""
    protocol = stream(depth=10)
    out: list[Record] = []
    signals = [protocol.receive(frame, n, out) for n, frame in enumerate(frames("kraken/book"))]
    assert signals == [None, Subscribed(), *[None] * 5]
    assert [type(record) for record in out] == [BookSnapshot, *[BookDelta] * 4]
    first, *deltas = out
    assert isinstance(first, BookSnapshot)
    assert (first.ts, first.bids[0], first.asks[-1], len(first.bids)) == (1, (45283.5, 0.1), (45299.5, 0.18772827), 10)
    assert deltas[0] == BookDelta(T0, 2, [(45283.5, 0.2)], [], 2)
    assert deltas[1] == BookDelta(T0 + NS, 3, [], [(45285.2, 0.0), (45301.0, 2.0)], 3)
    third = deltas[2]
    assert isinstance(third, BookDelta)
    assert sorted(third.bids) == [(45276.6, 0.0), (45284.0, 1e-8)]
    assert sorted(third.asks) == [(45285.0, 1.0), (45301.0, 0.0)]


def test_a_checksum_that_differs_renews_the_subscription() -> None:
    """A break since the last good update; nothing is given out until the new subscription's snapshot."""
    protocol, made = stream(depth=10), market()
    out: list[Record] = []
    protocol.subscribe()
    protocol.receive(made.snapshot(), 1, out)
    protocol.receive(made.update([("9.0", "3.00000000")], []), 2, out)
    broken = protocol.receive(made.frame("update", [("8.5", "1.00000000")], [], checksum=1), 3, out)
    assert broken == Broken("the book's checksum is not 1", T0, "resubscribe")
    requests = [msgspec.json.decode(text) for text in protocol.resubscribe()]
    assert [request["method"] for request in requests] == ["unsubscribe", "subscribe"]
    assert "snapshot" not in requests[0]["params"]
    assert requests[1]["params"]["snapshot"] is True
    assert protocol.receive(made.update([("8.0", "5.00000000")], []), 4, out) is None
    unsubscribed = {"method": "unsubscribe", "success": True, "req_id": requests[0]["req_id"]}
    assert protocol.receive(msgspec.json.encode(unsubscribed), 5, out) is None
    assert len(out) == 2
    subscribed = {"method": "subscribe", "success": True, "req_id": requests[1]["req_id"]}
    assert protocol.receive(msgspec.json.encode(subscribed), 6, out) is None
    assert protocol.receive(made.snapshot(), T0 + 7, out) == Subscribed()
    assert out[2] == BookSnapshot(T0 + 7, T0 + 7, [(9.0, 3.0), (8.0, 5.0)], [(10.0, 1.0), (11.0, 2.0)], T0 + 7)


def test_a_snapshots_checksum_is_verified() -> None:
    """A snapshot that doesn't fit its checksum is no book."""
    out: list[Record] = []
    broken = stream().receive(market().frame("snapshot", *market().sides(), checksum=1), 0, out)
    assert isinstance(broken, Broken)
    assert (broken.resync, broken.since, out) == ("resubscribe", None, [])


def test_a_snapshot_that_cannot_be_read_confirms_nothing() -> None:
    """Neither does the answer: the time for the confirmation runs out, and all begins anew."""
    protocol, made, out = stream(), market(), list[Record]()
    ask = msgspec.json.decode(protocol.subscribe()[0])
    answer = {"method": "subscribe", "success": True, "req_id": ask["req_id"]}
    assert protocol.receive(msgspec.json.encode(answer), 1, out) is None
    with pytest.raises(ParseError):
        protocol.receive(made.snapshot().replace(b"9.0", b"-9.0"), 2, out)
    assert protocol.receive(made.update([("9.0", "3.00000000")], []), 3, out) is None
    assert out == []


def test_updates_before_the_snapshot() -> None:
    """Mean nothing."""
    out: list[Record] = []
    assert stream().receive(market().update([("9.0", "3.00000000")], []), 0, out) is None
    assert out == []


def test_numbers_grow_though_the_clock_stands_still_or_goes_back() -> None:
    """seq is the time of reception, or one more than before."""
    protocol, made = stream(), market()
    out: list[Record] = []
    protocol.receive(made.snapshot(), 100, out)
    for n, recv_ts in enumerate((100, 50, 102, 500)):
        protocol.receive(made.update([("9.0", f"{n + 2}.00000000")], []), recv_ts, out)
    assert [record.seq for record in out if isinstance(record, BookSnapshot | BookDelta)] == [100, 101, 102, 103, 500]


def test_a_crossed_snapshot_is_a_break() -> None:
    """Even when its checksum holds."""
    made = market()
    made.bids["10.5"] = "1.00000000"
    broken = stream(depth=10).receive(made.snapshot(), 0, [])
    assert broken == Broken("the snapshot is crossed", None, "resubscribe")


def test_a_crossed_book_is_a_break() -> None:
    """Even when its checksum holds."""
    protocol, made = stream(), market()
    protocol.receive(made.snapshot(), 1, [])
    broken = protocol.receive(made.update([("10.5", "1.00000000")], []), 2, [])
    assert broken == Broken("the book is crossed", 1, "resubscribe")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"price":9.0', b'"price":null'), (b'"price":9.0', b'"price":0'), (b'"price":9.0', b'"price":-9.0'),
        (b'"price":9.0,', b""), (b'"qty":3.00000000', b'"qty":"x"'), (b'"qty":3.00000000', b'"qty":1e400'),
        (b'"timestamp":"2023', b'"timestamp":"x'), (b'"checksum":', b'"checksum":-'), (b'"bids"', b'"bid"'),
    ],
)  # fmt: skip
def test_a_frame_that_can_not_be_read_breaks_the_book(old: bytes, new: bytes) -> None:
    """Each is a ParseError; a level below the best ten that was in it no checksum would tell for a long time."""
    protocol, made = stream(), market()
    out: list[Record] = []
    protocol.receive(made.snapshot(), 1, out)
    good = made.update([("9.0", "3.00000000")], [])
    assert old in good
    with pytest.raises(ParseError):
        protocol.receive(good.replace(old, new), 2, out)
    assert protocol.receive(good, 2, out) == Broken("a frame could not be read", 1, "resubscribe")
    assert protocol.tick(3, out) is None
    assert protocol.subscribe()
    assert protocol.receive(made.snapshot(), 4, out) == Subscribed()
    with pytest.raises(ParseError):
        protocol.receive(good.replace(old, new), 5, out)
    assert protocol.tick(6, out) == Broken("a frame could not be read", 4, "resubscribe")
    assert [type(record) for record in out] == [BookSnapshot] * 2


@pytest.mark.parametrize(
    "other",
    [
        b'{"channel":"book","type":"update","data":[{"symbol":"ETH/USD","bids":[{"price":-1,"qty":1}]}]}',
        b'{"channel":"trade","type":"update","data":7}', b'{"method":"subscribe","success":true,"req_id":"x"}',
        b"", b"{}", b"\xff",
    ],
)  # fmt: skip
def test_what_others_have_that_can_not_be_read(other: bytes) -> None:
    """It isn't this book's: whatever is made of it, the book goes on."""
    protocol, made, out = stream(), market(), list[Record]()
    protocol.receive(made.snapshot(), 1, out)
    with contextlib.suppress(ParseError):
        protocol.receive(other, 2, out)
    assert protocol.receive(made.update([("9.0", "3.00000000")], []), 3, out) is None
    assert len(out) == 2


def test_an_empty_book_tells_no_decimals() -> None:
    """Its first levels do, by their trailing zeros."""
    protocol, made = stream(), Side()
    out: list[Record] = []
    protocol.receive(made.snapshot(), 1, out)
    assert protocol.receive(made.update([("9.0", "0.10000000")], [("10.0", "2.00000000")]), 2, out) is None
    assert protocol.receive(made.update([("8.5", "0.25000000")], []), 3, out) is None
    assert [type(record) for record in out] == [BookSnapshot, BookDelta, BookDelta]


def test_numbers_with_more_digits_than_a_float_tells() -> None:
    """A cheap asset's amounts: their checksum is over what is written."""
    protocol, made = stream(), market()
    made.asks["12.0"] = "12345678901.12345678"
    out: list[Record] = []
    protocol.receive(made.snapshot(), 1, out)
    assert protocol.receive(made.update([("9.0", "98765432109.87654321")], []), 2, out) is None
    assert protocol.receive(made.update([("8.9", "1.00000000")], []), 3, out) is None
    assert protocol.receive(made.update([("9.0", "0.00000000")], []), 4, out) is None
    assert [type(record) for record in out] == [BookSnapshot, BookDelta, BookDelta, BookDelta]


PRICE = st.integers(10, 99).map(lambda n: f"{n / 10:.1f}")
AMOUNT = st.sampled_from(["0.00000000", "0.10000000", "1.00000000", "2.50000000", "0.00000001"])
CHANGES = st.lists(st.tuples(PRICE, AMOUNT), max_size=6)


def known(side: dict[str, str], changes: Levels) -> Levels:
    """The changes without removals of what isn't there."""
    there, kept = set(side), []
    for price, amount in changes:
        if Decimal(amount):
            there.add(price)
        elif price in there:
            there.remove(price)
        else:
            continue
        kept.append((price, amount))
    return kept


@given(st.lists(st.tuples(CHANGES, CHANGES), max_size=25), st.sampled_from([None, 3, 10]), st.booleans())
def test_equals_krakens_book(updates: list[tuple[Levels, Levels]], depth: int | None, zeros: bool) -> None:
    """Each checksum holds, trailing zeros sent or not, and the book rebuilt from the records is Kraken's, cut."""
    keep = 100 if depth is None else 10
    made = Side(keep, zeros)
    # Forty levels a side, so that levels fall out and checksums leave some out; asks lie above all bids.
    made.bids = {f"{n / 10:.1f}": "1.00000000" for n in range(10, 50)}
    made.asks = {f"{n / 10:.1f}": "1.23456789" for n in range(1000, 1040)}
    for side, reverse in ((made.bids, True), (made.asks, False)):
        for price in sorted(side, key=Decimal, reverse=reverse)[keep:]:
            del side[price]
    protocol = stream(depth=depth, snapshot_interval=5)
    out: list[Record] = []
    assert protocol.receive(made.snapshot(), 0, out) == Subscribed()
    for n, (bids, asks) in enumerate(updates):
        above = [(f"{Decimal(price) + 90:.1f}", amount) for price, amount in asks]
        # What Kraken doesn't have it doesn't remove.
        bids = [(p, a) for k, (p, a) in enumerate(bids) if Decimal(a) or (p in made.bids and p not in dict(bids[:k]))]
        above = [
            (p, a) for k, (p, a) in enumerate(above) if Decimal(a) or (p in made.asks and p not in dict(above[:k]))
        ]
        assert protocol.receive(made.update(bids, above), n * NS, out) is None
        view: tuple[dict[float, float], dict[float, float]] = ({}, {})
        for record in out:
            assert isinstance(record, BookSnapshot | BookDelta)
            if isinstance(record, BookSnapshot):
                view = (dict(record.bids), dict(record.asks))
            else:
                view[0].update(record.bids)
                view[1].update(record.asks)
        for shown, true in zip(view, made.sides(), strict=True):
            assert {p: a for p, a in shown.items() if a} == {float(p): float(a) for p, a in true[:depth]}


def test_real_messages(captures: Path) -> None:
    """The documented messages are read; being shortened, their checksums don't hold."""
    folder = captures / "payloads" / "kraken"
    for name in ("ws_book_snapshot", "ws_book_update"):
        text = (folder / f"{name}.json").read_bytes()
        data = msgspec.json.decode(text)["data"][0]
        protocol, out = stream(), []
        assert isinstance(protocol.receive(text, 0, out), Broken if "snapshot" in name else type(None))
        assert out == []
        # With a checksum that holds, made by other code than that under test.
        made = Side()
        made.bids = {f"{level['price']:.2f}": f"{level['qty']:.3f}" for level in data["bids"]}
        made.asks = {f"{level['price']:.2f}": f"{level['qty']:.3f}" for level in data["asks"]}
        whole = msgspec.json.encode(
            {"channel": "book", "type": "snapshot", "data": [data | {"checksum": made.checksum()}]}
        )
        protocol.receive(whole, 0, out)
        (snapshot,) = out
        assert isinstance(snapshot, BookSnapshot)
        assert snapshot.ts == T0
        assert snapshot.bids == [(level["price"], level["qty"]) for level in data["bids"]]
