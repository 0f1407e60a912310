"""Certificates for TLS between the bus and its clients: host names flow in, PEM files of a CA of one's own come of it.

::

    tls/                    0700
        ca.pem              whom clients believe: to be copied to them
        ca-key.pem    0600  signs; needed for more certificates only
        server.pem          of the server, for the names it was made for
        server-key.pem 0600
        <name>.pem          of a client, for servers that ask for one
        <name>-key.pem 0600
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dccd.auth.files import make_folder, write_secret
from dccd.errors import AuthError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

__all__ = ["expiry", "make_ca", "make_certificate"]

_ALWAYS = ("localhost", "127.0.0.1", "::1")
_CA_DAYS = 3650
_EARLIER = timedelta(minutes=5)
"""Before now that certificates hold: clocks differ."""


def make_ca(folder: Path, *, force: bool = False) -> Path:
    """Make a CA in *folder*, unless there is one, and return its certificate; *force* makes another, whose
    certificates nobody believes yet. Raises AuthError."""
    path = folder / "ca.pem"
    if path.exists() and not force:
        return path
    make_folder(folder)
    from cryptography import x509  # here, not above: a tenth of a second that other commands needn't wait
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), _name("dccd CA")
    builder = (
        _builder(name, name, key.public_key(), _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    _write(folder, "ca", builder, key, key)
    return path


def make_certificate(folder: Path, name: str, hosts: Sequence[str], *, days: int = 825) -> Path:
    """Make a certificate *name* of the CA in *folder* and return it: of a server that is reached as *hosts* (and
    locally), or without any of a client. Raises AuthError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

    try:
        ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        ca_key = load_pem_private_key((folder / "ca-key.pem").read_bytes(), None)
    except (OSError, ValueError) as exc:
        raise AuthError(f"the CA in {folder} can't be read: {exc}") from exc
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    # A server's own daemon shows it as a client, where clients must have one.
    purposes = [Purpose.CLIENT_AUTH] + ([Purpose.SERVER_AUTH] if hosts else [])
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(hosts[0] if hosts else name), ca.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    if hosts:
        names = [_alternative(host) for host in dict.fromkeys([*hosts, *_ALWAYS])]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    _write(folder, name, builder, key, ca_key)
    return folder / f"{name}.pem"


def expiry(path: Path) -> datetime:
    """When the certificate in the PEM file *path* expires. Raises AuthError."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as exc:
        raise AuthError(f"the certificate {path} can't be read: {exc}") from exc


def _builder(
    subject: x509.Name, issuer: x509.Name, public: EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _write(
    folder: Path,
    name: str,
    builder: x509.CertificateBuilder,
    key: EllipticCurvePrivateKey,
    signer: EllipticCurvePrivateKey,
) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    write_secret(folder / f"{name}-key.pem", secret)
    write_secret(folder / f"{name}.pem", public)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _alternative(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError as exc:  # not in ASCII
        raise AuthError(f"{host!r} is no host name: {exc}") from exc
