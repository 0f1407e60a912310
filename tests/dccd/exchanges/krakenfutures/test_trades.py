"""Live trades of Kraken Futures."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.krakenfutures import KrakenFutures
from dccd.records import Record, Trade
from dccd.symbols import NS, Dataset

MS = 10**6
T0 = 1731715200000
DATASET = Dataset.parse("krakenfutures.trades.BTC-USD_PERP")


def stream(market: Market = Market("PF_XBTUSD")) -> StreamProtocol:  # noqa: B008  # frozen
    return KrakenFutures().stream(DATASET, StreamOptions(), market)


def frame(seq: int, **fields: object) -> bytes:
    whole = {"feed": "trade", "product_id": "PF_XBTUSD", "uid": f"u{seq}", "side": "buy", "type": "fill", "seq": seq}
    return msgspec.json.encode(whole | {"time": T0 + seq, "qty": 0.5, "price": 91069} | fields)


def ids(out: list[Record]) -> list[str | None]:
    return [record.tid for record in out if isinstance(record, Trade)]


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Id, taker's side, exchange time, receive time; of the snapshot nothing but the number is taken."""
    protocol, out = stream(), list[Record]()
    assert protocol.subscribe() == ['{"event":"subscribe","feed":"trade","product_ids":["PF_XBTUSD"]}']
    assert protocol.unsubscribe() == ['{"event":"unsubscribe","feed":"trade","product_ids":["PF_XBTUSD"]}']
    signals = [protocol.receive(text, n, out) for n, text in enumerate(frames("krakenfutures/trades"))]
    assert signals == [None, Subscribed(), None, None, None, None, None]
    assert out == [
        Trade((T0 + 125) * MS, 91069.0, 0.0402, "buy", "9d1f3b57-2c4e-4a68-b0d2-f4e6a8c0e203", 3),
        Trade((T0 + 125) * MS, 91069.5, 1.0, "buy", "b2d4f6a8-0c1e-4d3f-95a7-c9ebd1f3a504", 4),
        Trade((T0 + 1733) * MS, 91066.5, 0.3, "sell", "e7f90b1d-3a5c-4e7f-8192-a3b4c5d6e705", 6),
    ]
    assert (protocol.topic, protocol.url) == ("trade:PF_XBTUSD", "wss://futures.kraken.com/ws/v1")


def test_contracts_of_a_dollar() -> None:
    """An inverse market's sizes come to base asset."""
    out: list[Record] = []
    stream(Market("PF_XBTUSD", inverse=True)).receive(frame(1, qty=15000, price=30000), 0, out)
    assert isinstance(out[0], Trade) and out[0].amount == 0.5


@pytest.mark.parametrize(("qty", "price"), [(1e29, 1e-300), (1e-320, 1e29)])
def test_contracts_that_are_no_amount(qty: float, price: float) -> None:
    """Neither infinitely many nor none."""
    out: list[Record] = []
    with pytest.raises(ParseError):
        stream(Market("PF_XBTUSD", inverse=True)).receive(frame(1, qty=qty, price=price), 0, out)
    assert not out


def test_data_confirms_too() -> None:
    """Should a trade come before the answer."""
    assert stream().receive(frame(1), 0, []) == Subscribed()


def test_a_jump_of_the_numbers_is_a_hole() -> None:
    """From the trade before it to the one after, once two seconds have gone by."""
    protocol, out, at = stream(), list[Record](), (T0 + 9) * MS
    protocol.receive(frame(1), at, out)
    assert protocol.receive(frame(4), at + NS, out) is None
    assert protocol.tick(at + 2 * NS, out) is None
    broken = protocol.tick(at + 3 * NS, out)
    assert broken == Broken("trades 2 to 3 are missing", (T0 + 1) * MS, "none", (T0 + 4) * MS + 1)
    assert protocol.tick(at + 9 * NS, out) is None and ids(out) == ["u1", "u4"]


def test_trades_before_the_first_one_live_are_missed() -> None:
    """The snapshot tells which number comes next; what it has isn't given out."""
    protocol, out = stream(), list[Record]()
    rows = [msgspec.json.decode(frame(seq)) for seq in (7, 6, 5)]
    whole = msgspec.json.encode({"feed": "trade_snapshot", "product_id": "PF_XBTUSD", "trades": rows})
    at = (T0 + 9) * MS
    assert protocol.receive(whole, at, out) == Subscribed()
    protocol.receive(frame(9), at, out)
    assert ids(out) == ["u9"]
    (broken,) = protocol.unresolved()
    assert broken == Broken("trade 8 is missing", (T0 + 7) * MS, "none", (T0 + 9) * MS + 1)
    assert protocol.receive(whole, at, out) is None and ids(out) == ["u9"]


def test_late_and_twice() -> None:
    """A late trade fills its jump; one sent twice is given out once."""
    protocol, out = stream(), list[Record]()
    for seq in (1, 3, 2, 3, 4, 4):
        protocol.receive(frame(seq), 0, out)
    assert ids(out) == ["u1", "u3", "u2", "u4"]
    assert protocol.unresolved() == []


def test_of_another_product() -> None:
    """Nothing."""
    protocol, out = stream(), list[Record]()
    assert protocol.receive(frame(1, product_id="PF_ETHUSD"), 0, out) is None
    assert not out


@pytest.mark.parametrize(
    "fields",
    [
        {"price": 0},
        {"price": None},
        {"qty": 0},
        {"qty": -1},
        {"side": "up"},
        {"seq": -1},
        {"time": 10**15},
        {"uid": None},
        {"product_id": None},
    ],
)
def test_what_is_no_trade(fields: dict[str, object]) -> None:
    """A ParseError, and what was there stays."""
    protocol, out = stream(), list[Record]()
    protocol.receive(frame(1), 0, out)
    bad = msgspec.json.encode(msgspec.json.decode(frame(2)) | fields)
    with pytest.raises(ParseError):
        protocol.receive(bad, 0, out)
    protocol.receive(frame(2), 0, out)
    assert ids(out) == ["u1", "u2"] and protocol.unresolved() == []
