"""The encrypted private key that ``cosign generate-key-pair`` writes (go-securesystemslib, ``encrypted``).

A JSON document inside PEM: scrypt makes a key of the password, NaCl's secretbox holds a PKCS#8 key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from imagekit.oci.json_document import Document
from imagekit.signing.errors import SigningError
from imagekit.signing.secretbox import KEY_SIZE, NONCE_SIZE, WrongKey, open_box

#: The names in the PEM header: cosign's own, and that of keys made before cosign 2.
PEM_LABELS = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")

# The strongest that go-securesystemslib knows is 2^17 with r=8, which takes 128 MiB.
_MAX_MEMORY = 192 << 20


def decrypt_cosign_key(body: bytes, password: bytes, origin: str) -> bytes:
    """The PKCS#8 DER in the decoded PEM ``body``; raises :class:`SigningError` for a wrong password."""
    document = Document.parse(body, origin)
    kdf, cipher = document.document("kdf"), document.document("cipher")
    if kdf.string("name") != "scrypt" or cipher.string("name") != "nacl/secretbox":
        raise SigningError(
            f"{origin} is encrypted with {kdf.string('name')} and {cipher.string('name')}, but only scrypt and "
            "nacl/secretbox are known. Make the key again with `cosign generate-key-pair`."
        )
    params = kdf.document("params")
    salt, nonce = _bytes(kdf, "salt"), _bytes(cipher, "nonce")
    box = _bytes(document, "ciphertext")
    if len(nonce) != NONCE_SIZE:
        raise cipher.refusal("nonce", f"it must have {NONCE_SIZE} bytes, but has {len(nonce)}.")
    try:
        key = hashlib.scrypt(
            password,
            salt=salt,
            n=params.integer("N"),
            r=params.integer("r"),
            p=params.integer("p"),
            maxmem=_MAX_MEMORY,
            dklen=KEY_SIZE,
        )
    except (ValueError, OverflowError, MemoryError) as error:
        raise params.refusal("N", f"{error}. Make the key again with `cosign generate-key-pair`.") from None
    try:
        return open_box(box, nonce, key)
    except WrongKey:
        raise SigningError(
            f"The password of {origin[:1].lower()}{origin[1:]} is wrong. Give the one that the key was made with."
        ) from None


def _bytes(document: Document, key: str) -> bytes:
    try:
        return base64.b64decode(document.string(key), validate=True)
    except binascii.Error as error:
        raise document.refusal(key, f"it is no base64: {error}.") from None
