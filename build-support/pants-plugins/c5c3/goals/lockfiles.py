"""`generate-lockfiles`: make the locks of releases, bases and our own tools, through Pants' own goal.

Locks are where the network decides something, so each is made anew in every run and never taken from a cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, Optional, Sequence, Tuple, Union

from imagekit.python.lock import parse_python_lock
from imagekit.sources.pin import SourcePin, parse_source_lock
from packaging.utils import canonicalize_name
from pants.core.goals.generate_lockfiles import (
    GenerateLockfile,
    GenerateLockfileResult,
    KnownUserResolveNames,
    KnownUserResolveNamesRequest,
    RequestedUserResolveNames,
    UserGenerateLockfiles,
)
from pants.engine.addresses import Address
from pants.engine.fs import AddPrefix, Digest, DigestContents, MergeDigests, PathGlobs, Snapshot
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.process import ProcessCacheScope
from pants.engine.rules import collect_rules, rule
from pants.engine.target import AllTargets, WrappedTarget, WrappedTargetRequest
from pants.engine.unions import UnionRule
from pants.util.frozendict import FrozenDict
from pants.util.logging import LogLevel

from c5c3.target_types import (
    BuilderField,
    DistributionField,
    DockerImage,
    ReleaseField,
    SystemPackagesField,
    TestedImageField,
    UpstreamTests,
)
from c5c3.util_rules.debian import DebLockRequest, Distribution, DistributionRequest, LoadedDebLock
from c5c3.util_rules.host import FETCH_SETTINGS
from c5c3.util_rules.image import (
    ImageAddress,
    ImageAddressRequest,
    ImageLayers,
    ImageLayersRequest,
    SystemLocks,
    SystemLocksRequest,
    environment_request,
)
from c5c3.util_rules.layers import Rootfs, RootfsRequest
from c5c3.util_rules.python import (
    CONSTRAINTS_FILE,
    OVERRIDES_FILE,
    LoadedPythonLock,
    PythonEnvironmentRequest,
    PythonLockRequest,
    ReleaseLocks,
    ReleaseLocksRequest,
    UsedLibraries,
    UsedLibrariesRequest,
    resolve_name,
)
from c5c3.util_rules.required_file import RequiredFile, RequiredFileRequest
from c5c3.util_rules.source import (
    REFS_FILE,
    ComponentRef,
    ComponentRequest,
    PatchedSource,
    Patches,
    PatchesRequest,
    PatchSourceRequest,
    ReleaseRefs,
    ReleaseRefsRequest,
)
from c5c3.util_rules.step import Step, StepResult
from c5c3.util_rules.targets import AllReleases
from c5c3.util_rules.tests_in_image import (
    RequiredByTests,
    RequiredByTestsRequest,
    RequirementsOfTests,
    UpstreamTestsFieldSet,
)
from c5c3.util_rules.tools import TOOL_SETS, ToolSet, UvWheel

_PREVIOUS = "previous"


@dataclass(frozen=True)
class GenerateDebLock(GenerateLockfile):
    """The lock of a set of system packages, which ``wanted_by`` and perhaps others name."""

    distribution: Distribution
    name: str
    requested: Tuple[str, ...]
    #: The names of the locks whose packages are there already, bottom first.
    extends: Tuple[str, ...]
    wanted_by: Address = field(compare=False)
    #: Those of ``extends`` that the same command makes, and whose new contents count.
    made_before: Tuple[GenerateDebLock, ...] = ()


@dataclass(frozen=True)
class GenerateServiceLock(GenerateLockfile):
    """The pinned source and the Python lock of a service."""

    environment: PythonEnvironmentRequest
    distribution: Distribution
    builder: Address
    #: Of the lock of the component's unit tests: what they need beside ``environment``.
    tests: Optional[RequirementsOfTests] = None
    #: Resolve a branch anew, instead of keeping the commit that the last lock recorded.
    move: bool = False
    #: Use the builder as it was locked last, since the same command makes its lock anew.
    stale_builder: bool = False


@dataclass(frozen=True)
class GenerateLibraryLocks(GenerateLockfile):
    """The pin of a library, and the locks of the services that hold it."""

    services: Tuple[GenerateServiceLock, ...]


@dataclass(frozen=True)
class GenerateToolsLock(GenerateLockfile):
    """The lock of a set of imagekit's own tools."""

    tools: ToolSet


