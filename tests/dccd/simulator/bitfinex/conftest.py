"""What the tests of the simulated Bitfinex share."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dccd.simulator.bitfinex import Bitfinex
from dccd.simulator.config import SimConfig
from dccd.simulator.faults import FaultPlan
from dccd.simulator.venue import Session


@pytest.fixture
def venue(start: int) -> Bitfinex:
    """20 trades a second."""
    return Bitfinex(SimConfig(seed=3, rate=20, history=3), FaultPlan(lambda: start), start)


class Client:
    """One connection: requests as keywords, answers and messages as values."""

    def __init__(self, venue: Bitfinex, now: int) -> None:
        session = venue.open("/ws/2", now)
        assert session is not None
        self.session: Session = session
        self.now = now

    def send(self, event: str, **fields: Any) -> list[Any]:
        return [json.loads(frame) for frame in self.session.receive(json.dumps({"event": event, **fields}), self.now)]

    def subscribe(self, channel: str, **fields: Any) -> tuple[int, list[Any]]:
        """The channel's id, and what came with it."""
        answer, *rest = self.send("subscribe", channel=channel, **fields)
        assert answer["event"] == "subscribed", answer
        return answer["chanId"], rest

    def due(self, now: int) -> list[Any]:
        self.now = now
        streams = list(self.session.streams.values())
        return [json.loads(frame) for one in streams for frame in self.session.wrap(one, one.due(now))]


@pytest.fixture
def client(venue: Bitfinex, start: int) -> Client:
    """Connected at the start."""
    return Client(venue, start)
