"""NaCl's ``crypto_secretbox`` (XSalsa20 and Poly1305), which cosign encrypts private keys with.

A private key has a few hundred bytes, so plain Python is fast enough and no further library is needed. After
D. J. Bernstein, "Cryptography in NaCl" (2009), sections 8 to 10.
"""

from __future__ import annotations

import hmac
import struct
from typing import Tuple

from imagekit.signing.errors import SigningError

KEY_SIZE = 32
NONCE_SIZE = 24
TAG_SIZE = 16

_SIGMA = struct.unpack("<4I", b"expand 32-byte k")
_MASK = 0xFFFFFFFF
# The words of a quarter round: each column, then each row.
_QUARTERS = (
    (0, 4, 8, 12),
    (5, 9, 13, 1),
    (10, 14, 2, 6),
    (15, 3, 7, 11),
    (0, 1, 2, 3),
    (5, 6, 7, 4),
    (10, 11, 8, 9),
    (15, 12, 13, 14),
)


class WrongKey(SigningError):
    """The box was not sealed with this key."""


def open_box(box: bytes, nonce: bytes, key: bytes) -> bytes:
    """What ``box`` (a tag of 16 bytes, then the ciphertext) holds; ``nonce`` has 24 bytes, ``key`` 32.

    Raises :class:`WrongKey` when the tag does not fit.
    """
    # It would cost every start of a command a tenth of a second, and only a key of cosign needs it.
    from cryptography.hazmat.primitives.poly1305 import Poly1305

    tag, ciphertext = box[:TAG_SIZE], box[TAG_SIZE:]
    stream = _stream(len(ciphertext) + 32, nonce, key)
    if not hmac.compare_digest(Poly1305.generate_tag(stream[:32], ciphertext), tag):
        raise WrongKey("The box was sealed with another key.")
    return bytes(a ^ b for a, b in zip(ciphertext, stream[32:]))


def _stream(size: int, nonce: bytes, key: bytes) -> bytes:
    subkey_words = _rounds(_state(key, nonce[:16]))
    subkey = struct.pack("<8I", *(subkey_words[index] for index in (0, 5, 10, 15, 6, 7, 8, 9)))
    blocks = []
    for counter in range((size + 63) // 64):
        state = _state(subkey, nonce[16:] + struct.pack("<Q", counter))
        blocks.append(struct.pack("<16I", *((a + b) & _MASK for a, b in zip(state, _rounds(state)))))
    return b"".join(blocks)[:size]


def _state(key: bytes, block: bytes) -> Tuple[int, ...]:
    k = struct.unpack("<8I", key)
    n = struct.unpack("<4I", block)
    return (_SIGMA[0], *k[:4], _SIGMA[1], *n, _SIGMA[2], *k[4:], _SIGMA[3])


def _rounds(state: Tuple[int, ...]) -> Tuple[int, ...]:
    words = list(state)
    for _ in range(10):
        for a, b, c, d in _QUARTERS:
            words[b] ^= _rotate(words[a] + words[d], 7)
            words[c] ^= _rotate(words[b] + words[a], 9)
            words[d] ^= _rotate(words[c] + words[b], 13)
            words[a] ^= _rotate(words[d] + words[c], 18)
    return tuple(words)


def _rotate(word: int, bits: int) -> int:
    word &= _MASK
    return ((word << bits) | (word >> (32 - bits))) & _MASK