class LockConflictError(Exception):
    """Two images want different things of one lock."""


ImageLock = Union[GenerateDebLock, GenerateLibraryLocks, GenerateServiceLock, GenerateToolsLock]


@dataclass(frozen=True)
class AllLocks:
    """Every lock of this tree, by the name of its resolve."""

    by_resolve: FrozenDict[str, ImageLock]


@rule(desc="Find all locks", level=LogLevel.DEBUG)
async def find_locks(all_targets: AllTargets) -> AllLocks:
    locks: Dict[str, ImageLock] = {
        tools.resolve: GenerateToolsLock(
            resolve_name=tools.resolve, lockfile_dest=tools.lock_path, diff=False, tools=tools
        )
        for tools in TOOL_SETS
    }
    wanted_by: Dict[str, Address] = {}
    for target in all_targets:
        image, tests = target, None
        if isinstance(target, UpstreamTests):
            tested = UpstreamTestsFieldSet.create(target)
            tests = tested.requirements
            address = await Get(
                ImageAddress, ImageAddressRequest(str(tested.image.value), TestedImageField.alias, target.address)
            )
            wrapped = await Get(
                WrappedTarget, WrappedTargetRequest(address.address, description_of_origin="<infallible>")
            )
            image = wrapped.target
        if not isinstance(image, DockerImage) or not image[DistributionField].value:
            continue
        distribution = await Get(Distribution, DistributionRequest(image[DistributionField].value, image.address))
        found: "list[Union[GenerateDebLock, GenerateServiceLock]]" = []
        if tests is None and image[SystemPackagesField].value:
            system_locks = await Get(SystemLocks, SystemLocksRequest(image.address))
            *extends, name = system_locks.names
            found.append(
                GenerateDebLock(
                    resolve_name=f"{distribution.name}/{name}",
                    lockfile_dest=distribution.lock_path(name),
                    diff=False,
                    distribution=distribution,
                    name=name,
                    requested=tuple(sorted(image[SystemPackagesField].value)),
                    extends=tuple(extends),
                    wanted_by=image.address,
                )
            )
        release = image[ReleaseField].value
        if release and image[BuilderField].value:
            environment = environment_request(image, release)
            builder = await Get(
                ImageAddress, ImageAddressRequest(image[BuilderField].value, BuilderField.alias, image.address)
            )
            found.append(
                GenerateServiceLock(
                    resolve_name=resolve_name(release, environment.component, of_tests=tests is not None),
                    lockfile_dest="",
                    diff=False,
                    environment=environment,
                    distribution=distribution,
                    builder=builder.address,
                    tests=tests,
                )
            )
        for lock in found:
            other = locks.setdefault(lock.resolve_name, lock)
            if other != lock:
                raise LockConflictError(
                    f"Targets {wanted_by[lock.resolve_name]} and {target.address} want different contents of the lock "
                    f"{lock.resolve_name!r}. Give one of them a `system_lock` (or a `component`) of its own, or "
                    "both the same."
                )
            wanted_by.setdefault(lock.resolve_name, target.address)
    services = [lock for lock in locks.values() if isinstance(lock, GenerateServiceLock) and lock.tests is None]
    for name in sorted({service.environment.release for service in services}):
        of_release = [service for service in services if service.environment.release == name]
        refs = await Get(ReleaseRefs, ReleaseRefsRequest(name, of_release[0].environment.owner))
        on_disk = await Get(ReleaseLocks, ReleaseLocksRequest(refs))
        for library in refs.libraries:
            project = canonicalize_name(library.project)
            users = {
                lock.service
                for lock in on_disk.by_path.values()
                if any(package.name == project for package in lock.packages)
            }
            holding = tuple(service for service in of_release if service.environment.component in users)
            if holding:
                resolve = f"{name}/{library.component}"
                pin_path = refs.release.path(f"sources/{library.component}.json")
                locks[resolve] = GenerateLibraryLocks(resolve, pin_path, False, holding)
    return AllLocks(FrozenDict(locks))


