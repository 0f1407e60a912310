"""The servers of a connection, and the pauses before they are tried again."""

from __future__ import annotations

import pytest

from dccd.bus.servers import Servers, pause


@pytest.mark.parametrize("url", ["nats://a:1, tls://u:secret@b:2", ["nats://a:1", " tls://u:secret@b:2 "]])
def test_several_servers(url: str | list[str]) -> None:
    """One text or a list name the same servers; what is shown of them has no secret."""
    servers = Servers(url)
    assert servers.urls == ["nats://a:1", "tls://u:secret@b:2"]
    assert str(servers) == "nats://a:1,tls://b:2"
    assert servers.encrypted and not Servers("nats://a:1").encrypted


def test_pauses_grow_up_to_a_second() -> None:
    """The first try is at once, each pause is twice the one before, and chance takes half of it at most."""
    assert [pause(attempt, 0.0) for attempt in range(10)] == [0.0, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0]
    assert pause(9, 1.0) == 0.5


def test_a_bus_that_is_away_for_hours() -> None:
    """However often it was tried, there is a next time."""
    assert pause(1_000_000, 0.0) == 1.0
