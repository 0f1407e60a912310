"""What OKX answers, whose a frame is, and how its connections are used."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Market, Refused, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.okx import Okx
from dccd.symbols import Dataset, Symbol

SPOT = Market("BTC-USDT")


def stream(name: str = "okx.trades.BTC-USDT", lane: int = 7, market: Market = SPOT) -> StreamProtocol:
    made = Okx().stream(Dataset.parse(name), StreamOptions(), market)
    made.lane = lane
    return made


def error(code: str, words: str, id: str | None = None) -> bytes:
    body = {"event": "error", "code": code, "msg": words, "connId": "a4d3ae55"}
    return msgspec.json.encode(body if id is None else {"id": id, **body})


def test_requests() -> None:
    """Each has an id unlike that of any other of the connection; a renewal is an end and a beginning."""
    made = stream()
    sent = [msgspec.json.decode(frame) for frame in [*made.subscribe(), *made.resubscribe(), *made.unsubscribe()]]
    assert [request["op"] for request in sent] == ["subscribe", "unsubscribe", "subscribe", "unsubscribe"]
    assert all(request["args"] == [{"channel": "trades-all", "instId": "BTC-USDT"}] for request in sent)
    ids = [request["id"] for request in sent]
    assert len(set(ids)) == 4 and all(int(id) % 10_000 == 7 and len(id) <= 32 for id in ids)


@pytest.mark.parametrize(
    ("name", "path", "topic"),
    [
        ("okx.trades.BTC-USDT", "business", "trades-all:BTC-USDT"),
        ("okx.ohlc.BTC-USDT.1m", "business", "candle1m:BTC-USDT"),
        ("okx.ohlc.BTC-USDT.1d", "business", "candle1Dutc:BTC-USDT"),
        ("okx.orderbook.BTC-USDT", "public", "books:BTC-USDT"),
    ],
)
def test_where_and_what(name: str, path: str, topic: str) -> None:
    """Trades and bars are on the business address, all else on the public one."""
    made = stream(name)
    assert (made.url, made.topic) == (f"wss://ws.okx.com:8443/ws/v5/{path}", topic)
    assert made.heartbeat > 2 * Okx.connections.ping_every


def test_derivatives_are_public() -> None:
    """Funding and open interest by the instrument's name."""
    swap = Market("BTC-USDT-SWAP", 0.01)
    assert stream("okx.funding.BTC-USDT_PERP", market=swap).topic == "funding-rate:BTC-USDT-SWAP"
    assert stream("okx.open_interest.BTC-USDT_PERP", market=swap).topic == "open-interest:BTC-USDT-SWAP"


def test_confirmed_by_the_answer() -> None:
    """Once, and by that to this stream's own request only."""
    made = stream()
    made.subscribe()
    answer = b'{"id":"%s","event":"subscribe","arg":{"channel":"%s","instId":"%s"},"connId":"a4d3ae55"}'
    assert made.receive(answer % (b"8", b"books", b"BTC-USDT"), 0, []) is None
    assert made.receive(answer % (b"8", b"trades-all", b"ETH-USDT"), 0, []) is None
    assert made.receive(answer % (b"7", b"trades-all", b"BTC-USDT"), 0, []) == Subscribed()
    assert made.receive(answer % (b"7", b"trades-all", b"BTC-USDT"), 0, []) is None
    made.resubscribe()
    assert made.receive(answer % (b"7", b"trades-all", b"BTC-USDT"), 0, []) is None, "that was the one before"
    assert made.receive(answer % (b"20007", b"trades-all", b"BTC-USDT"), 0, []) == Subscribed()


def test_recorded_answers_have_no_id() -> None:
    """Channel and instrument tell then."""
    made = stream()
    made.subscribe()
    assert (
        made.receive(b'{"event":"subscribe","arg":{"channel":"trades-all","instId":"BTC-USDT"}}', 0, []) == Subscribed()
    )