class KnownImageLocksRequest(KnownUserResolveNamesRequest):
    pass


class RequestedImageLocks(RequestedUserResolveNames):
    pass


@rule
async def known_image_locks(_: KnownImageLocksRequest, locks: AllLocks) -> KnownUserResolveNames:
    return KnownUserResolveNames(
        names=tuple(sorted(locks.by_resolve)),
        option_name="the `openstack_service` and `debian_base` targets",
        requested_resolve_names_cls=RequestedImageLocks,
    )


@rule
async def requested_image_locks(requested: RequestedImageLocks, locks: AllLocks) -> UserGenerateLockfiles:
    return UserGenerateLockfiles(in_one_command([locks.by_resolve[name] for name in requested]))


def in_one_command(locks: Sequence[ImageLock]) -> Tuple[ImageLock, ...]:
    """``locks``, made as if one after the other from the bottom up: none sees those on disk that the others replace."""
    debs = {lock.resolve_name: lock for lock in locks if isinstance(lock, GenerateDebLock)}

    def after_those_below(lock: GenerateDebLock) -> GenerateDebLock:
        below = (debs.get(f"{lock.distribution.name}/{name}") for name in lock.extends)
        return replace(lock, made_before=tuple(after_those_below(other) for other in below if other))

    def arranged(lock: ImageLock) -> ImageLock:
        if isinstance(lock, GenerateDebLock):
            return after_those_below(lock)
        if isinstance(lock, GenerateServiceLock):
            return replace(lock, stale_builder=bool(debs))
        if isinstance(lock, GenerateLibraryLocks):
            services = (replace(service, stale_builder=bool(debs)) for service in lock.services)
            return replace(lock, services=tuple(services))
        return lock

    return tuple(arranged(lock) for lock in locks)


@rule
async def generate_deb_lock(request: GenerateDebLock) -> GenerateLockfileResult:
    distribution = request.distribution
    made = {lock.name for lock in request.made_before}
    made_before = await MultiGet(Get(GenerateLockfileResult, GenerateDebLock, lock) for lock in request.made_before)
    on_disk = await MultiGet(
        Get(LoadedDebLock, DebLockRequest(distribution, name, (), allow_stale=True))
        for name in request.extends
        if name not in made
    )
    result = await Get(
        StepResult,
        Step(
            "lock-debs",
            (
                *(f"--suite={suite}" for suite in distribution.suites),
                *(f"--component={component}" for component in distribution.components),
                "--architecture=amd64",
                "--architecture=arm64",
                *(f"--package={package}" for package in request.requested),
                *(f"--extends={distribution.lock_path(name)}" for name in request.extends),
                f"--settings={FETCH_SETTINGS}",
                f"--output={request.lockfile_dest}",
            ),
            description=f"Lock the system packages {request.resolve_name}",
            origin=f"the system packages of {request.wanted_by}",
            inputs=await Get(Digest, MergeDigests(lock.digest for lock in (*made_before, *on_disk))),
            output_files=(request.lockfile_dest,),
            level=LogLevel.INFO,
            cache_scope=ProcessCacheScope.PER_SESSION,
        ),
    )
    return GenerateLockfileResult(result.output, request.resolve_name, request.lockfile_dest)


@dataclass(frozen=True)
class PinSourceRequest:
    """The source of ``component`` as its ref says now, for a lock of the target ``wanted_by``.

    ``move`` resolves a branch anew, instead of keeping the commit that the last pin recorded.
    """

    component: str
    release: str
    wanted_by: Address
    move: bool


