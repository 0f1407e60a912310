"""Answers, alerts, and whose a frame of Kraken Futures is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import NoCapability, ParseError
from dccd.exchanges.base import Market, Refused, Signal, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.krakenfutures import KrakenFutures
from dccd.symbols import Dataset

EXCHANGE = KrakenFutures()
KINDS = {"trades": "trade", "orderbook": "book", "funding": "ticker", "open_interest": "ticker"}


def stream(kind: str = "trades", product: str = "PF_XBTUSD") -> StreamProtocol:
    return EXCHANGE.stream(Dataset.parse(f"krakenfutures.{kind}.BTC-USD_PERP"), StreamOptions(), Market(product))


def event(name: str, feed: str = "trade", product: str = "PF_XBTUSD", **fields: object) -> bytes:
    return msgspec.json.encode({"event": name, "feed": feed, "product_ids": [product]} | fields)


def alert(words: str, name: str = "alert") -> bytes:
    return msgspec.json.encode({"event": name, "message": words})


def told(frame: bytes, kind: str = "trades") -> Signal | None:
    return stream(kind).receive(frame, 0, [])


@pytest.mark.parametrize("kind", ["trades", "funding", "open_interest"])
def test_an_answer_confirms(kind: str) -> None:
    """That to our feed and product; it is told once."""
    protocol, feed = stream(kind), KINDS[kind]
    assert protocol.receive(event("subscribed", feed, "PF_ETHUSD"), 0, []) is None
    assert protocol.receive(event("subscribed", "ticker_lite"), 0, []) is None
    assert protocol.receive(event("unsubscribed", feed), 0, []) is None
    assert protocol.receive(event("subscribed", feed), 0, []) == Subscribed()
    assert protocol.receive(event("subscribed", feed), 0, []) is None


def test_a_book_is_confirmed_by_its_snapshot() -> None:
    """The answer comes before it."""
    assert told(event("subscribed", "book"), "orderbook") is None


@pytest.mark.parametrize(
    ("words", "permanent"),
    [
        ("Couldn't subscribe to invalid product `PF_XBTUSD`", True),
        ("Couldn't subscribe to invalid feed", False),
        ("Invalid product id", False),
        ("Too many requests", False),
        ("Service unavailable", False),
    ],
)
@pytest.mark.parametrize("name", ["alert", "error"])
def test_a_refusal(words: str, permanent: bool, name: str) -> None:
    """In Kraken's words; one that names nobody is for who waits, and may be another's: it ends nothing for good."""
    assert told(alert(words, name)) == Refused(words, permanent)


def test_somebody_elses_refusal() -> None:
    """It names another product, or comes when ours stands."""
    words = "Couldn't subscribe to invalid product `PF_ETHUSD`"
    assert told(alert(words)) is None
    protocol = stream()
    protocol.receive(event("subscribed"), 0, [])
    assert protocol.receive(alert("Invalid product id", "error"), 0, []) is None


@pytest.mark.parametrize("words", ["Already subscribed to feed, re-requesting", "Not subscribed to feed"])
def test_what_is_as_asked(words: str) -> None:
    """That is no refusal."""
    assert told(alert(words)) is None


def test_a_failed_subscription() -> None:
    """Without a reason it may be tried again."""
    assert told(event("subscribed_failed")) == Refused("subscribed_failed: trade:PF_XBTUSD", permanent=False)
    assert told(event("subscribed_failed", product="PF_ETHUSD")) is None


@pytest.mark.parametrize(
    "frame", [b'{"event":"info","version":1}', b'{"event":"pong"}', b'{"feed":"heartbeat","time":1534262350627}']
)
@pytest.mark.parametrize("kind", list(KINDS))
def test_what_is_for_nobody(frame: bytes, kind: str) -> None:
    """It says nothing, and the router gives it to none."""
    assert told(frame, kind) is None
    assert EXCHANGE.router().route(frame) == ""


@pytest.mark.parametrize("kind", list(KINDS))
def test_other_feeds(frames: Callable[[str], list[bytes]], kind: str) -> None:
    """Their frames are nothing to ours."""
    for name, feed in (("trades", "trade"), ("book", "book"), ("funding", "ticker")):
        for frame in frames(f"krakenfutures/{name}") if feed != KINDS[kind] else []:
            assert told(frame, kind) is None


@pytest.mark.parametrize("frame", [b"", b"{}", b"[]", b"null", b'"x"', b'{"feed":"trade"}', b'{"feed":7}', b"\xff"])
def test_what_is_no_frame(frame: bytes) -> None:
    """A ParseError with what came."""
    with pytest.raises(ParseError):
        told(frame)


@pytest.mark.parametrize(("name", "topic"), [("trades", "trade"), ("book", "book"), ("funding", "ticker")])
def test_whose_a_frame_is(frames: Callable[[str], list[bytes]], name: str, topic: str) -> None:
    """The stream's, by its topic, snapshots too; answers are for all."""
    router = EXCHANGE.router()
    found = [router.route(frame) for frame in frames(f"krakenfutures/{name}") if b'"info"' not in frame]
    assert set(found) - {""} == {None, f"{topic}:PF_XBTUSD"} and found.count(None) == 1
    kind = next(kind for kind, feed in KINDS.items() if feed == topic)
    assert stream(kind).topic == f"{topic}:PF_XBTUSD"


@pytest.mark.parametrize(
    "frame",
    [
        alert("Couldn't subscribe to invalid feed"),
        event("subscribed"),
        b'{ "feed": "trade", "product_id": "PF_XBTUSD" }',
        b'{"feed":"trade","product_id":"PF_XB',
        b'{"feed":"trade"}',
    ],
)
def test_what_is_for_all(frame: bytes) -> None:
    """What can't be told for certain."""
    assert EXCHANGE.router().route(frame) is None


def test_fields_in_another_order() -> None:
    """The product may come first."""
    assert EXCHANGE.router().route(b'{"product_id":"PF_XBTUSD","feed":"book_snapshot","seq":1}') == "book:PF_XBTUSD"


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_frame_is_somebodys(frame: bytes) -> None:
    """The router never raises."""
    found = EXCHANGE.router().route(frame)
    assert found is None or isinstance(found, str)


def test_a_connection_begins_with_the_heartbeat() -> None:
    """Asked for, whose answer is for nobody."""
    router = EXCHANGE.router()
    assert router.opening() == ['{"event":"subscribe","feed":"heartbeat"}']
    assert router.route(b'{"event":"subscribed","feed":"heartbeat"}') == ""


@pytest.mark.parametrize("kind", ["ohlc.BTC-USD_PERP.1m", "open_interest.BTC-USD_PERP"])
def test_no_history_of_dollars(kind: str) -> None:
    """What inverse contracts were in base asset isn't told; live bars there are none of."""
    dataset = Dataset.parse(f"krakenfutures.{kind}")
    with pytest.raises(NoCapability, match="PI_XBTUSD is counted in dollars"):
        EXCHANGE.history(dataset, 0, 10**18, Market("PI_XBTUSD", inverse=True))
    assert EXCHANGE.market(dataset.symbol) is None
    with pytest.raises(NoCapability, match="it has trades, orderbook, open_interest, funding"):
        EXCHANGE.stream(Dataset.parse("krakenfutures.ohlc.BTC-USD_PERP.1m"), StreamOptions(), Market("PF_XBTUSD"))
