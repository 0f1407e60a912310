"""Live trades of BitMEX."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Market, Refused, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.bitmex import Bitmex
from dccd.records import Record, Trade
from dccd.symbols import NS, Dataset

T0 = 1_740_823_200 * NS
INVERSE = Market("XBTUSD", inverse=True)
PARTIAL = b'{"table":"trade","action":"partial","keys":[],"filter":{"symbol":"XBTUSD"},"data":[]}'


def stream(market: Market = INVERSE, symbol: str = "BTC-USD_PERP") -> StreamProtocol:
    return Bitmex().stream(Dataset.parse(f"bitmex.trades.{symbol}"), StreamOptions(), market)


def frame(action: str = "insert", **fields: object) -> bytes:
    """One trade; a field of None is null."""
    row = {"timestamp": "2025-03-01T10:00:00.250Z", "symbol": "XBTUSD", "side": "Buy", "size": 800, "price": 80000.0,
           "trdMatchID": "5f0c1d2e-0000-1000-0000-000000000001", "homeNotional": 0.01}  # fmt: skip
    return msgspec.json.encode({"table": "trade", "action": action, "data": [row | fields]})


def begun(protocol: StreamProtocol) -> StreamProtocol:
    assert protocol.receive(PARTIAL.replace(b"XBTUSD", protocol.topic.split(":")[1].encode()), 0, []) == Subscribed()
    return protocol


def test_subscribes() -> None:
    """One table of one symbol; to renew is to end and to begin."""
    protocol = stream()
    subscribe, unsubscribe = (
        '{"op":"subscribe","args":["trade:XBTUSD"]}',
        '{"op":"unsubscribe","args":["trade:XBTUSD"]}',
    )
    assert (protocol.subscribe(), protocol.unsubscribe()) == ([subscribe], [unsubscribe])
    assert protocol.resubscribe() == [unsubscribe, subscribe]
    assert (protocol.url, protocol.topic) == ("wss://ws.bitmex.com/realtime", "trade:XBTUSD")


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """The partial confirms and isn't given out; then all trades of the symbol, with amounts in base asset."""
    protocol, out = stream(), list[Record]()
    signals = [protocol.receive(frame, 7, out) for frame in frames("bitmex/trades")]
    assert signals == [None, None, Subscribed(), None, None, None, None]
    tid = "5f0c1d2e-0000-1000-0000-00000000000{}".format
    assert out == [
        Trade(T0 + 1_250_000_000, 80000.0, 0.005, "sell", tid(2), 7),
        Trade(T0 + 2_003_000_000, 80000.5, 0.01249992, "buy", tid(3), 7),
        Trade(T0 + 2_003_000_000, 80001.0, 0.00749991, "buy", tid(4), 7),
        Trade(T0 + 2_500_000_000, 80000.0, 0.01, "sell", tid(6), 7),
    ]


def test_what_comes_before_the_partial_is_dropped() -> None:
    """As BitMEX prescribes; after a renewal anew."""
    protocol, out = stream(), list[Record]()
    assert protocol.receive(frame(), 0, out) is None
    begun(protocol).receive(frame(), 0, out)
    protocol.resubscribe()
    assert protocol.receive(frame(), 0, out) is None
    assert len(out) == 1


@pytest.mark.parametrize(
    ("market", "symbol", "amount"),
    [
        (INVERSE, "BTC-USD_PERP", 0.01),
        (Market("XBTUSD", 1e8, inverse=True), "BTC-USD_PERP", 0.01),
        (Market("XBTUSDT", 1e-6), "BTC-USDT_PERP", 0.0008),
        (Market("FOOUSDT", 3.0), "FOO-USDT_PERP", 2400.0),
    ],
)
def test_without_home_notional(market: Market, symbol: str, amount: float) -> None:
    """The contract's size tells the amount, also where ccxt counts an inverse one in hundred-millionths."""
    out: list[Record] = []
    begun(stream(market, symbol)).receive(frame(homeNotional=None, symbol=market.id), 0, out)
    assert [trade.amount for trade in out if isinstance(trade, Trade)] == [amount]


