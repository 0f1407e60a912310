"""Where a feed begins."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from dccd.client.since import Position, Since, since_ns
from dccd.errors import IdentityError

NOW = 1_704_110_400_123_456_789
NS = 1_000_000_000


@pytest.mark.parametrize(
    ("since", "ns"),
    [
        ("now", NOW),
        ("10m", NOW - 600 * NS),
        ("1.5h", NOW - 5400 * NS),
        ("250ms", NOW - NS // 4),
        (timedelta(seconds=2), NOW - 2 * NS),
        (timedelta(seconds=-2), NOW),
        (timedelta(days=40_000), 1_230_768_000 * NS),
        (NOW - 5, NOW - 5),
        (str(NOW - 5), NOW - 5),
        ("2024-01-01", 1_704_067_200 * NS),
        ("2024-01-01T12:00:00.000000001Z", 1_704_110_400 * NS + 1),
        (date(2024, 1, 1), 1_704_067_200 * NS),
        (datetime(2024, 1, 1, 12, tzinfo=UTC), 1_704_110_400 * NS),
        (datetime(2024, 1, 1, 12), 1_704_110_400 * NS),
    ],
)
def test_times(since: Since, ns: int) -> None:
    """A time in any form, or how long ago."""
    assert since_ns(since, NOW) == ns


def test_what_is_allowed_is_said() -> None:
    """Times, and how long ago."""
    with pytest.raises(IdentityError, match=r"2024-01-01.* or how long ago, as 10m"):
        since_ns("tomorrow", NOW)


@pytest.mark.parametrize("since", ["soon", "10", "10 minutes", "", "10y", 5, "0.1ms", "99999999d"])
def test_no_times(since: Since) -> None:
    """What is neither is refused, and a number without a unit is none."""
    with pytest.raises(IdentityError) as told:
        since_ns(since, NOW)
    assert told.value.field == "since"


@pytest.mark.parametrize(
    "position", [Position("2026-01-01T00:00:00.5Z+1", 7), Position("e", 7, 3), Position.stored(NOW, 2)]
)
def test_positions_are_texts(position: Position) -> None:
    """One that was written down is the same when it is read."""
    assert Position.parse(str(position)) == position
    assert position.in_store == str(position).endswith("@store")


@pytest.mark.parametrize("text", ["", "7", "@e", "7+@e", "x@e", "7@e f"])
def test_no_positions(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(IdentityError):
        Position.parse(text)
