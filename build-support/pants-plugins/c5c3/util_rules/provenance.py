"""The provenance of an image: what it is built from and with, as the locks and the checkout say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

from imagekit.oci.digest import Digest
from imagekit.provenance.resource import Resource, packages, source, tree_file
from imagekit.provenance.statement import ImageBuild, render_provenance
from imagekit.python.lock import select
from pants.engine.addresses import Address
from pants.engine.fs import DigestContents, PathGlobs
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.platform import Platform
from pants.engine.rules import collect_rules, rule
from pants.engine.target import HydratedSources, HydrateSourcesRequest, WrappedTarget, WrappedTargetRequest

from c5c3.subsystems.images import ImagesSubsystem
from c5c3.target_types import BaseField, BuilderField, ComponentField, DistributionField, FilesField, ReleaseField
from c5c3.util_rules.checkout import Checkout
from c5c3.util_rules.debian import Distribution, DistributionRequest, debian_architecture
from c5c3.util_rules.image import BuiltImage, ImageAddress, ImageAddressRequest, ImageLayers, ImageLayersRequest
from c5c3.util_rules.python import LoadedPythonLock, PythonInstallation, PythonLockRequest
from c5c3.util_rules.tools import TOOLS_LOCK

#: Its name in the layout, to which the file beside the layout is a link.
PROVENANCE_FILE = "provenance.json"


def provenance_path(output_path: str) -> str:
    """Where the provenance of the image at ``output_path`` is: beside its layout."""
    return f"{output_path}.provenance.json"


@dataclass(frozen=True)
class Provenance:
    """An in-toto statement about an image."""

    content: bytes


@dataclass(frozen=True)
class ImageFilesRequest:
    """The files of this tree that are in the `docker_image` at ``address`` and in those that it stands on."""

    address: Address


@dataclass(frozen=True)
class ImageFiles:
    paths: Tuple[str, ...]


@dataclass(frozen=True)
class PythonInputs:
    """What a virtual environment is built from and with: files of this tree, and what its locks name."""

    paths: Tuple[str, ...]
    resources: Tuple[Resource, ...]


@rule
async def find_image_files(request: ImageFilesRequest) -> ImageFiles:
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(request.address, description_of_origin="<infallible>"))
    target = wrapped.target
    own = await Get(HydratedSources, HydrateSourcesRequest(target[FilesField]))
    if not target[BaseField].value:
        return ImageFiles(own.snapshot.files)
    base = await Get(ImageAddress, ImageAddressRequest(target[BaseField].value, BaseField.alias, target.address))
    below = await Get(ImageFiles, ImageFilesRequest(base.address))
    return ImageFiles((*below.paths, *own.snapshot.files))


@rule
async def find_python_inputs(python: PythonInstallation) -> PythonInputs:
    owner = python.environment.owner
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(owner, description_of_origin="<infallible>"))
    distribution, builder = await MultiGet(
        Get(Distribution, DistributionRequest(wrapped.target[DistributionField].value, owner)),
        Get(ImageAddress, ImageAddressRequest(str(wrapped.target[BuilderField].value), BuilderField.alias, owner)),
    )
    loaded, toolchain = await MultiGet(
        Get(LoadedPythonLock, PythonLockRequest(python.environment, distribution)),
        Get(ImageLayers, ImageLayersRequest(builder.address)),
    )
    selection = select(loaded.lock, python.target, loaded.path, loaded.remedy)
    sources = (python.source, *python.libraries.values())
    return PythonInputs(
        (
            loaded.path,
            *(lock.path for lock in toolchain.debs),
            *(path for component in sources for path in component.patches),
        ),
        (
            *(source(component.pin) for component in sources),
            *packages(selection.packages),
            *packages(selection.root_build_requires),
        ),
    )


@rule
async def find_provenance(
    image: BuiltImage, checkout: Checkout, options: ImagesSubsystem, platform: Platform
) -> Provenance:
    wrapped, files = await MultiGet(
        Get(WrappedTarget, WrappedTargetRequest(image.address, description_of_origin="<infallible>")),
        Get(ImageFiles, ImageFilesRequest(image.address)),
    )
    python = PythonInputs((), ())
    if image.python is not None:
        python = await Get(PythonInputs, PythonInstallation, image.python)
    paths = {TOOLS_LOCK, *files.paths, *python.paths, *(lock.path for lock in image.debs)}
    contents = await Get(DigestContents, PathGlobs(sorted(paths)))
    return Provenance(
        render_provenance(
            ImageBuild(
                image=wrapped.target[ComponentField].value or image.address.target_name,
                digest=Digest.parse(image.digest),
                target=image.address.spec,
                release=wrapped.target[ReleaseField].value,
                architecture=debian_architecture(platform),
                compression=options.compression.value,
                compression_level=options.level,
                builder=options.builder_id,
                commit=checkout.commit,
                why_no_commit=checkout.why_no_commit,
                inputs=(*python.resources, *(tree_file(file.path, file.content) for file in contents)),
            )
        )
    )


def rules():
    return collect_rules()