def test_a_contract_paid_in_a_third_asset() -> None:
    """BitMEX tells what a trade is in base asset; without that nobody can."""
    protocol, out = begun(stream(Market("ETHUSD", 100.0), "ETH-USD_PERP")), list[Record]()
    protocol.receive(frame(symbol="ETHUSD", homeNotional=0.3), 0, out)
    assert isinstance(out[0], Trade) and out[0].amount == 0.3
    with pytest.raises(ParseError, match="homeNotional"):
        protocol.receive(frame(symbol="ETHUSD", homeNotional=None), 0, out)


@pytest.mark.parametrize("tid", [None, "", "00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize("side", [None, ""])
def test_no_id_and_no_side(tid: str | None, side: str | None) -> None:
    """What BitMEX leaves empty is null."""
    out: list[Record] = []
    begun(stream()).receive(frame(trdMatchID=tid, side=side), 0, out)
    assert out == [Trade(T0 + 250_000_000, 80000.0, 0.01, None, None, 0)]


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        ({"status": 400, "error": "Unknown table: foo", "request": {"op": "subscribe", "args": ["trade:XBTUSD"]}},
         Refused("Unknown table: foo")),
        ({"status": 400, "error": "Bad", "request": {"op": "subscribe", "args": "trade:XBTUSD"}}, Refused("Bad")),
        ({"status": 429, "error": "Rate limit exceeded, retry in 1 seconds.", "meta": {"retryAfter": 1},
          "request": {"op": "subscribe", "args": ["x:Y", "trade:XBTUSD"]}},
         Refused("Rate limit exceeded, retry in 1 seconds.", permanent=False)),
        ({"error": "Rate limit exceeded, retry in 29 seconds."},
         Refused("Rate limit exceeded, retry in 29 seconds.", permanent=False)),
        ({"status": 400, "error": "Bad"}, Refused("Bad", permanent=False)),
        ({"status": 503, "error": "Down", "request": None}, Refused("Down", permanent=False)),
        ({"status": 400, "error": "Bad", "request": {"op": "subscribe", "args": ["trade:ETHUSD"]}}, None),
        ({"status": 400, "error": "Bad", "request": {"op": "unsubscribe", "args": ["trade:XBTUSD"]}}, None),
    ],
)  # fmt: skip
def test_refusals(error: dict[str, object], refusal: Refused | None) -> None:
    """In BitMEX's words, to whom the request that it repeats is of; limits pass, wrong requests don't."""
    assert stream().receive(msgspec.json.encode(error), 0, []) == refusal


def test_an_error_that_names_nobody_is_for_who_waits() -> None:
    """A stream that is confirmed doesn't take it."""
    assert begun(stream()).receive(b'{"status":400,"error":"Bad"}', 0, []) is None


@pytest.mark.parametrize("other", [b"pong", b'{"success":true,"unsubscribe":"trade:ETHUSD","request":{}}',
                                   b'{"table":"orderBookL2","action":"insert","data":[{"id":1}]}'])  # fmt: skip
def test_what_is_not_ours(other: bytes) -> None:
    """Answers, pongs and other tables give nothing."""
    assert begun(stream()).receive(other, 0, []) is None


def test_another_symbols_partial_confirms_nothing() -> None:
    """It came to all, its layout being new."""
    assert stream().receive(frame("partial", symbol="ETHUSD"), 0, []) is None


@pytest.mark.parametrize(
    "broken",
    [
        frame(price=None), frame(price=0), frame(price="nan"), frame(size=0), frame(homeNotional=0), frame(side="None"),
        frame(timestamp="yesterday"), frame(timestamp="2025-03-01T10:00:00.250"), frame(timestamp=None),
        frame("update"), frame("delete"), frame("what"), frame().replace(b'"price":80000.0,', b""), frame()[:-1], b"",
        b"{}", b"[]", b"null", b'{"table":"trade"}', b'{"table":"trade","action":"insert","data":null}',
        frame().replace(b"XBTUSD", b"XBT\xff"),
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """Each is a ParseError, and to the next frame it didn't come."""
    protocol, out = begun(stream()), list[Record]()
    before = repr(protocol)
    with pytest.raises(ParseError) as caught:
        protocol.receive(broken, 0, out)
    assert caught.value.exchange == "bitmex"
    assert (repr(protocol), out) == (before, [])
    assert protocol.receive(frame(), 0, out) is None and len(out) == 1
