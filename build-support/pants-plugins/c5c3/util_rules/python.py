"""Python packages: a wheel is built once per source and toolchain, installed once per wheel and interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

from imagekit.python.bound_constraints import bound
from imagekit.python.constraints import Constraints, apply_overrides, parse_overrides, parse_upper_constraints
from imagekit.python.lock import (
    PatchedLibrary,
    PinnedLibrary,
    PythonLock,
    SelectedPackage,
    check_inputs,
    check_libraries_are_used,
    check_overrides_are_used,
    parse_python_lock,
    select,
)
from imagekit.python.target import TargetPython
from packaging.utils import canonicalize_name
from pants.engine.addresses import Address
from pants.engine.fs import Digest, DigestContents, MergeDigests, PathGlobs, RemovePrefix, Snapshot
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.platform import Platform
from pants.engine.rules import collect_rules, rule
from pants.util.frozendict import FrozenDict
from pants.util.logging import LogLevel

from c5c3.util_rules.debian import Distribution
from c5c3.util_rules.fetched import FetchedFile, PythonFileRequest
from c5c3.util_rules.layers import ImageRootfsRequest, LayerBlob, LayerRequest, Piece, Rootfs
from c5c3.util_rules.required_file import RequiredFile, RequiredFileRequest
from c5c3.util_rules.source import (
    AllImageComponents,
    ComponentRequest,
    PatchedSource,
    ReleaseRefs,
    ReleaseRefsRequest,
    Source,
)
from c5c3.util_rules.step import Step, StepResult
from c5c3.util_rules.targets import AllPatchSets
from c5c3.util_rules.tools import machine

CONSTRAINTS_FILE = "upper-constraints.txt"
OVERRIDES_FILE = "constraint-overrides.txt"


def lock_name(component: str, *, of_tests: bool = False) -> str:
    """The path, below a release's folder, of the Python lock of ``component`` or of its unit tests."""
    return f"locks/{'tests/' if of_tests else ''}{component}.lock.json"


def resolve_name(release: str, component: str, *, of_tests: bool = False) -> str:
    """The name that `generate-lockfiles` makes that lock by."""
    return f"{release}/{component}{'-tests' if of_tests else ''}"


@dataclass(frozen=True)
class PythonEnvironmentRequest:
    """What a target says of the virtual environment of one service."""

    component: str
    release: str
    extras: Tuple[str, ...]
    python_packages: Tuple[str, ...]
    exclude_tests: bool
    owner: Address
    #: Of an environment for the component's unit tests: that of the image they run in.
    image: Optional[PythonEnvironmentRequest] = None

    @property
    def lock_name(self) -> str:
        """The path of its lock below the release's folder."""
        return lock_name(self.component, of_tests=self.image is not None)

    @property
    def resolve_name(self) -> str:
        """The name that `generate-lockfiles` makes its lock by."""
        return resolve_name(self.release, self.component, of_tests=self.image is not None)

    def requirements(self, project: str) -> Tuple[str, ...]:
        """The requirements that the lock is made for, the component's own distribution ``project`` first."""
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        return (f"{project}{extras}", *sorted(self.python_packages))

    @property
    def component_request(self) -> ComponentRequest:
        return ComponentRequest(self.component, self.release, self.owner)


@dataclass(frozen=True)
class PythonLockRequest:
    """The lock of a service, checked against what the target and the release say now."""

    environment: PythonEnvironmentRequest
    distribution: Distribution


@dataclass(frozen=True)
class LoadedPythonLock:
    """``libraries`` are the sources that packages of the lock are built from, by the package's name.

    ``added`` are the overrides in force that add a pin, instead of replacing one.
    """

    lock: PythonLock
    text: str
    path: str
    remedy: str
    libraries: FrozenDict[str, Source]
    added: Constraints


@dataclass(frozen=True)
class ReleaseLocksRequest:
    """The locks of all services of a release."""

    refs: ReleaseRefs


@dataclass(frozen=True)
class ReleaseLocks:
    """The locks that are there, by path; ``complete`` where every image of the release has its own."""

    by_path: FrozenDict[str, PythonLock]
    complete: bool


