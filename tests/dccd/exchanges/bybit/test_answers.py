"""What Bybit's answers have in common."""

from __future__ import annotations

import pytest

from dccd.errors import ParseError
from dccd.exchanges.bybit.answers import Answer, Rows, rows


def test_rows() -> None:
    """As they came, newest first, of the market asked for or of one that isn't named."""
    for symbol in ("BTCUSDT", None):
        assert rows(Answer(0, "OK", Rows(symbol, [2, 1])), "BTCUSDT", b"{}") == [2, 1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(10006, "Too many visits!", Rows()), r"Too many visits! \(10006\)"),
        (Answer(0, "OK", None), "without a list"),
        (Answer(0, "OK", Rows("BTCUSDT", None)), "without a list"),
        (Answer(0, "OK", Rows("ETHUSDT", [1])), "rows of ETHUSDT"),
    ],
)
def test_what_is_no_answer(answer: Answer[Rows[int]], words: str) -> None:
    """Bybit's error, nothing, another market."""
    with pytest.raises(ParseError, match=words):
        rows(answer, "BTCUSDT", b"{}")
