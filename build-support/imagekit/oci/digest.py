"""Content digests as the OCI image specification writes them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from imagekit.errors import ImagekitError

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_READ_SIZE = 1 << 20


class DigestError(ImagekitError):
    """A text that is no digest."""


@dataclass(frozen=True)
class Digest:
    """A SHA-256 digest: ``hex`` is 64 lower-case hexadecimal digits.

    SHA-256 is the only algorithm that every registry and engine must know (image-spec, descriptor.md, "Digests").
    """

    hex: str

    def __post_init__(self) -> None:
        if not _HEX.match(self.hex):
            raise DigestError(
                f"A SHA-256 digest has 64 lower-case hexadecimal digits, but got {self.hex!r}. "
                "Copy the digest again from where it was printed."
            )

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Parse ``sha256:<hex>``; raises :class:`DigestError` for another algorithm, bad hex or a bad length."""
        algorithm, colon, hex_digits = text.partition(":")
        if not colon or algorithm != "sha256":
            raise DigestError(
                f"A digest is written 'sha256:' and 64 hexadecimal digits, but got {text!r}. "
                "Other algorithms are not used here: recompute it with sha256sum."
            )
        return cls(hex_digits)

    @classmethod
    def of(cls, data: bytes) -> Digest:
        return cls(hashlib.sha256(data).hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Digest:
        """The digest of a file's bytes, read in pieces."""
        sha256 = hashlib.sha256()
        with path.open("rb", buffering=0) as file:
            while True:
                chunk = file.read(_READ_SIZE)
                if not chunk:
                    return cls(sha256.hexdigest())
                sha256.update(chunk)

    def __str__(self) -> str:
        return f"sha256:{self.hex}"