@rule
async def read_release_locks(request: ReleaseLocksRequest, images: AllImageComponents) -> ReleaseLocks:
    release = request.refs.release
    contents = await Get(DigestContents, PathGlobs([release.path("locks/*.lock.json")]))
    locks = {file.path: parse_python_lock(file.content.decode(), file.path) for file in contents}
    built = {name for of_release, name in images.names if of_release == release.name}
    locked = {canonicalize_name(lock.service) for lock in locks.values()}
    return ReleaseLocks(FrozenDict(locks), built <= locked)


@dataclass(frozen=True)
class UsedLibrariesRequest:
    """Whether every patched library of the release is in a lock: in ``also`` or in one of those on disk."""

    refs: ReleaseRefs
    also: Optional[PythonLock] = None


@dataclass(frozen=True)
class UsedLibraries:
    """That it is so."""


@rule
async def check_used_libraries(request: UsedLibrariesRequest, patch_sets: AllPatchSets) -> UsedLibraries:
    release = request.refs.release.name
    patched = [
        PatchedLibrary(ref.component, ref.project, release, str(patch_set.address))
        for ref in request.refs.libraries
        for patch_set in (patch_sets.get(ref.component, release),)
        if patch_set is not None
    ]
    locks = await Get(ReleaseLocks, ReleaseLocksRequest(request.refs))
    if patched and locks.complete:
        check_libraries_are_used(patched, [*locks.by_path.values(), *([request.also] if request.also else ())])
    return UsedLibraries()


@dataclass(frozen=True)
class UsedOverridesRequest:
    """Whether every package that an override ``added`` to the release's constraints is in a lock, tests' included."""

    refs: ReleaseRefs
    added: Constraints


@dataclass(frozen=True)
class UsedOverrides:
    """That it is so."""


@rule
async def check_used_overrides(request: UsedOverridesRequest) -> UsedOverrides:
    if not request.added.pins:
        return UsedOverrides()
    release = request.refs.release
    locks, tests = await MultiGet(
        Get(ReleaseLocks, ReleaseLocksRequest(request.refs)),
        Get(DigestContents, PathGlobs([release.path(lock_name("*", of_tests=True))])),
    )
    # Without all locks nobody knows; locking asks as well.
    if locks.complete:
        of_tests = [parse_python_lock(file.content.decode(), file.path) for file in tests]
        check_overrides_are_used(request.added, [*locks.by_path.values(), *of_tests])
    return UsedOverrides()


def lock_remedy(environment: PythonEnvironmentRequest) -> str:
    return f"Run `./pants generate-lockfiles --resolve={environment.resolve_name}` to make it."


@rule
async def load_python_lock(request: PythonLockRequest) -> LoadedPythonLock:
    environment = request.environment
    refs = await Get(ReleaseRefs, ReleaseRefsRequest(environment.release, environment.owner))
    release = refs.release
    path = release.path(environment.lock_name)
    constraints_path, overrides_path = release.path(CONSTRAINTS_FILE), release.path(OVERRIDES_FILE)
    remedy = lock_remedy(environment)
    source, file, constraints, overrides = await MultiGet(
        Get(Source, ComponentRequest, environment.component_request),
        Get(
            RequiredFile,
            RequiredFileRequest(path, f"the Python lock of {environment.component} for {release.name}", remedy),
        ),
        Get(
            RequiredFile,
            RequiredFileRequest(
                constraints_path,
                f"the upper constraints of release {release.name}",
                "Copy the file of that name from the release's branch of openstack/requirements.",
            ),
        ),
        Get(DigestContents, PathGlobs([overrides_path])),
    )
    lock = parse_python_lock(file.text, path, remedy)
    held = {package.name for package in lock.packages}
    used = [ref for ref in refs.libraries if canonicalize_name(ref.project) in held]
    libraries = await MultiGet(
        Get(Source, ComponentRequest(ref.component, release.name, environment.owner)) for ref in used
    )
    in_force = parse_upper_constraints(constraints.text, constraints_path)
    if overrides:
        in_force = apply_overrides(in_force, parse_overrides(overrides[0].content.decode(), overrides_path))
    added = tuple(pin for pin in in_force.pins if pin.override and pin.replaces is None)
    if environment.image is not None:
        below = await Get(LoadedPythonLock, PythonLockRequest(environment.image, request.distribution))
        in_force = bound(in_force, below.lock, below.text, below.path)
    check_inputs(
        lock,
        release=environment.release,
        service=environment.component,
        python=request.distribution.python,
        requirements=environment.requirements(source.pin.project),
        root_name=source.pin.project,
        root_version=source.version,
        constraints=in_force,
        libraries=[
            PinnedLibrary(
                library.component,
                library.pin.project,
                library.version,
                release.path(f"sources/{library.component}.json"),
            )
            for library in libraries
        ],
        origin=path,
        remedy=remedy,
    )
    await Get(UsedLibraries, UsedLibrariesRequest(refs))
    return LoadedPythonLock(
        lock,
        file.text,
        path,
        remedy,
        FrozenDict({canonicalize_name(library.pin.project): library for library in libraries}),
        Constraints(overrides_path, added),
    )


