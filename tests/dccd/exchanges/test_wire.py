"""Checked numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dccd.errors import ParseError
from dccd.exchanges.wire import Amount, Decoder, Id, Millis, Price, iso_ns, passes


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2023-10-06T17:35:55.440295Z", 1696613755440295000),
        ("2023-10-04T16:25:00.000000000Z", 1696436700000000000),
        ("2023-10-04T16:25:00.123456789Z", 1696436700123456789),
        ("2023-10-04T16:25:00Z", 1696436700000000000),
        ("2023-10-04T16:25:00.5Z", 1696436700500000000),
    ],
)
def test_times(text: str, ns: int) -> None:
    """Times with no, micro or nanoseconds are exact."""
    assert iso_ns(text) == ns


@given(st.datetimes(datetime(2010, 1, 1), datetime(2200, 1, 1)))
def test_times_to_the_microsecond(moment: datetime) -> None:
    """Any time is what datetime makes of it."""
    text = moment.isoformat(timespec="microseconds") + "Z"
    assert (
        iso_ns(text)
        == (moment.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    )


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    """Text that is no time raises ValueError and nothing else."""
    try:
        assert isinstance(iso_ns(text), int)
    except ValueError:
        pass


@pytest.mark.parametrize(
    "text",
    ["2023-10-06T17:35:55.440295", "2023-10-06 17:35:55Z", "2023-10-06T17:35:55.1234567890Z", "2023-10-06T25:35:55Z",
     "2023-10-06T17:35:55.1_2Z", "2023-10-06T17:35:55,1Z", "2023-W40-5T17:35:55Z", "9023-10-06T17:35:55Z",
     "1023-10-06T17:35:55Z", ""],
)  # fmt: skip
def test_no_times(text: str) -> None:
    """Other notations are refused rather than guessed at."""
    with pytest.raises(ValueError, match=r"time|Invalid|must be|between"):
        iso_ns(text)


@pytest.mark.parametrize(
    "value", [b'"nan"', b'"inf"', b'"-1"', b"-1", b'"1e400"', b'""', b"null", b"true", b'" 1"', b"{}"]
)
@pytest.mark.parametrize("kind", [Price, Amount])
def test_what_is_no_number(kind: object, value: bytes) -> None:
    """Text that a float would take, but no market has, is a ParseError."""
    with pytest.raises(ParseError):
        Decoder("binance", kind).decode(value)


def test_bounds() -> None:
    """A price is above 0, an amount may be 0, ids and times fit an int64 in nanoseconds."""
    assert Decoder[float]("binance", Amount).decode(b'"0.00000000"') == 0
    with pytest.raises(ParseError):
        Decoder("binance", Price).decode(b'"0.00000000"')
    with pytest.raises(ParseError):
        Decoder("binance", Id).decode(b"99999999999999999999")
    with pytest.raises(ParseError):
        Decoder("binance", Millis).decode(b"9999999999999999")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"a":"\xff"}', b'{"x":' + b"[" * 100_000])
def test_broken_json(body: bytes) -> None:
    """Bytes that aren't JSON, however deep, are a ParseError with the start of them."""
    with pytest.raises(ParseError) as caught:
        Decoder("binance", dict[str, str]).decode(body)
    assert caught.value.sample == body[:512]


@pytest.mark.parametrize(
    ("words", "passing"),
    [
        ("Exceeded msg rate", True), ("Rate limit exceeded", True), ("System error. Please try again later.", True),
        ("already subscribed", True), ("Too many visits!", True), ("Service:Unavailable", True),
        ("Currency pair not supported FOO/BAR", False), ("Unknown table: foo", False), ("operated separately", False),
    ],
)  # fmt: skip
def test_errors_that_pass(words: str, passing: bool) -> None:
    """Frequency and trouble of the exchange's own pass; wrong requests don't."""
    assert passes(words) is passing
