"""The source of a component for a release: fetched as its pin says, patched as its patch set says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import FrozenSet, Tuple

from imagekit.python.lock import Artifact
from imagekit.sources.pin import GitPin, SdistPin, SourcePin, check_source_lock, parse_source_lock
from imagekit.sources.refs import SourceRef, SourceRefs, parse_source_refs
from packaging.utils import canonicalize_name
from pants.engine.addresses import Address
from pants.engine.fs import Digest, MergeDigests, PathGlobs, Snapshot
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.rules import collect_rules, rule
from pants.engine.target import AllTargets, HydratedSources, HydrateSourcesRequest
from pants.util.frozendict import FrozenDict
from pants.util.logging import LogLevel

from c5c3.target_types import ComponentField, DockerImage, PatchesField, ReleaseField
from c5c3.util_rules.fetched import FetchedFile, GitSourceRequest, PythonFileRequest
from c5c3.util_rules.required_file import RequiredFile, RequiredFileRequest
from c5c3.util_rules.step import Step, StepResult
from c5c3.util_rules.targets import AllPatchSets, AllReleases, Release

REFS_FILE = "source-refs.yaml"
PATCHED = "patched.tar"


@dataclass(frozen=True)
class ComponentRequest:
    """A component of a release, wanted by the target ``wanted_by``."""

    component: str
    release: str
    wanted_by: Address


@dataclass(frozen=True)
class ComponentRef:
    """What the release's references say of a component, where its pin is kept, and the command that renews it."""

    release: Release
    ref: SourceRef
    pin_path: str
    remedy: str


def lock_command(release: str, component: str) -> str:
    """The command that makes the locks of a service, or of the services that use a library."""
    return f"./pants generate-lockfiles --resolve={release}/{component}"


class MissingRefError(Exception):
    """A target or a patch is for a component that the release does not pin."""


@dataclass(frozen=True)
class AllImageComponents:
    """The components that images are built of, as pairs of release and PEP 503 name."""

    names: FrozenSet[Tuple[str, str]]


@rule(desc="Find the components that images are built of", level=LogLevel.DEBUG)
async def find_image_components(all_targets: AllTargets) -> AllImageComponents:
    return AllImageComponents(
        frozenset(
            (target[ReleaseField].value, canonicalize_name(target[ComponentField].value or target.address.target_name))
            for target in all_targets
            if isinstance(target, DockerImage) and target[ReleaseField].value
        )
    )


@dataclass(frozen=True)
class ReleaseRefsRequest:
    """The references of ``release``, wanted by the target ``wanted_by``."""

    release: str
    wanted_by: Address


@dataclass(frozen=True)
class ReleaseRefs:
    """What a release pins. ``libraries`` are the components that no image is built of: what services may depend on."""

    release: Release
    refs: SourceRefs
    libraries: Tuple[SourceRef, ...]


@rule
async def read_release_refs(
    request: ReleaseRefsRequest, releases: AllReleases, patch_sets: AllPatchSets, images: AllImageComponents
) -> ReleaseRefs:
    release = releases.get(request.release, request.wanted_by)
    path = release.path(REFS_FILE)
    file = await Get(
        RequiredFile,
        RequiredFileRequest(
            path,
            f"the source references of release {release.name}",
            "Write it, with a line such as `keystone: \"<version>\"` for each component.",
        ),
    )
    parsed = parse_source_refs(file.text, path)
    refs = SourceRefs(parsed.file, FrozenDict(parsed.refs))
    for patch_set in patch_sets.of_release(release.name):
        component = patch_set[ComponentField].value
        if component and refs.find(component) is None:
            raise MissingRefError(
                f"{patch_set.address} patches {component} for {release.name}, but {path} has no ref for it. Add a line "
                f"such as `{component}: \"<version>\"`, or correct the name of the patches' folder."
            )
    return ReleaseRefs(
        release,
        refs,
        tuple(
            ref
            for name, ref in sorted(refs.refs.items())
            if (release.name, canonicalize_name(name)) not in images.names
        ),
    )


@rule
async def find_component_ref(request: ComponentRequest) -> ComponentRef:
    found = await Get(ReleaseRefs, ReleaseRefsRequest(request.release, request.wanted_by))
    ref = found.refs.find(request.component)
    if ref is None:
        raise MissingRefError(
            f"Target {request.wanted_by} builds {request.component} for {request.release}, but {found.refs.file} has no ref "
            f"for it. Add a line such as `{request.component}: \"<version>\"`, or take {request.release} out of the "
            "target's `release`."
        )
    return ComponentRef(
        found.release,
        ref,
        found.release.path(f"sources/{ref.component}.json"),
        lock_command(found.release.name, ref.component),
    )


