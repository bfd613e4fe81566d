"""`test`: give Python tests the images that they test."""

from __future__ import annotations

from pants.backend.python.goals.pytest_runner import PytestPluginSetup, PytestPluginSetupRequest
from pants.backend.python.target_types import PythonTestsGeneratorTarget, PythonTestTarget
from pants.engine.addresses import Addresses, UnparsedAddressInputs
from pants.engine.fs import AddPrefix, Digest, MergeDigests, RemovePrefix
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.rules import collect_rules, rule
from pants.engine.target import SpecialCasedDependencies, Target, Targets
from pants.engine.unions import UnionRule
from pants.util.strutil import help_text

from c5c3.goals.package import DockerImagePackageFieldSet
from c5c3.util_rules.image import BuiltImage, ImageLayout, ImageRequest
from c5c3.util_rules.image_names import ImageError
from c5c3.util_rules.sbom import SbomFile, SbomFileRequest, sbom_path


class ImagesField(SpecialCasedDependencies):
    alias = "images"
    help = help_text(
        """
        Addresses of `docker_image` targets that the tests need. Each is there as an OCI image layout, at its output
        path below the folder that the tests start in, with its SBOM beside it: `images/keystone/2025.2` and
        `images/keystone/2025.2.cdx.json`.

        A test runs again only when an image it names, or its SBOM, changed.

        Example: `images=["services/keystone#image@release=2025.2"]`.
        """
    )


class ImagesForTestsRequest(PytestPluginSetupRequest):
    @classmethod
    def is_applicable(cls, target: Target) -> bool:
        return bool(target.has_field(ImagesField) and target[ImagesField].value)


@rule
async def provide_images(request: ImagesForTestsRequest) -> PytestPluginSetup:
    addresses = await Get(Addresses, UnparsedAddressInputs, request.target[ImagesField].to_unparsed_address_inputs())
    targets = await Get(Targets, Addresses, addresses)
    for target in targets:
        if not DockerImagePackageFieldSet.is_applicable(target):
            raise ImageError(
                f"The `{ImagesField.alias}` field in target {request.target.address} must name `docker_image` targets, but "
                f"{target.address} is a `{target.alias}`."
            )
    field_sets = [DockerImagePackageFieldSet.create(target) for target in targets]
    images = await MultiGet(Get(BuiltImage, ImageRequest(field_set.address)) for field_set in field_sets)
    layouts = await MultiGet(Get(ImageLayout, BuiltImage, image) for image in images)
    bare = await MultiGet(Get(Digest, RemovePrefix(layout.digest, "layout")) for layout in layouts)
    paths = [field_set.output_path.value_or_default(file_ending=None) for field_set in field_sets]
    placed = await MultiGet(Get(Digest, AddPrefix(digest, path)) for digest, path in zip(bare, paths))
    sboms = await MultiGet(
        Get(SbomFile, SbomFileRequest(image, sbom_path(path))) for image, path in zip(images, paths)
    )
    return PytestPluginSetup(await Get(Digest, MergeDigests([*placed, *(sbom.digest for sbom in sboms)])))


def rules():
    return (
        *collect_rules(),
        UnionRule(PytestPluginSetupRequest, ImagesForTestsRequest),
        PythonTestTarget.register_plugin_field(ImagesField),
        PythonTestsGeneratorTarget.register_plugin_field(ImagesField),
    )
