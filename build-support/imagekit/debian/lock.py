"""The lock of Debian packages: every package of a root file system with its version, size and SHA-256.

Of the standard library only: text in, frozen values out. The lock names no mirror. It is made by
``imagekit lock-debs`` from an index whose signature was checked.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from imagekit.errors import ImagekitError
from imagekit.fetch.json_record import JsonRecord, JsonRecordError, parse_json_record

FORMAT = 1

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class LockError(ImagekitError):
    """A .deb lock that is malformed, stale, or lacks what is asked for."""


@dataclass(frozen=True)
class DebPackage:
    """A binary package.

    ``architecture`` is its own (``all`` or the machine's), ``filename`` its path below a mirror's root (``pool/…``),
    ``size`` is in bytes, ``sha256`` 64 hexadecimal digits. Raises LockError for a value that cannot be one.
    """

    name: str
    version: str
    architecture: str
    filename: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LockError(f"{self.name!r} is not a Debian package name.")
        if not _SHA256.fullmatch(self.sha256):
            raise LockError(f"{self.sha256!r} of {self.name} is not a SHA-256 of 64 hexadecimal digits.")
        parts = self.filename.split("/")
        if not self.filename.endswith(".deb") or any(part in ("", ".", "..") for part in parts):
            raise LockError(f"{self.filename!r} of {self.name} is not the path of a .deb below a mirror's root.")


@dataclass(frozen=True)
class DebLock:
    """The packages of a root file system, or of what is added to one, for each machine architecture.

    ``requested`` are the packages that were asked for, ``architectures`` pairs of an architecture and all packages,
    both sorted. ``extends`` is the digest of the lock whose packages are already installed.
    """

    suites: Tuple[str, ...]
    components: Tuple[str, ...]
    requested: Tuple[str, ...]
    extends: Optional[str]
    architectures: Tuple[Tuple[str, Tuple[DebPackage, ...]], ...]

    def packages_for(self, architecture: str) -> Tuple[DebPackage, ...]:
        """The packages for a machine; raises LockError for an architecture that was not locked."""
        for name, packages in self.architectures:
            if name == architecture:
                return packages
        raise LockError(
            f"no .deb is locked for the architecture {architecture!r}; locked are: "
            f"{', '.join(name for name, _ in self.architectures)}. Lock it as well, or build for one of those."
        )

    def check_inputs(
        self,
        *,
        suites: Sequence[str],
        components: Sequence[str],
        requested: Sequence[str],
        extends: Optional[str],
        origin: str,
        remedy: str,
    ) -> None:
        """Raises LockError when the lock at ``origin`` was made from other inputs; ``remedy`` is what renews it."""
        for what, locked, wanted in (
            ("suites", self.suites, tuple(suites)),
            ("components", self.components, tuple(components)),
            ("packages", self.requested, tuple(sorted(set(requested)))),
        ):
            if locked == wanted:
                continue
            added = [value for value in wanted if value not in locked]
            dropped = [value for value in locked if value not in wanted]
            changes = [f"{value!r} is new" for value in added] + [f"{value!r} is gone" for value in dropped]
            raise LockError(
                f"{origin} is stale: its {what} changed: {'; '.join(changes) or 'their order is another'}. {remedy}"
            )
        if self.extends != extends:
            raise LockError(f"{origin} is stale: the .deb lock that it extends changed. {remedy}")


def lock_digest(text: str) -> str:
    """The SHA-256 of a lock file's text: what a lock that extends it holds in ``extends``."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_lock_text(path: Path) -> str:
    """The text of the lock at ``path``; raises :class:`LockError` for one that cannot be read."""
    try:
        return path.read_text()
    except OSError as error:
        raise LockError(f"the .deb lock {path} cannot be read: {error.strerror}.") from None


def parse_deb_lock(text: str, origin: str) -> DebLock:
    """The lock that :func:`render` wrote; ``origin`` names it in errors. Raises LockError."""
    try:
        record = parse_json_record(text, origin)
        if record.integer("format") != FORMAT:
            raise LockError(
                f"{origin}: 'format' must be {FORMAT}, but was {record.integer('format')}. "
                "Make the lock again with this version of imagekit."
            )
        record.require_only("format", "suites", "components", "requested", "extends", "architectures")
        machines = record.record("architectures")
        architectures = tuple((name, _packages(machines, name)) for name in sorted(machines.fields))
        return DebLock(
            record.texts("suites"),
            record.texts("components"),
            record.texts("requested"),
            record.optional_text("extends"),
            architectures,
        )
    except JsonRecordError as error:
        raise LockError(str(error)) from None


def _packages(machines: JsonRecord, architecture: str) -> Tuple[DebPackage, ...]:
    packages: List[DebPackage] = []
    for record in machines.records(architecture):
        record.require_only("name", "version", "architecture", "filename", "size", "sha256")
        try:
            package = DebPackage(
                record.text("name"),
                record.text("version"),
                record.text("architecture"),
                record.text("filename"),
                record.integer("size"),
                record.text("sha256"),
            )
        except LockError as error:
            raise LockError(f"{record.place}: {error}") from None
        if package.architecture not in ("all", architecture):
            raise LockError(
                f"{record.place}: {package.name} is for {package.architecture!r}, but must be for {architecture!r} "
                "or 'all'."
            )
        if packages and packages[-1].name >= package.name:
            raise LockError(
                f"{record.place}: {package.name} must come once and in the order of names, but follows "
                f"{packages[-1].name}."
            )
        packages.append(package)
    return tuple(packages)


def render(lock: DebLock) -> str:
    """The lock as JSON with one package a line, so that a change shows as the lines of the packages it touches."""
    machines = ",\n".join(
        f"    {json.dumps(architecture)}: [\n" + ",\n".join(map(_render_package, packages)) + "\n    ]"
        for architecture, packages in lock.architectures
    )
    return (
        "{\n"
        f'  "format": {FORMAT},\n'
        f'  "suites": {json.dumps(list(lock.suites))},\n'
        f'  "components": {json.dumps(list(lock.components))},\n'
        f'  "requested": {json.dumps(list(lock.requested), indent=4)[:-1].rstrip()}\n  ],\n'
        f'  "extends": {json.dumps(lock.extends)},\n'
        f'  "architectures": {{\n{machines}\n  }}\n'
        "}\n"
    )


def _render_package(package: DebPackage) -> str:
    fields = {
        "name": package.name,
        "version": package.version,
        "architecture": package.architecture,
        "filename": package.filename,
        "size": package.size,
        "sha256": package.sha256,
    }
    return f"      {json.dumps(fields)}"
