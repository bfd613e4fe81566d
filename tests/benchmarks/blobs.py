"""Count what a registry received, from its own storage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Blob:
    """A layer, configuration or manifest that a registry keeps; ``size`` in bytes, as it was sent."""

    digest: str
    size: int


def stored_blobs(storage: Path) -> frozenset[Blob]:
    """Every blob in ``storage``, the root directory of the registry's file system driver.

    Implements the layout ``blobs/sha256/<first two digits>/<hex>/data`` of the distribution project; manifests lie
    there too.
    """
    files = storage.glob("docker/registry/v2/blobs/sha256/*/*/data")
    return frozenset(Blob(f"sha256:{file.parent.name}", file.stat().st_size) for file in files)


def received_bytes(before: frozenset[Blob], after: frozenset[Blob]) -> int:
    """The bytes of the blobs that came in between."""
    return sum(blob.size for blob in after - before)
