"""What nats-py reports of a connection, and what it means to it. Pure.

Exceptions flow in as nats-py's error callback has them; a :data:`Fault` flows out, in words that people can act on.
"""

from __future__ import annotations

import re
import ssl
from typing import TypeAlias

import msgspec
import nats.errors

from dccd.bus.translation import text_of

__all__ = ["Fault", "Forbidden", "NotLetIn", "TooSlow", "Trouble", "Untrusted", "fault_of"]

_FORBIDDEN = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]+)\"", re.IGNORECASE)


class Forbidden(msgspec.Struct, frozen=True):
    """This user may not do that: ``kind`` is ``publish`` or ``subscription``, to ``subject`` as nats-py gives it."""

    kind: str
    subject: str


class NotLetIn(msgspec.Struct, frozen=True):
    """The server doesn't know who we say we are, or not any more: trying again doesn't help."""

    why: str


class Untrusted(msgspec.Struct, frozen=True):
    """TLS failed: one of the two certificates isn't believed."""

    why: str


class TooSlow(msgspec.Struct, frozen=True):
    """Messages of the subscription to ``subject`` were dropped: its callback doesn't keep up."""

    subject: str


class Trouble(msgspec.Struct, frozen=True):
    """Anything else: the connection was lost or couldn't be made, or goes on all the same."""

    text: str


Fault: TypeAlias = Forbidden | NotLetIn | Untrusted | TooSlow | Trouble


def fault_of(error: Exception) -> Fault:
    """What *error* means."""
    text = text_of(error)
    if match := _FORBIDDEN.search(text):
        return Forbidden(*match.groups())
    if "authorization violation" in text.lower():
        return NotLetIn(f"the bus refuses who asks, or wants to know ({text})")
    if isinstance(error, ssl.SSLError):
        return Untrusted(f"TLS: {_tls_problem(error)}")
    if isinstance(error, nats.errors.SlowConsumerError):
        return TooSlow(error.subject)
    return Trouble(text)


def _tls_problem(error: ssl.SSLError) -> str:
    """What went wrong, in words that say what to look at."""
    if isinstance(error, ssl.SSLCertVerificationError):
        told = error.verify_message
        if "self-signed" in told or "unable to get" in told:
            return f"the server's certificate is of no CA that is believed here ({told}): name its CA (bus.tls.ca)"
        if "expired" in told:
            return f"the server's certificate has expired: `dccd auth tls` there makes a new one ({told})"
        return f"the server's certificate is not of the host that was asked: {told}"
    if error.reason and ("CERTIFICATE_REQUIRED" in error.reason or "BAD_CERTIFICATE" in error.reason):
        return "the server wants a certificate of ours (bus.tls.cert and bus.tls.key)"
    return str(error.reason or error)
