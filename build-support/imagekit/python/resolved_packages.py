"""From what uv resolved to what a lock holds: only files that some target uses, and only packages that some installs."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Callable, List, Mapping, Sequence, Tuple

from imagekit.python.constraints import Constraints
from imagekit.python.lock import LockedPackage, LockError, constraints_in_force, usable_wheels, without_wheel
from imagekit.python.pylock import ResolvedPackage
from imagekit.python.target import targets

#: All that the build of this sdist-only package needs.
LockBuildRequires = Callable[[ResolvedPackage], Tuple[LockedPackage, ...]]


def lock_packages(
    resolved: Sequence[ResolvedPackage],
    *,
    pythons: Tuple[str, ...],
    constraints: Constraints,
    what: str,
    lock_build_requires: LockBuildRequires,
    libraries: Mapping[str, LockedPackage] = MappingProxyType({}),
) -> Tuple[LockedPackage, ...]:
    """The packages of a lock for ``pythons``; ``what`` is being locked, for messages.

    Wheels for other systems are left out, and so are packages whose marker holds nowhere, and markers that hold
    everywhere. A package that has no wheel for some target keeps its sdist, with what its build needs. What is built from
    a pinned source is locked as ``libraries`` have it, by name. Raises
    :class:`LockError` when it has no sdist either.
    """
    everywhere = targets(pythons)
    packages: List[LockedPackage] = []
    for package in resolved:
        wanted = tuple(target for target in everywhere if target.fits(package.marker))
        if not wanted:
            continue
        marker = None if wanted == everywhere else package.marker
        if package.name in libraries:
            packages.append(replace(libraries[package.name], marker=marker))
            continue
        missing = without_wheel(package.wheels, wanted)
        if missing and package.sdist is None:
            raise LockError(
                f"{what}: {package.name} {package.version} has no file for Python {missing[0].version} on "
                f"{missing[0].machine}. Require a version that has one."
            )
        packages.append(
            LockedPackage(
                name=package.name,
                version=package.version,
                marker=marker,
                constraints=constraints_in_force(constraints, package.name, pythons),
                wheels=usable_wheels(package.wheels, wanted),
                sdist=package.sdist if missing else None,
                build_requires=lock_build_requires(package) if missing else (),
            )
        )
    return tuple(packages)


def lock_wheels(
    resolved: Sequence[ResolvedPackage], *, pythons: Tuple[str, ...], constraints: Constraints, what: str
) -> Tuple[LockedPackage, ...]:
    """As :func:`lock_packages`, for packages that nothing is built for: tools and build requirements."""

    def refuse(package: ResolvedPackage) -> Tuple[LockedPackage, ...]:
        raise LockError(
            f"{what}: {package.name} {package.version} has no wheel for some Python of {', '.join(pythons)} on some "
            "machine. Require a version that has one."
        )

    return lock_packages(resolved, pythons=pythons, constraints=constraints, what=what, lock_build_requires=refuse)
