"""Replays of a daemon that only answers: for tests of the client and of what stands on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus, Message
from dccd.errors import RequestError
from dccd.records import Record
from dccd.symbols import Dataset

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FakeReplays"]


class FakeReplays:
    """What ``replay.*`` answers. ``script`` is what a replay with flow control publishes once its receiver is there:
    records of a dataset each, and at last the state in which it ends."""

    def __init__(self, bus: Bus, host: str) -> None:
        self.entries: dict[str, m.ReplayEntry] = {}
        self.missing: list[m.ReplayMissing] = []
        self.script: list[tuple[str, list[Record]] | m.ReplayState] = []
        self.acks: list[bytes] = []
        self._bus, self._host = bus, host

    def __repr__(self) -> str:
        return f"<FakeReplays {sorted(self.entries)}>"

    @property
    def replies(self) -> dict[str, Callable[[Any], Any]]:
        """For a FakeDaemon."""
        return {
            "replay.start": self._start,
            "replay.list": lambda _: m.Replays(host=self._host, replays=[*self.entries.values()]),
            "replay.pause": lambda ask: self._change(ask.id, state="paused"),
            "replay.resume": lambda ask: self._change(ask.id, state="playing"),
            "replay.seek": lambda ask: self._change(ask.id, position=int(ask.to), number=self._number(ask.id)),
            "replay.speed": lambda ask: self._change(ask.id, speed=0.0 if ask.speed == "max" else ask.speed),
            "replay.stop": self._stop,
        }

    async def _start(self, ask: m.ReplayStart) -> m.ReplayStarted:
        id, subject = ask.id or "made-up", subjects.replayed(ask.id or "made-up")
        entry = self.entries[id] = m.ReplayEntry(
            id=id, host=self._host, state="paused" if ask.start_paused else "waiting", datasets=[*ask.datasets],
            start=0, end=10**18, position=0, speed=0.0 if ask.speed == "max" else ask.speed, created=1,
        )  # fmt: skip
        if ask.flow:

            async def heard(message: Message) -> None:
                self.acks.append(message.data)
                script, self.script = self.script, []
                for step in script:
                    await self._publish(id, step)

            await self._bus.subscribe(subjects.flow(id), heard)
        return m.ReplayStarted(
            replay=entry,
            subject=subject,
            flow=subjects.flow(id) if ask.flow else None,
            missing=self.missing,
            missing_more=0,
        )

    async def _publish(self, id: str, step: tuple[str, list[Record]] | m.ReplayState) -> None:
        number = self._number(id) + 1
        headers = {subjects.NUMBER: str(number)}
        if isinstance(step, tuple):
            self._change(id, number=number, state="playing")
            subject = subjects.replay_ticks(id, Dataset.parse(step[0]))
            await self._bus.publish(subject, msgspec.json.encode(step[1]), headers)
            return
        changed = m.ReplayChanged(at=1, host=self._host, replay=self._change(id, number=number, state=step))
        await self._bus.publish(subjects.replay_status(id), msgspec.json.encode(changed), headers)

    def _number(self, id: str) -> int:
        return self.entries[id].number if id in self.entries else 0

    def _change(self, id: str, **fields: Any) -> m.ReplayEntry:
        if id not in self.entries:
            raise RequestError(404, "no_replay", f"no replay {id} is here", "id")
        entry = self.entries[id] = msgspec.structs.replace(self.entries[id], **fields)
        return entry

    def _stop(self, ask: m.ReplayOf) -> m.ReplayEntry:
        entry = self._change(ask.id, state="stopped")
        del self.entries[ask.id]
        return entry
