"""Image manifests (image-spec, manifest.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Mapping, Tuple

from imagekit.oci import media_types
from imagekit.oci.descriptor import NO_ANNOTATIONS, Descriptor
from imagekit.oci.json_document import Document, Json, render


@dataclass(frozen=True)
class Manifest:
    """An image: its configuration and its layers, bottom first."""

    config: Descriptor
    layers: Tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default=NO_ANNOTATIONS)

    @classmethod
    def parse(cls, data: bytes, origin: str) -> Manifest:
        """Raises :class:`~imagekit.oci.json_document.DocumentError`."""
        document = Document.parse(data, origin)
        if document.integer("schemaVersion") != 2:
            raise document.refusal("schemaVersion", "only version 2 is known. Make the image again as OCI image.")
        return cls(
            Descriptor.from_document(document.document("config")),
            tuple(Descriptor.from_document(item) for item in document.documents("layers")),
            document.optional_string_map("annotations"),
        )

    def render(self) -> bytes:
        fields: Dict[str, Json] = {
            "schemaVersion": 2,
            "mediaType": media_types.MANIFEST,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        if self.annotations:
            fields["annotations"] = dict(self.annotations)
        return render(fields)

    @property
    def size(self) -> int:
        """Bytes that a registry holds for the image: compressed layers, configuration and the manifest itself."""
        return self.config.size + sum(layer.size for layer in self.layers) + len(self.render())
