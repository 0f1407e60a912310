"""Certificates of one's own CA."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from dccd.auth.certificates import expiry, make_ca, make_certificate
from dccd.errors import AuthError


def loaded(path: Path) -> x509.Certificate:
    """The certificate in a file."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_server_is_believed_by_its_names(tmp_path: Path) -> None:
    """A certificate is good for the hosts that it was made for and for this machine, and for no others."""
    ca, server = make_ca(tmp_path / "tls"), make_certificate(tmp_path / "tls", "server", ["bus.example.org"], days=10)
    policy = PolicyBuilder().store(Store([loaded(ca)]))
    for name in ("bus.example.org", "localhost"):
        policy.build_server_verifier(x509.DNSName(name)).verify(loaded(server), [])
    with pytest.raises(VerificationError):
        policy.build_server_verifier(x509.DNSName("other.example.org")).verify(loaded(server), [])
    assert timedelta(days=9) < expiry(server) - datetime.now(UTC) < timedelta(days=11)


def test_a_client_is_no_server(tmp_path: Path) -> None:
    """A client's certificate is believed as such, and isn't that of a server."""
    ca, client = make_ca(tmp_path), make_certificate(tmp_path, "alice", [])
    policy = PolicyBuilder().store(Store([loaded(ca)]))
    with pytest.raises(VerificationError):
        policy.build_server_verifier(x509.DNSName("alice")).verify(loaded(client), [])
    usage = loaded(client).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_a_ca_stays(tmp_path: Path) -> None:
    """A second run keeps the CA, so that clients go on to believe it, and the key is for its owner only."""
    before = make_ca(tmp_path).read_bytes()
    assert make_ca(tmp_path).read_bytes() == before
    assert make_ca(tmp_path, force=True).read_bytes() != before
    assert stat.S_IMODE((tmp_path / "ca-key.pem").stat().st_mode) == 0o600


def test_what_can_not_be(tmp_path: Path) -> None:
    """Without a CA, for a name that is none, and of a file that is none, it is told."""
    with pytest.raises(AuthError, match="CA"):
        make_certificate(tmp_path, "server", ["a"])
    make_ca(tmp_path)
    with pytest.raises(AuthError, match="no host name"):
        make_certificate(tmp_path, "server", ["bücher.example"])
    (tmp_path / "x.pem").write_text("x")
    with pytest.raises(AuthError, match="can't be read"):
        expiry(tmp_path / "x.pem")
