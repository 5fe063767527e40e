"""Authorities and serving certificates, made and read with `cryptography`; a Secret's data in, and out.

ECDSA on P-256 (FIPS 186-5), which every TLS library takes and which costs a handshake least. When to make
what is the policy's.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from emailflow_operator.admission.certificate_policy import Held, Lifetimes, Step, Validity

BACKDATED = timedelta(minutes=5)
"""A certificate counts from before it was made, since clocks differ."""
_USES = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
"""Of a certificate: NATS servers show theirs to one another both ways."""
_MARKER = b"-----END CERTIFICATE-----\n"


class Material(NamedTuple):
    """What the Secret holds, in PEM. `authorities` oldest first; `authority_key` is the last one's."""

    authorities: tuple[bytes, ...]
    authority_key: bytes
    certificate: bytes
    key: bytes

    @property
    def bundle(self) -> bytes:
        """All authorities: what `caBundle` says."""
        return b"".join(self.authorities)

    def as_data(self) -> dict[str, bytes]:
        """As keys of a Secret of the type kubernetes.io/tls."""
        return {
            "tls.crt": self.certificate,
            "tls.key": self.key,
            "ca.crt": self.bundle,
            "ca.key": self.authority_key,
        }


def read_material(data: Mapping[str, bytes]) -> Material | None:
    """What a Secret holds; None when something is missing."""
    try:
        return Material(split(data["ca.crt"]), data["ca.key"], data["tls.crt"], data["tls.key"])
    except KeyError:
        return None


def split(bundle: bytes) -> tuple[bytes, ...]:
    """The certificates of a bundle, each in PEM."""
    return tuple(part.lstrip() + _MARKER for part in bundle.split(_MARKER) if part.strip())


def look(material: Material) -> Held | None:
    """What the policy has to know; None when the material is broken."""
    try:
        authorities = [x509.load_pem_x509_certificate(each) for each in material.authorities]
        serving = x509.load_pem_x509_certificate(material.certificate)
        keys = [load_pem_private_key(each, None) for each in (material.authority_key, material.key)]
        pairs = zip(keys, (authorities[-1], serving), strict=True)
        if any(key.public_key() != certificate.public_key() for key, certificate in pairs):
            return None
        alternative = serving.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, IndexError, x509.ExtensionNotFound):
        return None
    names = {str(each.value) for each in alternative}
    return Held(
        [_validity(each) for each in authorities],
        _validity(serving),
        _is_issued_by(serving, authorities[-1]),
        frozenset(names),
    )


def make(
    step: Step, material: Material | None, names: frozenset[str], now: datetime, lives: Lifetimes
) -> Material:
    """The material after a step. Raises ValueError where the material is broken."""
    if step is Step.BEGIN or material is None:
        authority, authority_key = _authority(now, lives.authority)
        return _issue(Material((authority,), authority_key, b"", b""), names, now, lives.serving)
    match step:
        case Step.ADD_AUTHORITY:
            authority, authority_key = _authority(now, lives.authority)
            authorities = (*material.authorities, authority)
            return material._replace(authorities=authorities, authority_key=authority_key)
        case Step.ISSUE:
            return _issue(material, names, now, lives.serving)
        case Step.DROP_OLD:
            return material._replace(authorities=material.authorities[-1:])
        case Step.KEEP:
            return material


def _authority(now: datetime, life: timedelta) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    # A name of its own, so that verifiers, and people who look at bundles, tell authorities apart.
    name = _name(f"emailflow-ca {now:%Y-%m-%dT%H:%M:%SZ} {identifier.digest.hex()[:8]}")
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, name, key.public_key(), now - BACKDATED, now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), _pem(key)


def _issue(material: Material, names: frozenset[str], now: datetime, life: timedelta) -> Material:
    """The material with a new serving certificate by the last authority, which it doesn't outlive."""
    authority = x509.load_pem_x509_certificate(material.authorities[-1])
    authority_key = load_pem_private_key(material.authority_key, None)
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise ValueError("ca.key: expected an EC key")  # noqa: TRY004 - a value of a Secret
    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(now + life, authority.not_valid_after_utc)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _builder(_name("emailflow"), authority.subject, key.public_key(), now - BACKDATED, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USES), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(sorted(names))), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return material._replace(certificate=certificate.public_bytes(Encoding.PEM), key=_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternatives(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _validity(certificate: x509.Certificate) -> Validity:
    return Validity(certificate.not_valid_before_utc + BACKDATED, certificate.not_valid_after_utc)


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
