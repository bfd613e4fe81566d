"""What uv resolved, read from the ``pylock.toml`` it wrote (PEP 751)."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import List, Mapping, Optional, Sequence, Tuple
from urllib.parse import unquote, urlsplit

import tomli
from packaging.utils import canonicalize_name

from imagekit.python.lock import Artifact, LockError


@dataclass(frozen=True)
class ResolvedPackage:
    """One version of a package, with every file that the index has of it."""

    name: str
    version: str
    marker: Optional[str]
    wheels: Tuple[Artifact, ...]
    sdist: Optional[Artifact]


def parse_pylock(text: str, *, ignoring: Sequence[str] = ()) -> Tuple[ResolvedPackage, ...]:
    """The packages of a lock file written by uv, less those called ``ignoring``.

    Only what uv writes is understood: a package from somewhere else than an index raises :class:`LockError`.
    """
    document: Mapping[str, object] = tomli.loads(text)
    packages: List[ResolvedPackage] = []
    for entry in _tables(document.get("packages")):
        name = canonicalize_name(_text(entry, "name"))
        if name in ignoring:
            continue
        version = entry.get("version")
        if not isinstance(version, str):
            raise LockError(
                f"{name} was resolved to something that is not a release of a package index. "
                "Only names and versions may be required, no URLs and no folders."
            )
        marker = entry.get("marker")
        sdist = entry.get("sdist")
        packages.append(
            ResolvedPackage(
                name=name,
                version=version,
                marker=marker if isinstance(marker, str) else None,
                wheels=tuple(_artifact(name, wheel) for wheel in _tables(entry.get("wheels"))),
                sdist=_artifact(name, sdist) if isinstance(sdist, dict) else None,
            )
        )
    return tuple(packages)


def _artifact(name: str, entry: Mapping[str, object]) -> Artifact:
    filename = entry.get("name")
    if not isinstance(filename, str):
        location = entry.get("url", entry.get("path"))
        filename = unquote(posixpath.basename(urlsplit(str(location)).path))
    size = entry.get("size")
    hashes = entry.get("hashes")
    sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
    if not isinstance(size, int) or not isinstance(sha256, str):
        missing = "SHA-256" if isinstance(size, int) else "size"
        raise LockError(
            f"the package index does not tell the {missing} of {filename} of {name}. "
            "Make the lock with an index that does (one with the JSON API of PEP 691); any index can then be used to build."
        )
    return Artifact(filename, size, sha256)


def _tables(value: object) -> Tuple[Mapping[str, object], ...]:
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _text(entry: Mapping[str, object], key: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise LockError(f"uv wrote a package without {key}: {dict(entry)!r}")
    return value
