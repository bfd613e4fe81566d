"""The lock of one service's Python packages for one release, and the choice of artifacts from it.

The lock is the JSON file ``3rdparty/releases/<release>/locks/<service>.lock.json``. It names every artifact by
filename, size and SHA-256 and no download host. Everything here is pure: text in, frozen values out.
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Sequence, Set, Tuple

from packaging.utils import canonicalize_name

from imagekit.errors import ImagekitError
from imagekit.python.constraints import ConstraintError, Constraints
from imagekit.python.document import Node, parse_document
from imagekit.python.target import TargetPython, best_wheel, targets

FORMAT = 1


class LockError(ImagekitError):
    """A lock that is malformed, stale, or lacks what a target needs."""


@dataclass(frozen=True)
class Artifact:
    """A file of a package index. ``size`` is in bytes, ``sha256`` 64 hexadecimal digits."""

    filename: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise LockError(f"{self.sha256!r} of {self.filename} is not a SHA-256 of 64 hexadecimal digits")
        if "/" in self.filename or not re.fullmatch(r"[!-~]+", self.filename) or self.filename.startswith("."):
            raise LockError(f"{self.filename!r} is not the name of a file of a package index")


@dataclass(frozen=True)
class LockedPackage:
    """One version of a package and the files that can be installed.

    ``name`` is in PEP 503 form. ``marker`` limits where it is installed. ``constraints`` are the pins that were in force
    when it was locked. ``sdist`` is there when some interpreter and machine of the lock has no wheel, and then
    ``build_requires`` is all that its build needs.

    A package that is built from a source that the release pins has no files: ``component`` is its name in
    ``source-refs.yaml``, ``requires`` are its ``Requires-Dist`` at the time of locking, less those of extras that are not
    among ``extras``.
    """

    name: str
    version: str
    marker: Optional[str] = None
    constraints: Tuple[str, ...] = ()
    wheels: Tuple[Artifact, ...] = ()
    sdist: Optional[Artifact] = None
    build_requires: Tuple[LockedPackage, ...] = ()
    component: Optional[str] = None
    requires: Tuple[str, ...] = ()
    extras: Tuple[str, ...] = ()


@dataclass(frozen=True)
class PinnedLibrary:
    """A component of ``source-refs.yaml`` that services depend on; ``pin_path`` is where its pin is kept."""

    component: str
    project: str
    version: str
    pin_path: str

    @property
    def name(self) -> str:
        """The name that is compared (PEP 503)."""
        return canonicalize_name(self.project)


@dataclass(frozen=True)
class PatchedLibrary:
    """A library that a release patches; ``patches`` says where the patches are."""

    component: str
    project: str
    release: str
    patches: str


@dataclass(frozen=True)
class RootPackage:
    """The package that is built from the service's own source.

    ``requires`` are its ``Requires-Dist`` at the time of locking, less those of extras that the service does not use: a
    patch that changes them makes the lock stale.
    """

    name: str
    version: str
    requires: Tuple[str, ...] = ()
    build_requires: Tuple[LockedPackage, ...] = ()


@dataclass(frozen=True)
class PythonLock:
    """All Python packages of one service of one release, for the interpreters ``python`` (``3.11``) on every machine.

    ``requirements`` are the requirements that were resolved, as the user wrote them. ``layers`` are the names of
    packages, but the root's, in the layers that an image has of them, bottom first: each name is in one of them.
    """

    release: str
    service: str
    python: Tuple[str, ...]
    requirements: Tuple[str, ...]
    root: RootPackage
    packages: Tuple[LockedPackage, ...]
    layers: Tuple[Tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class ToolLock:
    """The packages that imagekit itself runs with."""

    python: Tuple[str, ...]
    requirements: Tuple[str, ...]
    packages: Tuple[LockedPackage, ...]


@dataclass(frozen=True)
class SelectedPackage:
    """What one target uses of a package: the artifact or, where there is none, the source of ``component``.

    ``build_requires`` is empty for a wheel; ``requires`` and ``extras`` are those of :class:`LockedPackage`.
    """

    name: str
    version: str
    artifact: Optional[Artifact]
    build_requires: Tuple[SelectedPackage, ...] = ()
    component: Optional[str] = None
    requires: Tuple[str, ...] = ()
    extras: Tuple[str, ...] = ()

    @property
    def is_wheel(self) -> bool:
        """Whether the artifact can be installed as it is."""
        return self.artifact is not None and self.artifact.filename.endswith(".whl")


@dataclass(frozen=True)
class Selection:
    """What one target installs: ``packages``, and what the root package's own build needs.

    ``layers`` are the same packages, but the root's own, by layer; one that has nothing for the target is left out.
    """

    packages: Tuple[SelectedPackage, ...]
    root_build_requires: Tuple[SelectedPackage, ...]
    layers: Tuple[Tuple[SelectedPackage, ...], ...]


def parse_python_lock(text: str, origin: str, remedy: str = "Make the lock again.") -> PythonLock:
    """The lock in ``text``, the content of the file ``origin``; ``remedy`` says how to make it again.

    Raises :class:`LockError` naming the path inside the document.
    """
    root = _parse_format(text, origin, remedy).only(
        "format", "release", "service", "python", "requirements", "root", "layers", "packages"
    )
    package = root["root"].only("name", "version", "requires", "build_requires")
    packages = _parse_packages(root, "packages")
    return PythonLock(
        release=root["release"].string(),
        service=root["service"].string(),
        python=root["python"].strings(),
        requirements=root["requirements"].strings(),
        root=RootPackage(
            name=package["name"].string(),
            version=package["version"].string(),
            requires=package["requires"].strings() if package.has("requires") else (),
            build_requires=_parse_packages(package, "build_requires"),
        ),
        packages=packages,
        layers=_parse_layers(root, {locked.name for locked in packages} - {package["name"].string()}),
    )


def render_python_lock(lock: PythonLock) -> str:
    """The text of ``lock``: JSON with one artifact a line, so that a diff shows what moved."""
    lines = _header() + [
        f'  "release": {_json(lock.release)},',
        f'  "service": {_json(lock.service)},',
        f'  "python": {_json(list(lock.python))},',
        f'  "requirements": {_json(list(lock.requirements))},',
        '  "root": {',
        f'    "name": {_json(lock.root.name)},',
        f'    "version": {_json(lock.root.version)},',
    ]
    lines += _array("requires", [[_json(text)] for text in lock.root.requires], indent=4, last=False)
    lines += _array("build_requires", [_render_package(p) for p in _sorted(lock.root.build_requires)], indent=4)
    lines.append("  },")
    lines += _array("layers", [[_json(list(layer))] for layer in lock.layers], indent=2, last=False)
    lines += _array("packages", [_render_package(p) for p in _sorted(lock.packages)], indent=2)
    return "\n".join([*lines, "}", ""])


def parse_tool_lock(text: str, origin: str, remedy: str = "Make the lock again.") -> ToolLock:
    """The tool lock in ``text``; raises :class:`LockError` naming the path inside the document."""
    root = _parse_format(text, origin, remedy).only("format", "python", "requirements", "packages")
    return ToolLock(
        python=root["python"].strings(),
        requirements=root["requirements"].strings(),
        packages=_parse_packages(root, "packages"),
    )


def render_tool_lock(lock: ToolLock) -> str:
    """The text of ``lock``."""
    lines = _header() + [
        f'  "python": {_json(list(lock.python))},',
        f'  "requirements": {_json(list(lock.requirements))},',
    ]
    lines += _array("packages", [_render_package(p) for p in _sorted(lock.packages)], indent=2)
    return "\n".join([*lines, "}", ""])


def select(lock: PythonLock, target: TargetPython, origin: str, remedy: str) -> Selection:
    """What ``target`` installs of ``lock``, which was read from ``origin``.

    Raises :class:`LockError` when the lock was not made for that interpreter, or has no file for it.
    """
    if target.version not in lock.python:
        raise LockError(
            f"{origin} is locked for Python {', '.join(lock.python)}, but the base has Python {target.version}. {remedy}"
        )
    packages = select_packages(lock.packages, target, origin, remedy)
    by_name = {package.name: package for package in packages}
    layers = (tuple(by_name[name] for name in sorted(layer) if name in by_name) for layer in lock.layers)
    return Selection(
        packages=packages,
        root_build_requires=select_packages(lock.root.build_requires, target, origin, remedy),
        layers=tuple(layer for layer in layers if layer),
    )


def select_packages(
    packages: Sequence[LockedPackage], target: TargetPython, origin: str, remedy: str
) -> Tuple[SelectedPackage, ...]:
    """The artifacts of ``packages`` that ``target`` uses: of each the wheel that fits best, else the sdist."""
    selected: Dict[str, SelectedPackage] = {}
    for package in packages:
        if not target.fits(package.marker):
            continue
        if package.name in selected:
            raise LockError(
                f"{origin} has both {package.name} {selected[package.name].version} and {package.version} for Python "
                f"{target.version} on {target.machine}. {remedy}"
            )
        selected[package.name] = _select(package, target, origin, remedy)
    return tuple(selected[name] for name in sorted(selected))


def usable_wheels(wheels: Sequence[Artifact], wanted: Sequence[TargetPython]) -> Tuple[Artifact, ...]:
    """The wheels that are the best choice for some target of ``wanted``, sorted by filename."""
    by_name = {wheel.filename: wheel for wheel in wheels}
    chosen = {best_wheel(tuple(by_name), target) for target in wanted}
    return tuple(by_name[name] for name in sorted(by_name) if name in chosen)


def without_wheel(wheels: Sequence[Artifact], wanted: Sequence[TargetPython]) -> Tuple[TargetPython, ...]:
    """The targets of ``wanted`` that none of ``wheels`` fits."""
    filenames = tuple(wheel.filename for wheel in wheels)
    return tuple(target for target in wanted if best_wheel(filenames, target) is None)


def check_inputs(
    lock: PythonLock,
    *,
    release: str,
    service: str,
    python: str,
    requirements: Sequence[str],
    root_name: str,
    root_version: str,
    constraints: Constraints,
    libraries: Sequence[PinnedLibrary] = (),
    origin: str,
    remedy: str,
) -> None:
    """Raise :class:`LockError` if ``lock``, read from ``origin``, was made from other inputs than these.

    ``constraints`` are the pins in force, overrides applied, and ``libraries`` those that the release builds from source.
    Pins of packages that the lock does not hold do not matter; nor do those of libraries, but a contradicting override.
    Reads nothing and asks no network. ``remedy`` is the sentence that says how to renew the lock.
    """

    def stale(reason: str) -> LockError:
        return LockError(f"{origin} is stale: {reason}. {remedy}")

    if (lock.release, lock.service) != (release, service):
        raise stale(f"it is the lock of {lock.service} {lock.release}, not of {service} {release}")
    if python not in lock.python:
        raise stale(f"it was made for Python {', '.join(lock.python)}, but Python {python} is wanted")
    if (lock.root.name, lock.root.version) != (canonicalize_name(root_name), root_version):
        raise stale(
            f"it was made for {lock.root.name} {lock.root.version}, but the source is now "
            f"{canonicalize_name(root_name)} {root_version}"
        )
    gone = [text for text in lock.requirements if text not in requirements]
    new = [text for text in requirements if text not in lock.requirements]
    if gone or new:
        changes = [f"{text!r} was added" for text in new] + [f"{text!r} was removed" for text in gone]
        raise stale(f"its requirements changed: {', '.join(changes)}")
    by_name = {library.name: library for library in libraries}
    for package in lock.packages:
        library = by_name.get(package.name)
        if library is None and package.component is not None:
            raise stale(
                f"it was made when {package.component} was built from source, but source-refs.yaml of release {release} "
                "has no ref for it now"
            )
        if library is not None and package.component is None:
            raise stale(
                f"it takes {package.name} {package.version} from the package index, but {library.pin_path} pins the "
                f"source of {library.component}"
            )
        if library is not None and package.version != library.version:
            raise stale(
                f"it was made for {library.component} {package.version}, but {library.pin_path} pins {library.version}"
            )
        for pin in constraints.of(package.name) if library is not None else ():
            if pin.override and pin.version != library.version:
                raise LockError(
                    f"{pin.place}: `{pin.requirement}` has no effect: {library.component} is built from its source, "
                    f"which {library.pin_path} pins to {library.version}. Pin another version in source-refs.yaml, or "
                    "delete the override."
                )
    for package in _with_build_requires(lock):
        if package.name == lock.root.name or package.component is not None:
            continue
        pins = constraints_in_force(constraints, package.name, lock.python)
        if pins == package.constraints:
            continue
        places = [
            f"{pin.place} now says `{pin.requirement}`"
            for pin in constraints.of(package.name)
            if pin.requirement in pins and pin.requirement not in package.constraints
        ]
        was = f"it was made with `{'`, `'.join(package.constraints)}`" if package.constraints else (
            f"it was made when nothing constrained {package.name}"
        )
        now = " and ".join(places) if places else (
            f"now only `{'`, `'.join(pins)}` is in force" if pins else f"now no line constrains {package.name}"
        )
        raise stale(f"{was}, but {now}")


def check_overrides_are_used(constraints: Constraints, locks: Sequence[PythonLock]) -> None:
    """Raise :class:`ConstraintError` for an override of a package that no lock of the release holds.

    ``locks`` are all locks of the release. An override that adds a pin to a package nobody installs is a misspelt one.
    """
    held = {package.name for lock in locks for package in _with_build_requires(lock)}
    release = locks[0].release if locks else ""
    for pin in constraints.pins:
        if pin.override and pin.replaces is None and pin.name not in held:
            close = difflib.get_close_matches(pin.name, sorted(held), n=1)
            question = f" Did you mean {close[0]}?" if close else ""
            raise ConstraintError(
                f"{pin.place}: `{pin.requirement}` overrides a package that upper-constraints does not pin and no lock of "
                f"release {release} holds.{question} Correct the name or delete the line."
            )


def check_libraries_are_used(libraries: Sequence[PatchedLibrary], locks: Sequence[PythonLock]) -> None:
    """Raise :class:`LockError` for patches of a library that no lock of the release holds; ``locks`` are all of them."""
    held = {package.name for lock in locks for package in lock.packages}
    services = ", ".join(sorted(lock.service for lock in locks))
    for library in libraries:
        if canonicalize_name(library.project) not in held:
            raise LockError(
                f"{library.patches} patches {library.component}, but no lock of release {library.release} holds "
                f"{library.project} (locks: {services}). Delete the patches; or make a service depend on it, as with "
                f"`python_packages=[\"{library.project}\"]`, and run "
                f"`./pants generate-lockfiles --resolve={library.release}/<service>`."
            )


def constraints_in_force(constraints: Constraints, name: str, pythons: Sequence[str]) -> Tuple[str, ...]:
    """The pins of ``name`` that hold for some Python of ``pythons`` on some machine, sorted."""
    everywhere = targets(pythons)
    return tuple(
        sorted(
            pin.requirement
            for pin in constraints.of(name)
            if any(target.fits(pin.marker) for target in everywhere)
        )
    )


def _select(package: LockedPackage, target: TargetPython, origin: str, remedy: str) -> SelectedPackage:
    if package.component is not None:
        return SelectedPackage(
            package.name,
            package.version,
            None,
            select_packages(package.build_requires, target, origin, remedy),
            package.component,
            package.requires,
            package.extras,
        )
    wheels = {wheel.filename: wheel for wheel in package.wheels}
    best = best_wheel(tuple(wheels), target)
    if best is not None:
        return SelectedPackage(package.name, package.version, wheels[best])
    if package.sdist is None:
        major, minor = target.glibc
        raise LockError(
            f"{origin} has no file of {package.name} {package.version} for Python {target.version} on {target.machine} "
            f"with glibc {major}.{minor}. {remedy}"
        )
    return SelectedPackage(
        package.name,
        package.version,
        package.sdist,
        select_packages(package.build_requires, target, origin, remedy),
    )


def _with_build_requires(lock: PythonLock) -> Iterator[LockedPackage]:
    yield from lock.packages
    yield from lock.root.build_requires
    for package in lock.packages:
        yield from package.build_requires


def _sorted(packages: Sequence[LockedPackage]) -> List[LockedPackage]:
    return sorted(packages, key=lambda package: (package.name, package.version, package.marker or ""))


def _parse_format(text: str, origin: str, remedy: str) -> Node:
    root = parse_document(text, origin=origin, remedy=remedy, error=LockError)
    if root["format"].value != FORMAT:
        raise root["format"].refuse(f"must be {FORMAT}, but was {json.dumps(root['format'].value)}")
    return root


def _parse_packages(owner: Node, key: str) -> Tuple[LockedPackage, ...]:
    return tuple(_parse_package(node) for node in owner[key].items()) if owner.has(key) else ()


def _parse_layers(root: Node, names: Set[str]) -> Tuple[Tuple[str, ...], ...]:
    """The layers, a partition of ``names``; of a lock from before there were any, all names are one."""
    if not root.has("layers"):
        return (tuple(sorted(names)),) if names else ()
    layers: List[Tuple[str, ...]] = []
    seen: Set[str] = set()
    for node in root["layers"].items():
        layer = node.strings()
        if not layer:
            raise node.refuse("must name a package, but is empty")
        for name, item in zip(layer, node.items()):
            if name not in names:
                raise item.refuse(f"must be a package of this lock, but was {_json(name)}")
            if name in seen:
                raise item.refuse(f"names {name} again: a package is in one layer")
            seen.add(name)
        layers.append(layer)
    if seen != names:
        raise root["layers"].refuse(f"must name every package, but leaves out {', '.join(sorted(names - seen))}")
    return tuple(layers)


def _parse_package(node: Node) -> LockedPackage:
    node.only("name", "version", "marker", "constraints", "component", "requires", "extras", "wheels", "sdist", "build_requires")
    package = LockedPackage(
        name=node["name"].string(),
        version=node["version"].string(),
        marker=node["marker"].string() if node.has("marker") else None,
        constraints=node["constraints"].strings() if node.has("constraints") else (),
        wheels=tuple(_parse_artifact(wheel) for wheel in node["wheels"].items()) if node.has("wheels") else (),
        sdist=_parse_artifact(node["sdist"]) if node.has("sdist") else None,
        build_requires=_parse_packages(node, "build_requires"),
        component=node["component"].string() if node.has("component") else None,
        requires=node["requires"].strings() if node.has("requires") else (),
        extras=node["extras"].strings() if node.has("extras") else (),
    )
    if package.name != canonicalize_name(package.name):
        raise node["name"].refuse(f"must be {canonicalize_name(package.name)!r} (PEP 503), but was {package.name!r}")
    if package.component is not None and (package.wheels or package.sdist is not None):
        raise node.refuse(f"is built from the source of {package.component}, but names files too")
    if package.component is None and not package.wheels and package.sdist is None:
        raise node.refuse(f"names no file of {package.name} {package.version}")
    return package


def _parse_artifact(node: Node) -> Artifact:
    node.only("filename", "size", "sha256")
    filename, size, sha256 = node["filename"].string(), node["size"].size(), node["sha256"].string()
    try:
        return Artifact(filename, size, sha256)
    except LockError as failure:
        raise node.refuse(f"is not an artifact: {failure}") from None


def _render_package(package: LockedPackage) -> List[str]:
    fields = [[f'"name": {_json(package.name)}'], [f'"version": {_json(package.version)}']]
    if package.marker is not None:
        fields.append([f'"marker": {_json(package.marker)}'])
    if package.constraints:
        fields.append([f'"constraints": {_json(list(package.constraints))}'])
    if package.component is not None:
        fields.append([f'"component": {_json(package.component)}'])
        fields.append(_array("requires", [[_json(text)] for text in package.requires], indent=0))
        fields.append([f'"extras": {_json(list(package.extras))}'])
    if package.wheels:
        wheels = sorted(package.wheels, key=lambda wheel: wheel.filename)
        fields.append(_array("wheels", [[_render_artifact(wheel)] for wheel in wheels], indent=0))
    if package.sdist is not None:
        fields.append([f'"sdist": {_render_artifact(package.sdist)}'])
    if package.build_requires:
        requires = [_render_package(required) for required in _sorted(package.build_requires)]
        fields.append(_array("build_requires", requires, indent=0))
    return ["{", *(f"  {line}" for line in _joined(fields)), "}"]


def _render_artifact(artifact: Artifact) -> str:
    return _json({"filename": artifact.filename, "size": artifact.size, "sha256": artifact.sha256})


def _array(key: str, items: Sequence[List[str]], *, indent: int, last: bool = True) -> List[str]:
    """The lines of ``"key": [...]``, each item on lines of its own."""
    end = "" if last else ","
    if not items:
        return [f'{" " * indent}"{key}": []{end}']
    lines = [f'"{key}": [', *(f"  {line}" for line in _joined(items)), f"]{end}"]
    return [f'{" " * indent}{line}' for line in lines]


def _joined(items: Sequence[List[str]]) -> List[str]:
    """The lines of ``items`` with a comma after each but the last."""
    lines: List[str] = []
    for index, item in enumerate(items):
        lines += item
        if index < len(items) - 1:
            lines[-1] += ","
    return lines


def _header() -> List[str]:
    return ["{", f'  "format": {FORMAT},']


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
