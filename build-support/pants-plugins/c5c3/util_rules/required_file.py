"""A file of the tree that something cannot do without."""

from __future__ import annotations

from dataclasses import dataclass

from pants.engine.fs import Digest, DigestContents, PathGlobs
from pants.engine.internals.selectors import Get
from pants.engine.rules import collect_rules, rule


class MissingFileError(Exception):
    """A file that has to be there is not."""


@dataclass(frozen=True)
class RequiredFileRequest:
    """The file at ``path``, relative to the build root; ``what`` it is and the ``remedy``, both for the error."""

    path: str
    what: str
    remedy: str


@dataclass(frozen=True)
class RequiredFile:
    """The text of a file, and a digest that holds it at its path."""

    text: str
    digest: Digest


@rule
async def read_required_file(request: RequiredFileRequest) -> RequiredFile:
    digest = await Get(Digest, PathGlobs([request.path]))
    contents = await Get(DigestContents, Digest, digest)
    if not contents:
        raise MissingFileError(f"{request.path} is missing: {request.what}. {request.remedy}")
    return RequiredFile(contents[0].content.decode(), digest)


def rules():
    return collect_rules()
