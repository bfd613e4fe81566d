"""What a build takes in, each thing by its digest (in-toto attestation framework v1, ResourceDescriptor)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from typing import Iterator, Optional, Sequence

from imagekit.python.lock import SelectedPackage
from imagekit.sbom.purl import pypi_purl
from imagekit.sources.pin import SdistPin, SourcePin


class Algorithm(Enum):
    """How a resource is held; the values are those of in-toto's DigestSet."""

    SHA256 = "sha256"
    GIT_COMMIT = "gitCommit"


@dataclass(frozen=True)
class Resource:
    """A file or a commit. ``digest`` is in hexadecimal digits; ``uri`` names the thing and no download host."""

    name: str
    algorithm: Algorithm
    digest: str
    uri: Optional[str] = None


def tree_file(path: str, content: bytes) -> Resource:
    """A file of this tree, by its path from the root."""
    return Resource(path, Algorithm.SHA256, hashlib.sha256(content).hexdigest())


def source(pin: SourcePin) -> Resource:
    """What a component is built from: the sdist that is pinned, or the commit."""
    if isinstance(pin, SdistPin):
        return _index_file(pin.project, pin.version, pin.filename, pin.sha256)
    return Resource(pin.project, Algorithm.GIT_COMMIT, pin.commit, f"git+{pin.url}@{pin.ref}")


def packages(selected: Sequence[SelectedPackage]) -> Iterator[Resource]:
    """The files of the index that ``selected`` are installed or built from, and those that their builds need.

    A package that is built from a pinned source has no file: see :func:`source`.
    """
    for package in selected:
        if package.artifact is not None:
            yield _index_file(package.name, package.version, package.artifact.filename, package.artifact.sha256)
        yield from packages(package.build_requires)


def _index_file(project: str, version: str, filename: str, sha256: str) -> Resource:
    return Resource(filename, Algorithm.SHA256, sha256, pypi_purl(project, version, {"file_name": filename}))
