"""What a stream's answer to a message means."""

from __future__ import annotations

import pytest

from dccd.bus.acks import read_ack


def test_a_message_that_is_stored() -> None:
    """The answer names the stream, and says whether the message was there before."""
    first = read_ack(b'{"stream":"DCCD_TICKS","seq":7}', "DCCD_TICKS")
    again = read_ack(b'{"stream":"DCCD_TICKS","domain":"hub","seq":7,"duplicate":true}', "DCCD_TICKS")
    assert first is not None and again is not None
    assert (first.error, first.duplicate) == (None, False)
    assert (again.error, again.duplicate) == (None, True)


@pytest.mark.parametrize("data", [b"{}", b'{"stream":"OTHER","seq":7}', b'{"stream":"DCCD_TICKS"}'])
def test_an_answer_that_is_not_the_buss(data: bytes) -> None:
    """Who hears a message could say that it is stored: without the stream's name and a number it means nothing."""
    assert read_ack(data, "DCCD_TICKS") is None


@pytest.mark.parametrize("data", [b"", b"+OK", b"[1]", b'{"seq":"x"}'])
def test_nobody_listens(data: bytes) -> None:
    """The server's empty word that nobody takes the message, or one that can't be read, is a refusal for now."""
    ack = read_ack(data, "DCCD_TICKS")
    assert ack is not None and ack.error is not None
    assert ack.error.description == "no stream answers"
    assert not ack.hopeless


@pytest.mark.parametrize(("code", "hopeless"), [(10054, True), (10077, False), (10008, False)])
def test_a_refusal_has_its_reason(code: int, hopeless: bool) -> None:
    """Only a message that is larger than the stream's maximum is refused for good, not one that finds no space."""
    ack = read_ack(b'{"stream":"DCCD_TICKS","error":{"code":400,"err_code":%d,"description":"why"}}' % code, "X")
    assert ack is not None and ack.error is not None
    assert ack.error.description == "why"
    assert ack.hopeless is hopeless
