"""Which of the real payloads of Kraken's spot market are held to what; and the answers among them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dccd.exchanges.base import Market, StreamOptions, StreamProtocol, Subscribed
from dccd.exchanges.kraken import Kraken
from dccd.records import Record
from dccd.symbols import Dataset

READ = {
    "http_ohlc.json": "test_history.py",
    "http_order_book.json": "test_history.py",
    "ws_book_snapshot.json": "test_books.py",
    "ws_book_update.json": "test_books.py",
    "ws_ohlc_update.json": "test_bars.py",
    "ws_trade_update.json": "test_trades.py",
    "ws_pong.json": "here",
    "ws_subscribe_response.json": "here",
}
"""What each is held to."""
ELSE = {
    "http_asset_pairs.json": "what is listed: ccxt reads it",
    "http_system_status.json": "whether Kraken is online: nobody asks, since what it would answer shows anyway",
}
"""What isn't market data that we collect."""
DATASETS = ("kraken.trades.BTC-USD", "kraken.ohlc.BTC-USD.1m", "kraken.orderbook.BTC-USD")


def payload(captures: Path, name: str) -> bytes:
    return (captures / "payloads" / "kraken" / name).read_bytes()


def stream(name: str) -> StreamProtocol:
    """One that waits for its answer."""
    made = Kraken().stream(Dataset.parse(name), StreamOptions(), Market("XXBTZUSD"))
    made.lane = 7
    made.subscribe()
    return made


def test_every_file_is_named(captures: Path) -> None:
    """None is left out in silence, and what another module reads is named there."""
    folder = captures / "payloads" / "kraken"
    files = {path.name for path in folder.iterdir()} - {path.name for path in folder.glob("*futures*")}
    assert files == READ.keys() | ELSE.keys()
    for name, module in READ.items():
        if module != "here":
            assert name.removesuffix(".json") in (Path(__file__).parent / module).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DATASETS)
def test_a_pong(captures: Path, name: str) -> None:
    """It is an answer that tells a stream nothing."""
    out: list[Record] = []
    assert stream(name).receive(payload(captures, "ws_pong.json"), 1, out) is None
    assert out == []


@pytest.mark.parametrize("name", DATASETS)
def test_the_answer_to_a_subscription(captures: Path, name: str) -> None:
    """Under somebody else's number it is nobody's here; under ours it confirms, but a book waits for its snapshot."""
    made, out = stream(name), list[Record]()
    answer = payload(captures, "ws_subscribe_response.json")
    assert made.receive(answer, 1, out) is None
    (asked,) = made.subscribe()
    ours = msgspec.json.encode(msgspec.json.decode(answer) | {"req_id": msgspec.json.decode(asked)["req_id"]})
    assert made.receive(ours, 1, out) == (None if "orderbook" in name else Subscribed())
    assert out == []


def test_answers_are_for_all(captures: Path) -> None:
    """Whose one is, the streams tell by its number."""
    router = Kraken().router()
    for name in ("ws_pong.json", "ws_subscribe_response.json"):
        compact = msgspec.json.encode(msgspec.json.decode(payload(captures, name)))
        assert [router.route(frame) for frame in (payload(captures, name), compact)] == [None, None]
