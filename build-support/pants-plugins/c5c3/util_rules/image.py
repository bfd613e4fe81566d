"""An image: layers, put together by their descriptors."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Dict, Optional, Tuple

from imagekit.constants import SERVICE_UID, SOURCE_DATE_EPOCH
from imagekit.oci.assemble import MAX_LAYERS
from imagekit.oci.collisions import Replaces
from imagekit.oci.json_document import Document
from pants.engine.addresses import Address, Addresses, UnparsedAddressInputs
from pants.engine.engine_aware import EngineAwareParameter
from pants.engine.fs import (
    AddPrefix,
    CreateDigest,
    Digest,
    DigestContents,
    DigestEntries,
    DigestSubset,
    FileContent,
    FileEntry,
    MergeDigests,
    PathGlobs,
    RemovePrefix,
)
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.platform import Platform
from pants.engine.rules import collect_rules, rule
from pants.engine.target import HydratedSources, HydrateSourcesRequest, Target, WrappedTarget, WrappedTargetRequest
from pants.util.frozendict import FrozenDict
from pants.util.docutil import bin_name
from pants.util.logging import LogLevel

from c5c3.target_types import (
    BaseField,
    BuilderField,
    CommandField,
    ComponentField,
    DistributionField,
    DockerImage,
    EntrypointField,
    EnvironmentField,
    ExcludeTestsField,
    ExtrasField,
    FilesField,
    HeadersField,
    ImageLabelsField,
    PythonBaseField,
    PythonPackagesField,
    ReleaseField,
    SystemLockField,
    SystemModulesField,
    SystemPackagesField,
    UserField,
    WorkingDirectoryField,
)
from c5c3.util_rules.debian import (
    BaseLayerRequest,
    DebLockRequest,
    Distribution,
    DistributionRequest,
    LoadedDebLock,
    SystemLayerRequest,
    debian_architecture,
)
from c5c3.util_rules.image_names import ImageError, image_tags
from c5c3.util_rules.layers import ImageRootfsRequest, LayerBlob, LayerRequest, Piece, Rootfs, RootfsRequest
from c5c3.util_rules.python import PythonEnvironmentRequest, PythonInstallation, PythonLayers, PythonLayersRequest, Toolchain
from c5c3.util_rules.source import Source
from c5c3.util_rules.step import Step, StepResult


@dataclass(frozen=True)
class ImageConfiguration:
    """What a container starts with, as the OCI image configuration has it."""

    entrypoint: Tuple[str, ...] = ()
    command: Tuple[str, ...] = ()
    environment: FrozenDict[str, str] = FrozenDict()
    user: str = ""
    working_directory: str = ""
    labels: FrozenDict[str, str] = FrozenDict()

    def to_json(self) -> Dict[str, object]:
        return {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": [f"{name}={value}" for name, value in sorted(self.environment.items())],
            "User": self.user,
            "WorkingDir": self.working_directory,
            "Labels": dict(self.labels),
        }


@dataclass(frozen=True)
class ImageRequest(EngineAwareParameter):
    """The image of the `docker_image` at ``address``."""

    address: Address

    def debug_hint(self) -> str:
        return self.address.spec


@dataclass(frozen=True)
class BuiltImage:
    """An image: its layers, and the rest of its layout (``index.json``, manifest, configuration) in ``documents``.

    ``digest`` is that of its manifest, ``size`` what a registry must hold of it, in bytes. ``debs`` (bottom first) and
    ``python`` are what its SBOM is made from.
    """

    address: Address
    layers: Tuple[LayerBlob, ...]
    documents: Digest
    digest: str
    size: int
    tags: Tuple[str, ...]
    debs: Tuple[LoadedDebLock, ...]
    python: Optional[PythonInstallation]


@dataclass(frozen=True)
class ImageLayout:
    """A digest that holds an image as an OCI image layout in the folder ``layout``, blobs included."""

    digest: Digest


@dataclass(frozen=True)
class ImageAddressRequest:
    """The `docker_image` that the field ``alias`` of the target ``owner`` names as ``address``."""

    address: str
    alias: str
    owner: Address


@dataclass(frozen=True)
class ImageAddress:
    address: Address


@rule
async def find_image(request: ImageAddressRequest) -> ImageAddress:
    addresses = await Get(
        Addresses,
        UnparsedAddressInputs(
            [request.address],
            owning_address=request.owner,
            description_of_origin=f"the `{request.alias}` field from the target {request.owner}",
        ),
    )
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(addresses[0], description_of_origin="<infallible>"))
    if not isinstance(wrapped.target, DockerImage):
        raise ImageError(
            f"The `{request.alias}` field in target {request.owner} must name a `docker_image`, but {request.address!r} is "
            f"a `{wrapped.target.alias}`. The images of a base are `<base>#python-base` and `<base>#venv-builder`."
        )
    return ImageAddress(addresses[0])


@dataclass(frozen=True)
class ImageLayersRequest:
    """The layers of a `docker_image`, those of its base included; with ``allow_stale`` as its .deb locks are."""

    address: Address
    allow_stale: bool = False


@dataclass(frozen=True)
class ImageLayers:
    layers: Tuple[LayerBlob, ...]
    configuration: ImageConfiguration
    source: Optional[Source]
    debs: Tuple[LoadedDebLock, ...] = ()
    python: Optional[PythonInstallation] = None


@dataclass(frozen=True)
class FilesPieceRequest:
    """The files below ``files/`` in the folder ``folder``."""

    folder: str
    digest: Digest


@rule
async def make_files_piece(request: FilesPieceRequest) -> Piece:
    root = os.path.join(request.folder, "files")
    files = await Get(Digest, RemovePrefix(request.digest, root))
    entries = await Get(DigestEntries, Digest, files)
    # A sandbox shows large files as executable, so which ones are must be said.
    executables = [entry.path for entry in entries if isinstance(entry, FileEntry) and entry.is_executable]
    result = await Get(
        StepResult,
        Step(
            "files-piece",
            (
                f"--root={root}",
                *([f"--executable={path}" for path in sorted(executables)] or ["--no-executables"]),
                "--output=files.tar",
            ),
            description=f"Collect the files of {request.folder}",
            inputs=request.digest,
            output_files=("files.tar",),
        ),
    )
    return Piece("files", result.output)


def environment_request(target: Target, release: str) -> PythonEnvironmentRequest:
    """What ``target``, an image of a service, says of its virtual environment."""
    component = target[ComponentField].value or target.address.target_name
    return PythonEnvironmentRequest(
        component=component,
        release=release,
        extras=tuple(target[ExtrasField].value or ()),
        python_packages=tuple(target[PythonPackagesField].value or ()),
        exclude_tests=target[ExcludeTestsField].value,
        owner=target.address,
    )


def system_lock_name(target: Target) -> str:
    """The name of the lock that holds the system packages of ``target``."""
    return target[SystemLockField].value or target[ComponentField].value or target.address.target_name


@dataclass(frozen=True)
class SystemLocksRequest:
    """The .deb locks of the `docker_image` at ``address`` and of those that it stands on."""

    address: Address


@dataclass(frozen=True)
class SystemLocks:
    """Names of .deb locks, bottom first: each extends the one before."""

    names: Tuple[str, ...]


@rule
async def find_system_locks(request: SystemLocksRequest) -> SystemLocks:
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(request.address, description_of_origin="<infallible>"))
    target = wrapped.target
    names: Tuple[str, ...] = ()
    if target[BaseField].value:
        base = await Get(ImageAddress, ImageAddressRequest(target[BaseField].value, BaseField.alias, target.address))
        below = await Get(SystemLocks, SystemLocksRequest(base.address))
        names = below.names
    return SystemLocks((*names, system_lock_name(target)) if target[SystemPackagesField].value else names)


@dataclass(frozen=True)
class ImageToolchainRequest:
    """What the wheels of the `docker_image` at ``address`` are built and installed in."""

    address: Address


@rule
async def find_toolchain(request: ImageToolchainRequest) -> Toolchain:
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(request.address, description_of_origin="<infallible>"))
    target = wrapped.target
    builder = target[BuilderField].value
    if not builder:
        raise ImageError(
            f"Target {target.address} is for release {target[ReleaseField].value}, but its `builder` field is not set. "
            "Name the `docker_image` that wheels are built in, such as "
            "`builder=\"3rdparty/bases/bookworm#venv-builder\"`."
        )
    # Not this image's own system packages: a wheel is installed once for all services.
    base = target[PythonBaseField] if target[PythonBaseField].value else target[BaseField]
    if not base.value:
        raise ImageError(
            f"Target {target.address} is for release {target[ReleaseField].value}, but its `base` field is not set. Name "
            "the `docker_image` that it stands on, such as `base=\"3rdparty/bases/bookworm#python-base\"`."
        )
    distribution, builder_image, base_image = await MultiGet(
        Get(Distribution, DistributionRequest(target[DistributionField].value, target.address)),
        Get(ImageAddress, ImageAddressRequest(builder, BuilderField.alias, target.address)),
        Get(ImageAddress, ImageAddressRequest(base.value, base.alias, target.address)),
    )
    return Toolchain(builder_image.address, base_image.address, distribution.python)


@rule
async def find_image_rootfs(request: ImageRootfsRequest) -> Rootfs:
    image = await Get(ImageLayers, ImageLayersRequest(request.address))
    return await Get(Rootfs, RootfsRequest(image.layers))


@dataclass(frozen=True)
class OperatingSystemRequest:
    """What the virtual environment of the `docker_image` at ``address`` stands on; see :class:`ImageLayersRequest`."""

    address: Address
    allow_stale: bool


@dataclass(frozen=True)
class OperatingSystem:
    """The image below, and with the system packages of this one on it the layers and .deb locks."""

    below: ImageLayers
    layers: Tuple[LayerBlob, ...]
    debs: Tuple[LoadedDebLock, ...]


@rule
async def build_operating_system(request: OperatingSystemRequest) -> OperatingSystem:
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(request.address, description_of_origin="<infallible>"))
    target = wrapped.target
    below = ImageLayers((), ImageConfiguration(), None)
    if target[BaseField].value:
        base = await Get(ImageAddress, ImageAddressRequest(target[BaseField].value, BaseField.alias, target.address))
        below = await Get(ImageLayers, ImageLayersRequest(base.address, request.allow_stale))
    system_packages = tuple(target[SystemPackagesField].value or ())
    if not system_packages:
        return OperatingSystem(below, below.layers, below.debs)
    distribution, locks = await MultiGet(
        Get(Distribution, DistributionRequest(target[DistributionField].value, target.address)),
        Get(SystemLocks, SystemLocksRequest(target.address)),
    )
    *locks_below, name = locks.names
    extends = locks_below[-1] if locks_below else None
    lock = await Get(LoadedDebLock, DebLockRequest(distribution, name, system_packages, extends, request.allow_stale))
    headers = target[HeadersField].value
    added = (
        await Get(LayerBlob, SystemLayerRequest(name, lock, headers, below.layers))
        if below.layers
        else await Get(LayerBlob, BaseLayerRequest(name, lock, headers))
    )
    return OperatingSystem(below, (*below.layers, added), (*below.debs, lock))


def check_python_base(target: Target, below: ImageLayers, python_base: ImageLayers) -> None:
    """Raises :class:`ImageError` unless ``below``, what ``target`` stands on, has ``python_base`` at its bottom."""
    if below.layers[: len(python_base.layers)] != python_base.layers:
        raise ImageError(
            f"Target {target.address} stands on {target[BaseField].value!r}, which does not stand on "
            f"{target[PythonBaseField].value!r}: wheels that are installed with the one may not work with the "
            f"other. Give {target[BaseField].value!r} that `base`, or name another one."
        )


@rule(desc="Build an image's layers", level=LogLevel.DEBUG)
async def build_image_layers(request: ImageLayersRequest) -> ImageLayers:
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(request.address, description_of_origin="<infallible>"))
    target = wrapped.target
    files = await Get(HydratedSources, HydrateSourcesRequest(target[FilesField]))
    # Neither the packages of the system nor those of Python wait for the other.
    system_request = OperatingSystemRequest(target.address, request.allow_stale)
    release = target[ReleaseField].value
    if release:
        toolchain, distribution = await MultiGet(
            Get(Toolchain, ImageToolchainRequest(target.address)),
            Get(Distribution, DistributionRequest(target[DistributionField].value, target.address)),
        )
        python_request = PythonLayersRequest(
            environment_request(target, release),
            distribution,
            toolchain,
            tuple(target[SystemModulesField].value or ()),
        )
        system, python, python_base = await MultiGet(
            Get(OperatingSystem, OperatingSystemRequest, system_request),
            Get(PythonLayers, PythonLayersRequest, python_request),
            Get(ImageLayers, ImageLayersRequest(toolchain.base)),
        )
        check_python_base(target, system.below, python_base)
        layers = [*system.layers, *python.layers]
        source, installation = python.source, python.installation
    else:
        system = await Get(OperatingSystem, OperatingSystemRequest, system_request)
        layers = list(system.layers)
        source, installation = None, system.below.python

    if files.snapshot.files:
        piece = await Get(Piece, FilesPieceRequest(target.address.spec_path, files.snapshot.digest))
        layers.append(
            await Get(
                LayerBlob,
                LayerRequest(
                    (piece,), f"c5c3: files of {target.address.target_name}", Replaces.CONFIGURATION
                ),
            )
        )
    configuration = _configuration(target, system.below.configuration, source)
    return ImageLayers(tuple(layers), configuration, source, system.debs, installation)


def _configuration(target: Target, base: ImageConfiguration, source: Optional[Source]) -> ImageConfiguration:
    labels = dict(base.labels)
    component = target[ComponentField].value or target.address.target_name
    labels["org.opencontainers.image.title"] = component
    if source is not None:
        labels["org.opencontainers.image.version"] = source.tag
        labels["io.c5c3.openstack.release"] = source.release
        labels["io.c5c3.source"] = source.description
    labels.update(target[ImageLabelsField].value or {})
    entrypoint = target[EntrypointField].value
    command = target[CommandField].value
    return ImageConfiguration(
        entrypoint=tuple(base.entrypoint if entrypoint is None else entrypoint),
        command=tuple(base.command if command is None else command),
        environment=FrozenDict({**base.environment, **(target[EnvironmentField].value or {})}),
        user=target[UserField].value or (str(SERVICE_UID) if source is not None else base.user),
        working_directory=target[WorkingDirectoryField].value or base.working_directory,
        labels=FrozenDict(labels),
    )


def check_layer_count(address: Address, count: int) -> None:
    """Raises :class:`ImageError` for an image that engines would refuse."""
    if count > MAX_LAYERS:
        raise ImageError(
            f"The image of target {address} would have {count} layers, but engines take at most {MAX_LAYERS}. Put its "
            f"Python packages into fewer groups with `{bin_name()} group-layers`, or stand it on fewer images with `base`."
        )


@dataclass(frozen=True)
class LayersToCompare:
    """The layers of the image at ``address``, bottom first."""

    address: Address
    layers: Tuple[LayerBlob, ...]


@dataclass(frozen=True)
class ComparedLayers:
    """No layer replaces what it may not replace."""


@rule
async def compare_layers(request: LayersToCompare) -> ComparedLayers:
    # In a folder for each: the file has one name, and an image may hold a layer twice.
    folders = tuple(f"{number:03}" for number in range(len(request.layers)))
    paths = await MultiGet(
        Get(Digest, AddPrefix(layer.paths, folder)) for layer, folder in zip(request.layers, folders)
    )
    await Get(
        StepResult,
        Step(
            "check-layers",
            (
                f"--image={request.address}",
                *(
                    f"--layer={layer.replaces.value}:{folder}/paths.json"
                    for layer, folder in zip(request.layers, folders)
                ),
            ),
            description=f"Compare the layers of {request.address}",
            inputs=await Get(Digest, MergeDigests(paths)),
        ),
    )
    return ComparedLayers()


@rule(desc="Put an image together", level=LogLevel.DEBUG)
async def build_image(request: ImageRequest, platform: Platform) -> BuiltImage:
    image, wrapped = await MultiGet(
        Get(ImageLayers, ImageLayersRequest(request.address)),
        Get(WrappedTarget, WrappedTargetRequest(request.address, description_of_origin="<infallible>")),
    )
    if not image.layers:
        raise ImageError(
            f"Target {request.address} has nothing in it. Give it a `base`, `system_packages`, a `release` or `files`."
        )
    check_layer_count(request.address, len(image.layers))
    tags = image_tags(wrapped.target, image.source)
    spec = {
        "architecture": debian_architecture(platform),
        "layers": [blob.layer.to_json() for blob in image.layers],
        "config": image.configuration.to_json(),
        "created": SOURCE_DATE_EPOCH,
        # One name, so that tools which take "the image of this layout" find exactly one.
        "ref_names": [tags[0]],
        "annotations": {},
    }
    spec_file = FileContent("spec.json", json.dumps(spec, indent=1, sort_keys=True).encode())
    assemble = Step(
        "assemble",
        ("--spec=spec.json", "--output-dir=image"),
        description=f"Put together the image of {request.address}",
        inputs=await Get(Digest, CreateDigest([spec_file])),
        output_files=("image/image.json", "image/index.json", "image/oci-layout"),
        output_directories=("image/blobs/sha256",),
    )
    result, _ = await MultiGet(
        Get(StepResult, Step, assemble),
        Get(ComparedLayers, LayersToCompare(request.address, image.layers)),
    )
    summary, documents = await MultiGet(
        Get(DigestContents, DigestSubset(result.output, PathGlobs(["image/image.json"]))),
        Get(Digest, DigestSubset(result.output, PathGlobs(["image/**", "!image/image.json"]))),
    )
    assembled = Document.parse(summary[0].content, "image.json")
    return BuiltImage(
        address=request.address,
        layers=image.layers,
        documents=await Get(Digest, RemovePrefix(documents, "image")),
        digest=assembled.string("digest"),
        size=assembled.integer("size"),
        tags=tags,
        debs=image.debs,
        python=image.python,
    )


@rule
async def lay_out_image(image: BuiltImage) -> ImageLayout:
    merged = await Get(Digest, MergeDigests([image.documents, *(layer.blob for layer in image.layers)]))
    return ImageLayout(await Get(Digest, AddPrefix(merged, "layout")))


def rules():
    return collect_rules()