@dataclass(frozen=True)
class PinnedSource:
    """A pin, in a file of ``pin_digest``, and the patched tree: for the network, not from the files on disk.

    ``source_digest`` holds the tree at a path of its own, for a step that takes several.
    """

    component: str
    pin: SourcePin
    place: str
    pin_digest: Digest
    patched: PatchedSource
    source_digest: Digest

    @property
    def folder(self) -> str:
        """Where the tree lies in ``source_digest``."""
        return f"libraries/{self.component}"

    @property
    def lock_arguments(self) -> Tuple[str, ...]:
        """The arguments that give the source, a library's, to the step that locks."""
        path = f"{self.folder}/{self.patched.path}"
        return ("--library", self.component, self.pin.project, self.pin.version, path, self.place)


@rule
async def pin_source(request: PinSourceRequest) -> PinnedSource:
    found = await Get(ComponentRef, ComponentRequest(request.component, request.release, request.wanted_by))
    refs_path, pin_path = found.release.path(REFS_FILE), found.pin_path
    component = found.ref.component
    previous_pin = await Get(Digest, PathGlobs([pin_path]))
    pinned = await Get(
        StepResult,
        Step(
            "lock-source",
            (
                f"--component={component}",
                f"--refs={refs_path}",
                f"--release={request.release}",
                f"--previous={_PREVIOUS}/{pin_path}",
                *(("--move",) if request.move else ()),
                f"--accept=run `./pants update-sources {request.wanted_by.spec_path}::`",
                f"--settings={FETCH_SETTINGS}",
                f"--output={pin_path}",
            ),
            description=f"Pin the source of {request.release}/{component}",
            inputs=await Get(
                Digest,
                MergeDigests(
                    [await Get(Digest, PathGlobs([refs_path])), await Get(Digest, AddPrefix(previous_pin, _PREVIOUS))]
                ),
            ),
            output_files=(pin_path,),
            level=LogLevel.INFO,
            cache_scope=ProcessCacheScope.PER_SESSION,
        ),
    )
    contents = await Get(DigestContents, Digest, pinned.output)
    pin = parse_source_lock(contents[0].content.decode(), pin_path).pin
    patches = await Get(Patches, PatchesRequest(component, request.release))
    patched = await Get(PatchedSource, PatchSourceRequest(component, request.release, pin, patches))
    return PinnedSource(
        component,
        pin,
        str(found.ref.place),
        pinned.output,
        patched,
        await Get(Digest, AddPrefix(patched.digest, f"libraries/{component}")),
    )


