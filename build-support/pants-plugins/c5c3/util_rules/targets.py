"""Which targets the generators generate, and where a release's files and a component's patches are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional, Tuple

from packaging.utils import canonicalize_name
from pants.engine.addresses import Address
from pants.engine.fs import PathGlobs, Paths
from pants.engine.internals.selectors import Get
from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    AllTargets,
    GeneratedTargets,
    GenerateTargetsRequest,
    SourcesPaths,
    SourcesPathsRequest,
)
from pants.engine.unions import UnionMembership, UnionRule
from pants.util.frozendict import FrozenDict
from pants.util.logging import LogLevel

from c5c3.target_types import (
    AllowedFindingsField,
    AllPatchesField,
    BaseField,
    BasePackagesField,
    BuilderField,
    BuilderPackagesField,
    CommandField,
    ComponentField,
    DebianBase,
    DebLockSourceField,
    DebLockTarget,
    DistributionField,
    DockerImage,
    EnvironmentField,
    FilesField,
    HeadersField,
    ImageChecks,
    ImageOutputPathField,
    ImageTagsField,
    OpenstackService,
    PatchesField,
    PatchSet,
    PatchSets,
    PythonBaseField,
    PythonVersionField,
    RegistriesField,
    ReleaseField,
    ReleaseFileSourceField,
    RepositoryField,
    RequiredComponentField,
    RequiredReleaseField,
    ServiceBaseField,
    SuitesField,
    SystemBaseField,
    SystemLockField,
    SystemPackagesField,
    TestedImageField,
)

PYTHON_BASE = "python-base"
VENV_BUILDER = "venv-builder"


class GenerateServiceImage(GenerateTargetsRequest):
    generate_from = OpenstackService


@rule(desc="Generate the image of an OpenStack service and its checks", level=LogLevel.DEBUG)
async def generate_service_image(request: GenerateServiceImage, union_membership: UnionMembership) -> GeneratedTargets:
    fields = dict(request.template)
    allowed = fields.pop(AllowedFindingsField.alias, None)
    base = fields.pop(ServiceBaseField.alias, None) or ServiceBaseField.default
    component = fields.get(ComponentField.alias) or request.template_address.target_name
    fields[ComponentField.alias] = component
    fields.setdefault(SystemLockField.alias, component)
    fields.setdefault(ImageOutputPathField.alias, f"images/{component}/{fields[RequiredReleaseField.alias]}")
    fields[PythonBaseField.alias] = f"{base}#{PYTHON_BASE}"
    fields[BaseField.alias] = fields.pop(SystemBaseField.alias, None) or fields[PythonBaseField.alias]
    fields[BuilderField.alias] = f"{base}#{VENV_BUILDER}"
    fields[DistributionField.alias] = base
    address = request.template_address.create_generated("image")
    checks = ImageChecks(
        {TestedImageField.alias: str(address), AllowedFindingsField.alias: allowed},
        request.template_address.create_generated("checks"),
        union_membership,
    )
    return GeneratedTargets(request.generator, [DockerImage(fields, address, union_membership), checks])


class GenerateBaseImages(GenerateTargetsRequest):
    generate_from = DebianBase


@rule(desc="Generate the images of a base", level=LogLevel.DEBUG)
async def generate_base_images(request: GenerateBaseImages, union_membership: UnionMembership) -> GeneratedTargets:
    generator, address = request.generator, request.template_address
    locks = await Get(Paths, PathGlobs([os.path.join(address.spec_path, "locks/*.lock.json")]))
    python, suite = generator[PythonVersionField].value, generator[SuitesField].value[0]
    shared = {
        **request.template,
        DistributionField.alias: str(address),
        FilesField.alias: (),
        RepositoryField.alias: generator[RepositoryField].value,
        RegistriesField.alias: generator[RegistriesField].value,
        ImageTagsField.alias: (f"{python}-{suite}",),
    }

    def image(name: str, **fields: object) -> DockerImage:
        values = {
            **shared,
            ComponentField.alias: name,
            SystemLockField.alias: name,
            ImageOutputPathField.alias: f"images/{name}/{python}-{suite}",
            **fields,
        }
        return DockerImage(values, address.create_generated(name), union_membership)

    return GeneratedTargets(
        generator,
        [
            image(
                PYTHON_BASE,
                **{
                    SystemPackagesField.alias: generator[BasePackagesField].value,
                    EnvironmentField.alias: {
                        "PATH": "/var/lib/openstack/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                        "LANG": "C.UTF-8",
                    },
                    CommandField.alias: (f"python{python}",),
                },
            ),
            image(
                VENV_BUILDER,
                **{
                    BaseField.alias: f"{address}#{PYTHON_BASE}",
                    SystemPackagesField.alias: generator[BuilderPackagesField].value,
                    HeadersField.alias: True,
                },
            ),
            *(
                DebLockTarget(
                    {DebLockSourceField.alias: os.path.relpath(path, address.spec_path)},
                    address.create_generated(os.path.relpath(path, address.spec_path)),
                    union_membership,
                )
                for path in locks.files
            ),
        ],
    )


class GeneratePatchSets(GenerateTargetsRequest):
    generate_from = PatchSets


@rule(desc="Generate a patch set for each component and release", level=LogLevel.DEBUG)
async def generate_patch_sets(request: GeneratePatchSets, union_membership: UnionMembership) -> GeneratedTargets:
    paths = await Get(SourcesPaths, SourcesPathsRequest(request.generator[AllPatchesField]))
    return GeneratedTargets(
        request.generator,
        [
            PatchSet(
                {
                    **request.template,
                    PatchesField.alias: (f"{component}/{release}/*.patch",),
                    RequiredComponentField.alias: component,
                    RequiredReleaseField.alias: release,
                },
                request.template_address.create_generated(f"{component}/{release}"),
                union_membership,
            )
            for component, release in PatchSets.folders(paths.files, request.template_address.spec_path)
        ],
    )


# -----------------------------------------------------------------------------------------------
# Look-ups
# -----------------------------------------------------------------------------------------------


class UnknownReleaseError(Exception):
    """A target, or a folder of patches, names a release that this tree does not have."""


@dataclass(frozen=True)
class Release:
    """The files of one OpenStack release, by their path below its folder."""

    name: str
    folder: str
    files: FrozenDict[str, Address]

    def path(self, name: str) -> str:
        """The path, relative to the build root, of the release's file ``name``."""
        return os.path.join(self.folder, name)