def test_refused() -> None:
    """In OKX's words; what passes is told apart from what doesn't."""
    words = "Wrong URL or channel:trades-all,instId:BTC-USDT doesn't exist."
    for id in ("7", None):
        made = stream()
        made.subscribe()
        assert made.receive(error("60018", words, id), 0, []) == Refused(f"{words} (code 60018)")
        assert made.receive(error("60014", "Requests too frequent", id), 0, []) == Refused(
            "Requests too frequent (code 60014)", permanent=False
        )


@pytest.mark.parametrize(
    "other",
    [
        error("60018", "Wrong URL or channel:books,instId:BTC-USDT doesn't exist.", "8"),
        error("60018", "Wrong URL or channel:books,instId:BTC-USDT doesn't exist."),
        error("60018", "Wrong URL or channel:trades-all,instId:BTC-USDT-SWAP doesn't exist."),
        b"pong",
        b'{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade."}',
        b'{"id":"7","event":"unsubscribe","arg":{"channel":"trades-all","instId":"BTC-USDT"},"connId":"a4d3ae55"}',
        b'{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"abcd1234"}',
        b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"last":"1"}]}',
        b'{"arg":{"channel":"trades-all","instId":"ETH-USDT"},"data":[]}',
    ],
)
def test_what_is_not_ours(other: bytes) -> None:
    """What others are told, notices and pongs give nothing."""
    made = stream()
    made.subscribe()
    out: list[object] = []
    assert made.receive(other, 0, out) is None  # type: ignore[arg-type]  # nothing is appended
    assert out == []


def test_an_error_that_names_nobody() -> None:
    """Is for whoever waits for an answer; it may be another's, so that it ends nothing for good."""
    made = stream()
    made.subscribe()
    assert made.receive(error("60012", "Invalid request"), 0, []) == Refused(
        "Invalid request (code 60012)", permanent=False
    )
    made.receive(b'{"event":"subscribe","arg":{"channel":"trades-all","instId":"BTC-USDT"}}', 0, [])
    assert made.receive(error("60012", "Invalid request"), 0, []) is None


@pytest.mark.parametrize("broken", [b"", b"{}", b"[]", b"null", b"pon", b'{"event":1}', b'{"arg":{}}', b"\xff"])
def test_broken_frames(broken: bytes) -> None:
    """What isn't a message of OKX's is a ParseError."""
    with pytest.raises(ParseError):
        stream().receive(broken, 0, [])


def test_router(frames: Callable[[str], list[bytes]]) -> None:
    """Each frame with data goes to its own stream, answers go to all, pongs to nobody."""
    router = Okx().router()
    assert router.opening() == []
    for name, topic in (
        ("trades", "trades-all:BTC-USDT"),
        ("bars", "candle1m:BTC-USDT"),
        ("book", "books:BTC-USDT"),
        ("funding", "funding-rate:BTC-USDT-SWAP"),
        ("interest", "open-interest:BTC-USDT-SWAP"),
    ):
        answer, *pushed = frames(f"okx/{name}")
        assert router.route(answer) is None
        assert {router.route(frame) for frame in pushed} == {topic}
    assert router.route(Okx.connections.ping.replace("i", "o").encode()) == ""


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"{", b'{"arg":', b'{"arg":{"channel":"', b'{"arg":{"channel":"books', b'{"arg":{"channel":"books"}}',
        b'{"arg":{"channel":"books","instType":"SPOT","instId":"BTC-USDT"},"data":[]}',
        b'{"arg":{"channel":"books","instId":"BTC-USDT","uid":"5"},"data":[]}',
        b'{ "arg":{"channel":"books","instId":"BTC-USDT"},"data":[]}',
        b'{"arg":{"channel":"' + b"x" * 200, b"\xff" * 50,
    ],
)  # fmt: skip
def test_router_in_doubt(frame: bytes) -> None:
    """What doesn't begin as documented goes to all."""
    assert Okx().router().route(frame) is None


def test_what_a_name_tells() -> None:
    """A spot market's name follows from the symbol; a contract's size doesn't."""
    assert Okx().market(Symbol.parse("BTC/USDT")) == SPOT
    assert Okx().market(Symbol.parse("BTC/USDT:perp")) is None
    assert Okx().market(Symbol.parse("BTC/USDT:quarter")) is None
