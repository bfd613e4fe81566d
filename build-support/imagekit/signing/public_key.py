"""Public keys: what may sign, and whether it did.

The algorithms are those of Sigstore's registry (sigstore/architecture-docs, algorithm-registry.md), without ECDSA
P-384: its clients do not agree on the hash for that.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Tuple, Union

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from imagekit.signing.errors import SigningError

KeyMaterial = Union[ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, rsa.RSAPublicKey]

ACCEPTED = "ECDSA P-256, Ed25519 or RSA of 2048 to 4096 bits"
_RSA_SIZES: Tuple[int, ...] = (2048, 3072, 4096)


@dataclass(frozen=True)
class PublicKey:
    """A key that signatures are checked with; made by :func:`parse_public_key` or :func:`accept`."""

    material: KeyMaterial

    @property
    def der(self) -> bytes:
        return self.material.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    @property
    def pem(self) -> str:
        return self.material.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode("ascii")

    @property
    def hint(self) -> str:
        """The key's name in a bundle, as cosign makes it: base64 of the SHA-256 of its DER."""
        return base64.b64encode(hashlib.sha256(self.der).digest()).decode("ascii")

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether ``signature`` is this key's over ``data``."""
        try:
            if isinstance(self.material, ec.EllipticCurvePublicKey):
                self.material.verify(signature, data, ec.ECDSA(hashes.SHA256()))
            elif isinstance(self.material, rsa.RSAPublicKey):
                self.material.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
            else:
                self.material.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def accept(material: object, origin: str) -> PublicKey:
    """Raises :class:`SigningError`, which names the type, for a key that bundles have no algorithm for."""
    if isinstance(material, ec.EllipticCurvePublicKey):
        if isinstance(material.curve, ec.SECP256R1):
            return PublicKey(material)
        found = f"ECDSA on {material.curve.name}"
    elif isinstance(material, rsa.RSAPublicKey):
        if material.key_size in _RSA_SIZES:
            return PublicKey(material)
        found = f"RSA of {material.key_size} bits"
    elif isinstance(material, ed25519.Ed25519PublicKey):
        return PublicKey(material)
    else:
        found = type(material).__name__.replace("_", "").replace("PublicKey", "").replace("Parameters", "")
    raise SigningError(f"{origin} is a key of type {found}, but signatures need {ACCEPTED}. Make another key.")


def parse_public_key(pem: bytes, origin: str) -> PublicKey:
    """A PEM public key (SubjectPublicKeyInfo); raises :class:`SigningError`."""
    if b"PRIVATE KEY-----" in pem:
        raise SigningError(
            f"{origin} is a private key, but signatures are checked with the public one. Write it with "
            "`openssl pkey -in KEY -pubout`, or `cosign public-key --key KEY`."
        )
    try:
        material = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise SigningError(
            f"{origin} is no public key in PEM form. It must begin with '-----BEGIN PUBLIC KEY-----'."
        ) from None
    return accept(material, origin)
