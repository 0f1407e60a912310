"""What every part of the client stands on: its connection, a request and its reply."""

from __future__ import annotations

import asyncio
import io
import os
import warnings
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from dccd import messages as m
from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.transfer import receive
from dccd.client.target import Target, find_target
from dccd.errors import BusError, BusUnavailable
from dccd.operations import OPERATIONS

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Requests", "Time", "bound", "decoded", "time_text"]

Time = str | int | date | datetime
"""ns since 1970, an ISO date or time, or a date or datetime; UTC when it names no zone."""

_NO_DAEMON = "Is a daemon running? `dccd start` starts one; --bus or DCCD_BUS_URL name another bus"
_NO_HOST = "`dccd hosts` lists the hosts that are there"

R = TypeVar("R")


class Requests:
    """A connection to a bus, and requests over it; the operations are in the classes that extend it."""

    def __init__(
        self,
        target: str | Target | None = None,
        *,
        timeout: float = 10.0,
        context: str | None = None,
        credentials: str | None = None,
        host: str | None = None,
    ) -> None:
        self.host = host
        self._target = target if isinstance(target, Target) else None
        self._wanted = {
            "url": target if isinstance(target, str) else None,
            "context": context,
            "credentials": credentials,
        }
        self.timeout = timeout
        self._bus: Bus | None = None

    async def __aenter__(self) -> Self:
        target = self._target
        if target is None:
            target = self._target = find_target(**self._wanted)
            if target.error is not None:
                told = f"the configuration has an error, and says only where the bus is: {target.error}"
                warnings.warn(told, stacklevel=2)
        try:
            self._bus = await Bus.open(
                target.url,
                f"dccd client {os.getpid()}",
                timeout=min(self.timeout, 5.0),
                login=target.login,
            )
        except BusUnavailable as exc:
            raise BusUnavailable(f"{exc}. {_NO_DAEMON}") from exc
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection; iterators over ticks end. Safe to repeat."""
        if self._bus is not None:
            await self._bus.aclose()

    @property
    def bus(self) -> Bus:
        """The connection, for what has no method here. Raises BusError outside of ``async with``."""
        if self._bus is None:
            raise BusError("the client isn't connected: use it inside `async with dccd.connect() as client:`")
        return self._bus

    @property
    def url(self) -> str:
        """Where it connects to; empty before it knows."""
        return self._target.url if self._target else self._wanted["url"] or ""

    def __repr__(self) -> str:
        state = "not connected" if self._bus is None else "connected" if self._bus.connected else "away"
        return f"<Client {self.url.rpartition('@')[2]} {state}>"

    async def request(
        self, operation: str, message: Any = None, *, host: str | None = None, timeout: float | None = None
    ) -> Any:
        """Ask for *operation* (``backfill.start``) with *message*, a struct of ``dccd.messages`` or a mapping.

        Returns the operation's reply struct, or plain JSON values for an operation that this version doesn't know.
        *host* asks that host, where otherwise the client's own, or any, may answer. Raises RequestError,
        BusUnavailable.
        """
        body = await self.request_raw(
            operation, b"" if message is None else msgspec.json.encode(message), host=host, timeout=timeout
        )
        known = OPERATIONS.get(operation)
        return decoded(body, known.reply if known else Any, operation)

    async def request_raw(
        self, operation: str, payload: bytes = b"", *, host: str | None = None, timeout: float | None = None
    ) -> bytes:
        """As :meth:`request` with the bytes of request and reply as they are."""
        subject = self._subject(operation, host)
        try:
            return await self.bus.request(subject, payload, self.timeout if timeout is None else timeout)
        except BusUnavailable as exc:
            raise self._unavailable(exc, host) from exc

    def _subject(self, operation: str, host: str | None) -> str:
        host = host or self.host
        return subjects.host_request(host, operation) if host else subjects.request(operation)

    def _unavailable(self, exc: BusUnavailable, host: str | None) -> BusUnavailable:
        hint = _NO_HOST if host or self.host else _NO_DAEMON
        return BusUnavailable(f"{exc} at {self.url.rpartition('@')[2]}. {hint}")

    async def _ask(
        self,
        operation: str,
        kind: type[R],
        message: Any = None,
        timeout: float | None = None,
        *,
        host: str | None = None,
    ) -> R:
        payload = b"" if message is None else msgspec.json.encode(message)
        reply: R = decoded(await self.request_raw(operation, payload, host=host, timeout=timeout), kind, operation)
        return reply

    async def _hosts(self) -> list[str | None]:
        """Whom to ask for what each host has its own of: all that are there, or the client's own."""
        if self.host is not None:
            return [self.host]
        # A daemon that has just begun hasn't said that it is there: whoever answers.
        return [host.id for host in (await self._ask("hosts", m.Hosts)).hosts] or [None]

    async def deliver(self, what: m.Follow) -> m.Followed:
        """Have a daemon deliver what the bus keeps to an inbox: what ``ticks`` and ``events`` stand on.

        Raises RequestError, BusUnavailable.
        """
        return await self._ask("follow", m.Followed, what, timeout=5)

    async def _chunks(
        self, operation: str, message: Any, timeout: float = 30.0, *, host: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The pieces of a reply of any size; *timeout* seconds is for each."""
        subject = self._subject(operation, host)
        payload = msgspec.json.encode(message)
        try:
            async with aclosing(receive(self.bus, subject, payload, timeout)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except BusUnavailable as exc:
            raise self._unavailable(exc, host) from exc

    async def _frame(self, operation: str, message: Any, host: str | None) -> pl.DataFrame:
        """The rows of a reply in Arrow."""
        import polars as pl  # half a second that only readers pay

        stream = io.BytesIO()
        async with aclosing(self._chunks(operation, message, host=host)) as chunks:
            async for chunk in chunks:
                stream.write(chunk)
        stream.seek(0)
        return await asyncio.to_thread(pl.read_ipc_stream, stream)


def time_text(value: Time) -> str | int:
    """*value* as a request says it."""
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return value.isoformat()
    return value.isoformat() if isinstance(value, date) else value


def bound(value: Time | None) -> str | int | None:
    """The same of an end that may be left open."""
    return None if value is None else time_text(value)


def decoded(body: bytes, kind: Any, operation: str) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as exc:
        raise BusError(
            f"the reply to {operation} isn't what this version of dccd expects ({exc}): "
            "is the daemon of another version? dccd.health says which"
        ) from exc
