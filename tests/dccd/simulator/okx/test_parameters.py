"""OKX's query parameters and refusals."""

from __future__ import annotations

import json

import pytest

from dccd.simulator.okx.parameters import Refused, limited, mandatory, number, refusal


def test_numbers() -> None:
    """Text that is one, or nothing."""
    assert number({"after": "12"}, "after") == 12
    assert number({"before": "-1"}, "before") == -1
    assert number({}, "after") is None
    with pytest.raises(Refused, match="Parameter after error") as caught:
        number({"after": "soon"}, "after")
    assert (caught.value.code, caught.value.status) == (51000, 400)


def test_limits() -> None:
    """What is more than allowed is cut, what is none refused."""
    assert [limited(query, 100, 300) for query in ({}, {"limit": "5"}, {"limit": "500"})] == [100, 5, 300]
    with pytest.raises(Refused):
        limited({"limit": "0"}, 100, 300)


def test_what_must_be_there() -> None:
    """Its lack has a code of its own."""
    assert mandatory({"instId": "X"}, "instId") == "X"
    with pytest.raises(Refused, match="instId cannot be empty"):
        mandatory({"instId": ""}, "instId")


def test_refusals() -> None:
    """Code as text, words, no data."""
    assert json.loads(refusal(51001, "no")) == {"msg": "no", "code": "51001", "data": []}