@rule
async def generate_service_lock(
    request: GenerateServiceLock, uv: UvWheel, releases: AllReleases
) -> GenerateLockfileResult:
    environment = request.environment
    ref = await Get(ComponentRef, ComponentRequest, environment.component_request)
    release = ref.release
    constraints_path, overrides_path = release.path(CONSTRAINTS_FILE), release.path(OVERRIDES_FILE)

    refs = await Get(ReleaseRefs, ReleaseRefsRequest(release.name, environment.owner))
    own, *libraries = await MultiGet(
        Get(PinnedSource, PinSourceRequest(component, release.name, environment.owner, request.move))
        for component in (environment.component, *(library.component for library in refs.libraries))
    )
    pin, patched = own.pin, own.patched
    image_lock: Tuple[str, ...] = ()
    if request.tests is not None:
        below = await Get(LoadedPythonLock, PythonLockRequest(environment, request.distribution))
        image_lock = (below.path,)
        what = f"{environment.component} {pin.version}"
        required = await Get(RequiredByTests, RequiredByTestsRequest(what, patched, request.tests))
        environment = request.tests.environment(environment, required.requirements)
    lock_path = release.path(environment.lock_name)
    builder = await Get(ImageLayers, ImageLayersRequest(request.builder, request.stale_builder))
    rootfs, constraints = await MultiGet(
        Get(Rootfs, RootfsRequest(builder.layers)),
        Get(Digest, PathGlobs([constraints_path, overrides_path, *image_lock])),
    )
    # An override must be of use to some service of the release, and layers are shared with those of all releases.
    locks = await Get(
        Snapshot,
        PathGlobs([lock_path, *(other.path("locks/*.lock.json") for _, other in sorted(releases.by_name.items()))]),
    )
    previous_locks = await Get(Digest, AddPrefix(locks.digest, _PREVIOUS))
    result = await Get(
        StepResult,
        Step(
            "lock-python",
            (
                f"--service={environment.component}",
                f"--release={release.name}",
                *(f"--requirement={requirement}" for requirement in environment.requirements(pin.project)),
                f"--source={patched.path}",
                f"--project={pin.project}",
                f"--version={pin.version}",
                *(argument for library in libraries for argument in library.lock_arguments),
                f"--constraints={constraints_path}",
                f"--overrides={overrides_path}",
                *(f"--other-lock={_PREVIOUS}/{path}" for path in locks.files if path != lock_path),
                f"--previous={_PREVIOUS}/{lock_path}",
                *(f"--image-lock={path}" for path in image_lock),
                f"--uv={uv.path}",
                *rootfs.arguments,
                f"--settings={FETCH_SETTINGS}",
                f"--output={lock_path}",
            ),
            description=f"Lock the Python packages of {request.resolve_name}",
            inputs=await Get(
                Digest,
                MergeDigests(
                    [
                        patched.digest,
                        *(library.source_digest for library in libraries),
                        rootfs.digest,
                        constraints,
                        previous_locks,
                        uv.digest,
                    ]
                ),
            ),
            output_files=(lock_path,),
            level=LogLevel.INFO,
            cache_scope=ProcessCacheScope.PER_SESSION,
        ),
    )
    made = await Get(DigestContents, Digest, result.output)
    lock = parse_python_lock(made[0].content.decode(), lock_path)
    await Get(UsedLibraries, UsedLibrariesRequest(refs, lock))
    held = {package.component for package in lock.packages}
    pins = [own.pin_digest, *(library.pin_digest for library in libraries if library.component in held)]
    return GenerateLockfileResult(
        await Get(Digest, MergeDigests([*pins, result.output])), request.resolve_name, lock_path
    )


@rule
async def generate_library_locks(request: GenerateLibraryLocks) -> GenerateLockfileResult:
    results = await MultiGet(
        Get(GenerateLockfileResult, GenerateServiceLock, service) for service in request.services
    )
    return GenerateLockfileResult(
        await Get(Digest, MergeDigests(result.digest for result in results)), request.resolve_name, request.lockfile_dest
    )


@rule
async def generate_tools_lock(request: GenerateToolsLock, uv: UvWheel) -> GenerateLockfileResult:
    requirements = await Get(
        RequiredFile,
        RequiredFileRequest(
            request.tools.requirements_path, "the requirements of imagekit's own tools", "Restore it from git."
        ),
    )
    previous = await Get(Digest, AddPrefix(await Get(Digest, PathGlobs([request.lockfile_dest])), _PREVIOUS))
    result = await Get(
        StepResult,
        Step(
            "lock-tools",
            (
                f"--requirements={request.tools.requirements_path}",
                f"--previous={_PREVIOUS}/{request.lockfile_dest}",
                f"--uv={uv.path}",
                f"--settings={FETCH_SETTINGS}",
                f"--output={request.lockfile_dest}",
            ),
            description=f"Lock {request.lockfile_dest}",
            inputs=await Get(Digest, MergeDigests([requirements.digest, previous, uv.digest])),
            output_files=(request.lockfile_dest,),
            level=LogLevel.INFO,
            cache_scope=ProcessCacheScope.PER_SESSION,
        ),
    )
    return GenerateLockfileResult(result.output, request.resolve_name, request.lockfile_dest)


def rules():
    return (
        *collect_rules(),
        UnionRule(KnownUserResolveNamesRequest, KnownImageLocksRequest),
        UnionRule(RequestedUserResolveNames, RequestedImageLocks),
        *(UnionRule(GenerateLockfile, lock) for lock in (
                GenerateDebLock,
                GenerateLibraryLocks,
                GenerateServiceLock,
                GenerateToolsLock,
            )),
    )
