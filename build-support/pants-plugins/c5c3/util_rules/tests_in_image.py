"""The unit tests of a component: what they require, the environment they run in, and how they are divided."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Optional, Tuple

from imagekit.oci.json_document import Document
from imagekit.python.lock import select
from pants.core.goals.test import TestFieldSet
from pants.engine.addresses import Address
from pants.engine.fs import (
    CreateDigest,
    Digest,
    DigestContents,
    DigestSubset,
    FileContent,
    MergeDigests,
    PathGlobs,
)
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.rules import collect_rules, rule
from pants.engine.target import HydratedSources, HydrateSourcesRequest

from c5c3.target_types import (
    ExcludeRequirementsField,
    ShardsField,
    TestedImageField,
    TestExclusionsField,
    TestPathField,
    UpstreamTestExtrasField,
    UpstreamTestPackagesField,
    UpstreamTestTimeoutField,
)
from c5c3.util_rules.host import ROOTFS_DIR
from c5c3.util_rules.image import BuiltImage, ImageAddress, ImageAddressRequest, ImageLayout, ImageRequest
from c5c3.util_rules.layers import LayerBlob, LayerRequest, Piece
from c5c3.util_rules.python import (
    LoadedPythonLock,
    LockedPackageRequest,
    PythonEnvironmentRequest,
    PythonInstallation,
    PythonLockRequest,
)
from c5c3.util_rules.source import PatchedSource, Source
from c5c3.util_rules.step import Step, StepResult
from c5c3.util_rules.targets import AllReleases

_REQUIREMENTS = "requirements.txt"
_PLAN = "plan.json"


class UpstreamTestsError(Exception):
    """An `upstream_tests` target whose fields do not fit together."""


@dataclass(frozen=True)
class RequirementsOfTests:
    """What a target says of the packages that only the tests need."""

    extras: Tuple[str, ...]
    python_packages: Tuple[str, ...]
    excluded: Tuple[str, ...]

    def environment(self, image: PythonEnvironmentRequest, required: Tuple[str, ...]) -> PythonEnvironmentRequest:
        """The environment of the tests in ``image``, whose source says that they require ``required``."""
        return replace(
            image,
            extras=tuple(sorted({*image.extras, *self.extras})),
            python_packages=(*image.python_packages, *self.python_packages, *required),
            image=image,
        )


@dataclass(frozen=True)
class RequiredByTestsRequest:
    """The test requirements of a patched source, ``what`` in messages."""

    what: str
    source: PatchedSource
    requirements: RequirementsOfTests


@dataclass(frozen=True)
class RequiredByTests:
    requirements: Tuple[str, ...]


@rule
async def list_test_requirements(request: RequiredByTestsRequest) -> RequiredByTests:
    named = request.requirements
    result = await Get(
        StepResult,
        Step(
            "list-test-requirements",
            (
                f"--what={request.what}",
                f"--source={request.source.path}",
                *(f"--exclude={project}" for project in named.excluded),
                *(("--optional",) if named.extras or named.python_packages else ()),
                f"--output={_REQUIREMENTS}",
            ),
            description=f"List the test requirements of {request.what}",
            inputs=request.source.digest,
            output_files=(_REQUIREMENTS,),
        ),
    )
    contents = await Get(DigestContents, Digest, result.output)
    return RequiredByTests(tuple(contents[0].content.decode().splitlines()))


@dataclass(frozen=True)
class UpstreamTestsFieldSet(TestFieldSet):
    required_fields = (TestedImageField, ShardsField)

    image: TestedImageField
    test_path: TestPathField
    extras: UpstreamTestExtrasField
    python_packages: UpstreamTestPackagesField
    exclude_requirements: ExcludeRequirementsField
    exclusions: TestExclusionsField
    shards: ShardsField
    timeout: UpstreamTestTimeoutField

    @property
    def requirements(self) -> RequirementsOfTests:
        return RequirementsOfTests(
            tuple(self.extras.value or ()),
            tuple(self.python_packages.value or ()),
            tuple(sorted(self.exclude_requirements.value or ())),
        )


@dataclass(frozen=True)
class TestBedRequest:
    __test__ = False

    tests: UpstreamTestsFieldSet


@dataclass(frozen=True)
class TestBed:
    """An image, what only the tests need, and the patched source, as inputs and arguments of a step."""

    __test__ = False

    installation: PythonInstallation
    digest: Digest
    arguments: Tuple[str, ...]


def installation_of(image: BuiltImage, tested_by: Address) -> PythonInstallation:
    """What is installed in ``image``; raises :class:`UpstreamTestsError` for an image without a component."""
    if image.python is None:
        raise UpstreamTestsError(
            f"Target {tested_by} tests {image.address}, which no component is installed in. Name the image of a "
            "service."
        )
    return image.python


@rule
async def set_up_tests(request: TestBedRequest) -> TestBed:
    tests = request.tests
    address = await Get(
        ImageAddress, ImageAddressRequest(str(tests.image.value), TestedImageField.alias, tests.address)
    )
    image = await Get(BuiltImage, ImageRequest(address.address))
    installation = installation_of(image, tests.address)
    source = installation.source
    what = f"{source.component} {source.version}"
    layout, patched = await MultiGet(Get(ImageLayout, BuiltImage, image), Get(PatchedSource, Source, source))
    required = await Get(RequiredByTests, RequiredByTestsRequest(what, patched, tests.requirements))
    environment = tests.requirements.environment(installation.environment, required.requirements)
    loaded = await Get(LoadedPythonLock, PythonLockRequest(environment, installation.distribution))
    installed = {loaded.lock.root.name, *(package.name for package in installation.packages)}
    selection = select(loaded.lock, installation.target, loaded.path, loaded.remedy)
    added = [package for package in selection.packages if package.name not in installed]
    inputs = [layout.digest, patched.digest]
    arguments = [f"--what={what}", f"--source={patched.path}", "--layout=layout", f"--rootfs-store={ROOTFS_DIR}"]
    if added:
        pieces = await MultiGet(
            Get(
                Piece,
                LockedPackageRequest(package, installation.toolchain, loaded.libraries.get(package.name)),
            )
            for package in added
        )
        layer = await Get(LayerBlob, LayerRequest(pieces, f"c5c3: what the unit tests of {what} need"))
        inputs.append(layer.blob)
        arguments.append(f"--packages={layer.path}")
    if tests.test_path.value:
        arguments.append(f"--test-path={tests.test_path.value}")
    return TestBed(installation, await Get(Digest, MergeDigests(inputs)), tuple(arguments))


@dataclass(frozen=True)
class ExclusionListRequest:
    """The list of ``tests`` for ``release``."""

    tests: UpstreamTestsFieldSet
    release: str


@dataclass(frozen=True)
class ExclusionList:
    """A file at ``path`` in ``digest``; None where nothing is excluded."""

    path: Optional[str]
    digest: Digest


@rule
async def find_exclusion_list(request: ExclusionListRequest, releases: AllReleases) -> ExclusionList:
    hydrated = await Get(HydratedSources, HydrateSourcesRequest(request.tests.exclusions))
    found: Optional[str] = None
    for path in hydrated.snapshot.files:
        name = os.path.basename(path)[: -len(".txt")]
        if name not in releases.by_name:
            raise UpstreamTestsError(
                f"{path} excludes tests of {name!r}, but this tree has no such release (it has: "
                f"{', '.join(sorted(releases.by_name))}). Name the file after one of them, or delete it."
            )
        if name == request.release:
            found = path
    return ExclusionList(found, await Get(Digest, DigestSubset(hydrated.snapshot.digest, PathGlobs([found or ""]))))


@dataclass(frozen=True)
class TestPlanRequest:
    __test__ = False

    tests: UpstreamTestsFieldSet


@dataclass(frozen=True)
class PlannedShard:
    """The ids of the tests that one process runs, and how many of its tests are excluded."""

    tests: Tuple[str, ...]
    excluded: int


@dataclass(frozen=True)
class TestPlan:
    """The tests of each shard."""

    __test__ = False

    shards: Tuple[PlannedShard, ...]


@rule
async def plan_upstream_tests(request: TestPlanRequest) -> TestPlan:
    tests = request.tests
    bed = await Get(TestBed, TestBedRequest(tests))
    excluded = await Get(ExclusionList, ExclusionListRequest(tests, bed.installation.environment.release))
    result = await Get(
        StepResult,
        Step(
            "plan-upstream-tests",
            (
                *bed.arguments,
                *((f"--exclude={excluded.path}",) if excluded.path else ()),
                f"--shards={tests.shards.value}",
                f"--output={_PLAN}",
            ),
            description=f"List the tests of {tests.address}",
            inputs=await Get(Digest, MergeDigests([bed.digest, excluded.digest])),
            output_files=(_PLAN,),
        ),
    )
    contents = await Get(DigestContents, Digest, result.output)
    return TestPlan(
        tuple(
            PlannedShard(shard.strings("tests"), shard.integer("excluded"))
            for shard in Document.parse(contents[0].content, _PLAN).documents("shards")
        )
    )


@dataclass(frozen=True)
class ShardStepRequest:
    """Shard ``number`` of ``tests``, counted from 0."""

    tests: UpstreamTestsFieldSet
    number: int


@rule
async def make_shard_step(request: ShardStepRequest) -> Step:
    bed, plan = await MultiGet(
        Get(TestBed, TestBedRequest(request.tests)), Get(TestPlan, TestPlanRequest(request.tests))
    )
    shard = plan.shards[request.number]
    ids = await Get(
        Digest, CreateDigest([FileContent("tests.txt", "".join(f"{test}\n" for test in shard.tests).encode())])
    )
    return Step(
        "run-upstream-tests",
        (
            *bed.arguments,
            "--tests=tests.txt",
            f"--excluded={shard.excluded}",
            f"--timeout={request.tests.timeout.value}",
        ),
        description=f"Run tests of {request.tests.address}, shard {request.number + 1} of {len(plan.shards)}",
        inputs=await Get(Digest, MergeDigests([bed.digest, ids])),
    )


def rules():
    return collect_rules()
