"""Kraken Futures' connections, without sockets: requests on them and their answers; what its feeds send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan, RefuseSubscription
from dccd.simulator.krakenfutures import KrakenFutures
from dccd.simulator.truth import Truth
from dccd.simulator.venue import Session
from dccd.symbols import NS

MS = 1_000_000
START = 1_714_564_800 * NS + 123_456_789
CONTRACTS = ("BTC/USD:perp", "ETH/USD:perp", "BTC/USD:quarter")
SUBSCRIBED = {"event": "subscribed", "feed": "trade", "product_ids": ["PF_XBTUSD"]}


@pytest.fixture
def faults() -> FaultPlan:
    return FaultPlan(lambda: START)


@pytest.fixture
def venue(faults: FaultPlan) -> KrakenFutures:
    """20 trades a second."""
    return KrakenFutures(SimConfig(seed=3, rate=20, history=3, contracts=CONTRACTS, book_depth=50), faults, START)


@pytest.fixture
def session(venue: KrakenFutures) -> Session:
    found = venue.open("/ws/v1", START)
    assert found is not None and found.opening() == ['{"event":"info","version":1}']
    return found


def ask(session: Session, event: str, feed: str, *products: str) -> list[Any]:
    request = {"event": event, "feed": feed} | ({"product_ids": products} if products else {})
    return [json.loads(text) for text in session.receive(json.dumps(request), START)]


def due(session: Session, seconds: float) -> list[Any]:
    (stream,) = session.streams.values()
    return [json.loads(text) for text in stream.due(START + int(seconds * NS))]


def told(words: str, event: str = "alert") -> list[Any]:
    return [{"event": event, "message": words}]


def test_subscribing(session: Session) -> None:
    """An answer, then a snapshot, again if asked again; then the end."""
    answer, snapshot = ask(session, "subscribe", "trade", "PF_XBTUSD")
    assert answer == SUBSCRIBED and snapshot["feed"] == "trade_snapshot"
    assert ask(session, "subscribe", "trade", "PF_XBTUSD") == [
        *told("Already subscribed to feed, re-requesting"), snapshot,
    ]  # fmt: skip
    assert ask(session, "unsubscribe", "trade", "PF_XBTUSD") == [SUBSCRIBED | {"event": "unsubscribed"}]
    assert ask(session, "unsubscribe", "trade", "PF_XBTUSD") == told("Not subscribed to feed")
    assert session.streams == {}


def test_refusals(session: Session, faults: FaultPlan) -> None:
    """Alerts that name the product; of several all are refused."""
    invalid = told("Couldn't subscribe to invalid product `PF_NOPEUSD`")
    assert ask(session, "subscribe", "book", "PF_XBTUSD", "PF_NOPEUSD") == invalid
    assert session.streams == {}
    assert ask(session, "subscribe", "candles", "PF_XBTUSD") == told("Couldn't subscribe to invalid feed")
    assert ask(session, "subscribe", "trade") == told("Invalid product id", "error")
    for text in ("{", "[]"):
        assert [json.loads(one) for one in session.receive(text, START)] == told("Json Error", "error")
    assert session.receive('{"event":"ping"}', START) == ['{"event":"pong"}']
    faults.inject(RefuseSubscription(data_type="trades"))
    assert ask(session, "subscribe", "trade", "PF_XBTUSD") == told("Couldn't subscribe to invalid product `PF_XBTUSD`")
    faults.inject(RefuseSubscription(message="no"))
    assert ask(session, "subscribe", "trade", "PF_XBTUSD") == told("no")


def test_heartbeats(session: Session) -> None:
    """Each five seconds, once subscribed to."""
    assert session.idle(START + 60 * NS, False) == []
    assert ask(session, "subscribe", "heartbeat") == [{"event": "subscribed", "feed": "heartbeat"}]
    assert session.idle(START + 4 * NS, False) == []
    (beat,) = session.idle(START + 5 * NS, True)
    assert json.loads(beat) == {"feed": "heartbeat", "time": (START + 5 * NS) // MS}
    assert session.idle(START + 6 * NS, False) == []
    ask(session, "unsubscribe", "heartbeat")
    assert session.idle(START + 60 * NS, False) == []


def test_other_paths(venue: KrakenFutures) -> None:
    """None."""
    assert venue.open("/ws/v2", START) is None


def test_trades(venue: KrakenFutures, session: Session) -> None:
    """One a frame, each number one more than that before; the snapshot's hundred are those before."""
    _, snapshot = ask(session, "subscribe", "trade", "PF_XBTUSD")
    frames = [*snapshot["trades"][::-1], *due(session, 10)]
    truth = Truth(venue).trades("BTC/USD:perp", START - 60 * NS, START + 10 * NS)[-len(frames) :]
    assert [(one["uid"], one["time"] * MS, one["price"], one["qty"], one["side"]) for one in frames] == [
        (trade.tid, trade.ts, trade.price, trade.amount, trade.side) for trade in truth
    ]
    first = frames[0]["seq"]
    assert [one["seq"] for one in frames] == list(range(first, first + len(frames))) and len(frames) > 200