@dataclass(frozen=True)
class AllReleases:
    by_name: FrozenDict[str, Release]

    def get(self, name: str, wanted_by: Address) -> Release:
        """The release called ``name``; raises ``UnknownReleaseError`` naming ``wanted_by`` and what there is."""
        try:
            return self.by_name[name]
        except KeyError:
            known = ", ".join(sorted(self.by_name)) or "none"
            raise UnknownReleaseError(
                f"The `release` field in target {wanted_by} names {name!r}, but this tree has no such release "
                f"(it has: {known}). Add it with `build-support/add-release {name} --like <release> --constraints <file>`, "
                "or correct the field."
            ) from None


@rule(desc="Find all releases", level=LogLevel.DEBUG)
async def find_releases(all_targets: AllTargets) -> AllReleases:
    files: "dict[str, dict[str, Address]]" = {}
    folders: "dict[str, str]" = {}
    for target in all_targets:
        if target.has_field(ReleaseFileSourceField):
            name = target[ReleaseField].value or target.address.target_name
            folder, path = target.address.spec_path, target[ReleaseFileSourceField].file_path
            if folders.setdefault(name, folder) != folder:
                raise UnknownReleaseError(
                    f"Release {name!r} is described twice: in {folders[name]!r} and in {folder!r}. Keep one of them."
                )
            files.setdefault(name, {})[os.path.relpath(path, folder)] = target.address
    return AllReleases(FrozenDict({name: Release(name, folders[name], FrozenDict(files[name])) for name in files}))


@dataclass(frozen=True)
class AllPatchSets:
    by_component: FrozenDict[Tuple[str, str], PatchSet]

    def get(self, component: str, release: str) -> Optional[PatchSet]:
        """The patch set of ``component``, in any spelling (PEP 503), for ``release``."""
        return self.by_component.get((canonicalize_name(component), release))

    def of_release(self, release: str) -> Tuple[PatchSet, ...]:
        """The patch sets for ``release``, sorted by component."""
        return tuple(self.by_component[key] for key in sorted(self.by_component) if key[1] == release)


class AmbiguousPatchSetsError(Exception):
    """Two patch sets are for the same component and release."""


@rule(desc="Find all patch sets", level=LogLevel.DEBUG)
async def find_patch_sets(all_targets: AllTargets, releases: AllReleases) -> AllPatchSets:
    found: "dict[Tuple[str, str], PatchSet]" = {}
    for target in all_targets:
        if isinstance(target, PatchSet):
            key = (canonicalize_name(target[RequiredComponentField].value), target[RequiredReleaseField].value)
            if key[1] not in releases.by_name:
                raise UnknownReleaseError(
                    f"{target.address} patches {key[0]} for {key[1]}, but this tree has no such release (it has: "
                    f"{', '.join(sorted(releases.by_name)) or 'none'}). Correct the name of the patches' folder, or delete it."
                )
            other = found.setdefault(key, target)
            if other is not target:
                raise AmbiguousPatchSetsError(
                    f"Two patch sets are for {key[0]} in {key[1]}: {other.address} and {target.address}. Put the patches "
                    "into one of them, since their order would be undefined."
                )
    return AllPatchSets(FrozenDict(found))


class SharedOutputPathError(Exception):
    """Two images would be written into one folder, and the later one would replace the other."""


@dataclass(frozen=True)
class AllOutputPaths:
    """The images that are written to each path below `--distdir`."""

    by_path: FrozenDict[str, Tuple[Address, ...]]

    def check(self, path: str) -> None:
        """Raise :class:`SharedOutputPathError` where several images are written to ``path``."""
        images = self.by_path.get(path, ())
        if len(images) > 1:
            raise SharedOutputPathError(
                f"The images {' and '.join(map(str, images))} would be written to one folder, {path!r}. Give one of them "
                "an `output_path` of its own."
            )


@rule(desc="Find where images are written to", level=LogLevel.DEBUG)
async def find_output_paths(all_targets: AllTargets) -> AllOutputPaths:
    found: "dict[str, list[Address]]" = {}
    for target in all_targets:
        if isinstance(target, DockerImage):
            path = target[ImageOutputPathField].value_or_default(file_ending=None)
            found.setdefault(path, []).append(target.address)
    return AllOutputPaths(FrozenDict({path: tuple(sorted(images)) for path, images in found.items()}))


def rules():
    return (
        *collect_rules(),
        UnionRule(GenerateTargetsRequest, GenerateServiceImage),
        UnionRule(GenerateTargetsRequest, GenerateBaseImages),
        UnionRule(GenerateTargetsRequest, GeneratePatchSets),
    )
