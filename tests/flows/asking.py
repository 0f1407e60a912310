"""Bad requests put to a daemon: a request flows in; what was answered, and what is wrong with that, flow out."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass

import msgspec

from dccd.bus.connection import Bus, Message, Subscription
from dccd.errors import BusRefused
from dccd.operations import OPERATIONS
from tests.bad_requests import Bad, declared

__all__ = ["Answer", "Asker", "fault"]

_LONGEST = 16_384
"""Bytes of an error reply: it doesn't say all again that it was asked."""
_UNWELL = {
    (404, "no_operation"),
    *((503, reason) for reason in ["exchange_down", "not_now", "busy", "stopping", "store", "remote", "slow_reader"]),
}
"""What isn't right of a daemon that has all that it needs, and is asked one thing at a time."""
_ARROW = b"\xff\xff\xff\xff"


@dataclass(frozen=True)
class Answer:
    """What came: ``chunks`` of a reply, or an ``error`` (code and reason). ``said``: its message, or that nobody serves
    the subject (``nobody``), the bus refuses (``refused``), or nothing came in time (``nothing``)."""

    chunks: tuple[bytes, ...] = ()
    error: tuple[int, str] | None = None
    said: str = ""
    size: int = 0


class Asker:
    """Asks on a connection of its own, and takes replies in one message or in many."""

    def __init__(self, bus: Bus, timeout: float = 30.0) -> None:
        self.bus, self.timeout = bus, timeout
        # Its own part of what the user's inboxes begin with.
        self._prefix = f"{bus.client._inbox_prefix.decode()}.{secrets.token_hex(8)}"
        self._waiting: dict[str, asyncio.Queue[Message]] = {}
        self._subscription: Subscription | None = None

    async def __aenter__(self) -> Asker:
        self._subscription = await self.bus.subscribe(f"{self._prefix}.*", self._take)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._subscription is not None
        await self._subscription.unsubscribe()

    async def _take(self, message: Message) -> None:
        waiting = self._waiting.get(message.subject)
        if waiting is not None:
            waiting.put_nowait(message)

    async def ask(self, bad: Bad) -> Answer:
        """What is answered to *bad*."""
        inbox = f"{self._prefix}.{secrets.token_hex(8)}"
        arrived = self._waiting[inbox] = asyncio.Queue()
        try:
            with self.bus.refusal(bad.subject) as refused:
                await self.bus.client.publish(bad.subject, bad.payload, inbox, dict(bad.headers) or None)
                if bad.answered is None:
                    await self.bus.barrier()
                    return Answer(said="refused" if refused.done() else "")
                reading = asyncio.ensure_future(self._read(arrived))
                try:
                    await asyncio.wait({reading, refused}, timeout=self.timeout, return_when=asyncio.FIRST_COMPLETED)
                    if refused.done():
                        refused.result()
                    return reading.result() if reading.done() else Answer(said="nothing")
                except BusRefused:
                    return Answer(said="refused")
                finally:
                    reading.cancel()
        finally:
            del self._waiting[inbox]

    async def _read(self, arrived: asyncio.Queue[Message]) -> Answer:
        chunks: list[bytes] = []
        while True:
            message = await arrived.get()
            headers = message.headers or {}
            if headers.get("Status") == "503":
                return Answer(said="nobody")
            if "Nats-Service-Error-Code" in headers:
                error = msgspec.json.decode(message.data)["error"]
                assert headers["Nats-Service-Error-Code"] == str(error["code"])
                return Answer(error=(error["code"], error["reason"]), said=error["message"], size=len(message.data))
            if "Dccd-Chunk" not in headers:
                return Answer(chunks=(message.data,))
            assert headers["Dccd-Chunk"] == str(len(chunks) + 1)
            if not message.data:
                return Answer(chunks=tuple(chunks))
            chunks.append(message.data)


def fault(bad: Bad, answer: Answer, *, busy: bool = False) -> str | None:
    """What is wrong with *answer*; None when it is right. *busy*: there are so many that some may be turned away."""
    if answer.said == "nothing":
        return "nothing is answered"
    if bad.answered is None:
        return None
    if not bad.answered:
        return None if answer.said == "nobody" else "somebody answers"
    if answer.error is not None and answer.size > _LONGEST:
        return f"an error of {answer.size:,} bytes"
    if busy and answer.error == (503, "busy"):
        return None
    if bad.operation is None:
        return None if answer.error == (404, "no_operation") else "not 404 no_operation"
    if bad.malformed:
        return None if answer.error == (400, "malformed") else "not 400 malformed"
    if answer.error is not None:
        well = answer.error in declared(bad.operation) and answer.error not in _UNWELL
        return None if well else "an error that isn't declared, or not of a daemon that is well"
    if not answer.chunks and answer.said:
        return answer.said
    return _reply_fault(bad.operation, answer.chunks)


def _reply_fault(operation: str, chunks: tuple[bytes, ...]) -> str | None:
    if chunks and chunks[0].startswith(_ARROW):
        return None
    lines = [line for chunk in chunks for line in chunk.splitlines()] if operation == "doctor" else chunks
    try:
        for line in lines:
            msgspec.json.decode(line, type=OPERATIONS[operation].reply)
    except msgspec.DecodeError as exc:
        return f"a reply that isn't the operation's: {exc}"
    return None if lines else "an empty reply"