@pytest.mark.parametrize(
    ("product", "symbol"), [("PF_XBTUSD", "BTC/USD:perp"), ("FI_XBTUSD_240628", "BTC/USD:quarter")]
)
def test_the_book(venue: KrakenFutures, session: Session, product: str, symbol: str) -> None:
    """Level by level it becomes the truth's, never crossed; sizes of the inverse contract are dollars."""
    _, whole = ask(session, "subscribe", "book", product)
    sides = {
        name: {one["price"]: one["qty"] for one in whole[key]} for name, key in (("buy", "bids"), ("sell", "asks"))
    }
    seq, frames = whole["seq"], due(session, 20)
    for frame in frames:
        seq += 1
        assert frame["seq"] == seq
        side = sides[frame["side"]]
        side[frame["price"]] = frame["qty"]
        if not frame["qty"]:
            del side[frame["price"]]
        assert max(sides["buy"]) < min(sides["sell"])
    truth = Truth(venue).book(symbol, frames[-1]["timestamp"] * MS)
    inverse = symbol.endswith("quarter")
    for name, levels in (("buy", truth.bids), ("sell", truth.asks)):
        got = {price: qty / price if inverse else qty for price, qty in sides[name].items()}
        assert got == pytest.approx(dict(levels))
    assert len(frames) > 500


def test_the_ticker(venue: KrakenFutures, session: Session) -> None:
    """Each second; the fraction of the present hour, what it is in money, until when it is paid."""
    _, first = ask(session, "subscribe", "ticker", "PF_XBTUSD")
    frames, derivative = [first, *due(session, 3)], Truth(venue).derivative("BTC/USD:perp")
    assert [one["time"] for one in frames] == [START // MS, *((START // NS + n) * 1000 for n in (1, 2, 3))]
    for one in frames:
        rate, end = derivative.predicted(one["time"] * MS)
        assert (one["relative_funding_rate"], one["next_funding_rate_time"] * MS) == (rate, end)
        assert one["funding_rate"] == rate * derivative.index_price(one["time"] * MS)
        assert one["markPrice"] == derivative.mark_price(one["time"] * MS)
        assert one["openInterest"] == derivative.open_interest(one["time"] * MS).open_interest


def test_the_ticker_of_a_contract_that_expires(session: Session) -> None:
    """No rates, but when."""
    _, one = ask(session, "subscribe", "ticker", "FI_XBTUSD_240628")
    assert not [name for name in one if "funding" in name]
    assert (one["maturityTime"], one["dtm"], one["tag"]) == (1_719_561_600_000, 57, "quarter")


def test_numbered_trades(faults: FaultPlan) -> None:
    """In benchmark mode so many, whatever the time."""
    venue = KrakenFutures(SimConfig(seed=3, total=250, contracts=CONTRACTS), faults, START)
    session = venue.open("/ws/v1", START)
    assert session is not None
    ask(session, "subscribe", "trade", "PF_XBTUSD")
    (stream,) = session.streams.values()
    assert [len(stream.take(100)) for _ in range(4)] == [100, 100, 50, 0] and stream.due(START + NS) == []


def test_recordings() -> None:
    """A frame is of its feed and product, snapshots too; answers are of none."""
    read = KrakenFutures.reader()
    for feed in ("book", "book_snapshot"):
        text = json.dumps({"feed": feed, "product_id": "PI_XBTUSD"})
        assert read(text) == [("book:PI_XBTUSD", text)]
    for text in ('{"event":"info","version":1}', '{"feed":"heartbeat","time":1}', json.dumps(SUBSCRIBED)):
        assert read(text) == []
    assert KrakenFutures.identity("book:PI_XBTUSD") == ("PI_XBTUSD", "orderbook")
    assert KrakenFutures.identity("ticker:PI_XBTUSD") == ("PI_XBTUSD", "funding")
