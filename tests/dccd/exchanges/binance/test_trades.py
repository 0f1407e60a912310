"""Live trades of Binance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from dccd.errors import ParseError
from dccd.exchanges.base import Broken, Market, Refused, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.binance import Binance
from dccd.records import Record, Trade
from dccd.symbols import NS, Dataset

MS = 1_000_000


def stream() -> StreamProtocol:
    return Binance().stream(Dataset.parse("binance.trades.BTC-USDT"), StreamOptions(), Market("BTCUSDT"))


def frame(tid: int, ms: int = 1_672_515_782_136, **fields: object) -> bytes:
    """One raw aggTrade."""
    event = {
        "e": "aggTrade",
        "E": ms + 1,
        "s": "BTCUSDT",
        "a": tid,
        "p": "1.5",
        "q": "2",
        "T": ms,
        "m": True,
        "M": True,
    }
    return msgspec.json.encode(event | fields)


def test_subscribes_by_a_frame_that_is_answered() -> None:
    """The subscription is a SUBSCRIBE of the one stream, on a connection without any."""
    protocol = stream()
    assert protocol.url == "wss://stream.binance.com:9443/stream"
    assert [msgspec.json.decode(text) for text in protocol.subscribe()] == [
        {"method": "SUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 1}
    ]


def test_frames(frames: Callable[[str], list[bytes]]) -> None:
    """Raw and wrapped frames become trades: the taker sold when the buyer was the maker."""
    protocol, out = stream(), []
    signals = [protocol.receive(frame, 7, out) for frame in frames("binance/trades")]
    assert signals == [Subscribed(), None, None, None, None]
    assert out == [
        Trade(1672515782136 * MS, 16541.25, 0.0012, "sell", "164325", 7),
        Trade(1672515782136 * MS, 16541.26, 0.5, "buy", "164326", 7),
        Trade(1672515782170 * MS, 16541.0, 1.0, "sell", "164327", 7),
        Trade(1672515783001 * MS, 16540.99, 0.00001, "buy", "164328", 7),
    ]


def test_data_confirms_too() -> None:
    """Should a trade come before the answer, it confirms the subscription; the answer does not do so again."""
    protocol = stream()
    out: list[Record] = []
    assert protocol.receive(frame(1), 0, out) == Subscribed()
    assert protocol.receive(b'{"result":null,"id":1}', 0, out) is None
    assert len(out) == 1


@pytest.mark.parametrize(
    ("answer", "words", "permanent"),
    [
        (b'{"error":{"code":2,"msg":"Invalid request: wrong parameters"},"id":1}', "Invalid request", True),
        (b'{"code":2,"msg":"Invalid request: missing field `method`"}', "missing field", False),
    ],
)
def test_refusals_are_in_binances_words(answer: bytes, words: str, permanent: bool) -> None:
    """Both ways in which Binance writes an error are a refusal; without an id it may be another's: not for good."""
    signal = stream().receive(answer, 0, [])
    assert isinstance(signal, Refused) and signal.permanent is permanent
    assert words in signal.message
    assert "code 2" in signal.message


def test_asking_too_often_passes() -> None:
    """A refusal for too many requests is not for good."""
    assert stream().receive(b'{"error":{"code":3,"msg":"Too many requests"},"id":1}', 0, []) == Refused(
        "Too many requests (code 3)", permanent=False
    )


@pytest.mark.parametrize(
    "other",
    [
        b'{"result":null,"id":99}',
        b'{"e":"serverShutdown","E":1672515782136}',
        b'{"stream":"ethusdt@aggTrade","data":{"e":"aggTrade"}}',
        b'{"stream":"btcusdt@bookTicker","data":{"u":1}}',
        frame(1, s="ETHUSDT"),
    ],
)
def test_what_is_not_ours(other: bytes) -> None:
    """Answers to others, other streams and other symbols give nothing."""
    out: list[Record] = []
    assert stream().receive(other, 0, out) is None
    assert out == []


