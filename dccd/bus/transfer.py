"""Replies of any size, in chunks on the reply subject, with flow control; both ends of it.

Chunks of bytes flow in at the service and out at the client. On the wire:

* The request has the header ``Dccd-Flow: ack`` when its sender acknowledges chunks, as :func:`receive` does.
* Chunk *n*, from 1 on, has the header ``Dccd-Chunk: n`` and a reply subject. With flow control at most WINDOW chunks
  are on their way: the receiver publishes the number of the last chunk that it has handed on to that reply subject, or
  ``stop`` when it wants no more.
* The end is an empty message, numbered too, so that its receiver knows whether anything is missing. An error on the way
  is an ordinary error reply (headers and body), and then an empty message.

Without flow control (``nats req dccd.read '{…}' --wait-for-empty``) chunks come as fast as they are made, up to
UNPACED_BYTES: more than that the server wouldn't keep for a slow reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any

import anyio
import nats.errors
from nats.aio.msg import Msg

from dccd import subjects
from dccd.bus.connection import Bus
from dccd.bus.translation import raise_service_error, translated
from dccd.errors import BusUnavailable, RequestError

__all__ = ["CHUNK", "FLOW", "ChunkSender", "receive"]

CHUNK = "Dccd-Chunk"
FLOW = "Dccd-Flow"
WINDOW = 8
UNPACED_BYTES = 32 << 20
_PATIENCE = 30.0
_STOP = b"stop"


class ChunkSender:
    """The service's end: a subject for the acknowledgements of all its transfers. Started by :meth:`start`."""

    def __init__(self, bus: Bus, patience: float = _PATIENCE) -> None:
        self._bus = bus
        self._patience = patience
        self._inbox = ""
        self._unsubscribe: Callable[[], Any] | None = None
        self._transfers: dict[str, _Transfer] = {}

    async def start(self) -> None:
        """Listen to acknowledgements."""
        # No inbox: receivers may publish to it, and must not be able to do so to an inbox.
        self._inbox = subjects.flow(secrets.token_urlsafe(12))
        with translated("subscribing"):
            self._unsubscribe = (
                await self._bus.client.subscribe(f"{self._inbox}.*", cb=self._acknowledged)
            ).unsubscribe

    async def stop(self) -> None:
        """Stop listening; transfers that go on end with BusUnavailable."""
        if self._unsubscribe is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._unsubscribe()
        for transfer in self._transfers.values():
            transfer.stopped = True
            transfer.changed.set()

    async def send(self, reply: str, chunks: AsyncIterator[bytes], *, paced: bool) -> int:
        """Send all *chunks* to *reply* and then the end; return how many there were.

        Chunks larger than a message are split, empty ones left out. Raises RequestError when the receiver doesn't
        acknowledge in time or asks for too much without flow control, BusUnavailable; whatever *chunks* raises comes
        through. After any exception the end has not been sent. Closes *chunks*.
        """
        name = secrets.token_urlsafe(12)  # nobody else can guess it, and stop the transfer
        transfer = self._transfers[name] = _Transfer()
        sent = total = 0
        limit = self._bus.max_payload - 1024
        try:
            async for data in chunks:
                for offset in range(0, len(data), limit):
                    chunk = data[offset : offset + limit]
                    total += len(chunk)
                    if not paced and total > UNPACED_BYTES:
                        raise RequestError(
                            422,
                            "too_large",
                            f"more than {UNPACED_BYTES >> 20} MiB need flow control: ask for less, or with `dccd read`",
                        )
                    if paced:
                        await transfer.until(sent - WINDOW + 1, self._patience)
                    if transfer.stopped:
                        return sent
                    sent += 1
                    await self._publish(reply, chunk, sent, name)
            await self._publish(reply, b"", sent + 1, name)
            return sent
        finally:
            del self._transfers[name]
            if isinstance(chunks, AsyncGenerator):
                with anyio.CancelScope(shield=True):
                    await chunks.aclose()

    async def _publish(self, reply: str, chunk: bytes, number: int, name: str) -> None:
        if not self._bus.connected:
            raise BusUnavailable("the bus went away in the middle of a reply")
        with translated("replying"):
            await self._bus.client.publish(reply, chunk, f"{self._inbox}.{name}", headers={CHUNK: str(number)})

    async def _acknowledged(self, message: Msg) -> None:
        transfer = self._transfers.get(message.subject.rpartition(".")[2])
        if transfer is None:
            return
        if message.data == _STOP:
            transfer.stopped = True
        elif message.data.isdigit() and len(message.data) < 12:
            transfer.acked = max(transfer.acked, int(message.data))
        transfer.changed.set()


class _Transfer:
    """How far the receiver of one transfer is."""

    def __init__(self) -> None:
        self.acked = 0
        self.stopped = False
        self.changed = asyncio.Event()

    async def until(self, number: int, patience: float) -> None:
        """Wait until chunk *number* is acknowledged."""
        while self.acked < number and not self.stopped:
            self.changed.clear()
            try:
                async with asyncio.timeout(patience):
                    await self.changed.wait()
            except TimeoutError:
                raise RequestError(
                    503, "slow_reader", f"chunk {number} was not acknowledged within {patience:g} s"
                ) from None


async def receive(
    bus: Bus, subject: str, payload: bytes = b"", timeout: float = 30.0, headers: Mapping[str, str] | None = None
) -> AsyncGenerator[bytes, None]:
    """Ask *subject* and yield the reply's chunks as they come; a reply in one message is one chunk.

    *timeout* seconds is for each chunk. To be closed after use: closing early tells the service to stop. Raises
    RequestError for an error reply, BusUnavailable when nobody answers or a chunk is missing, BusRefused.
    """
    await bus.wait_connected(timeout)
    arrived: asyncio.Queue[Msg | None] = asyncio.Queue()  # None: the request was refused
    inbox = bus.client.new_inbox()
    acks = ""
    ended = False

    async def put(message: Msg) -> None:
        arrived.put_nowait(message)

    stack = contextlib.ExitStack()
    refused = stack.enter_context(bus.refusal(subject))
    refused.add_done_callback(lambda _: arrived.put_nowait(None))
    with translated(f"asking {subject}"):
        subscription = await bus.client.subscribe(inbox, cb=put)
    try:
        with translated(f"asking {subject}"):
            await bus.client.publish(subject, payload, inbox, headers={**(headers or {}), FLOW: "ack"})
        expected = 1
        while True:
            try:
                async with asyncio.timeout(timeout):
                    message = await arrived.get()
            except TimeoutError as exc:
                raise BusUnavailable(f"{subject}: chunk {expected} did not come within {timeout:g} s") from exc
            if message is None:
                ended = True
                refused.result()
                return
            found = message.headers or {}
            if found.get("Status") == "503":
                raise BusUnavailable(f"asking {subject}: nobody answers")
            raise_service_error(message)
            if CHUNK not in found:
                ended = True
                yield message.data
                return
            if found[CHUNK] != str(expected):
                raise BusUnavailable(f"{subject}: chunk {expected} is missing, {found[CHUNK][:20]} came")
            acks = message.reply
            if not message.data:
                ended = True
                return
            yield message.data
            with translated("acknowledging a chunk"):
                await bus.client.publish(acks, str(expected).encode())
            expected += 1
    finally:
        with anyio.CancelScope(shield=True), contextlib.suppress(nats.errors.Error):
            if acks and not ended:
                await bus.client.publish(acks, _STOP)
            await subscription.unsubscribe()
        stack.close()
