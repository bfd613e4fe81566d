"""Who needs whom in an image: edges between the packages that are there."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Set, Tuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from imagekit.python.target import TargetPython
from imagekit.sbom.descriptions import DebDescription, WheelDescription


def deb_dependencies(debs: Mapping[str, DebDescription]) -> Dict[str, Tuple[str, ...]]:
    """For each package the names of those it needs: of each group of alternatives the first that is there."""
    providers: Dict[str, str] = {}
    for name in sorted(debs):
        for provided in debs[name].provides:
            providers.setdefault(provided, name)
    edges: Dict[str, Tuple[str, ...]] = {}
    for name, deb in debs.items():
        needed: Set[str] = set()
        for group in deb.depends:
            there = [found for found in (other if other in debs else providers.get(other) for other in group) if found]
            if there and there[0] != name:
                needed.add(there[0])
        edges[name] = tuple(sorted(needed))
    return edges


def python_dependencies(
    wheels: Sequence[WheelDescription], roots: Sequence[str], target: TargetPython
) -> Dict[str, Tuple[str, ...]]:
    """For each distribution the names of those it requires on ``target``, with the extras that ``roots`` lead to."""
    by_name = {wheel.name: wheel for wheel in wheels}
    extras: Dict[str, Set[str]] = {name: set() for name in by_name}
    edges: Dict[str, Set[str]] = {name: set() for name in by_name}
    waiting: List[str] = list(by_name)
    for root in _parsed(roots):
        _add_extras(extras, root)
    while waiting:
        name = waiting.pop()
        for requirement in _parsed(by_name[name].requires):
            other = canonicalize_name(requirement.name)
            if other not in by_name or not _holds(requirement, extras[name], target):
                continue
            if other != name:
                edges[name].add(other)
            # Extras of a distribution can make it require more than was seen so far.
            if _add_extras(extras, requirement):
                waiting.append(other)
    return {name: tuple(sorted(needed)) for name, needed in edges.items()}


def _add_extras(extras: Dict[str, Set[str]], requirement: Requirement) -> bool:
    wanted = {canonicalize_name(extra) for extra in requirement.extras}
    known = extras.get(canonicalize_name(requirement.name))
    if known is None or wanted <= known:
        return False
    known |= wanted
    return True


def _holds(requirement: Requirement, extras: Set[str], target: TargetPython) -> bool:
    if requirement.marker is None:
        return True
    environment = target.environment()
    return any(requirement.marker.evaluate({**environment, "extra": extra}) for extra in ("", *sorted(extras)))


def _parsed(requirements: Sequence[str]) -> List[Requirement]:
    parsed: List[Requirement] = []
    for text in requirements:
        try:
            parsed.append(Requirement(text))
        except InvalidRequirement:
            # Old wheels hold requirements that no tool takes any more; what is installed was locked without them.
            continue
    return parsed
