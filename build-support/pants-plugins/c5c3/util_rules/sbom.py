"""The SBOM of an image, known when the image is: from its locks, its .debs and its wheels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Tuple

from imagekit.sbom.contents import ImageContents
from pants.engine.fs import CreateDigest, Digest, DigestEntries, FileContent, FileEntry, MergeDigests
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.rules import collect_rules, rule
from pants.engine.target import WrappedTarget, WrappedTargetRequest

from c5c3.target_types import ComponentField, HeadersField
from c5c3.util_rules.contents import ContentsRequest
from c5c3.util_rules.debian import FetchedDebs, LoadedDebLock
from c5c3.util_rules.image import BuiltImage
from c5c3.util_rules.python import Wheel
from c5c3.util_rules.step import Step, StepResult

SBOM_FILE = "sbom.cdx.json"


@dataclass(frozen=True)
class Sbom:
    """A digest that holds the SBOM as :data:`SBOM_FILE`."""

    digest: Digest


@dataclass(frozen=True)
class SbomFileRequest:
    """The SBOM of ``image`` as the file ``path``."""

    image: BuiltImage
    path: str


@dataclass(frozen=True)
class SbomFile:
    digest: Digest


def sbom_path(output_path: str) -> str:
    """Where the SBOM of the image at ``output_path`` is: beside its layout."""
    return f"{output_path}.cdx.json"


@dataclass(frozen=True)
class DescribedPackages:
    """What some packages say of themselves, as the file ``path``."""

    path: str
    digest: Digest


@dataclass(frozen=True)
class DescribeDebsRequest:
    """The .debs of ``lock``; ``name`` tells the result from those of other locks."""

    lock: LoadedDebLock
    name: str


@dataclass(frozen=True)
class DescribeWheelsRequest:
    wheels: Tuple[Wheel, ...]
    name: str
    exclude_tests: bool = False


@rule
async def describe_debs(request: DescribeDebsRequest) -> DescribedPackages:
    debs = await Get(FetchedDebs, LoadedDebLock, request.lock)
    output = f"{request.name}.json"
    result = await Get(
        StepResult,
        Step(
            "describe-debs",
            ("--debs=debs", f"--output={output}"),
            description=f"Read what the packages of {request.lock.path} say of themselves",
            inputs=debs.digest,
            output_files=(output,),
        ),
    )
    return DescribedPackages(output, result.output)


@rule
async def describe_wheels(request: DescribeWheelsRequest) -> DescribedPackages:
    output = f"{request.name}.json"
    result = await Get(
        StepResult,
        Step(
            "describe-wheels",
            (
                *(f"--wheel={wheel.path}" for wheel in request.wheels),
                *(("--exclude-tests",) if request.exclude_tests else ()),
                f"--output={output}",
            ),
            description="Read what wheels say of themselves",
            inputs=await Get(Digest, MergeDigests(wheel.digest for wheel in request.wheels)),
            output_files=(output,),
        ),
    )
    return DescribedPackages(output, result.output)


@rule
async def make_sbom(image: BuiltImage) -> Sbom:
    python = image.python
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(image.address, description_of_origin="<infallible>"))
    target = wrapped.target
    contents = await Get(ImageContents, ContentsRequest(image.debs, python, target[HeadersField].value))
    debs = await MultiGet(
        Get(DescribedPackages, DescribeDebsRequest(lock, f"debs-{number}")) for number, lock in enumerate(image.debs)
    )
    wheels: Tuple[DescribedPackages, ...] = ()
    patches: Tuple[str, ...] = ()
    inputs = []
    if python is not None:
        # Apart, so that a patch reads the few wheels again that are built from pinned sources, and not all.
        wheels_of = tuple(zip(python.packages, python.wheels))
        fetched = (wheel for package, wheel in wheels_of if package.artifact is not None)
        built = (wheel for package, wheel in wheels_of if package.artifact is None)
        wheels = await MultiGet(
            Get(DescribedPackages, DescribeWheelsRequest(tuple(fetched), "wheels")),
            Get(DescribedPackages, DescribeWheelsRequest(tuple(built), "built-wheels")),
            Get(
                DescribedPackages,
                DescribeWheelsRequest(python.wheels[-1:], "own-wheel", python.environment.exclude_tests),
            ),
        )
        sources = (python.source, *python.libraries.values())
        patches = tuple(path for source in sources for path in source.patches)
        inputs.extend(source.patch_digest for source in sources)
    contents_file = FileContent("contents.json", json.dumps(contents.to_json(), indent=1, sort_keys=True).encode())
    inputs.append(await Get(Digest, CreateDigest([contents_file])))
    name = target[ComponentField].value or image.address.target_name
    result = await Get(
        StepResult,
        Step(
            "sbom",
            (
                f"--contents={contents_file.path}",
                *(f"--debs={described.path}" for described in debs),
                *(f"--wheels={described.path}" for described in wheels),
                *(f"--patch={path}" for path in patches),
                f"--name={name}",
                f"--image-version={image.tags[0]}",
                f"--digest={image.digest}",
                f"--output={SBOM_FILE}",
            ),
            description=f"Write the SBOM of {image.address}",
            inputs=await Get(
                Digest, MergeDigests([*inputs, *(described.digest for described in (*debs, *wheels))])
            ),
            output_files=(SBOM_FILE,),
        ),
    )
    return Sbom(result.output)


@rule
async def place_sbom(request: SbomFileRequest) -> SbomFile:
    sbom = await Get(Sbom, BuiltImage, request.image)
    (entry,) = await Get(DigestEntries, Digest, sbom.digest)
    assert isinstance(entry, FileEntry)
    return SbomFile(await Get(Digest, CreateDigest([FileEntry(request.path, entry.file_digest)])))


def rules():
    return collect_rules()
