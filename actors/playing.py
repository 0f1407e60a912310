"""What a replay is asked to do, and the messages that its records become. Steps of records flow in, messages flow out;
pure but for the thread in which files are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import anyio
import msgspec

from dccd import subjects
from dccd.records import Record
from dccd.store.interleave import Part
from dccd.store.intervals import IntervalSet
from dccd.store.recorded import Recorded
from dccd.symbols import Dataset

__all__ = ["MAX_PAYLOAD", "Outgoing", "ReplayPlan", "Source", "ThreadSource", "messages_of"]

MAX_PAYLOAD = 900_000
"""Bytes of one message, as of ticks: below the server's ``max_payload`` of 1 MiB, with room for headers."""


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A replay as it was asked for: ``[start, end)`` ns; ``flow`` is where its receiver acknowledges, if one does;
    ``holes`` is the time to be jumped over."""

    id: str
    datasets: tuple[Dataset, ...]
    start: int
    end: int
    speed: float
    created: int
    start_paused: bool = False
    flow: str | None = None
    blocks: bool = False
    books: bool = True
    holes: IntervalSet = IntervalSet()


class Outgoing(msgspec.Struct, frozen=True):
    """A message of *count* records, the last of time ``ts`` (ns)."""

    subject: str
    payload: bytes
    headers: dict[str, str]
    count: int
    ts: int


class Source(Protocol):
    """Blocks of records, a time at a time; see :class:`~dccd.store.recorded.Recorded`."""

    async def next(self) -> list[Part] | None:
        """Return the next block, None after the last one. Raises DccdError."""
        ...

    async def close(self) -> None:
        """Close what it reads."""
        ...


class ThreadSource:
    """What is stored, read in worker threads, one at a time."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded

    async def next(self) -> list[Part] | None:
        return await anyio.to_thread.run_sync(self._recorded.next)

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._recorded.close)


def messages_of(
    replay: str, datasets: Sequence[Dataset], step: list[Part], number: int, encoder: msgspec.json.Encoder
) -> list[Outgoing]:
    """Return the messages of *step*, a dataset's records each, as few as have room for them. Where there are several,
    a header says so of each: step *number*, which of how many."""
    made = [
        (datasets[part], payload, records)
        for part, whole in step
        for payload, records in _split(whole, encoder, MAX_PAYLOAD)
    ]
    several = len(made) > 1
    return [
        Outgoing(
            subjects.replay_ticks(replay, dataset),
            payload,
            {subjects.STEP: f"{number} {nth}/{len(made)}"} if several else {},
            len(records),
            records[-1].ts,
        )
        for nth, (dataset, payload, records) in enumerate(made, 1)
    ]


def _split(records: list[Record], encoder: msgspec.json.Encoder, limit: int) -> Iterator[tuple[bytes, list[Record]]]:
    payload = encoder.encode(records)
    if len(payload) <= limit or len(records) == 1:
        yield payload, records
        return
    half = len(records) // 2
    yield from _split(records[:half], encoder, limit)
    yield from _split(records[half:], encoder, limit)
