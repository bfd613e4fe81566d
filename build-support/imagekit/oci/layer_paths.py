"""What a layer holds, path by path: written beside each layer, so that layers can be compared without their blobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

from imagekit.oci.json_document import Document, Json

#: Starts the description of a directory, whose mode and owner follow.
DIRECTORY = "directory "


@dataclass(frozen=True)
class LayerPaths:
    """A description of each path of a layer, equal where kind, mode, owner and content are equal."""

    created_by: str
    descriptions: Mapping[str, str]

    @classmethod
    def from_document(cls, document: Document) -> LayerPaths:
        """Raises :class:`~imagekit.oci.json_document.DocumentError`."""
        return cls(document.string("created_by"), document.string_map("paths"))

    def to_json(self) -> Json:
        return {"created_by": self.created_by, "paths": self.descriptions}
