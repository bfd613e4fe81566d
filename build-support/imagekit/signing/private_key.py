"""Private keys in PEM form: PKCS#8, encrypted PKCS#8, and cosign's own encrypted form."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Callable, Protocol, Union

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from imagekit.signing.cosign_key import PEM_LABELS, decrypt_cosign_key
from imagekit.signing.errors import SigningError
from imagekit.signing.public_key import PublicKey, accept

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s*(.*?)-----END \1-----", re.DOTALL)
_Private = Union[ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey]

#: Asked only for a key that is encrypted.
PasswordSource = Callable[[], bytes]


class Signer(Protocol):
    """Something that signs: a key of this process, or a command that reaches one elsewhere.

    A ``repeatable`` one makes equal signatures over equal data.
    """

    @property
    def public_key(self) -> PublicKey: ...

    @property
    def repeatable(self) -> bool: ...

    def sign(self, data: bytes) -> bytes:
        """The signature over ``data``: DER for ECDSA, 64 bytes for Ed25519, PKCS#1 v1.5 for RSA."""


@dataclass(frozen=True)
class PrivateKey:
    """A private key in memory. Its ``repr`` shows the public half alone."""

    material: _Private = field(repr=False)
    public_key: PublicKey

    @property
    def repeatable(self) -> bool:
        return True

    def sign(self, data: bytes) -> bytes:
        """Equal data gets equal signatures (ECDSA after RFC 6979), so that publishing again sends nothing."""
        if isinstance(self.material, ec.EllipticCurvePrivateKey):
            return self.material.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        if isinstance(self.material, rsa.RSAPrivateKey):
            return self.material.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.material.sign(data)


def parse_private_key(pem: bytes, password: PasswordSource, origin: str) -> PrivateKey:
    """Raises :class:`SigningError` for a wrong password, another form, or a type that cannot sign here."""
    found = _PEM.search(pem)
    label = found.group(1).decode("ascii") if found else ""
    if found is None or not label.endswith("PRIVATE KEY"):
        raise SigningError(
            f"{origin} is no private key in PEM form. Make one with `cosign generate-key-pair` or "
            "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`."
        )
    if label in PEM_LABELS:
        try:
            body = base64.b64decode(b"".join(found.group(2).split()), validate=True)
        except binascii.Error as error:
            raise SigningError(f"{origin} is damaged: its PEM is no base64 ({error}). Copy the key again.") from None
        der = decrypt_cosign_key(body, password(), origin)
        return _accept_private(_load(lambda: serialization.load_der_private_key(der, None), origin), origin)
    if label == "ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in found.group(2):
        secret = password()
        return _accept_private(_load(lambda: serialization.load_pem_private_key(pem, secret), origin, True), origin)
    return _accept_private(_load(lambda: serialization.load_pem_private_key(pem, None), origin), origin)


def _load(load: Callable[[], object], origin: str, encrypted: bool = False) -> object:
    try:
        return load()
    except UnsupportedAlgorithm:
        raise SigningError(f"{origin} is of a type that is not known here. Make another key.") from None
    except (ValueError, TypeError):
        if encrypted:
            raise SigningError(
                f"The password of {origin[:1].lower()}{origin[1:]} is wrong. Give the one that the key was made with."
            ) from None
        raise SigningError(f"{origin} is damaged: no private key can be read from it. Copy the key again.") from None


def _accept_private(material: object, origin: str) -> PrivateKey:
    public = getattr(material, "public_key", None)
    key = accept(public() if callable(public) else material, origin)
    assert isinstance(material, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey))
    return PrivateKey(material, key)
