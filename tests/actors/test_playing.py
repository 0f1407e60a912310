"""Steps become messages as of ticks."""

from __future__ import annotations

import msgspec

from actors.playing import MAX_PAYLOAD, messages_of
from dccd.records import BookSnapshot, Record, Trade
from dccd.symbols import Dataset

A, B = Dataset.parse("binance.trades.BTC-USDT"), Dataset.parse("kraken.trades.BTC-USD")
ENCODER = msgspec.json.Encoder()


def trades(count: int, first: int = 0) -> list[Record]:
    return [Trade(first + n, 1.5, 2.0, "buy", str(n), None) for n in range(count)]


def test_a_dataset_alone_is_one_message() -> None:
    """A JSON array of records on its subject, without a header: nothing is to be merged."""
    (message,) = messages_of("r1", [A, B], [(1, trades(3))], 7, ENCODER)
    assert message.subject == "dccd.replay.r1.kraken.trades.BTC-USD"
    assert msgspec.json.decode(message.payload, type=list[Trade]) == trades(3)
    assert (message.headers, message.count, message.ts) == ({}, 3, 2)


def test_datasets_that_share_a_step_say_so() -> None:
    """Which step it is, and which of its messages."""
    made = messages_of("r1", [A, B], [(0, trades(2)), (1, trades(1))], 7, ENCODER)
    assert [message.headers["Dccd-Step"] for message in made] == ["7 1/2", "7 2/2"]


def test_what_has_no_room_in_one_message_is_several() -> None:
    """Together they have all records, in order."""
    records = trades(30_000)
    made = messages_of("r1", [A], [(0, records)], 1, ENCODER)
    assert len(made) > 1 and all(len(message.payload) <= MAX_PAYLOAD for message in made)
    assert [r for message in made for r in msgspec.json.decode(message.payload, type=list[Trade])] == records
    assert sum(message.count for message in made) == 30_000


def test_a_record_is_never_cut() -> None:
    """However large."""
    book: list[Record] = [BookSnapshot(1, 1, [(float(n), 1.0) for n in range(100_000)], [])]
    (message,) = messages_of("r1", [A], [(0, book)], 1, ENCODER)
    assert len(message.payload) > MAX_PAYLOAD
