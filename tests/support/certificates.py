"""A certificate authority of the tests, and what it and others sign."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

# What a server of the tests is reached by.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_DAY = timedelta(days=1)


class Certificate(NamedTuple):
    """Files of PEM: the certificate, and its key."""

    certificate: Path
    key: Path


class Authority:
    """Signs what it is told; who trusts it does so by its `certificate`, a file of PEM."""

    def __init__(self, folder: Path, name: str = "the authority of the tests") -> None:
        self.folder = folder
        self.certificate = folder / f"{name.replace(' ', '-')}.pem"
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = _begin(self._name, self._name, self._key.public_key(), _valid_now())
        root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        root = root.add_extension(_usage(signs=True), critical=True)
        self._root = root.sign(self._key, hashes.SHA256())
        self.certificate.write_bytes(self._root.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        file: str,
        hosts: tuple[str, ...] = LOOPBACK,
        valid: tuple[datetime, datetime] | None = None,
        folder: Path | None = None,
    ) -> Certificate:
        """A server's, for names and addresses, from the first to the second time."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _begin(self._name, _named(file), key.public_key(), valid or _valid_now())
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        subject = _for_server(subject.add_extension(by, critical=False), hosts)
        return _write(folder or self.folder, file, subject.sign(self._key, hashes.SHA256()), key)

    def issue_expired(self, file: str, folder: Path | None = None) -> Certificate:
        now = datetime.now(UTC)
        return self.issue(file, valid=(now - 30 * _DAY, now - _DAY), folder=folder)


def self_signed(folder: Path, file: str) -> Certificate:
    """A server's, which nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named(file)
    own = _for_server(_begin(name, name, key.public_key(), _valid_now()), LOOPBACK)
    return _write(folder, file, own.sign(key, hashes.SHA256()), key)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _valid_now() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - _DAY, now + 30 * _DAY


def _begin(
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    valid: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _for_server(
    builder: x509.CertificateBuilder, hosts: tuple[str, ...]
) -> x509.CertificateBuilder:
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    use = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        builder.add_extension(names, critical=False)
        .add_extension(use, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _write(
    folder: Path, file: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> Certificate:
    files = Certificate(folder / f"{file}.pem", folder / f"{file}.key")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, *pem))
    return files
