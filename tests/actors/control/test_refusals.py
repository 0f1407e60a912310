"""Whatever a part of the daemon raises, who asked is told with a code that says whose turn it is."""

from __future__ import annotations

import pytest

from actors.control.refusals import as_request_errors
from actors.runtime.exits import ActorGone
from dccd.errors import (
    BusUnavailable,
    CorruptFile,
    ExchangeDown,
    IdentityError,
    NoCapability,
    RequestError,
)


@pytest.mark.parametrize(
    ("raised", "code", "reason", "field"),
    [
        (IdentityError("symbol", "no symbol"), 400, "malformed", "symbol"),
        (NoCapability("kraken", "no funding", "data_type"), 422, "no_capability", "data_type"),
        (ExchangeDown("kraken", "timed out"), 503, "exchange_down", None),
        (CorruptFile("a.parquet", "broken"), 500, "corrupt_file", None),
        (BusUnavailable("away"), 503, "not_now", None),
        (ActorGone(("runner",), "restarts"), 503, "not_now", None),
        (TimeoutError(), 503, "not_now", None),
        (RequestError(409, "busy", "wait"), 409, "busy", None),
    ],
)
def test_each_error_has_its_code(raised: Exception, code: int, reason: str, field: str | None) -> None:
    """400 is the asker's, 422 can't be, 5xx is ours or for later; a refusal stays what it is, and none is silent."""
    with pytest.raises(RequestError) as caught, as_request_errors():
        raise raised
    assert (caught.value.code, caught.value.reason, caught.value.field) == (code, reason, field)
    assert str(caught.value)


def test_a_fault_of_ours_is_no_refusal() -> None:
    """It comes out as what it is, for the log."""
    with pytest.raises(KeyError), as_request_errors():
        raise KeyError("x")
