"""Put an image together from descriptors only: no layer's blob is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Mapping, Tuple

from imagekit.errors import ImagekitError
from imagekit.oci import media_types
from imagekit.oci.atomic_file import write_atomically
from imagekit.oci.descriptor import NO_ANNOTATIONS, REF_NAME, Descriptor, Platform
from imagekit.oci.digest import Digest
from imagekit.oci.image_config import ContainerConfig, History, ImageConfig, timestamp
from imagekit.oci.index import Index
from imagekit.oci.json_document import Document, Json, render
from imagekit.oci.layer import Layer
from imagekit.oci.layout import INDEX_FILE, LAYOUT_BYTES, LAYOUT_FILE
from imagekit.oci.manifest import Manifest

#: Engines refuse images with more layers (overlayfs mounts, docker's own limit is 127).
MAX_LAYERS = 100

_KEYS = ("architecture", "variant", "layers", "config", "created", "ref_names", "annotations")
_CONFIG_KEYS = (
    "User",
    "Env",
    "Entrypoint",
    "Cmd",
    "WorkingDir",
    "Labels",
    "ExposedPorts",
    "Volumes",
    "StopSignal",
)


class AssembleError(ImagekitError):
    """A specification that gives no image."""


@dataclass(frozen=True)
class ImageSpec:
    """What an image is made of: ``created`` in seconds since the epoch, ``ref_names`` its names in ``index.json``."""

    platform: Platform
    layers: Tuple[Layer, ...]
    config: ContainerConfig
    created: int
    ref_names: Tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default=NO_ANNOTATIONS)

    @classmethod
    def parse(cls, data: bytes, origin: str) -> ImageSpec:
        """Raises :class:`~imagekit.oci.json_document.DocumentError`."""
        document = Document.parse(data, origin)
        document.refuse_unknown(_KEYS)
        config = document.document("config")
        config.refuse_unknown(_CONFIG_KEYS)
        return cls(
            Platform(document.string("architecture"), variant=document.optional_string("variant")),
            tuple(Layer.from_document(layer) for layer in document.documents("layers")),
            ContainerConfig.from_document(config),
            document.integer("created"),
            document.optional_strings("ref_names"),
            document.optional_string_map("annotations"),
        )


@dataclass(frozen=True)
class AssembledImage:
    """The documents of an image, ready to be written, and the layers they name."""

    config: bytes
    manifest: Manifest
    index: Index
    layers: Tuple[Layer, ...]
    platform: Platform

    @property
    def digest(self) -> Digest:
        return Digest.of(self.manifest.render())

    def summary(self) -> Json:
        """``image.json``: what a user wants to know of the image."""
        return {
            "digest": str(self.digest),
            "mediaType": media_types.MANIFEST,
            "size": self.manifest.size,
            "architecture": self.platform.architecture,
            "layers": [layer.to_json() for layer in self.layers],
        }


def assemble(spec: ImageSpec) -> AssembledImage:
    """The image of a specification; raises :class:`AssembleError` for no layers, or too many."""
    if not 0 < len(spec.layers) <= MAX_LAYERS:
        raise AssembleError(
            f"An image has 1 to {MAX_LAYERS} layers, but this one would have {len(spec.layers)}. "
            "Put more pieces into one layer, or give the base at least."
        )
    created = timestamp(spec.created)
    config = ImageConfig(
        spec.platform,
        spec.config,
        tuple(layer.diff_id for layer in spec.layers),
        tuple(History(created, layer.created_by) for layer in spec.layers),
        created,
    ).render()
    manifest = Manifest(
        Descriptor(media_types.CONFIG, Digest.of(config), len(config)),
        tuple(layer.descriptor for layer in spec.layers),
        spec.annotations,
    )
    rendered = manifest.render()
    image = Descriptor(media_types.MANIFEST, Digest.of(rendered), len(rendered), platform=spec.platform)
    named = tuple(replace(image, annotations={REF_NAME: name}) for name in spec.ref_names)
    return AssembledImage(config, manifest, Index(named or (image,)), spec.layers, spec.platform)


def write_assembled(image: AssembledImage, output_dir: Path) -> None:
    """Write the layout without its layers' blobs, and ``image.json``."""
    blobs = output_dir / "blobs" / "sha256"
    write_atomically(blobs / image.manifest.config.digest.hex, image.config)
    write_atomically(blobs / image.digest.hex, image.manifest.render())
    write_atomically(output_dir / LAYOUT_FILE, LAYOUT_BYTES)
    write_atomically(output_dir / INDEX_FILE, image.index.render())
    write_atomically(output_dir / "image.json", render(image.summary()))
