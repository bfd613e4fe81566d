"""`package`: write an image as an OCI image layout, with its SBOM and provenance in it and links to them beside it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pants.base.build_environment import get_buildroot
from pants.core.goals.package import BuiltPackage, BuiltPackageArtifact, PackageFieldSet
from pants.core.util_rules.distdir import DistDir
from pants.engine.fs import EMPTY_DIGEST, CreateDigest, Digest, FileContent, MergeDigests
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.process import ProcessCacheScope
from pants.engine.rules import collect_rules, rule
from pants.engine.unions import UnionRule
from pants.util.logging import LogLevel

from c5c3.subsystems.images import ImagesSubsystem
from c5c3.target_types import (
    BaseField,
    ComponentField,
    DockerArchiveField,
    DockerImageDependenciesField,
    ImageOutputPathField,
    ReleaseField,
    RepositoryField,
)
from c5c3.util_rules.image import BuiltImage, ImageLayout, ImageRequest
from c5c3.util_rules.image_names import repository_of
from c5c3.util_rules.provenance import PROVENANCE_FILE, Provenance, provenance_path
from c5c3.util_rules.sbom import SBOM_FILE, Sbom, sbom_path
from c5c3.util_rules.step import Step, StepResult
from c5c3.util_rules.targets import AllOutputPaths

#: The archive's name, in the image layout that it was made from.
DOCKER_ARCHIVE = "docker-archive.tar"


@dataclass(frozen=True)
class DockerImagePackageFieldSet(PackageFieldSet):
    required_fields = (DockerImageDependenciesField, BaseField)

    output_path: ImageOutputPathField
    docker_archive: DockerArchiveField
    component: ComponentField
    release: ReleaseField
    repository: RepositoryField


def image_repository(field_set: DockerImagePackageFieldSet, options: ImagesSubsystem) -> str:
    """The repository of an image, without registry and tag; raises :class:`~c5c3.util_rules.image_names.ImageError`."""
    template = field_set.repository.value or options.default_repository
    name = field_set.component.value or field_set.address.target_name
    return repository_of(field_set.address, template, name, field_set.release.value)


def readable_size(size: int) -> str:
    """``size`` in bytes as `43.1 MB` (powers of ten)."""
    value, units = float(size), ["B", "kB", "MB", "GB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"


def describe(image: BuiltImage) -> "list[str]":
    """The lines that say what was built: digest, size, and a line for each layer."""
    return [
        f"  digest  {image.digest}",
        f"  size    {readable_size(image.size)} compressed, {len(image.layers)} layers",
        *(
            f"          {readable_size(blob.layer.size):>9}  {str(blob.layer.digest)[:19]}  {blob.layer.created_by}"
            for blob in image.layers
        ),
    ]


@rule(desc="Write an image layout", level=LogLevel.DEBUG)
async def package_image(
    field_set: DockerImagePackageFieldSet, dist_dir: DistDir, options: ImagesSubsystem, output_paths: AllOutputPaths
) -> BuiltPackage:
    relative_path = field_set.output_path.value_or_default(file_ending=None)
    output_paths.check(relative_path)
    image = await Get(BuiltImage, ImageRequest(field_set.address))
    layout = await Get(ImageLayout, BuiltImage, image)
    path = os.path.join(dist_dir.relpath, relative_path)
    arguments = ["--layout=layout", f"--destination={os.path.join(get_buildroot(), path)}"]
    lines = [f"Wrote {path}", *describe(image)]
    reference = f"{image_repository(field_set, options)}:{image.tags[0]}"
    if options.archive or field_set.docker_archive.value:
        arguments += [f"--docker-archive={DOCKER_ARCHIVE}", f"--tag={reference}"]
        lines.append(f"  archive {os.path.join(path, DOCKER_ARCHIVE)} ({reference})")
    sbom, provenance = await MultiGet(Get(Sbom, BuiltImage, image), Get(Provenance, BuiltImage, image))
    written = await Get(Digest, CreateDigest([FileContent(PROVENANCE_FILE, provenance.content)]))
    for what, file, beside in (
        ("SBOM", SBOM_FILE, sbom_path(relative_path)),
        ("provenance", PROVENANCE_FILE, provenance_path(relative_path)),
    ):
        arguments.append(f"--document={file}:{os.path.basename(beside)}")
        lines.append(f"  {what:<7} {os.path.join(dist_dir.relpath, beside)}")
    # Not through the digest of the package: the goal would delete the last good image before it writes the new one.
    # This step replaces it and its documents in one move, and only where it differs.
    await Get(
        StepResult,
        Step(
            "export-layout",
            tuple(arguments),
            description=f"Write {path}",
            inputs=await Get(Digest, MergeDigests([layout.digest, sbom.digest, written])),
            cache_scope=ProcessCacheScope.PER_SESSION,
        ),
    )
    return BuiltPackage(EMPTY_DIGEST, (BuiltPackageArtifact(None, tuple(lines)),))


def rules():
    return (*collect_rules(), UnionRule(PackageFieldSet, DockerImagePackageFieldSet))
