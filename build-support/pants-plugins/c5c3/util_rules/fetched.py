"""Files that a lock names, fetched by their SHA-256."""

from __future__ import annotations

from dataclasses import dataclass

from imagekit.debian.lock import DebPackage
from imagekit.python.lock import Artifact
from imagekit.sources.pin import GitPin
from pants.engine.fs import Digest
from pants.engine.internals.selectors import Get
from pants.engine.rules import collect_rules, rule

from c5c3.util_rules.host import FETCH_SETTINGS
from c5c3.util_rules.step import FetchStep, Step, StepResult


@dataclass(frozen=True)
class FetchedFile:
    """A digest that holds one file, ``path``, whose content the lock names."""

    path: str
    digest: Digest


@dataclass(frozen=True)
class PythonFileRequest:
    """A wheel or sdist of ``project``; ``origin`` says where the user finds its hash, if not in some service's lock."""

    project: str
    artifact: Artifact
    origin: str = ""


@rule
async def fetch_python_file(request: PythonFileRequest) -> FetchedFile:
    artifact = request.artifact
    result = await Get(
        StepResult,
        FetchStep(
            "fetch-python",
            (
                f"--name={request.project}",
                f"--filename={artifact.filename}",
                f"--size={artifact.size}",
                f"--sha256={artifact.sha256}",
                f"--output={artifact.filename}",
            ),
            description=f"Fetch {artifact.filename}",
            output_files=(artifact.filename,),
            origin=request.origin,
        ),
    )
    return FetchedFile(artifact.filename, result.output)


@dataclass(frozen=True)
class DebRequest:
    package: DebPackage


@rule
async def fetch_deb(request: DebRequest) -> FetchedFile:
    package = request.package
    name = package.filename.rpartition("/")[2]
    result = await Get(
        StepResult,
        FetchStep(
            "fetch-deb",
            (
                f"--filename={package.filename}",
                f"--size={package.size}",
                f"--sha256={package.sha256}",
                f"--output={name}",
            ),
            description=f"Fetch {name}",
            output_files=(name,),
        ),
    )
    return FetchedFile(name, result.output)


@dataclass(frozen=True)
class GitSourceRequest:
    """The tree of ``pin``; ``origin`` says where the user finds it."""

    pin: GitPin
    origin: str


@rule
async def fetch_git(request: GitSourceRequest) -> FetchedFile:
    pin = request.pin
    result = await Get(
        StepResult,
        Step(
            "fetch-git",
            (
                f"--url={pin.url}",
                f"--ref={pin.ref}",
                f"--commit={pin.commit}",
                f"--settings={FETCH_SETTINGS}",
                "--output=source.tar",
            ),
            description=f"Fetch {pin.url} at {pin.commit[:12]}",
            output_files=("source.tar",),
            origin=request.origin,
        ),
    )
    return FetchedFile("source.tar", result.output)


def rules():
    return collect_rules()
