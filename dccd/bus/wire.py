"""nats-py's client, made to stand whatever anybody sends: bytes flow in, messages flow out.

The server hands on what it is given: subjects and headers that are no UTF-8, or no headers at all. In nats-py 2.16 one
such message ends the task that reads, and the connection with it: nothing is heard for the quarter of a minute in which
the server isn't known to be away. So whoever may ask anything could keep a daemon from being asked.
"""

from __future__ import annotations

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
