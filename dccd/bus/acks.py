"""What a stream answers to a message published into it: bytes in, its meaning out. Pure.

https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-1.md (JetStream JSON API).
"""

from __future__ import annotations

import msgspec

__all__ = ["Ack", "AckError", "read_ack"]

_HOPELESS = {10054}
"""Error codes of JetStream that trying again doesn't change: larger than the stream's own maximum."""


class AckError(msgspec.Struct, frozen=True):
    """Why a message isn't stored, in the server's words."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class Ack(msgspec.Struct, frozen=True, gc=False):
    """The answer to a publish: stored in *stream* as number *seq*, now or (*duplicate*) before; or an *error*."""

    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: AckError | None = None

    @property
    def hopeless(self) -> bool:
        """Whether the stream will never take the message."""
        return self.error is not None and self.error.err_code in _HOPELESS


_NOBODY = Ack(error=AckError(description="no stream answers"))
"""What says nothing: the server's word that nobody listens is an empty message."""
_decode = msgspec.json.Decoder(Ack).decode


def read_ack(data: bytes, stream: str) -> Ack | None:
    """The meaning of an answer; ``None`` for one that isn't the bus's: whoever hears a message knows where its
    acknowledgement goes, and may say there what it likes.
    """
    try:
        ack = _decode(data) if data else _NOBODY
    except msgspec.DecodeError:
        return _NOBODY
    if ack.error is None and (ack.stream != stream or not ack.seq):
        return None
    return ack
