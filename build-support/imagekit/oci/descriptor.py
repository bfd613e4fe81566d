"""Descriptors and platforms (image-spec, descriptor.md and image-index.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Dict, Mapping, Optional

from imagekit.oci.digest import Digest, DigestError
from imagekit.oci.json_document import Document, Json

NO_ANNOTATIONS: Mapping[str, str] = MappingProxyType({})

#: Annotation of a descriptor in ``index.json``: the reference by which tools name the image.
REF_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True)
class Platform:
    """Where an image runs, in Go's words: ``linux`` and ``amd64`` or ``arm64``."""

    architecture: str
    os: str = "linux"
    variant: Optional[str] = None

    @classmethod
    def from_document(cls, document: Document) -> Platform:
        return cls(document.string("architecture"), document.string("os"), document.optional_string("variant"))

    def to_json(self) -> Json:
        fields: Dict[str, Json] = {"architecture": self.architecture, "os": self.os}
        if self.variant is not None:
            fields["variant"] = self.variant
        return fields

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True)
class Descriptor:
    """A blob by media type, digest and size in bytes."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default=NO_ANNOTATIONS)
    platform: Optional[Platform] = None

    @classmethod
    def from_document(cls, document: Document) -> Descriptor:
        """Raises :class:`~imagekit.oci.json_document.DocumentError`."""
        return cls(
            document.string("mediaType"),
            parse_digest(document, "digest"),
            document.integer("size"),
            document.optional_string_map("annotations"),
            Platform.from_document(document.document("platform")) if document.has("platform") else None,
        )

    def to_json(self) -> Json:
        fields: Dict[str, Json] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        if self.platform is not None:
            fields["platform"] = self.platform.to_json()
        return fields


def parse_digest(document: Document, key: str) -> Digest:
    """The digest in a field; raises :class:`~imagekit.oci.json_document.DocumentError` that names the field."""
    try:
        return Digest.parse(document.string(key))
    except DigestError as error:
        raise document.refusal(key, error) from None
