"""Replays of what is stored."""

from __future__ import annotations

from dccd import messages as m
from dccd.operations.base import CORRUPT, NOT_STORED, STORE, Operation, Refusal

__all__ = ["TABLE"]

_REPLAY = Refusal(404, "no_replay", "this host has no such replay")
_OVER = Refusal(409, "over", "it has ended; a seek brings it back, while it is there")


def _setup(id: str) -> str:
    """A replay to try an operation on."""
    what = '"datasets": ["binance.trades.BTC-USDT"], "start": "2024-01-01"'
    body = f'{{"id": "{id}", {what}, "start_paused": true}}'
    return f"nats req --raw dccd.replay.start '{body}'"


TABLE = (
    Operation(
        name="replay.start",
        request=m.ReplayStart,
        reply=m.ReplayStarted,
        description="Publish stored records again, merged by time, at a pace",
        role="operator",
        idempotent=False,
        refusals=(
            NOT_STORED,
            Refusal(400, "malformed", "no dataset or pattern, no time"),
            Refusal(409, "taken", "there is a replay of this id"),
            Refusal(422, "empty_range", "start is not before end"),
            Refusal(422, "too_many", "these are more datasets than a replay takes"),
            Refusal(503, "too_many", "this host has as many replays, or datasets in them, as it takes"),
            CORRUPT,
            STORE,
        ),
        example={"datasets": ["binance.trades.*", "kraken.trades.BTC-USD"], "speed": 10},
    ),
    Operation(
        name="replay.list",
        request=m.Empty,
        reply=m.Replays,
        description="The replays of this host, and where they are",
        role="viewer",
    ),
    Operation(
        name="replay.pause",
        request=m.ReplayOf,
        reply=m.ReplayEntry,
        description="Hold a replay where it is",
        role="operator",
        refusals=(_REPLAY, _OVER),
        example={"id": "to-pause"},
        setup=_setup("to-pause"),
    ),
    Operation(
        name="replay.resume",
        request=m.ReplayOf,
        reply=m.ReplayEntry,
        description="Let a replay go on, whether anybody listens or not",
        role="operator",
        refusals=(_REPLAY, _OVER),
        example={"id": "to-resume"},
        setup=_setup("to-resume"),
    ),
    Operation(
        name="replay.seek",
        request=m.ReplaySeek,
        reply=m.ReplayEntry,
        description="Go on at another time",
        role="operator",
        refusals=(
            _REPLAY,
            Refusal(400, "malformed", "no time"),
            Refusal(422, "out_of_range", "the time is not within the replay's start and end"),
        ),
        example={"id": "to-seek", "to": "2024-06-01T12:00:00Z"},
        setup=_setup("to-seek"),
    ),
    Operation(
        name="replay.speed",
        request=m.ReplaySpeed,
        reply=m.ReplayEntry,
        description="Make a replay go faster or slower",
        role="operator",
        refusals=(_REPLAY,),
        example={"id": "to-speed-up", "speed": "max"},
        setup=_setup("to-speed-up"),
    ),
    Operation(
        name="replay.stop",
        request=m.ReplayOf,
        reply=m.ReplayEntry,
        description="End a replay",
        role="operator",
        refusals=(_REPLAY,),
        example={"id": "to-stop"},
        setup=_setup("to-stop"),
    ),
)
