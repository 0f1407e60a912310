"""Sharing the messages of a stream: each goes to one member of a group, and again to another if it isn't acknowledged.

A group's name and subjects flow in, messages and acknowledgements go to and fro. The group is a durable consumer: it
remembers how far it is across the ends of its members and of the server, and nobody's order is kept but the one in
which messages are handed out first.

What a member holds is its own for *ack_wait* seconds; :meth:`GroupReader.touch` renews that. A killed server forgets
the last acknowledgements: members say them again when it is back, and acknowledge what they are given a second time.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Self

import anyio
import msgspec
import nats.errors

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.consumers import create_consumer, from_message, from_time
from dccd.bus.direct import JetStreamError, StreamState, api, stream_state
from dccd.bus.incoming import StreamMessage
from dccd.bus.pull import PullReader
from dccd.errors import BusError, IdentityError, TicksGone

__all__ = ["GroupReader", "drop_group"]

_NS = 1_000_000_000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_ACKED = 65_536
"""Messages of which a member remembers that it has acknowledged them."""
_SURE = 0.75
"""Share of *ack_wait* after which a member no longer relies on what it holds: the message was on its way, too."""
_FORGETS = 10.0
"""Seconds of acknowledgements that a killed server may have forgotten."""
_IDLE_DAYS = 7
"""A group that nobody has read for so long is gone: what it has missed is, too."""


class _Config(msgspec.Struct):
    filter_subject: str = ""
    filter_subjects: list[str] = []
    ack_wait: int = 0


class _Info(msgspec.Struct):
    config: _Config


def consumer_name(group: str) -> str:
    """What the consumer of a group is called. Raises IdentityError."""
    if not _NAME.fullmatch(group):
        raise IdentityError("group", f"{group[:40]!r} is no name of a group: letters, digits, - and _, up to 32")
    return f"{subjects.CONSUMER_GROUP}-{group}"


async def drop_group(bus: Bus, stream: str, group: str) -> bool:
    """Forget how far *group* is; returns whether there was one. Raises BusUnavailable, JetStreamError."""
    try:
        await api(bus, f"CONSUMER.DELETE.{stream}.{consumer_name(group)}", None, dict[str, Any])
    except JetStreamError as exc:
        if exc.code == 404:
            return False
        raise
    return True


class GroupReader(PullReader):
    """A member of a group. Made by :meth:`open`."""

    def __init__(self, bus: Bus, stream: str, group: str, filters: Sequence[str], capacity: int) -> None:
        super().__init__(bus, stream, capacity, 4 << 20)
        self.group = group
        self.ack_wait = 0.0
        """Seconds for which a message is this member's."""
        self.joined = False
        """Whether the group was there before; then it goes on where it was."""
        self._name = consumer_name(group)
        self._filters = sorted(filters)
        self._start_config: dict[str, Any] = {}
        self._held: dict[int, tuple[str, float]] = {}  # token and time of what is handed out or waits here
        self._acked: OrderedDict[int, tuple[str, float]] = OrderedDict()
        self._asked = False
        self._waiting = 0
        self._again: list[str] = []  # tokens of what is delivered again and was acknowledged

    @classmethod
    async def open(
        cls,
        bus: Bus,
        stream: str,
        group: str,
        filters: Sequence[str],
        *,
        seq: int | None = None,
        since: int | None = None,
        ack_wait: float = 30.0,
        capacity: int = 256,
        check: Callable[[StreamState], object] | None = None,
    ) -> Self:
        """Join *group*, or make it: then it begins with message *seq*, with what was stored at *since* (ns), or with
        what is stored from now on, and *check*, called with the stream's state, may raise first.

        Raises BusError when the group shares other subjects, IdentityError for a name that is none, JetStreamError
        (404) when there is no such stream, BusUnavailable.
        """
        reader = cls(bus, stream, group, filters, capacity)
        state = await stream_state(bus, stream)
        if seq is not None:
            start = from_message(max(1, seq))
        elif since is not None:
            start = from_time(since)
        else:
            start = from_message(state.last + 1)
        reader._start_config = start | {"ack_wait": int(ack_wait * _NS)}
        found = await reader._info()
        reader.joined = found is not None
        if check is not None and not reader.joined:
            check(state)
        await reader._start(state)
        return reader

    async def aclose(self) -> None:
        """Leave the group: what was not acknowledged goes to the others at once. Safe to repeat."""
        await super().aclose()  # first: what is given back must not come here
        held, self._held = self._held, {}
        self._buffer.clear()
        for token, _ in held.values():
            await self._say(token, b"-NAK")

    async def fetch(self, limit: int = 100, wait: float | None = 1.0) -> list[StreamMessage]:
        """As :meth:`PullReader.fetch`; what has waited here for longer than *ack_wait* has gone to others."""
        while True:
            self._asked, self._waiting = True, self._waiting + 1
            if not self._wanted:
                self._wake.set()
            try:
                found = await super().fetch(limit, wait)
            finally:
                self._waiting -= 1
            now = time.monotonic()
            mine = [one for one in found if one.seq in self._held and self._is_mine(self._held[one.seq][1], now)]
            for seq in {one.seq for one in found} - {one.seq for one in mine}:
                self._held.pop(seq, None)
            if mine or not found:
                return mine

    async def ack(self, message: StreamMessage) -> None:
        """*message* is done with. While the bus is away it isn't told; it is when it delivers the message again."""
        token, _ = self._held.pop(message.seq, (message.token, 0.0))
        self._acked[message.seq] = token, time.monotonic()
        if len(self._acked) > _ACKED:
            self._acked.popitem(last=False)
        await self._say(token, b"+ACK")

    async def refuse(self, message: StreamMessage) -> None:
        """*message* isn't done with: to be delivered again at once, to any member."""
        token, _ = self._held.pop(message.seq, (message.token, 0.0))
        await self._say(token, b"-NAK")

    async def touch(self) -> None:
        """What is held stays this member's for *ack_wait* seconds more; costs nothing when called too often."""
        now = time.monotonic()
        if not self._held or now - next(iter(self._held.values()))[1] < self.ack_wait / 3:
            return
        for seq, (token, at) in list(self._held.items()):
            if self._is_mine(at, now):  # else it has gone to others
                self._held[seq] = token, now
                await self._say(token, b"+WPI")

    def _is_mine(self, at: float, now: float) -> bool:
        """Whether what came, or was renewed, at that time is this member's yet; the server's time began earlier."""
        return now - at < self.ack_wait * _SURE

    async def _say(self, token: str, what: bytes) -> None:
        if self._bus.connected:
            with contextlib.suppress(nats.errors.Error):
                await self._bus.client.publish(token, what)

    async def _info(self) -> _Info | None:
        try:
            found = await api(self._bus, f"CONSUMER.INFO.{self.stream}.{self._name}", None, _Info)
        except JetStreamError as exc:
            if exc.code == 404:
                return None
            raise
        config = found.config
        shared = sorted(config.filter_subjects or [config.filter_subject])
        if shared != self._filters:
            raise BusError(
                f"group {self.group} shares {', '.join(shared)} and not {', '.join(self._filters)}: "
                "take another name, or drop the group"
            )
        self.ack_wait = config.ack_wait / _NS
        return found

    async def _prepare(self, state: StreamState) -> str:
        if await self._info() is None:
            if self._resets:
                raise TicksGone(state.first_at or None, f"group {self.group} was dropped while it was read")
            config: dict[str, Any] = {
                "durable_name": self._name,
                "description": "dccd: ticks shared by a group",
                "ack_policy": "explicit",
                "max_ack_pending": 10_000,
                "inactive_threshold": _IDLE_DAYS * 86_400 * _NS,
                **self._start_config,
            }
            try:
                # `create`: when another member is first, it is that one's group which we join.
                await create_consumer(
                    self._bus, self.stream, self._name, config, dict, filters=self._filters, action="create"
                )
            except JetStreamError:
                self.joined = True
            if await self._info() is None:
                raise BusError(f"group {self.group} could not be made")
        recent = time.monotonic() - _FORGETS
        for token, at in reversed(self._acked.values()):
            if at < recent:
                break
            await self._say(token, b"+ACK")
        return self._name

    async def _leave(self) -> None:
        # What is on its way was handed to this member: it has to come, to be given back.
        if self._subscription is not None and self._bus.connected:
            with anyio.move_on_after(2), contextlib.suppress(nats.errors.Error):
                await self._subscription.drain()  # type: ignore[no-untyped-call]  # nats-py has no types for it
        await super()._leave()

    def _wants_more(self) -> bool:
        # Of a member that is stuck the server must not think that it takes what was taken from it.
        return self._asked or self._waiting > 0

    async def _before_request(self) -> None:
        self._asked = False
        again, self._again = self._again, []
        for token in again:
            await self._say(token, b"+ACK")

    def _accept(self, message: StreamMessage) -> bool:
        if message.seq in self._acked:
            self._again.append(message.token)
            return False
        known = message.seq in self._held
        self._held[message.seq] = message.token, time.monotonic()
        return not known
