# SPDX-FileCopyrightText: papi.backup contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A self-made certificate: an authority that clients trust once, and a server certificate that is renewed.

Each lies with its private key in one 0600 file of the state directory, so that the two always fit.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from papi_backup.state import files
from papi_backup.state.database import StateError
from papi_backup.state.instants import utcnow

AUTHORITY_FILE = "tls-authority.pem"
SERVER_FILE = "tls-server.pem"
AUTHORITY_LIFE = timedelta(days=7300)
SERVER_LIFE = timedelta(days=397)
RENEW_BEFORE = timedelta(days=60)
_BACKDATED = timedelta(days=1)
"""Clients whose clocks are a little behind take a new certificate too."""

_LONGEST_COMMON_NAME = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What people and clients want to know; ``fingerprint`` is the SHA-256 of the DER, ``AB:CD:...``."""

    names: tuple[str, ...]
    expires: datetime
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Pair:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate.public_bytes(Encoding.PEM)


class SelfMadeCertificate:
    """The authority and the certificate in one state directory; several processes may ask at once."""

    def __init__(self, state_dir: Path, names: Sequence[str], clock: Callable[[], datetime] = utcnow) -> None:
        """``names``: host names and IP addresses that clients connect to; the first is the agent's own."""
        self._directory = state_dir
        usual = (str(_general_name(name).value) for name in names if name.isascii())
        self._names = tuple(dict.fromkeys(usual))
        self._clock = clock
        self.path = state_dir / SERVER_FILE
        """The private key and the certificates to serve with, as ``ssl`` takes them."""
        self.authority_path = state_dir / AUTHORITY_FILE

    def ensure(self) -> bool:
        """Make what is missing and renew what has to be; returns whether :attr:`path` changed.

        Raises :class:`StateError` for files that cannot be read or written.
        """
        files.prepare_directory(self._directory)
        with files.locked(self._directory, "tls.lock"):
            authority = self._authority()
            server = _read(self.path)
            if server is not None and self._serves(server, authority):
                return False
            made = self._make_server(authority)
            # With the authority, so that a client can be shown what to trust.
            _write(self.path, made.pem + authority.certificate.public_bytes(Encoding.PEM))
            log.info("made a TLS certificate, valid until %s", made.certificate.not_valid_after_utc)
            return True

    def authority_pem(self) -> str:
        """Return the certificate of the authority, for clients to trust; call :meth:`ensure` before."""
        certificate = self._authority().certificate
        return certificate.public_bytes(Encoding.PEM).decode("ascii")

    def _authority(self) -> _Pair:
        known = _read(self.authority_path)
        # It shall outlive every certificate it signs.
        if known is not None and known.certificate.not_valid_after_utc > self._clock() + SERVER_LIFE:
            return known
        made = self._make_authority()
        _write(self.authority_path, made.pem)
        log.warning("made a TLS authority: clients have to trust %s", fingerprint_of(made.certificate))
        return made

    def _serves(self, server: _Pair, authority: _Pair) -> bool:
        certificate = server.certificate
        try:
            certificate.verify_directly_issued_by(authority.certificate)
        except (InvalidSignature, ValueError, TypeError):  # of another authority, or of another kind
            return False
        left = certificate.not_valid_after_utc - self._clock()
        return left > RENEW_BEFORE and facts_of(certificate).names == self._names

    def _make_authority(self) -> _Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"papi.backup authority of {self._names[0]}")
        usage = _usage(key_cert_sign=True, crl_sign=True)
        builder = self._builder(name, name, key, AUTHORITY_LIFE)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, SHA256())
        )
        return _Pair(key, certificate)

    def _make_server(self, authority: _Pair) -> _Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = authority.certificate
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
        certificate = (
            self._builder(_name(self._names[0]), issuer.subject, key, SERVER_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(map(_general_name, self._names)), critical=False)
            .add_extension(identifier, critical=False)
            .sign(authority.key, SHA256())
        )
        return _Pair(key, certificate)

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, life: timedelta
    ) -> x509.CertificateBuilder:
        now = self._clock()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )


def facts_in(path: Path) -> CertificateFacts:
    """Return the facts of the first certificate in a PEM file; raises :class:`StateError`."""
    try:
        return facts_of(x509.load_pem_x509_certificates(path.read_bytes())[0])
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error
    except (ValueError, IndexError) as error:
        raise StateError(f"{path} holds no certificate in PEM") from error


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    """Return the facts of a certificate."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names: list[str] = []
    else:
        names = [str(name.value) for name in alternative]
    return CertificateFacts(tuple(names), certificate.not_valid_after_utc, fingerprint_of(certificate))


def fingerprint_of(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate's DER as ``openssl x509 -fingerprint -sha256`` prints it."""
    return certificate.fingerprint(SHA256()).hex(":").upper()


def _read(path: Path) -> _Pair | None:
    """Return what lies in a file of ours, None where there is none; raises :class:`StateError` for damage."""
    if not path.exists():
        return None
    files.make_private(path)
    try:
        content = path.read_bytes()
        key = load_pem_private_key(content, password=None)
        certificate = x509.load_pem_x509_certificate(content)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}") from error
    except ValueError:
        # Not "from": nothing of a key shall get into a log.
        raise StateError(
            f"{path} is damaged: put a good copy back, or remove it to have a new one made"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StateError(f"{path} was not made by this agent: move it away")
    return _Pair(key, certificate)


def _write(path: Path, content: bytes) -> None:
    with files.new_private_file(path) as draft:
        draft.write_bytes(content)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_LONGEST_COMMON_NAME])])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
