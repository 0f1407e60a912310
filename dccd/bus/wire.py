"""nats-py's client, made to stand whatever anybody sends and to end when it is to: bytes flow in, messages flow out.

The server hands on what it is given: subjects and headers that are no UTF-8, or no headers at all. In nats-py 2.16 one
such message ends the task that reads, and the connection with it: nothing is heard for the quarter of a minute in which
the server isn't known to be away. So whoever may ask anything could keep a daemon from being asked.
"""

from __future__ import annotations

import asyncio
import re

import nats.protocol.parser
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

__all__ = ["WireClient"]

# The server ends a word at a space, a tab, CR or LF (https://docs.nats.io/reference/reference-protocols/nats-protocol);
# nats-py also at \v and \f, which a subject may hold: the line is then no message to it, and the connection is dropped.
_WORD = rb"([^ \t\r\n]+)"
nats.protocol.parser.MSG_RE = re.compile(
    rb"\AMSG[ \t]+" + _WORD + rb"[ \t]+" + _WORD + rb"[ \t]+(" + _WORD + rb"[ \t]+)?(\d+)\r\n"
)
nats.protocol.parser.HMSG_RE = re.compile(
    rb"\AHMSG[ \t]+" + _WORD + rb"[ \t]+" + _WORD + rb"[ \t]+(" + _WORD + rb"[ \t]+)?(\d+)[ \t]+(\d+)\r\n"
)


class WireClient(Client):
    """A client whose reading outlives every message. Headers that can't be read are none; what isn't UTF-8 in a
    subject is U+FFFD, which no subject of ours has."""

    malformed = 0
    """Messages with headers that can't be read, or that can't be handed on at all."""

    @property
    def inbox_prefix(self) -> str:
        """What the subjects begin with that replies come to."""
        return self._inbox_prefix.decode()

    @inbox_prefix.setter
    def inbox_prefix(self, prefix: str) -> None:
        self._inbox_prefix = bytearray(prefix.encode())

    def forget_unsent(self) -> None:
        """The connection was lost: drop what is not written yet.

        nats-py would send it as soon as it is connected again: a request long after its caller was told that it failed,
        and ticks before those that were lost on the way and are published again. Subscriptions don't need it; they are
        made again from a list.
        """
        self._pending.clear()
        self._pending_data_size = 0

    async def end(self) -> None:
        """Close, and end the task that reconnects, if it has missed its cancellation.

        On Python 3.11 asyncio.wait_for, in which it connects, drops a cancellation that comes together with the
        outcome; the task then takes the closed client for one to be connected, for ever.
        """
        await self._finish()
        task = self._reconnection_task
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
        if not self.is_closed:
            await self._finish()

    async def _finish(self) -> None:
        """nats-py's ``close``, in a task of its own.

        The end of the connection is a future for which the task that reconnects may be waiting, too. Where ``close``
        cancels that task the future is cancelled with it, and ``close`` raises CancelledError, though nobody has
        cancelled it, before it has called anybody.
        """
        closing = asyncio.ensure_future(self.close())
        closing.add_done_callback(lambda task: task.cancelled() or task.exception())  # seen, whoever waits or not
        try:
            await asyncio.wait({closing})
        except asyncio.CancelledError:
            closing.cancel()
            raise
        if closing.cancelled():
            for callback in (self._disconnected_cb, self._closed_cb):
                if callback is not None:
                    await callback()
        else:
            closing.result()

    def abort(self) -> None:
        """Drop the connection without a word."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        try:
            await super()._process_msg(sid, subject, reply, data, headers)
        except Exception as exc:
            self._count(subject, exc)

    async def _process_headers(self, headers: bytes | None) -> dict[str, str] | None:
        try:
            return await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError) as exc:
            self._count(b"", exc)
            return None

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        return self.msg_class(
            subject=subject.decode(errors="replace"),
            reply=reply.decode(errors="replace"),
            data=data,
            headers=headers,
            _client=self,
            _sid=sid,
        )

    def _count(self, subject: bytes, error: Exception) -> None:
        self.malformed += 1
        if self.malformed & (self.malformed - 1) == 0:  # the 1st, 2nd, 4th, …: whoever sends them can send many
            log = structlog.get_logger("dccd.bus")
            log.warning("a malformed message", subject=repr(subject[:80]), error=repr(error), so_far=self.malformed)
