"""The locked Python packages of a service in the form that uv and pip install: requirements with hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from imagekit.fetch.json_record import JsonRecord, parse_json_record


@dataclass(frozen=True)
class LockedRequirements:
    """``requirements`` have hashes; ``build_constraints`` are the pins of what builds the sdists among them.

    ``libraries`` are the components that are built from their own patched source instead.
    """

    requirements: str
    build_constraints: str
    libraries: tuple[str, ...]
    #: The version of the service itself.
    version: str


def locked_requirements(text: str, origin: str) -> LockedRequirements:
    """What the lock ``text``, the content of the file ``origin``, pins.

    Raises :class:`imagekit.fetch.json_record.JsonRecordError`.
    """
    lock = parse_json_record(text, origin)
    root = lock.record("root")
    packages = lock.records("packages")
    builds = [*_build_requires(root), *(build for package in packages for build in _build_requires(package))]
    from_index = [package for package in packages if package.optional_text("component") is None]
    return LockedRequirements(
        requirements="".join(_requirement(package) for package in from_index),
        build_constraints=_constraints([(build.text("name"), build.text("version")) for build in builds]),
        libraries=tuple(package.text("component") for package in packages if package not in from_index),
        version=root.text("version"),
    )


def _build_requires(package: JsonRecord) -> Sequence[JsonRecord]:
    return package.records("build_requires") if "build_requires" in package.fields else ()


def _requirement(package: JsonRecord) -> str:
    artifacts = list(package.records("wheels")) if "wheels" in package.fields else []
    if package.fields.get("sdist") is not None:
        artifacts.append(package.record("sdist"))
    marker = package.optional_text("marker")
    condition = "" if marker is None else f" ; {marker}"
    hashes = "".join(f" \\\n    --hash=sha256:{artifact.text('sha256')}" for artifact in artifacts)
    return f"{package.text('name')}=={package.text('version')}{condition}{hashes}\n"


def _constraints(pins: Sequence[tuple[str, str]]) -> str:
    versions = {name: {version for other, version in pins if other == name} for name, _ in pins}
    # Constraints hold for all builds alike, so a package that two of them need in two versions stays free.
    return "".join(f"{name}=={min(found)}\n" for name, found in sorted(versions.items()) if len(found) == 1)
