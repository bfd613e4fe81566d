"""Which Python packages share a layer: a partition of each lock's packages, equal wherever it can be.

Two images share a layer when they hold the same packages in one group, so the groups of all locks are chosen together:
packages that the same locks hold belong together. Once chosen, groups stay: a renewed lock moves only what changed.
Everything here is pure and depends on no order of its input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, List, Mapping, Sequence, Set, Tuple

from imagekit.errors import ImagekitError
from imagekit.python.lock import LockedPackage, PythonLock

#: A package whose largest file has so many bytes is a layer of its own: an update of another one does not move it.
LARGE = 1_000_000

#: The most groups of one lock: with base, system packages, skeleton, the service's wheel and files below the 100 layers
#: that engines mount.
MAX_GROUPS = 70

#: Names of packages; the groups of a lock are ordered, bottom layer first.
Group = Tuple[str, ...]


class LayerGroupsError(ImagekitError):
    """Groups that cannot be made."""


@dataclass(frozen=True)
class Member:
    """A package as a lock holds it.

    ``identity`` is equal in two locks where the installed package is; ``size`` is that of its largest file, in bytes.
    ``patched`` packages are built from this tree's own source and have no file.
    """

    name: str
    identity: Tuple[object, ...]
    size: int
    patched: bool = False

    @property
    def is_alone(self) -> bool:
        """Whether it is a group of its own."""
        return self.patched or self.size >= LARGE


def members(lock: PythonLock) -> Tuple[Member, ...]:
    """The packages that the groups of ``lock`` hold, by name: all but the service's own."""
    variants: Dict[str, List[LockedPackage]] = {}
    for package in lock.packages:
        if package.name != lock.root.name:
            variants.setdefault(package.name, []).append(_without_constraints(package))
    return tuple(_member(name, variants[name], lock.release) for name in sorted(variants))


def _member(name: str, variants: Sequence[LockedPackage], release: str) -> Member:
    files = [file for package in variants for file in (*package.wheels, *((package.sdist,) if package.sdist else ()))]
    patched = not files
    ordered = sorted(variants, key=lambda package: (package.version, package.marker or ""))
    # The patches of a library are for one release.
    identity = (*ordered, release) if patched else tuple(ordered)
    return Member(name, identity, max((file.size for file in files), default=0), patched)


def _without_constraints(package: LockedPackage) -> LockedPackage:
    # What was in force when a package was locked does not decide what it is.
    return replace(
        package,
        constraints=(),
        build_requires=tuple(
            sorted(map(_without_constraints, package.build_requires), key=lambda required: (required.name, required.version))
        ),
    )


def regroup(locks: Mapping[str, Sequence[Member]], limit: int = MAX_GROUPS) -> Dict[str, Tuple[Group, ...]]:
    """The groups of all locks, made from nothing; ``locks`` are the members of each, by any name.

    Packages that the same locks hold are a group; large and patched ones are each their own. What most locks hold comes
    first. A lock with more than ``limit`` groups has its smallest merged into one. Raises :class:`LayerGroupsError` for
    a limit below 1.
    """
    holders: Dict[Member, Set[str]] = {}
    for lock, held in locks.items():
        for member in held:
            holders.setdefault(member, set()).add(lock)
    buckets: Dict[Tuple[FrozenSet[str], str], List[Member]] = {}
    for member, names in holders.items():
        buckets.setdefault((frozenset(names), member.name if member.is_alone else ""), []).append(member)
    groups: Dict[str, List[Tuple[int, Group]]] = {lock: [] for lock in locks}
    for (names, _), bucket in buckets.items():
        group = tuple(sorted(member.name for member in bucket))
        for lock in names:
            groups[lock].append((-len(names), group))
    return {
        lock: merge_smallest(tuple(group for _, group in sorted(groups[lock])), held, limit)
        for lock, held in locks.items()
    }


@dataclass(frozen=True)
class GroupedLock:
    """The members of a lock and their groups."""

    members: Tuple[Member, ...]
    groups: Tuple[Group, ...]

    @classmethod
    def of(cls, lock: PythonLock) -> GroupedLock:
        return cls(members(lock), lock.layers)

    def contents(self) -> Tuple[Tuple[Group, FrozenSet[Member]], ...]:
        """Each group with its members."""
        by_name = {member.name: member for member in self.members}
        return tuple((group, frozenset(by_name[name] for name in group)) for group in self.groups)


def renew(
    held: Sequence[Member], previous: GroupedLock, others: Sequence[GroupedLock], limit: int = MAX_GROUPS
) -> Tuple[Group, ...]:
    """The groups of a lock that holds ``held`` now and was ``previous`` (without members, if it is new).

    Its groups stay; one whose package changed or is gone loses that package. What is left takes over groups of
    ``others`` that it holds completely, the largest first; the rest is one group, large and patched packages one each.
    More than ``limit`` groups are merged as in :func:`regroup`.
    """
    left = set(held)
    groups: List[Group] = []

    def take(chosen: FrozenSet[Member]) -> None:
        left.difference_update(chosen)
        groups.append(tuple(sorted(member.name for member in chosen)))

    for _, contents in previous.contents():
        kept = contents & left
        if kept:
            take(frozenset(kept))
    candidates = {contents: group for other in others for group, contents in other.contents()}
    by_size = sorted(candidates, key=lambda contents: (-sum(member.size for member in contents), candidates[contents]))
    for contents in by_size:
        if contents <= left:
            take(contents)
    rest = [member for member in left if not member.is_alone]
    if rest:
        take(frozenset(rest))
    for member in sorted(left, key=lambda member: member.name):
        take(frozenset([member]))
    return merge_smallest(tuple(groups), held, limit)


def merge_smallest(groups: Tuple[Group, ...], held: Sequence[Member], limit: int) -> Tuple[Group, ...]:
    """``groups``, of which the smallest are one where there are more than ``limit``; patched packages are merged last.

    Raises :class:`LayerGroupsError` for a limit below 1.
    """
    if limit < 1:
        raise LayerGroupsError(f"Python packages cannot be put into {limit} layers. Allow at least 1.")
    if len(groups) <= limit:
        return groups
    by_name = {member.name: member for member in held}

    def weight(group: Group) -> Tuple[bool, int, Group]:
        return any(by_name[name].patched for name in group), sum(by_name[name].size for name in group), group

    smallest = sorted(groups, key=weight)[: len(groups) - limit + 1]
    merged = tuple(sorted(name for group in smallest for name in group))
    return (*(group for group in groups if group not in smallest), merged)


def unique_size(locks: Sequence[GroupedLock]) -> int:
    """Bytes of all different groups of ``locks``, measured by their packages' largest files."""
    different = {contents for lock in locks for _, contents in lock.contents()}
    return sum(member.size for contents in different for member in contents)


def summed_size(locks: Sequence[GroupedLock]) -> int:
    """Bytes of all groups of all ``locks``, shared or not."""
    return sum(member.size for lock in locks for member in lock.members)
