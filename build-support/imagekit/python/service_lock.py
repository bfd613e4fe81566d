"""Locking the Python packages of one service for one release."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from imagekit.python import uv
from imagekit.python.backend import Metadata, SourceTree
from imagekit.python.constraints import Constraints
from imagekit.python.lock import (
    Artifact,
    LockedPackage,
    LockError,
    PythonLock,
    RootPackage,
    select_packages,
)
from imagekit.python.pylock import ResolvedPackage
from imagekit.python.resolved_packages import lock_packages, lock_wheels
from imagekit.python.target import TargetPython
from imagekit.python.wheel_file import write_metadata_wheel

#: Fetches one artifact of a project into a directory and returns its path.
Fetch = Callable[[str, Artifact, Path], Path]


class BuildBackends(Protocol):
    """What :class:`~imagekit.python.backend.Toolchain` tells of source trees."""

    def static_requires(self, tree: SourceTree) -> Tuple[str, ...]:
        ...

    def all_requires(self, tree: SourceTree, wheels: Tuple[Path, ...]) -> Tuple[str, ...]:
        ...

    def metadata(self, tree: SourceTree, wheels: Tuple[Path, ...]) -> Metadata:
        ...


@dataclass(frozen=True)
class LibrarySource:
    """The patched source of a library; ``place`` is the line of ``source-refs.yaml`` that pins it."""

    component: str
    source: SourceTree
    place: str


@dataclass(frozen=True)
class LockRequest:
    """What a service's lock is made from.

    ``requirements`` name the project of ``source``, with its extras, and what is installed with it; ``pythons`` are the
    interpreters of the lock, oldest first. Those of ``libraries`` that the service depends on are built from source.
    """

    release: str
    service: str
    requirements: Tuple[str, ...]
    source: SourceTree
    constraints: Constraints
    pythons: Tuple[str, ...]
    libraries: Tuple[LibrarySource, ...] = ()


@dataclass(frozen=True)
class Locker:
    """Makes locks: resolves with uv, and asks the build backends of what has no wheel, where it will be built.

    ``target`` is the interpreter and machine of ``backends``; ``folder`` is a directory for temporary files.
    """

    run_uv: uv.RunUv
    uv_environment: Mapping[str, str]
    backends: BuildBackends
    target: TargetPython
    fetch: Fetch
    folder: Path

    def lock(self, request: LockRequest, previous: Optional[PythonLock] = None) -> PythonLock:
        """Resolve ``request``; versions of ``previous`` that no constraint pins stay where they still fit.

        Raises :class:`~imagekit.python.lock.LockError` when the requirements cannot be resolved, and
        :class:`~imagekit.python.backend.BuildError` when a source tree cannot be asked for its requirements.
        """
        what = f"the lock of {request.service} {request.release}"
        constraints = request.constraints.without(request.source.name)
        preferred = (
            tuple((package.name, package.version) for package in previous.packages if package.component is None)
            if previous
            else ()
        )
        builds = _BuildRequires(self, constraints, request.pythons, preferred)
        own_requires, own_wheels = builds.lock(request.source)
        own = self.backends.metadata(request.source, own_wheels)
        metadata_wheel = write_metadata_wheel(
            self._fresh_folder(), request.source.name, request.source.version, own.text
        )
        libraries = tuple(self._lock_library(library, builds) for library in request.libraries)
        requirements = resolvable_requirements(request, own, Path("input") / metadata_wheel.name)
        resolved = self.resolve(
            uv.Resolution(
                what=what,
                requirements=requirements,
                constraints=constraints,
                python=request.pythons[0],
                ignoring=(canonicalize_name(request.source.name),),
                preferred=preferred,
                files=(metadata_wheel,),
                sources=tuple(source for source, _ in libraries),
            )
        )
        packages = lock_packages(
            resolved,
            pythons=request.pythons,
            constraints=constraints,
            what=what,
            lock_build_requires=lambda package: builds.lock(self._sdist(package))[0],
            libraries={locked.name: locked for _, locked in libraries},
        )
        return PythonLock(
            release=request.release,
            service=request.service,
            python=request.pythons,
            requirements=request.requirements,
            root=RootPackage(
                name=canonicalize_name(request.source.name),
                version=request.source.version,
                requires=own.requires_with(own_extras(request)),
                build_requires=own_requires,
            ),
            packages=packages,
        )

    def _lock_library(
        self, library: LibrarySource, builds: _BuildRequires
    ) -> Tuple[uv.SourcePackage, LockedPackage]:
        tree = library.source
        build_requires, wheels = builds.lock(tree)
        metadata = self.backends.metadata(tree, wheels)
        wheel = write_metadata_wheel(self._fresh_folder(), tree.name, tree.version, metadata.text)
        locked = LockedPackage(
            name=canonicalize_name(tree.name),
            version=tree.version,
            component=library.component,
            requires=metadata.requires,
            extras=metadata.extras,
            build_requires=build_requires,
        )
        return uv.SourcePackage(tree.name, tree.version, wheel, library.place), locked

    def resolve(self, resolution: uv.Resolution) -> Tuple[ResolvedPackage, ...]:
        return uv.resolve(resolution, self.uv_environment, self._fresh_folder(), self.run_uv)

    def _sdist(self, package: ResolvedPackage) -> SourceTree:
        assert package.sdist is not None
        return SourceTree(
            package.name, package.version, self.fetch(package.name, package.sdist, self._fresh_folder())
        )

    def fetch_wheels(self, packages: Sequence[LockedPackage], what: str) -> Tuple[Path, ...]:
        """The wheels of ``packages`` that the interpreter uses that builds."""
        folder = self._fresh_folder()
        selected = select_packages(packages, self.target, what, "Require a version that has one.")
        return tuple(self.fetch(package.name, package.artifact, folder) for package in selected)

    def _fresh_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


class _BuildRequires:
    """Locks what builds need. Source trees that require the same get the same, resolved once."""

    def __init__(
        self,
        locker: Locker,
        constraints: Constraints,
        pythons: Tuple[str, ...],
        preferred: Tuple[Tuple[str, str], ...],
    ) -> None:
        self._locker = locker
        self._constraints = constraints
        self._pythons = pythons
        self._preferred = preferred
        self._known: Dict[Tuple[str, ...], Tuple[Tuple[LockedPackage, ...], Tuple[Path, ...]]] = {}

    def lock(self, tree: SourceTree) -> Tuple[Tuple[LockedPackage, ...], Tuple[Path, ...]]:
        """All that the build of ``tree`` needs, and the wheels of it for the interpreter that builds."""
        static = self._locker.backends.static_requires(tree)
        packages, wheels = self._resolve(tree, static)
        every = self._locker.backends.all_requires(tree, wheels)
        if set(every) - set(static):
            return self._resolve(tree, every)
        return packages, wheels

    def _resolve(
        self, tree: SourceTree, requires: Tuple[str, ...]
    ) -> Tuple[Tuple[LockedPackage, ...], Tuple[Path, ...]]:
        key = tuple(sorted(set(requires)))
        if not key:
            return (), ()
        if key not in self._known:
            what = f"what the build of {tree.name} {tree.version} requires ({', '.join(key)})"
            resolved = self._locker.resolve(
                uv.Resolution(
                    what=what,
                    requirements=key,
                    constraints=self._constraints,
                    python=self._pythons[0],
                    wheels_only=True,
                    preferred=self._preferred,
                )
            )
            packages = lock_wheels(resolved, pythons=self._pythons, constraints=self._constraints, what=what)
            self._known[key] = packages, self._locker.fetch_wheels(packages, what)
        return self._known[key]


def own_extras(request: LockRequest) -> Tuple[str, ...]:
    """The extras of the service's own project that are required, sorted."""
    own = [Requirement(text) for text in request.requirements]
    name = canonicalize_name(request.source.name)
    return tuple(sorted({extra for item in own if canonicalize_name(item.name) == name for extra in item.extras}))