@dataclass(frozen=True)
class Toolchain:
    """Where wheels are built and where they are installed: the images of the builder and of the base.

    By address, so that a rule waits for the one it needs, and a fetch for neither.
    """

    builder: Address
    base: Address
    python: str


@dataclass(frozen=True)
class Wheel:
    """A wheel, ``path`` in ``digest``."""

    path: str
    digest: Digest


@dataclass(frozen=True)
class BuildWheelRequest:
    """A wheel of ``name`` ``version`` built from ``source`` (a path in ``source_digest``).

    Where ``locked_requires`` are given, a wheel that requires anything else with ``extras`` is refused, with ``remedy``.
    """

    name: str
    version: str
    source: str
    source_digest: Digest
    build_requires: Tuple[SelectedPackage, ...]
    toolchain: Toolchain
    locked_requires: Tuple[str, ...] = ()
    extras: Tuple[str, ...] = ()
    remedy: str = ""


@dataclass(frozen=True)
class SelectedWheelRequest:
    """The wheel of a locked package: fetched, built from its sdist, or built from ``library``, its pinned source."""

    package: SelectedPackage
    toolchain: Toolchain
    library: Optional[Source] = None


@rule
async def build_wheel(request: BuildWheelRequest) -> Wheel:
    rootfs = await Get(Rootfs, ImageRootfsRequest(request.toolchain.builder))
    wheels = await MultiGet(
        Get(Wheel, SelectedWheelRequest(package, request.toolchain)) for package in request.build_requires
    )
    result = await Get(
        StepResult,
        Step(
            "build-wheel",
            (
                f"--source={request.source}",
                f"--name={request.name}",
                f"--version={request.version}",
                *(f"--build-wheel={wheel.path}" for wheel in wheels),
                *(f"--locked-requires={requirement}" for requirement in request.locked_requires),
                *(f"--extra={extra}" for extra in request.extras),
                *((f"--remedy={request.remedy}",) if request.locked_requires else ()),
                *rootfs.arguments,
                f"--python={request.toolchain.python}",
                "--output-dir=wheel",
            ),
            description=f"Build the wheel of {request.name} {request.version}",
            inputs=await Get(
                Digest, MergeDigests([request.source_digest, rootfs.digest, *(wheel.digest for wheel in wheels)])
            ),
            output_directories=("wheel",),
            level=LogLevel.INFO,
        ),
    )
    built = await Get(Snapshot, RemovePrefix(result.output, "wheel"))
    (path,) = built.files
    return Wheel(path, built.digest)


@dataclass(frozen=True)
class SourceWheelRequest:
    """The wheel of ``name`` ``version`` from a pinned ``source``, patched; the rest as in :class:`BuildWheelRequest`."""

    name: str
    version: str
    source: Source
    build_requires: Tuple[SelectedPackage, ...]
    toolchain: Toolchain
    locked_requires: Tuple[str, ...]
    extras: Tuple[str, ...]
    remedy: str


