"""The live order book of BitMEX."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import NoCapability, ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bitmex import Bitmex
from dccd.records import BookDelta, BookSnapshot, Record
from dccd.symbols import NS, Dataset

T0 = 1_740_823_200 * NS
INVERSE = Market("XBTUSD", inverse=True)


def stream(market: Market = INVERSE, symbol: str = "BTC-USD_PERP", **options: object) -> StreamProtocol:
    dataset = Dataset.parse(f"bitmex.orderbook.{symbol}")
    return Bitmex().stream(dataset, StreamOptions(**options), market)  # type: ignore[arg-type]  # as the test says


def frame(action: str, *rows: tuple[object, ...], table: str = "orderBookL2") -> bytes:
    """Rows of (id, side, size, price); what is None is left out."""
    names = ("id", "side", "size", "price")
    data = [
        {"symbol": "XBTUSD", "timestamp": "2025-03-01T10:00:00.000Z"}
        | {name: value for name, value in zip(names, row, strict=False) if value is not None}
        for row in rows
    ]
    return msgspec.json.encode({"table": table, "action": action, "filter": {"symbol": "XBTUSD"}, "data": data})


WHOLE = frame("partial", (1, "Sell", 2020, 101.0), (2, "Buy", 1000, 100.0), (3, "Buy", 495, 99.0))


def begun(protocol: StreamProtocol) -> list[Record]:
    out: list[Record] = []
    assert protocol.receive(WHOLE, 0, out) == Subscribed()
    return out


@pytest.mark.parametrize("action", ["partial", "insert"])
def test_contracts_that_are_no_amount(action: str) -> None:
    """Such a level is refused, and the book made anew."""
    protocol = stream()
    out = begun(protocol)
    before = list(out)
    with pytest.raises(ParseError, match="no amount"):
        protocol.receive(frame(action, (4, "Buy", 100, 1e-307)), 0, out)
    assert out == before
    assert isinstance(protocol.tick(0, out), Broken)


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Both sides by ids, prices kept where a frame omits them, contracts as base asset."""
    protocol, out = stream(), list[Record]()
    signals = [protocol.receive(frame, 7, out) for frame in frames("bitmex/book")]
    assert signals == [None, None, None, Subscribed(), None, None, None, None, None]
    bids, asks = (
        [(80000.0, 1.0), (79999.5, 16000 / 79999.5), (64000.0, 0.125)],
        [(80001.0, 40000 / 80001), (80002.0, 60000 / 80002)],
    )
    assert out == [
        BookSnapshot(T0, 7, bids, asks, 7),
        BookDelta(T0 + NS, 8, [(80000.0, 0.5)], [(80001.0, 20000 / 80001)], 7),
        BookDelta(T0 + 2 * NS, 9, [], [(80001.0, 0.0)], 7),
        BookDelta(T0 + 2_001_000_000, 10, [(80000.5, 4000 / 80000.5)], [(80001.5, 800 / 80001.5)], 7),
        BookDelta(T0 + 3 * NS, 11, [(80000.0, 0.0), (79999.5, 0.0)], [], 7),
    ]
    protocol.tick(100 * NS, out)
    assert isinstance(out[-1], BookSnapshot)
    assert out[-1].bids == [(80000.5, 4000 / 80000.5), (64000.0, 0.125)]
    assert out[-1].asks == [(80001.5, 800 / 80001.5), (80002.0, 60000 / 80002)]


def test_a_linear_contracts_amounts() -> None:
    """A millionth of a bitcoin each, without a digit made up."""
    out: list[Record] = []
    protocol = stream(Market("XBTUSD", 1e-6), "BTC-USDT_PERP")
    protocol.receive(frame("partial", (1, "Sell", 3000, 101.0), (2, "Buy", 7000, 100.0)), 0, out)
    assert isinstance(out[0], BookSnapshot) and (out[0].bids, out[0].asks) == ([(100.0, 0.007)], [(101.0, 0.003)])


@pytest.mark.parametrize("data_type", ["orderbook", "open_interest"])
def test_none_where_a_contract_has_no_fixed_size(data_type: str) -> None:
    """ETHUSD is paid in XBT: the error says what there is."""
    dataset = Dataset.parse(f"bitmex.{data_type}.ETH-USD_PERP")
    with pytest.raises(NoCapability, match="trades, ohlc and funding"):
        Bitmex().stream(dataset, StreamOptions(), Market("ETHUSD", 100.0))


@pytest.mark.parametrize(("depth", "table"), [(None, "orderBookL2"), (25, "orderBookL2_25"), (10, "orderBookL2_25"),
                                              (26, "orderBookL2"), (10**6, "orderBookL2")])  # fmt: skip
def test_tables(depth: int | None, table: str) -> None:
    """The throttled one where it is deep enough."""
    protocol = stream(depth=depth)
    assert protocol.topic == f"{table}:XBTUSD"
    out: list[Record] = []
    protocol.receive(WHOLE.replace(b"orderBookL2", table.encode()), 0, out)
    assert len(out) == 1


