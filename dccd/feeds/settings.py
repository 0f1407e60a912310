"""What may be set of a live session. Seconds; nothing decides here."""

from __future__ import annotations

import msgspec

from dccd.feeds.timing import Backoff

__all__ = ["SessionSettings"]


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How patient a session is; seconds."""

    confirm_timeout: float = 10.0
    """For the exchange to confirm a subscription."""
    ping_after: float = 20.0
    """Without a byte, before a ping is sent; as long again without a byte, and the connection is dead."""
    silence: tuple[float, float] = (15.0, 300.0)
    """Without a record, before the subscription counts as silent (reported, and REST asked): twenty times the usual
    pause between records, within these bounds; twice as long each further time, an hour longer at most."""
    first_silence: float = 30.0
    """The same before any record has come: some exchanges accept a symbol that they don't list, and stay silent."""
    unparsed_every: float = 30.0
    """Between two Unparsed items."""
    max_breaks: int = 5
    """Breaks within ``break_period`` before the connection is given up, and its backoff no longer reset by data."""
    break_period: float = 60.0
    backoff: Backoff = Backoff()