@rule
async def build_source_wheel(request: SourceWheelRequest) -> Wheel:
    patched = await Get(PatchedSource, Source, request.source)
    return await Get(
        Wheel,
        BuildWheelRequest(
            request.name,
            request.version,
            patched.path,
            patched.digest,
            request.build_requires,
            request.toolchain,
            request.locked_requires,
            request.extras,
            request.remedy,
        ),
    )


@rule
async def select_wheel(request: SelectedWheelRequest) -> Wheel:
    package = request.package
    if request.library is not None:
        return await Get(
            Wheel,
            SourceWheelRequest(
                package.name,
                package.version,
                request.library,
                package.build_requires,
                request.toolchain,
                package.requires,
                package.extras,
                # Not that of some service's lock: the wheel is built once for all of them.
                f"Run `{request.library.remedy}`.",
            ),
        )
    assert package.artifact is not None
    fetched = await Get(FetchedFile, PythonFileRequest(package.name, package.artifact))
    if package.is_wheel:
        return Wheel(fetched.path, fetched.digest)
    return await Get(
        Wheel,
        BuildWheelRequest(
            package.name, package.version, fetched.path, fetched.digest, package.build_requires, request.toolchain
        ),
    )


@dataclass(frozen=True)
class InstallWheelRequest:
    wheel: Wheel
    name: str
    toolchain: Toolchain
    exclude_tests: bool = False


@rule
async def install_wheel(request: InstallWheelRequest) -> Piece:
    rootfs = await Get(Rootfs, ImageRootfsRequest(request.toolchain.base))
    output = f"{request.name}.tar"
    result = await Get(
        StepResult,
        Step(
            "install-wheel",
            (
                f"--wheel={request.wheel.path}",
                *rootfs.arguments,
                f"--python={request.toolchain.python}",
                *(("--exclude-tests",) if request.exclude_tests else ()),
                f"--output={output}",
            ),
            description=f"Install {request.wheel.path}",
            inputs=await Get(Digest, MergeDigests([request.wheel.digest, rootfs.digest])),
            output_files=(output,),
        ),
    )
    return Piece(request.name, result.output)


@dataclass(frozen=True)
class LockedPackageRequest:
    """A locked package, installed."""

    package: SelectedPackage
    toolchain: Toolchain
    library: Optional[Source] = None


@rule
async def install_locked_package(request: LockedPackageRequest) -> Piece:
    wheel = await Get(Wheel, SelectedWheelRequest(request.package, request.toolchain, request.library))
    return await Get(Piece, InstallWheelRequest(wheel, request.package.name, request.toolchain))


@dataclass(frozen=True)
class OwnLayerRequest:
    """The layer that holds the component's own package, built from its patched source."""

    wheel: SourceWheelRequest
    exclude_tests: bool
    title: str


@rule
async def write_own_layer(request: OwnLayerRequest) -> LayerBlob:
    wheel = await Get(Wheel, SourceWheelRequest, request.wheel)
    piece = await Get(
        Piece, InstallWheelRequest(wheel, request.wheel.name, request.wheel.toolchain, request.exclude_tests)
    )
    return await Get(LayerBlob, LayerRequest((piece,), f"c5c3: {request.title}"))


@dataclass(frozen=True)
class PackagesLayerRequest:
    """The layer that holds ``packages``."""

    packages: Tuple[LockedPackageRequest, ...]


# A rule for each layer, so that one is written while the packages of another are still being made.
@rule
async def write_packages_layer(request: PackagesLayerRequest) -> LayerBlob:
    pieces = await MultiGet(Get(Piece, LockedPackageRequest, package) for package in request.packages)
    names = shortened([package.package.name for package in request.packages])
    return await Get(LayerBlob, LayerRequest(pieces, f"c5c3: Python packages: {names}"))


@dataclass(frozen=True)
class VenvSkeletonRequest:
    python: str
    system_modules: Tuple[str, ...]


@rule
async def make_venv_skeleton(request: VenvSkeletonRequest, platform: Platform) -> Piece:
    # Without modules nothing of the machine is in the skeleton, nor in its key.
    modules = [f"--system-module={module}" for module in sorted(request.system_modules)]
    result = await Get(
        StepResult,
        Step(
            "venv-skeleton",
            (
                f"--python={request.python}",
                *modules,
                *((f"--machine={machine(platform)}",) if modules else ()),
                "--output=venv-skeleton.tar",
            ),
            description=f"Lay out the virtual environment for Python {request.python}",
            output_files=("venv-skeleton.tar",),
        ),
    )
    return Piece("venv-skeleton", result.output)


