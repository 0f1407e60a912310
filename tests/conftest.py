"""Fixtures and settings that every test shares."""

from __future__ import annotations

import pytest
from hypothesis import settings

# The same examples in every run: a failure is the change's doing, not the dice's. No deadline: how long an
# example takes is the machine's business, and a busy one is no failure.
settings.register_profile("dccd", derandomize=True, deadline=None)
settings.load_profile("dccd")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio: the socket and NATS layers stand on it."""
    return "asyncio"
