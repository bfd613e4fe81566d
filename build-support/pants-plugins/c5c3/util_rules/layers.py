"""Layers: blobs with the little that an image needs to know of them.

Descriptors travel; blobs stay in the store until somebody asks for the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from imagekit.oci.collisions import Replaces
from imagekit.oci.json_document import Document
from imagekit.oci.layer import Layer
from pants.engine.addresses import Address
from pants.engine.fs import Digest, DigestContents, DigestSubset, MergeDigests, PathGlobs, RemovePrefix
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.rules import collect_rules, rule

from c5c3.subsystems.images import ImagesSubsystem
from c5c3.util_rules.host import ROOTFS_DIR
from c5c3.util_rules.step import Step, StepResult

LAYER_OUTPUT = "layer"
#: The outputs of a step that writes a layer to :data:`LAYER_OUTPUT`.
LAYER_FILES = (f"{LAYER_OUTPUT}/layer.json", f"{LAYER_OUTPUT}/paths.json")
LAYER_DIRECTORIES = (f"{LAYER_OUTPUT}/blobs/sha256",)


@dataclass(frozen=True)
class LayerBlob:
    """A layer, a digest that holds its blob at :attr:`path`, and one that holds its ``paths.json``."""

    layer: Layer
    blob: Digest
    paths: Digest
    replaces: Replaces

    @property
    def path(self) -> str:
        """Where the blob lies in an image layout."""
        return f"blobs/sha256/{self.layer.digest.hex}"


@dataclass(frozen=True)
class LayerOutput:
    """The output of a step that wrote a layer to :data:`LAYER_OUTPUT`."""

    step_output: Digest
    replaces: Replaces


@rule
async def read_layer_output(output: LayerOutput) -> LayerBlob:
    written = await Get(Digest, RemovePrefix(output.step_output, LAYER_OUTPUT))
    metadata, blob, paths = await MultiGet(
        Get(DigestContents, DigestSubset(written, PathGlobs(["layer.json"]))),
        Get(Digest, DigestSubset(written, PathGlobs(["blobs/**"]))),
        Get(Digest, DigestSubset(written, PathGlobs(["paths.json"]))),
    )
    layer = Layer.from_document(Document.parse(metadata[0].content, "layer.json"))
    return LayerBlob(layer, blob, paths, output.replaces)


@dataclass(frozen=True)
class Piece:
    """A tar of image paths, ``<name>.tar`` in ``digest``: what one layer may be made of several of."""

    name: str
    digest: Digest

    @property
    def path(self) -> str:
        return f"{self.name}.tar"


@dataclass(frozen=True)
class LayerRequest:
    """A layer that holds ``pieces``."""

    pieces: Tuple[Piece, ...]
    created_by: str
    replaces: Replaces = Replaces.NOTHING


@dataclass(frozen=True)
class Compression:
    """The options of steps that write layers."""

    arguments: Tuple[str, ...]


@rule
async def compression(options: ImagesSubsystem) -> Compression:
    return Compression((f"--compression={options.compression.value}", f"--level={options.level}"))


@rule
async def write_layer(request: LayerRequest, compression: Compression) -> LayerBlob:
    pieces = sorted(request.pieces, key=lambda piece: piece.name)
    result = await Get(
        StepResult,
        Step(
            "layer",
            (
                *(f"--piece={piece.path}" for piece in pieces),
                *compression.arguments,
                f"--created-by={request.created_by}",
                f"--output-dir={LAYER_OUTPUT}",
            ),
            description=f"Write layer: {request.created_by}",
            inputs=await Get(Digest, MergeDigests(piece.digest for piece in pieces)),
            output_files=LAYER_FILES,
            output_directories=LAYER_DIRECTORIES,
        ),
    )
    return await Get(LayerBlob, LayerOutput(result.output, request.replaces))


@dataclass(frozen=True)
class Rootfs:
    """A stack of layers that a step works on, as its inputs and arguments.

    ``arguments`` are for a step that runs in it, ``layers`` for one that changes a copy of it.
    """

    digest: Digest
    layers: Tuple[str, ...]

    @property
    def arguments(self) -> Tuple[str, ...]:
        return (*self.layers, f"--rootfs-store={ROOTFS_DIR}")


@dataclass(frozen=True)
class RootfsRequest:
    layers: Tuple[LayerBlob, ...]


@dataclass(frozen=True)
class ImageRootfsRequest:
    """The root file system of the image of the `docker_image` at ``address``."""

    address: Address


@rule
async def stack_layers(request: RootfsRequest) -> Rootfs:
    digest = await Get(Digest, MergeDigests(layer.blob for layer in request.layers))
    return Rootfs(digest, tuple(f"--rootfs={layer.path}" for layer in request.layers))


def rules():
    return collect_rules()
