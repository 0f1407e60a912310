"""Foreign errors in dccd's words."""

from __future__ import annotations

import nats.errors
import nats.js.errors
import pytest

from dccd.bus.translation import translated
from dccd.errors import BusError, BusRefused, BusUnavailable


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (nats.errors.TimeoutError(), BusUnavailable),
        (TimeoutError(), BusUnavailable),
        (ConnectionResetError("reset"), BusUnavailable),
        (nats.errors.NoRespondersError(), BusUnavailable),
        (nats.errors.ConnectionClosedError(), BusUnavailable),
        (nats.errors.OutboundBufferLimitError(), BusUnavailable),
        (nats.js.errors.ServiceUnavailableError(), BusUnavailable),
        (nats.js.errors.NoStreamResponseError(), BusUnavailable),
        (nats.errors.AuthorizationError(), BusRefused),
        (nats.errors.BadSubjectError(), BusError),
    ],
)
def test_each_error(raised: Exception, expected: type[BusError]) -> None:
    """Each foreign error becomes one of ours, which says what was to be done and comes from it."""
    with pytest.raises(BusError, match="fetching the moon") as caught, translated("fetching the moon"):
        raise raised
    assert type(caught.value) is expected
    assert caught.value.__cause__ is raised


def test_others_pass() -> None:
    """An error that isn't of the bus is left as it is."""
    with pytest.raises(ZeroDivisionError), translated("dividing"):
        raise ZeroDivisionError