def test_depth() -> None:
    """Levels beyond it come into view when those before them go."""
    protocol = stream(depth=1)
    out: list[Record] = []
    protocol.receive(WHOLE.replace(b"orderBookL2", b"orderBookL2_25"), 0, out)
    protocol.receive(frame("delete", (2, "Buy"), table="orderBookL2_25"), 0, out)
    assert isinstance(out[0], BookSnapshot) and isinstance(out[1], BookDelta)
    assert (out[0].bids, out[0].asks) == ([(100.0, 10.0)], [(101.0, 20.0)])
    assert (out[1].bids, out[1].asks) == ([(100.0, 0.0), (99.0, 5.0)], [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (frame("update", (9, "Buy", 10)), "level 9 wasn't there"),
        (frame("update", (1, "Buy", 10)), "level 1 wasn't there"),
        (frame("delete", (2, "Buy"), (9, "Sell")), "level 9 wasn't there"),
        (frame("update", (2, "Buy", 10, 98.0)), "level 2 is at 98, and was at 100"),
        (frame("insert", (2, "Buy", 10, 98.0)), "level 2 at 98 was there already"),
        (frame("insert", (7, "Buy", 10, 99.0)), "level 7 at 99 was there already"),
        (frame("insert", (7, "Sell", 10, 101.0)), "level 7 at 101 was there already"),
        (frame("insert", (7, "Buy", 10, 101.0)), "the book is crossed"),
    ],
)
def test_breaks(change: bytes, reason: str) -> None:
    """What doesn't fit the book breaks it; the partial of a renewed subscription mends it."""
    protocol = stream()
    out = begun(protocol)
    assert protocol.receive(change, 1, out) == Broken(reason, T0, "resubscribe")
    assert len(out) == 1
    assert protocol.receive(frame("update", (3, "Buy", 10)), 2, out) is None
    assert [msgspec.json.decode(text)["op"] for text in protocol.resubscribe()] == ["unsubscribe", "subscribe"]
    assert protocol.receive(frame("update", (3, "Buy", 10)), 3, out) is None
    protocol.tick(10**12, out)
    assert len(out) == 1
    assert protocol.receive(frame("partial", (8, "Sell", 102, 102.0)), 4, out) == Subscribed()
    protocol.receive(frame("update", (8, "Sell", 204)), 5, out)
    assert out[1:] == [BookSnapshot(T0, 4, [], [(102.0, 1.0)], 4), BookDelta(T0, 5, [], [(102.0, 2.0)], 5)]


def test_a_crossed_partial() -> None:
    """It is a break from the start."""
    out: list[Record] = []
    crossed = frame("partial", (1, "Sell", 1, 100.0), (2, "Buy", 1, 100.0))
    assert stream().receive(crossed, 0, out) == Broken("the partial is crossed", None, "resubscribe")
    assert out == []


def test_an_empty_book() -> None:
    """A market without orders has one, too."""
    out: list[Record] = []
    assert stream().receive(frame("partial"), 9, out) == Subscribed()
    assert out == [BookSnapshot(9, 9, [], [], 9)]


def test_what_others_have_that_can_not_be_read() -> None:
    """It isn't this book's: whatever is made of it, the book goes on."""
    protocol = stream()
    out = begun(protocol)
    others = frame("update", (2, "Buy", -5)).replace(b"XBTUSD", b"ETHUSD"), b"", b"{}", b"\xff", b'{"status":"x"}'
    for other in others:
        with pytest.raises(ParseError):
            protocol.receive(other, 1, out)
    assert protocol.receive(frame("update", (2, "Buy", 2000)), 2, out) is None
    assert len(out) == 2


def test_snapshots_only() -> None:
    """At their interval, without deltas, and whole: what comes of one moment may come in several frames."""
    protocol = stream(book="snapshots", snapshot_interval=10.0)
    out = begun(protocol)
    protocol.receive(frame("update", (2, "Buy", 2000)), NS, out)
    protocol.receive(frame("update", (2, "Buy", 3000)), 11 * NS, out)
    assert len(out) == 1
    protocol.receive(frame("update", (2, "Buy", 4000)).replace(b"10:00:00.", b"10:00:01."), 12 * NS, out)
    assert [(type(one), one.bids[0]) for one in out if isinstance(one, BookSnapshot | BookDelta)] == [
        (BookSnapshot, (100.0, 10.0)),
        (BookSnapshot, (100.0, 30.0)),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        frame("insert", (7, "Buy", 10)), frame("insert", (7, "Buy", None, 98.0)), frame("insert", (7, "Buy", 0, 98.0)),
        frame("insert", (7, "Buy", 10, 0)), frame("update", (2, "Buy")), frame("update", (2, "Buy", 0)),
        frame("insert", (7, "Buy", 10, 98.0), (7, "Buy", 10, 97.0)), frame("delete", (2, "Buy"), (2, "Buy")),
        frame("update", (2, "None", 5)), frame("update", (2, "Buy", -5)), frame("update", (2, "Buy", 5), (3, "Buy")),
        frame("partial", (1, "Sell", 2)), frame("partial", (1, "Sell", None, 2.0)),
        frame("partial", (1, "Sell", 2, 2.0), (1, "Sell", 2, 3.0)),
        frame("partial", (1, "Buy", 2, 2.0), (4, "Buy", 3, 2.0)),
        frame("update", (2, "Buy", 5)).replace(b".000Z", b".000"), frame("update", (2, "Buy", 5))[:-1],
    ],
)  # fmt: skip
def test_a_frame_that_can_not_be_read_breaks_the_book(broken: bytes) -> None:
    """Each is a ParseError; what was in it no later frame tells, so that the book is begun anew."""
    protocol = stream()
    out = begun(protocol)
    with pytest.raises(ParseError):
        protocol.receive(broken, 0, out)
    broke = Broken("a frame could not be read", T0, "resubscribe")
    assert protocol.receive(frame("update", (2, "Buy", 2000), (3, "Buy", 990)), 1, out) == broke
    assert protocol.tick(2, out) is None
    assert protocol.receive(WHOLE, 3, out) is None
    with pytest.raises(ParseError):
        protocol.receive(broken, 4, out)
    assert protocol.tick(5, out) == broke
    assert protocol.subscribe() and protocol.tick(6, out) is None
    assert [type(record) for record in out] == [BookSnapshot, BookSnapshot]