@dataclass(frozen=True)
class PythonInstallation:
    """A virtual environment: what was selected of its lock, and the wheels, the service's own last."""

    environment: PythonEnvironmentRequest
    target: TargetPython
    project: str
    packages: Tuple[SelectedPackage, ...]
    source: Source
    libraries: FrozenDict[str, Source]
    wheels: Tuple[Wheel, ...]
    distribution: Distribution
    toolchain: Toolchain


@dataclass(frozen=True)
class PythonLayersRequest:
    """The layers of a service's virtual environment."""

    environment: PythonEnvironmentRequest
    distribution: Distribution
    toolchain: Toolchain
    #: Extension modules of system packages to see.
    system_modules: Tuple[str, ...]


@dataclass(frozen=True)
class PythonLayers:
    """Bottom to top: the skeleton, the locked packages in the layers of their lock, the component's own wheel.

    ``libraries`` are the sources of the locked packages that are built from one, by the package's name.
    ``installation`` says what is in the layers.
    """

    layers: Tuple[LayerBlob, ...]
    source: Source
    libraries: FrozenDict[str, Source]
    installation: PythonInstallation


@rule(desc="Build a virtual environment", level=LogLevel.DEBUG)
async def build_python_layers(request: PythonLayersRequest, platform: Platform) -> PythonLayers:
    environment, toolchain = request.environment, request.toolchain
    loaded, source, skeleton = await MultiGet(
        Get(LoadedPythonLock, PythonLockRequest(environment, request.distribution)),
        Get(Source, ComponentRequest, environment.component_request),
        Get(Piece, VenvSkeletonRequest(request.distribution.python, request.system_modules)),
    )
    refs = await Get(ReleaseRefs, ReleaseRefsRequest(environment.release, environment.owner))
    # Not where the lock is read: the lock that will hold the package is made from those that do not.
    await Get(UsedOverrides, UsedOverridesRequest(refs, loaded.added))
    target = request.distribution.target_python(platform)
    selection = select(loaded.lock, target, loaded.path, loaded.remedy)
    packages = [package for layer in selection.layers for package in layer]
    own_wheel = SourceWheelRequest(
        loaded.lock.root.name,
        source.version,
        source,
        selection.root_build_requires,
        toolchain,
        loaded.lock.root.requires,
        environment.extras,
        loaded.remedy,
    )
    layers = await MultiGet(
        [
            Get(LayerBlob, LayerRequest((skeleton,), f"c5c3: virtual environment for Python {toolchain.python}")),
            *(
                Get(
                    LayerBlob,
                    PackagesLayerRequest(
                        tuple(
                            LockedPackageRequest(package, toolchain, loaded.libraries.get(package.name))
                            for package in layer
                        )
                    ),
                )
                for layer in selection.layers
            ),
            Get(
                LayerBlob,
                OwnLayerRequest(own_wheel, environment.exclude_tests, f"{environment.component} {source.tag}"),
            ),
        ]
    )
    wheels = await MultiGet(
        [
            *(
                Get(Wheel, SelectedWheelRequest(package, toolchain, loaded.libraries.get(package.name)))
                for package in packages
            ),
            Get(Wheel, SourceWheelRequest, own_wheel),
        ]
    )
    installation = PythonInstallation(
        environment,
        target,
        source.pin.project,
        tuple(packages),
        source,
        loaded.libraries,
        wheels,
        request.distribution,
        toolchain,
    )
    return PythonLayers(layers, source, loaded.libraries, installation)


def shortened(names: Sequence[str], length: int = 60) -> str:
    """``names`` as one text: as many as fit into ``length`` characters (one at least), and how many more there are."""
    text = names[0]
    for position, name in enumerate(names[1:], 1):
        if len(text) + len(name) + 2 > length:
            return f"{text} and {len(names) - position} more"
        text += f", {name}"
    return text


def rules():
    return collect_rules()
