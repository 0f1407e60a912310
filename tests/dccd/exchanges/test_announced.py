"""Values that are repeated, once for each change."""

from __future__ import annotations

from dccd.exchanges.announced import AnnouncedFunding, AnnouncedInterest
from dccd.records import FundingRate, OpenInterest, Record


def test_funding_rates() -> None:
    """A record for each change of the rate or of when it is due, none for a repetition or for what was overtaken."""
    rates, out = AnnouncedFunding(), list[Record]()
    for ts, rate, due in (
        (10, 0.1, 100),
        (11, 0.1, 100),
        (12, 0.2, 100),
        (11, 0.3, 100),
        (13, 0.2, 200),
        (14, 0.1, 200),
    ):
        rates.take(ts, rate, 5.0, due, ts + 1, out)
    assert out == [
        FundingRate(10, 0.1, 5.0, 11, 100),
        FundingRate(12, 0.2, 5.0, 13, 100),
        FundingRate(13, 0.2, 5.0, 14, 200),
        FundingRate(14, 0.1, 5.0, 15, 200),
    ]


def test_open_interest() -> None:
    """A record for each change of what is open; a change of its value alone is none."""
    interest, out = AnnouncedInterest(), list[Record]()
    for ts, amount, value in ((10, 5.0, 50.0), (11, 5.0, 51.0), (12, 0.0, 0.0), (11, 7.0, 70.0), (13, 5.0, None)):
        interest.take(ts, amount, value, ts + 1, out)
    assert out == [OpenInterest(10, 5.0, 50.0, 11), OpenInterest(12, 0.0, 0.0, 13), OpenInterest(13, 5.0, None, 14)]


def test_open_interest_that_goes_with_a_price() -> None:
    """Of contracts whose base asset does, their number is compared."""
    interest, out = AnnouncedInterest(), list[Record]()
    for ts, amount, contracts in ((10, 5.0, 50.0), (11, 5.5, 50.0), (12, 5.5, 60.0)):
        interest.take(ts, amount, contracts, ts + 1, out, contracts)
    assert out == [OpenInterest(10, 5.0, 50.0, 11), OpenInterest(12, 5.5, 60.0, 13)]