@dataclass(frozen=True)
class Source:
    """Where a component's source comes from: its pin, and the patches for it in order."""

    component: str
    release: str
    pin: SourcePin
    patches: Tuple[str, ...]
    patch_digest: Digest

    @property
    def version(self) -> str:
        """The version that the component's own build is told (``PBR_VERSION``)."""
        return self.pin.version

    @property
    def remedy(self) -> str:
        """The command that makes the locks again which this source is in."""
        return lock_command(self.release, self.component)

    @property
    def description(self) -> str:
        """The exact source, for a person: the sdist and its hash, or the repository and commit."""
        if isinstance(self.pin, SdistPin):
            return f"{self.pin.filename}@sha256:{self.pin.sha256}"
        return f"{self.pin.url}@{self.pin.commit}"

    @property
    def tag(self) -> str:
        """``<version>`` or, patched, ``<version>-p<number of patches>``."""
        # A local or dev version may hold a plus sign, which a tag may not.
        version = self.version.replace("+", "-")
        return f"{version}-p{len(self.patches)}" if self.patches else version


@dataclass(frozen=True)
class PatchesRequest:
    component: str
    release: str


@dataclass(frozen=True)
class Patches:
    """The patches of a component in the order of their names, and where they lie."""

    paths: Tuple[str, ...]
    digest: Digest


@rule
async def find_patches(request: PatchesRequest, patch_sets: AllPatchSets) -> Patches:
    patch_set = patch_sets.get(request.component, request.release)
    if patch_set is None:
        return Patches((), (await Get(Snapshot, PathGlobs([]))).digest)
    sources = await Get(HydratedSources, HydrateSourcesRequest(patch_set[PatchesField]))
    return Patches(tuple(sorted(sources.snapshot.files, key=os.path.basename)), sources.snapshot.digest)


@rule
async def find_source(request: ComponentRequest) -> Source:
    component_ref, patches = await MultiGet(
        Get(ComponentRef, ComponentRequest, request),
        Get(Patches, PatchesRequest(request.component, request.release)),
    )
    file = await Get(
        RequiredFile,
        RequiredFileRequest(
            component_ref.pin_path,
            f"the pinned source of {request.component}",
            f"Run `{component_ref.remedy}` to make it.",
        ),
    )
    lock = parse_source_lock(file.text, component_ref.pin_path)
    check_source_lock(lock, component_ref.ref, request.release, component_ref.pin_path, component_ref.remedy)
    return Source(request.component, request.release, lock.pin, patches.paths, patches.digest)


@dataclass(frozen=True)
class PatchedSource:
    """A digest that holds the patched tree as the tar :attr:`path`."""

    digest: Digest
    path: str = PATCHED


@dataclass(frozen=True)
class PatchSourceRequest:
    """The tree of ``pin`` with ``patches`` applied."""

    component: str
    release: str
    pin: SourcePin
    patches: Patches


@rule
async def patch_source(request: PatchSourceRequest) -> PatchedSource:
    pin = request.pin
    origin = f"the source of {request.component} for {request.release}"
    if isinstance(pin, SdistPin):
        artifact = Artifact(pin.filename, pin.size, pin.sha256)
        fetched = await Get(FetchedFile, PythonFileRequest(pin.project, artifact, origin))
    else:
        assert isinstance(pin, GitPin)
        fetched = await Get(FetchedFile, GitSourceRequest(pin, origin))
    result = await Get(
        StepResult,
        Step(
            "patch-source",
            (
                f"--source={fetched.path}",
                *(f"--patch={path}" for path in request.patches.paths),
                f"--component={request.component}",
                f"--release={request.release}",
                f"--version={pin.version}",
                f"--output={PATCHED}",
            ),
            description=f"Patch {request.component} {pin.version} for {request.release}",
            inputs=await Get(Digest, MergeDigests([fetched.digest, request.patches.digest])),
            output_files=(PATCHED,),
        ),
    )
    return PatchedSource(result.output)


@rule(desc="Patch a component's source", level=LogLevel.DEBUG)
async def patch_found_source(source: Source) -> PatchedSource:
    return await Get(
        PatchedSource,
        PatchSourceRequest(
            source.component, source.release, source.pin, Patches(source.patches, source.patch_digest)
        ),
    )


def rules():
    return collect_rules()
