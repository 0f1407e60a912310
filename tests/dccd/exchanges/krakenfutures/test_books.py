"""The live order book of Kraken Futures."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.krakenfutures import KrakenFutures
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS, Dataset

MS = 10**6
T0 = 1731715200000
DATASET = Dataset.parse("krakenfutures.orderbook.BTC-USD_PERP")
LINEAR = Market("PF_XBTUSD")


def stream(market: Market = LINEAR, **options: object) -> StreamProtocol:
    return KrakenFutures().stream(DATASET, StreamOptions(**options), market)  # type: ignore[arg-type]  # as the test says


def change(seq: int, side: str, price: float, qty: float, **fields: object) -> bytes:
    whole = {"feed": "book", "product_id": "PF_XBTUSD", "side": side, "seq": seq, "price": price, "qty": qty}
    return msgspec.json.encode(whole | {"timestamp": T0 + seq} | fields)


def whole(seq: int, bids: list[tuple[float, float]], asks: list[tuple[float, float]], **fields: object) -> bytes:
    sides = {
        name: [{"price": price, "qty": qty} for price, qty in levels]
        for name, levels in (("bids", bids), ("asks", asks))
    }
    head = {"feed": "book_snapshot", "product_id": "PF_XBTUSD", "timestamp": T0 + seq, "seq": seq, "tickSize": None}
    return msgspec.json.encode(head | sides | fields)


START = whole(10, [(99, 2), (100, 1)], [(102, 4), (101, 3)])


def begun(protocol: StreamProtocol) -> list[Record]:
    out: list[Record] = []
    assert protocol.receive(START, 0, out) == Subscribed()
    return out


def book(protocol: StreamProtocol) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """What the next snapshot has."""
    out: list[Record] = []
    protocol.tick(10**6 * NS, out)
    (record,) = out
    assert isinstance(record, BookSnapshot)
    return record.bids, record.asks


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Both sides, best first; then what each frame changes, with its number and time."""
    protocol, out = stream(), list[Record]()
    assert protocol.subscribe() == ['{"event":"subscribe","feed":"book","product_ids":["PF_XBTUSD"]}']
    signals = [protocol.receive(text, n, out) for n, text in enumerate(frames("krakenfutures/book"))]
    assert signals == [None, Subscribed(), None, None, None, None]
    asks = [(91069.0, 0.0402), (91069.5, 1.1), (91071.0, 4.0)]
    assert out == [
        BookSnapshot((T0 + 17) * MS, 40211, [(91068.0, 0.5), (91067.5, 2.25)], asks, 1),
        BookDelta((T0 + 125) * MS, 40212, [], [(91069.0, 0.0)], 2),
        BookDelta((T0 + 125) * MS, 40213, [], [(91069.5, 0.1)], 3),
        BookDelta((T0 + 391) * MS, 40214, [(91068.5, 0.75)], [], 4),
        BookDelta((T0 + 391) * MS, 40215, [(91067.5, 0.0)], [], 5),
    ]
    assert book(protocol) == ([(91068.5, 0.75), (91068.0, 0.5)], [(91069.5, 0.1), (91071.0, 4.0)])


def test_contracts_of_a_dollar() -> None:
    """An inverse market's sizes come to base asset, on both sides."""
    protocol, out = stream(Market("PF_XBTUSD", inverse=True)), list[Record]()
    protocol.receive(whole(10, [(100, 50)], [(200, 50)]), 0, out)
    protocol.receive(change(11, "sell", 200, 400), 0, out)
    protocol.receive(change(12, "buy", 80, 20), 0, out)
    protocol.receive(change(13, "buy", 100, 0), 0, out)
    assert isinstance(out[0], BookSnapshot) and (out[0].bids, out[0].asks) == ([(100.0, 0.5)], [(200.0, 0.25)])
    assert book(protocol) == ([(80.0, 0.25)], [(200.0, 2.0)])


def test_a_gap() -> None:
    """It is told with the last good record's time; the renewed subscription's snapshot mends it."""
    protocol = stream()
    out = begun(protocol)
    protocol.receive(change(11, "buy", 100, 5), 1, out)
    broken = protocol.receive(change(13, "sell", 101, 5), 2, out)
    assert broken == Broken("change 13 came after 11", (T0 + 11) * MS, "resubscribe")
    assert protocol.resubscribe() == [
        '{"event":"unsubscribe","feed":"book","product_ids":["PF_XBTUSD"]}',
        '{"event":"subscribe","feed":"book","product_ids":["PF_XBTUSD"]}',
    ]
    assert protocol.receive(change(14, "sell", 101, 6), 3, out) is None and len(out) == 2
    assert protocol.receive(whole(15, [(100, 7)], [(101, 8)]), 4, out) == Subscribed()
    assert protocol.receive(change(16, "sell", 101, 9), 5, out) is None
    assert out[2:] == [
        BookSnapshot((T0 + 15) * MS, 15, [(100.0, 7.0)], [(101.0, 8.0)], 4),
        BookDelta((T0 + 16) * MS, 16, [], [(101.0, 9.0)], 5),
    ]


