"""How far back events are kept: what the bus holds of them flows in, whether that is as long as wanted flows out."""

from __future__ import annotations

from collections import Counter

import msgspec

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.direct import api, get_batch, stream_state
from dccd.messages import HealthCheck
from dccd.symbols import NS

__all__ = ["EventsKept", "check_events", "look_at_events"]

_FULL = 0.9
"""From this part of its bytes on a stream counts as full."""
_SAMPLE = 1000


class EventsKept(msgspec.Struct, frozen=True):
    """What the stream of events holds: ``bytes``, of so many at most; ``seconds`` back, of ``max_age`` at most;
    ``most`` is what takes the most of the newest, a kind and its part, where the stream is full."""

    bytes: int
    max_bytes: int
    seconds: float
    max_age: float
    most: tuple[str, float] | None = None


class _Limits(msgspec.Struct):
    max_bytes: int = -1
    max_age: int = 0


class _Info(msgspec.Struct):
    config: _Limits


class _Kind(msgspec.Struct):
    kind: str = "?"


async def look_at_events(bus: Bus) -> EventsKept:
    """Ask the bus. Raises BusUnavailable, JetStreamError."""
    limits = (await api(bus, f"STREAM.INFO.{subjects.STREAM_EVENTS}", None, _Info)).config
    state = await stream_state(bus, subjects.STREAM_EVENTS)
    seconds = (state.now - state.first_at) / NS if state.messages else 0.0
    kept = EventsKept(state.bytes, limits.max_bytes, seconds, limits.max_age / NS)
    if limits.max_bytes <= 0 or state.bytes < _FULL * limits.max_bytes:
        return kept
    sizes = Counter[str]()
    batch = await get_batch(bus, subjects.STREAM_EVENTS, state.last - _SAMPLE + 1, _SAMPLE)
    for message in batch.messages:
        try:
            kind = msgspec.json.decode(message.data, type=_Kind).kind
        except msgspec.DecodeError:
            kind = "?"
        sizes[kind] += len(message.data)
    ((kind, size),) = sizes.most_common(1) or [("?", 0)]
    return msgspec.structs.replace(kept, most=(kind, size / max(1, sizes.total())))


def check_events(kept: EventsKept) -> HealthCheck:
    """Events must not fall off by their bytes long before their age: somebody who comes late relies on them.

    One kind that fills the stream takes the room of all others: then it is named.
    """
    hours = kept.seconds / 3600
    if kept.most is None or kept.seconds >= kept.max_age / 2:
        so_long = f"{hours:,.1f} h" if hours >= 1 else f"{kept.seconds / 60:.0f} min"
        return HealthCheck(name="events", ok=True, detail=f"kept for {so_long} so far")
    kind, part = kept.most
    told = (
        f"kept for {hours:,.1f} h only, instead of {kept.max_age / 3600:,.1f} h: "
        f"their {kept.max_bytes / 2**20:,.0f} MiB are full, {part:.0%} of the newest are {kind}; "
        "allow more (bus.events_max_bytes), or ask for less (bus.events_max_age)"
    )
    return HealthCheck(name="events", ok=False, detail=told)
