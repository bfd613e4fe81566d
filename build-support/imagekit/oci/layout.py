"""The OCI image layout: a directory with ``oci-layout``, ``index.json`` and blobs (image-spec, image-layout.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from imagekit.errors import ImagekitError
from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.digest import Digest
from imagekit.oci.image_config import ImageConfig
from imagekit.oci.index import Index
from imagekit.oci.json_document import Document, render
from imagekit.oci.manifest import Manifest

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
LAYOUT_BYTES = render({"imageLayoutVersion": "1.0.0"})

#: Manifests, indexes and configurations are small; registries refuse more than this too.
MAX_DOCUMENT_SIZE = 4 << 20


class LayoutError(ImagekitError):
    """A directory that is no sound OCI image layout."""


@dataclass(frozen=True)
class Image:
    """One image of a layout: the descriptor of its manifest, the manifest, and the configuration."""

    descriptor: Descriptor
    manifest: Manifest
    config: ImageConfig


@dataclass(frozen=True)
class Layout:
    """An OCI image layout in the directory ``path``. Each method raises :class:`LayoutError`."""

    path: Path

    def read_index(self) -> Index:
        """The index, after a look at ``oci-layout``."""
        version = Document.parse(self._read(LAYOUT_FILE), str(self.path / LAYOUT_FILE)).string("imageLayoutVersion")
        if version != "1.0.0":
            raise LayoutError(
                f"{self.path / LAYOUT_FILE} has the version {version!r}, but only 1.0.0 is known. "
                "Write the layout again with another tool, for example skopeo copy."
            )
        return Index.parse(self._read(INDEX_FILE), str(self.path / INDEX_FILE))

    def blob_path(self, digest: Digest) -> Path:
        return self.path / "blobs" / "sha256" / digest.hex

    def read_document(self, descriptor: Descriptor) -> bytes:
        """The bytes of a manifest, index or configuration, checked against size and digest."""
        path = self.blob_path(descriptor.digest)
        if descriptor.size > MAX_DOCUMENT_SIZE:
            raise LayoutError(
                f"{path} should have {descriptor.size} bytes, but {descriptor.media_type} of more than "
                f"{MAX_DOCUMENT_SIZE} bytes is refused. Make the image again."
            )
        try:
            with path.open("rb") as file:
                data = file.read(MAX_DOCUMENT_SIZE + 1)
        except FileNotFoundError:
            raise LayoutError(f"The blob {path} is missing. Make the layout {self.path} again.") from None
        if len(data) != descriptor.size or Digest.of(data) != descriptor.digest:
            raise LayoutError(
                f"The blob {path} is damaged: it has {len(data)} bytes and the digest {Digest.of(data)}, but should "
                f"have {descriptor.size} bytes. Make the layout {self.path} again."
            )
        return data

    def read_image(self, architecture: Optional[str] = None) -> Image:
        """The image of the layout; ``architecture`` chooses where there are several."""
        index = self.read_index()
        found = {
            manifest.digest: manifest
            for manifest in index.manifests
            if architecture is None or manifest.platform is None or manifest.platform.architecture == architecture
        }
        if len(found) != 1:
            there = ", ".join(
                f"{manifest.digest} ({manifest.platform or 'no platform'})" for manifest in index.manifests
            )
            wanted = f"one image for {architecture}" if architecture else "one image"
            raise LayoutError(
                f"{self.path} must hold {wanted}, but holds {there or 'none'}. "
                "Give an architecture that names one of them, or copy one image into a layout of its own."
            )
        return self.read_manifest(next(iter(found.values())))

    def read_manifest(self, descriptor: Descriptor) -> Image:
        """The image whose manifest ``descriptor`` names."""
        if descriptor.media_type != media_types.MANIFEST:
            raise LayoutError(
                f"{self.path / INDEX_FILE} names {descriptor.digest} as {descriptor.media_type}, but only "
                f"{media_types.MANIFEST} is an image here. Convert it first: skopeo copy --format oci."
            )
        manifest = Manifest.parse(self.read_document(descriptor), str(descriptor.digest))
        if manifest.config.media_type != media_types.CONFIG:
            raise LayoutError(
                f"{descriptor.digest} in {self.path} has a configuration of media type {manifest.config.media_type}, "
                f"so it is no container image. Use a layout whose image has {media_types.CONFIG}."
            )
        config = ImageConfig.parse(self.read_document(manifest.config), str(manifest.config.digest))
        if len(config.diff_ids) != len(manifest.layers):
            raise LayoutError(
                f"{descriptor.digest} in {self.path} has {len(manifest.layers)} layers, but its configuration has "
                f"{len(config.diff_ids)} diff_ids. Make the image again."
            )
        return Image(descriptor, manifest, config)

    def _read(self, name: str) -> bytes:
        try:
            with (self.path / name).open("rb") as file:
                return file.read(MAX_DOCUMENT_SIZE)
        except (FileNotFoundError, NotADirectoryError):
            raise LayoutError(
                f"{self.path} is no OCI image layout: it has no {name}. Give the directory that holds {INDEX_FILE}."
            ) from None