def test_sent_twice() -> None:
    """Nothing; but a smaller number at a later time is no repetition."""
    protocol = stream()
    out = begun(protocol)
    for _ in range(2):
        assert protocol.receive(change(11, "buy", 100, 5), 1, out) is None
    assert protocol.receive(START, 1, out) is not None  # older than what is there
    out = begun(protocol := stream())
    assert protocol.receive(START, 1, out) is None and len(out) == 1
    broken = protocol.receive(change(3, "buy", 100, 5, timestamp=T0 + 500), 2, out)
    assert broken == Broken("change 3 came after 10", (T0 + 10) * MS, "resubscribe")


@pytest.mark.parametrize(("side", "price"), [("buy", 101), ("sell", 100), ("buy", 101.5)])
def test_a_crossed_book(side: str, price: float) -> None:
    """A break, by either side, once its moment is over: the next one has begun, or none comes."""
    for later in (False, True):
        protocol = stream()
        out = begun(protocol)
        assert protocol.receive(change(11, side, price, 5), 1, out) is None
        assert protocol.tick(2, out) is None
        broken = protocol.receive(change(12, side, 1000, 0), 3, out) if later else protocol.tick(2 * NS, out)
        assert broken == Broken("the book is crossed at change 11", (T0 + 11) * MS, "resubscribe")
        assert len(out) == 2


def test_what_changes_at_once_may_cross_on_the_way() -> None:
    """Only when all of a moment has come the book is looked at."""
    protocol = stream()
    out = begun(protocol)
    frames = change(11, "buy", 101, 5), change(12, "sell", 101, 0, timestamp=T0 + 11), change(13, "buy", 98, 1)
    assert [protocol.receive(frame, 1, out) for frame in frames] == [None] * 3
    assert book(protocol) == ([(101.0, 5.0), (100.0, 1.0), (99.0, 2.0), (98.0, 1.0)], [(102.0, 4.0)])


def test_a_crossed_snapshot() -> None:
    """No book at all."""
    out: list[Record] = []
    broken = stream().receive(whole(10, [(101, 1)], [(101, 1)]), 0, out)
    assert broken == Broken("the snapshot at change 10 is crossed", None, "resubscribe") and not out


def test_a_snapshot_by_itself() -> None:
    """What happened before it is unknown: that is a hole, and the book goes on."""
    protocol = stream()
    out = begun(protocol)
    broken = protocol.receive(whole(20, [(90, 1)], [(91, 1)]), 1, out)
    hole = (T0 + 10) * MS, "none", (T0 + 20) * MS
    assert broken == Broken("a snapshot at change 20 came after change 10", *hole)  # type: ignore[arg-type]  # a Literal
    assert book(protocol) == ([(90.0, 1.0)], [(91.0, 1.0)])


def test_changes_without_a_snapshot() -> None:
    """The subscription is renewed when none has come for ten seconds."""
    protocol, out = stream(), list[Record]()
    assert protocol.receive(change(11, "buy", 100, 5), NS, out) is None
    assert protocol.tick(11 * NS, out) is None
    assert protocol.tick(12 * NS, out) == Broken("updates come, but no snapshot", None, "resubscribe")
    protocol.resubscribe()
    assert protocol.tick(30 * NS, out) is None and not out


def test_depth() -> None:
    """The view is cut; what comes into it from below is told."""
    protocol = stream(depth=1)
    out = begun(protocol)
    protocol.receive(change(11, "buy", 99, 9), 1, out)
    protocol.receive(change(12, "buy", 100, 0), 2, out)
    assert out == [
        BookSnapshot((T0 + 10) * MS, 10, [(100.0, 1.0)], [(101.0, 3.0)], 0),
        BookDelta((T0 + 12) * MS, 12, [(100.0, 0.0), (99.0, 9.0)], [], 2),
    ]


def test_snapshots_only() -> None:
    """As the job asks."""
    protocol = stream(book="snapshots", snapshot_interval=10)
    out = begun(protocol)
    protocol.receive(change(11, "buy", 100, 5), NS, out)
    protocol.tick(10 * NS, out)
    assert out[1:] == [
        BookSnapshot((T0 + 11) * MS + 4 * NS, 11, [(100.0, 5.0), (99.0, 2.0)], [(101.0, 3.0), (102.0, 4.0)], 10 * NS)
    ]


@pytest.mark.parametrize(
    "fields", [{"price": 0}, {"price": None}, {"qty": -1}, {"qty": None}, {"side": "up"}, {"seq": None}]
)
def test_what_is_no_level(fields: dict[str, object]) -> None:
    """A ParseError, and the book stays as it is."""
    protocol = stream()
    out = begun(protocol)
    bad = msgspec.json.encode(msgspec.json.decode(change(11, "buy", 100, 5)) | fields)
    with pytest.raises(ParseError):
        protocol.receive(bad, 1, out)
    protocol.receive(change(11, "buy", 100, 6), 1, out)
    assert book(protocol) == ([(100.0, 6.0), (99.0, 2.0)], [(101.0, 3.0), (102.0, 4.0)])