def resolvable_requirements(request: LockRequest, own: Metadata, wheel: Path) -> Tuple[str, ...]:
    """The requirements of ``request``, where those of its own project name ``wheel``, a path relative to uv's directory.

    Raises :class:`LockError` for a requirement that is none, for extras that the project does not have, and when none
    of the requirements is of the project.
    """
    name = canonicalize_name(request.source.name)
    what = f"the lock of {request.service} {request.release}"
    requirements: List[str] = []
    named = False
    for text in request.requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement as failure:
            raise LockError(f"{what}: {text!r} is not a requirement (PEP 508): {failure}") from None
        if requirement.url is not None:
            raise LockError(f"{what}: {text!r} names a URL. Require a version of a package index: {requirement.name}.")
        if canonicalize_name(requirement.name) != name:
            requirements.append(text)
            continue
        named = True
        known = {canonicalize_name(extra) for extra in own.extras}
        for extra in sorted(requirement.extras):
            if canonicalize_name(extra) not in known:
                extras = (
                    f"Its extras are: {', '.join(own.extras)}. Name one of them, or none."
                    if own.extras
                    else "It has none: name none."
                )
                raise LockError(
                    f"{what}: {request.source.name} {request.source.version} has no extra {extra!r}. {extras}"
                )
        bracketed = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        requirements.append(f"{requirement.name}{bracketed} @ ./{wheel}")
    if not named:
        raise LockError(
            f"{what}: none of its requirements ({', '.join(request.requirements)}) is {request.source.name}. Add it."
        )
    return tuple(requirements)
