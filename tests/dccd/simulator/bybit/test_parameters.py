"""What Bybit makes of query parameters."""

from __future__ import annotations

import pytest

from dccd.simulator.bybit.parameters import Refused, choice, limited, milliseconds


def test_values() -> None:
    """What is there and right, and what isn't there."""
    assert choice({"category": "spot"}, "category", ("spot", "linear")) == "spot"
    assert milliseconds({"start": "5"}, "start") == 5
    assert milliseconds({"start": ""}, "start") is None
    assert limited({}, 25, 500) == 25
    assert limited({"limit": "7"}, 25, 500) == 7
    assert limited({"limit": "5000"}, 25, 500) == 500


@pytest.mark.parametrize("query", [{}, {"category": "margin"}])
def test_categories_are_needed(query: dict[str, str]) -> None:
    """Bybit's code of a wrong parameter."""
    with pytest.raises(Refused, match="category invalid") as caught:
        choice(query, "category", ("spot",))
    assert caught.value.code == 10001


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "9" * 16])
def test_no_numbers(value: str) -> None:
    """Neither a time nor a limit."""
    with pytest.raises(Refused):
        milliseconds({"start": value}, "start")
    with pytest.raises(Refused):
        limited({"limit": value}, 1, 2)
