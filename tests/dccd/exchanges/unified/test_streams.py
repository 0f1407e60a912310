"""Live streams through ccxt.pro, fed with the frames that the feeds make of it."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from dccd.errors import NoCapability, ParseError
from dccd.exchanges.base import Broken, Market, Refused, StreamOptions, Subscribed
from dccd.exchanges.unified import Features, Unified
from dccd.exchanges.unified.features import capabilities
from dccd.exchanges.unified.frames import Watch, watch_of
from dccd.exchanges.unified.streams import PATIENCE, BarStream, BookStream, TradeStream, changes
from dccd.records import Bar, BookDelta, BookSnapshot, Record, Trade
from dccd.symbols import NS, Dataset, DataType

MS = 1_000_000
T0 = 1_700_000_040 * NS
MARKET = Market("BTC/USDT")


def frame(**content: Any) -> bytes:
    """One frame."""
    return msgspec.json.encode(content)


def trade(n: int, **more: Any) -> dict[str, Any]:
    """One of ccxt's trades, a second after the one before."""
    return {"timestamp": (T0 + n * NS) // MS, "price": 100.0, "amount": 0.5, "side": "sell", "id": f"id{n}", **more}


def test_it_asks_for_one_thing() -> None:
    """By ccxt's method and symbol; a stream that ends is taken off by who made it."""
    stream = BarStream("x", MARKET, 60, "1m")
    (text,) = stream.subscribe()
    assert watch_of(text) == Watch("watchOHLCV", "BTC/USDT", "1m")
    assert (stream.unsubscribe(), stream.resubscribe(), stream.heartbeat) == ([], [text], math.inf)
    assert watch_of("[]") is None


def test_trades() -> None:
    """In the order of their times, what lacks is null, and the first one confirms the subscription."""
    stream, out = TradeStream("x", MARKET), list[Record]()
    rows = [trade(2), trade(1, side=None, id=None), trade(1, side=None, id=None)]
    assert stream.receive(frame(type="trades", trades=rows), T0, out) == Subscribed()
    assert out == [
        *[Trade(T0 + NS, 100.0, 0.5, None, None, T0)] * 2,
        Trade(T0 + 2 * NS, 100.0, 0.5, "sell", "id2", T0),
    ]
    assert stream.receive(frame(type="trades", trades=[trade(3)]), T0, out) is None


def test_ids_that_history_has_not() -> None:
    """Are left out, or the same trade would be two."""
    stream, out = TradeStream("x", MARKET, ids=False), list[Record]()
    stream.receive(frame(type="trades", trades=[trade(1)]), T0, out)
    assert out == [Trade(T0 + NS, 100.0, 0.5, "sell", None, T0)]


def test_a_drop_that_cannot_be_ruled_out_is_a_hole() -> None:
    """From the last trade before to the first after."""
    stream, out = TradeStream("x", MARKET), list[Record]()
    stream.receive(frame(type="trades", trades=[trade(1)]), T0 + NS, out)
    signal = stream.receive(frame(type="trades", trades=[trade(8), trade(9)], dropped=True), T0 + 9 * NS, out)
    assert isinstance(signal, Broken)
    assert (signal.since, signal.until, signal.resync) == (T0 + NS, T0 + 8 * NS + 1, "none")
    assert len(out) == 3


def test_no_refusal_for_a_while_confirms() -> None:
    """Later than the exchange did for certain, so that no hole seems to end too early."""
    stream, out = TradeStream("x", MARKET), list[Record]()
    assert stream.tick(T0 + 100 * NS, out) is None
    assert stream.receive(frame(type="sent"), T0, out) is None
    assert stream.tick(T0 + PATIENCE - 1, out) is None
    assert stream.tick(T0 + PATIENCE, out) == Subscribed()
    assert stream.tick(T0 + 2 * PATIENCE, out) is None


def test_a_refusal() -> None:
    """In ccxt's words."""
    stream, out = TradeStream("x", MARKET), list[Record]()
    assert stream.receive(frame(type="refused", message="no", permanent=True), T0, out) == Refused("no", True)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xff",
        b"[" * 5000,
        frame(type="unread", error="KeyError", message={}),
        frame(type="trades", trades=[trade(1, amount=None)]),
        frame(type="trades", trades=[trade(1), trade(2, price=-1)]),
        frame(type="bars", bars=[[T0 // MS, 2, 1, 3, 2, 1]]),
        frame(type="bars", bars=[[T0 // MS, 2, 3, 1, 2, None]]),
        frame(type="book", book={"bids": [[1, 2]], "asks": None}),
        frame(type="book", book={"bids": [[0, 2]], "asks": []}),
    ],
)
def test_what_is_no_frame(bad: bytes) -> None:
    """Raises ParseError, and changes nothing."""
    out: list[Record] = []
    for stream in (
        TradeStream("x", MARKET),
        BarStream("x", MARKET, 60, "1m"),
        BookStream("x", MARKET, StreamOptions()),
    ):
        kind = stream.kind.__struct_config__.tag
        if bad[:1] != b"{" or kind in str(msgspec.json.decode(bad)["type"]) or b"unread" in bad:
            with pytest.raises(ParseError):
                stream.receive(bad, T0, out)
    assert out == []


def test_bars() -> None:
    """Those of before are history's; each later one is closed once, with its last state."""
    stream, out = BarStream("x", MARKET, 60, "1m"), list[Record]()
    at = T0 // MS

    def state(minute: int, volume: float) -> list[Any]:
        return [at + minute * 60_000, 1.0, 2.0, 0.5, 1.5, volume]

    stream.receive(frame(type="bars", bars=[state(-2, 9), state(-1, 9), state(0, 1)]), T0 + 10 * NS, out)
    stream.receive(frame(type="bars", bars=[state(0, 5), state(1, 1)]), T0 + 61 * NS, out)
    stream.tick(T0 + 200 * NS, out)
    got = [(record.ts, record.volume, record.closed) for record in out if isinstance(record, Bar)]
    assert got == [
        (T0, 1, False),
        (T0, 5, False),
        (T0, 5, True),
        (T0 + 60 * NS, 1, False),
        (T0 + 60 * NS, 1, True),
    ]
    assert all(record.quote_volume is None and record.trades is None for record in out if isinstance(record, Bar))


def book(bids: dict[float, float], asks: dict[float, float], n: int, nonce: int | None = None) -> bytes:
    """The view of a book."""
    sides = {"bids": sorted(bids.items(), reverse=True), "asks": sorted(asks.items())}
    return frame(type="book", book={**sides, "timestamp": (T0 + n * NS) // MS, "nonce": nonce})


def test_a_book() -> None:
    """Snapshots from time to time, and what changed from one view to the next: both sides."""
    stream, out = BookStream("x", MARKET, StreamOptions(snapshot_interval=100)), list[Record]()
    assert stream.receive(book({}, {}, 0), T0, out) == Subscribed()  # ccxt has none yet
    stream.receive(book({99.0: 1.0, 98.0: 2.0}, {101.0: 1.0, 102.0: 3.0}, 1, 7), T0, out)
    stream.receive(book({99.0: 1.5, 97.0: 4.0}, {101.0: 1.0, 101.5: 2.0}, 2, 9), T0, out)
    assert out == [
        BookSnapshot(T0 + NS, 7, [(99.0, 1.0), (98.0, 2.0)], [(101.0, 1.0), (102.0, 3.0)], T0),
        BookDelta(T0 + 2 * NS, 9, [(98.0, 0.0), (99.0, 1.5), (97.0, 4.0)], [(102.0, 0.0), (101.5, 2.0)], T0),
    ]
    out.clear()
    stream.tick(T0 + 101 * NS, out)
    assert [type(record) for record in out] == [BookSnapshot]


def test_a_crossed_book_is_broken() -> None:
    """It is begun anew, and nothing is given out until then."""
    stream, out = BookStream("x", MARKET, StreamOptions()), list[Record]()
    stream.receive(book({99.0: 1.0}, {101.0: 1.0}, 1), T0, out)
    signal = stream.receive(book({102.0: 1.0}, {101.0: 1.0}, 2), T0, out)
    assert isinstance(signal, Broken)
    assert (signal.since, signal.resync, len(out)) == (T0 + NS, "reconnect", 1)


def test_changes_make_one_side_into_another() -> None:
    """New amounts, and 0 where a level is gone."""
    assert changes([(1.0, 1.0), (2.0, 1.0)], [(2.0, 1.0), (3.0, 2.0)]) == [(1.0, 0.0), (3.0, 2.0)]


# ---------------------------------------------------------------- the exchange

FEATURES = Features(
    id="xx",
    methods=frozenset({"fetchTrades", "fetchOHLCV", "fetchOpenInterestHistory", "watchTrades", "watchOHLCV"}),
    kinds=frozenset({"spot", "swap"}),
    timeframes={60: "1m", 604_800: "1w"},
)


def test_it_offers_what_ccxt_has() -> None:
    """And says what that is when something else is asked for."""
    exchange = Unified(FEATURES)
    exchange.check(Dataset.parse("xx.trades.BTC-USDT"), live=True)
    exchange.check(Dataset.parse("xx.open_interest.BTC-USDT_PERP"), live=False)
    for name, live, words in (
        ("xx.orderbook.BTC-USDT", True, "trades, ohlc"),
        ("xx.open_interest.BTC-USDT", False, "trades, ohlc"),
        ("xx.ohlc.BTC-USDT.5m", True, "1m, 1w"),
        ("xx.trades.BTC-USDT_QUARTER", True, "perpetuals"),
    ):
        with pytest.raises(NoCapability, match=words):
            exchange.check(Dataset.parse(name), live=live)


def test_the_fields_that_it_says_it_gives() -> None:
    """Of a rate that was paid, when that was."""
    perp = capabilities(msgspec.structs.replace(FEATURES, methods=FEATURES.methods | {"fetchFundingRateHistory"})).perp
    assert perp is not None
    assert perp.historical[DataType.FUNDING].fields == ("due_ts",)
    assert perp.historical[DataType.OPEN_INTEREST].fields == ("open_interest_value",)


@pytest.mark.parametrize("market", [Market("x", 0.01), Market("x", 1.0, inverse=True)])
@pytest.mark.parametrize("name", ["xx.ohlc.BTC-USDT_PERP.1m", "xx.open_interest.BTC-USDT_PERP"])
def test_amounts_that_ccxt_does_not_tell_the_unit_of(name: str, market: Market) -> None:
    """Are refused rather than guessed, where contracts aren't one of the base asset."""
    exchange, dataset = Unified(FEATURES), Dataset.parse(name)
    with pytest.raises(NoCapability, match="contracts"):
        exchange.history(dataset, 0, T0, market)
    exchange.history(dataset, 0, T0, MARKET)
