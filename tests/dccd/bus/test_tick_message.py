"""What the reader of the write-ahead log makes of a message."""

from __future__ import annotations

import msgspec
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from dccd import subjects
from dccd.bus.tick_message import TickMessage, tick_message

SUBJECT = "dccd.ticks.binance.trades.BTC-USDT"


def message(headers: dict[str, str] | None) -> Msg:
    return Msg(Client(), subject=SUBJECT, data=b"[]", headers=headers)


@pytest.mark.parametrize(("headers", "covered"), [(None, None), ({"Other": "1"}, None), ({subjects.COVERED: "1"}, "1")])
def test_what_was_published_is_handed_out(headers: dict[str, str] | None, covered: str | None) -> None:
    """Body and subject as they are, and what it says of the time that it covers."""
    assert tick_message(message(headers), 7, 9) == TickMessage(7, SUBJECT, b"[]", 9, covered)


def test_an_answer_of_jetstream_is_no_tick() -> None:
    """Nothing of it is taken for records, though whoever had it sent here chose body and headers."""
    told = tick_message(message({"Nats-Stream": "DCCD_TICKS", subjects.COVERED: "1"}), 7, 9)
    assert (told.seq, told.covered) == (7, None)
    assert isinstance(msgspec.json.decode(told.data), str)
