"""What nats-py's errors mean to a connection."""

from __future__ import annotations

import ssl

import nats.errors
import pytest

from dccd.bus.faults import Fault, Forbidden, NotLetIn, TooSlow, Trouble, Untrusted, fault_of


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (
            nats.errors.Error('nats: permissions violation for publish to "dccd.backfill.start"'),
            Forbidden("publish", "dccd.backfill.start"),
        ),
        (
            nats.errors.Error('nats: Permissions Violation for Subscription to "$JS.>" using queue "a"'),
            Forbidden("Subscription", "$JS.>"),
        ),
        (
            nats.errors.Error("nats: 'Authorization Violation'"),
            NotLetIn("the bus refuses who asks, or wants to know ('Authorization Violation')"),
        ),
        (nats.errors.SlowConsumerError(subject="a.b", reply="", sid=1, sub=None), TooSlow("a.b")),  # type: ignore[arg-type]  # not looked at
        (nats.errors.Error("nats: stale connection"), Trouble("stale connection")),
        (ConnectionResetError(), Trouble("ConnectionResetError")),
    ],
)
def test_each_fault(error: Exception, fault: Fault) -> None:
    """Refused, rejected and slow are told apart by what the server says; all else is only told."""
    assert fault_of(error) == fault


def certificate_error(told: str) -> ssl.SSLError:
    error = ssl.SSLCertVerificationError(1, told)
    error.verify_message = told
    return error


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "look_at"),
    [
        (certificate_error("self-signed certificate in certificate chain"), "bus.tls.ca"),
        (certificate_error("unable to get local issuer certificate"), "bus.tls.ca"),
        (certificate_error("certificate has expired"), "dccd auth tls"),
        (certificate_error("Hostname mismatch, certificate is not valid for 'b'"), "not of the host"),
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "bus.tls.cert and bus.tls.key"),
        (alert("SSLV3_ALERT_BAD_CERTIFICATE"), "bus.tls.cert and bus.tls.key"),
        (alert("WRONG_VERSION_NUMBER"), "WRONG_VERSION_NUMBER"),
    ],
)
def test_tls_says_what_to_look_at(error: ssl.SSLError, look_at: str) -> None:
    """Each way in which certificates fail names the setting or the command that mends it."""
    fault = fault_of(error)
    assert isinstance(fault, Untrusted)
    assert look_at in fault.why
