"""Image indexes (image-spec, image-index.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Mapping, Tuple

from imagekit.oci import media_types
from imagekit.oci.descriptor import NO_ANNOTATIONS, Descriptor
from imagekit.oci.json_document import Document, Json, render


@dataclass(frozen=True)
class Index:
    """Images by their manifests' descriptors."""

    manifests: Tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default=NO_ANNOTATIONS)

    @classmethod
    def parse(cls, data: bytes, origin: str) -> Index:
        """Raises :class:`~imagekit.oci.json_document.DocumentError`."""
        document = Document.parse(data, origin)
        if document.integer("schemaVersion") != 2:
            raise document.refusal("schemaVersion", "only version 2 is known. Make the layout again.")
        return cls(
            tuple(Descriptor.from_document(item) for item in document.documents("manifests")),
            document.optional_string_map("annotations"),
        )

    def render(self) -> bytes:
        fields: Dict[str, Json] = {
            "schemaVersion": 2,
            "mediaType": media_types.INDEX,
            "manifests": [manifest.to_json() for manifest in self.manifests],
        }
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        return render(fields)
