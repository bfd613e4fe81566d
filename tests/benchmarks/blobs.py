"""Count what a registry received, from its own storage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Tuple

from imagekit.fetch.json_record import JsonRecord, parse_json_record


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


@dataclass(frozen=True)
class StoredImage:
    """An image in a registry: its layers, bottom first, and its configuration."""

    layers: Tuple[Blob, ...]
    configuration: Blob

    @property
    def blobs(self) -> frozenset[Blob]:
        return frozenset((*self.layers, self.configuration))


def stored_image(storage: Path, repository: str, tag: str) -> StoredImage:
    """The image that ``tag`` of ``repository`` names in ``storage``; its manifest is Docker's or OCI's.

    Raises :class:`imagekit.fetch.json_record.JsonRecordError`, and OSError where there is no such tag.
    """
    link = storage / "docker/registry/v2/repositories" / repository / "_manifests/tags" / tag / "current/link"
    name = link.read_text().strip().partition(":")[2]
    text = (storage / "docker/registry/v2/blobs/sha256" / name[:2] / name / "data").read_text(encoding="utf-8")
    manifest = parse_json_record(text, f"{repository}:{tag}")
    return StoredImage(
        tuple(_descriptor(layer) for layer in manifest.records("layers")), _descriptor(manifest.record("config"))
    )


def _descriptor(record: JsonRecord) -> Blob:
    return Blob(record.text("digest"), record.integer("size"))


def size_of(blobs: Iterable[Blob]) -> int:
    """Bytes of ``blobs`` together; one that occurs twice counts twice."""
    return sum(blob.size for blob in blobs)


def received_bytes(before: frozenset[Blob], after: frozenset[Blob]) -> int:
    """The bytes of the blobs that came in between."""
    return size_of(after - before)
