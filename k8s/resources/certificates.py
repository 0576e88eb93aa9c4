"""An authority and a certificate of our own for the webhook, and when each is to be made anew.

Nobody but the API server trusts this authority, by the bundle that it is given. A new authority is made long
before the old one ends, and the bundle holds both meanwhile: no moment is without a valid chain.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_DAYS: Final = 3_650
_AUTHORITY_LEFT_DAYS: Final = 365
_CERTIFICATE_DAYS: Final = 90
_CERTIFICATE_LEFT_DAYS: Final = 30
_SKEW = datetime.timedelta(hours=1)
"""Clocks of two machines differ."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Trust:
    """What the webhook serves with, and what the API server is to trust."""

    authority: Pair
    bundle: bytes
    """The authority's certificate, and the one before it while that is valid."""
    serving: Pair


def renewed(trust: Trust | None, names: Sequence[str], now: datetime.datetime) -> Trust:
    """Return what is to be used from now on: the same, if all of it lasts and has these names.

    What cannot be read is made anew. `now` is aware.
    """
    authority, bundle = None, b""
    if trust is not None and (certificate := _read(trust.authority)) is not None:
        if _left(certificate, now) > _AUTHORITY_LEFT_DAYS:
            authority, bundle = trust.authority, trust.bundle
        elif _left(certificate, now) > 0:
            bundle = trust.authority.certificate
    if authority is None:
        authority = _authority(now)
        bundle = authority.certificate + bundle
    serving = None if trust is None else trust.serving
    if serving is None or not _serves(serving, authority, names, now):
        serving = _serving(authority, names, now)
    if trust is not None and (authority, bundle, serving) == (trust.authority, trust.bundle, trust.serving):
        return trust
    return Trust(authority, bundle, serving)


def _serves(serving: Pair, authority: Pair, names: Sequence[str], now: datetime.datetime) -> bool:
    certificate, issuer = _read(serving), _read(authority)
    if certificate is None or issuer is None or _left(certificate, now) <= _CERTIFICATE_LEFT_DAYS:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    has = {*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))}
    return has >= set(names)


def _read(pair: Pair) -> x509.Certificate | None:
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
    except (ValueError, TypeError):
        return None
    return certificate if key.public_key() == certificate.public_key() else None


def _left(certificate: x509.Certificate, now: datetime.datetime) -> int:
    return (certificate.not_valid_after_utc - now).days if certificate.not_valid_before_utc <= now else 0


def _authority(now: datetime.datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"telltale webhooks {now:%Y-%m-%d}")])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, name, key, now, _AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def _serving(authority: Pair, names: Sequence[str], now: datetime.datetime) -> Pair:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    signer = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    builder = (
        _builder(name, issuer.subject, key, now, _CERTIFICATE_DAYS)
        .add_extension(x509.SubjectAlternativeName([_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    return _pair(builder.sign(signer, hashes.SHA256()), key)


def _builder(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), private)