@pytest.mark.parametrize(
    "broken",
    [
        frame(1, p=None), frame(1, p=""), frame(1, p="0"), frame(1, p="nan"), frame(1, p="inf"), frame(1, p=-1),
        frame(1, q="0"), frame(1, a=-1), frame(1, a="x"), frame(1, T=10**16), frame(1, m=None), frame(1, s=None),
        b"", b"[]", b"null", b"{}", b"not json", b'{"e":"aggTrade"}', frame(1)[:-1], b"\xff" + frame(1),
        frame(1).replace(b"BTCUSDT", b"BTC\xffUSDT"),
        frame(1).replace(b'"p":"1.5",', b""),
        b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","s":"BTCUSDT"}}', b'{"stream":"btcusdt@aggTrade"}',
    ],
)  # fmt: skip
def test_broken_frames_change_nothing(broken: bytes) -> None:
    """A frame without a price, with a price of 0 or cut short is a ParseError; to the next one it didn't come."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame(1), 0, out)
    with pytest.raises(ParseError) as caught:
        protocol.receive(broken, 0, out)
    assert caught.value.exchange == "binance"
    assert protocol.receive(frame(2), 0, out) is None
    assert [trade.tid for trade in out if isinstance(trade, Trade)] == ["1", "2"]
    assert protocol.unresolved() == []


def test_a_jump_of_the_ids() -> None:
    """Trades that are missing two seconds later are a hole between their neighbours; the feed goes on."""
    protocol = stream()
    out: list[Record] = []
    protocol.receive(frame(1, 1000), NS, out)
    assert protocol.receive(frame(4, 2000), 2 * NS, out) is None
    assert protocol.receive(frame(5, 2001), 3 * NS, out) is None
    assert protocol.receive(frame(6, 2002), 4 * NS, out) == Broken(
        "trades 2 to 3 are missing", 1000 * MS, "none", 2000 * MS + 1
    )
    assert len(out) == 4


def test_a_jump_before_silence() -> None:
    """With no further frame, time reports the hole; when the connection ends before, unresolved() does."""
    for report in (lambda p: [p.tick(10**18, [])], lambda p: p.unresolved()):
        protocol = stream()
        protocol.receive(frame(1, 1000), NS, [])
        protocol.receive(frame(3, 2000), 2 * NS, [])
        assert [(hole.since, hole.until) for hole in report(protocol)] == [(1000 * MS, 2000 * MS + 1)]
        assert protocol.tick(10**18, []) is None


def test_late_and_twice() -> None:
    """A trade that comes late is kept and fills its jump; one that comes twice is dropped, wrapped or not."""
    protocol = stream()
    out: list[Record] = []
    for tid in (1, 3, 2, 2, 3):
        protocol.receive(frame(tid), 0, out)
    protocol.receive(b'{"stream":"btcusdt@aggTrade","data":' + frame(3) + b"}", 0, out)
    assert [trade.tid for trade in out if isinstance(trade, Trade)] == ["1", "3", "2"]
    assert protocol.tick(10**18, out) is None


def test_recording(captures: Path) -> None:
    """Each recorded aggTrade, and nothing else, is a trade with its id, price, size and time."""
    found = 0
    for symbol, pair in (("nknusdt", "NKN-USDT"), ("lrcbtc", "LRC-BTC"), ("blzeth", "BLZ-ETH")):
        protocol = Binance().stream(
            Dataset.parse(f"binance.trades.{pair}"), StreamOptions(), Market(pair.replace("-", ""))
        )
        out: list[Record] = []
        expected = []
        for line in (captures / "frames" / "binance.tsv").read_text().splitlines():
            seconds, _, text = line.split("\t")
            recv_ts = int(float(seconds) * 1e9)
            protocol.receive(text.encode(), recv_ts, out)
            wrapped = msgspec.json.decode(text)
            if wrapped["stream"] == f"{symbol}@aggTrade":
                event = wrapped["data"]
                side = "sell" if event["m"] else "buy"
                price, amount = float(event["p"]), float(event["q"])
                expected.append(Trade(event["T"] * MS, price, amount, side, str(event["a"]), recv_ts))
        assert out == expected
        found += len(out)
    assert found == 2
