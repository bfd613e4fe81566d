"""`test`: run the unit tests of components in their images, where the user names them."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from typing import Tuple

from pants.base.specs import AddressLiteralSpec
from pants.base.specs_parser import SpecsParser
from pants.core.goals.test import ShowOutput, TestRequest, TestResult, TestSubsystem
from pants.core.util_rules.partitions import Partition, PartitionerType, Partitions
from pants.engine.addresses import Address
from pants.engine.internals.options_parsing import _Options
from pants.engine.internals.selectors import Get
from pants.engine.process import FallibleProcessResult, Process, ProcessCacheScope
from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    InferDependenciesRequest,
    InferredDependencies,
    WrappedTarget,
    WrappedTargetRequest,
)
from pants.engine.unions import UnionRule
from pants.util.docutil import bin_name
from pants.util.logging import LogLevel

from c5c3.subsystems.image_tests import UpstreamTestsSubsystem
from c5c3.target_types import ComponentField, ReleaseField, TestedImageField
from c5c3.util_rules.image import ImageAddress, ImageAddressRequest
from c5c3.util_rules.python import lock_name
from c5c3.util_rules.step import Step, StepProcess
from c5c3.util_rules.targets import AllReleases
from c5c3.util_rules.tests_in_image import ShardStepRequest, UpstreamTestsFieldSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    """One of the ``count`` shards of a target; ``number`` counts from 0."""

    number: int
    count: int

    @property
    def description(self) -> str:
        return f"shard {self.number + 1} of {self.count}"


class UpstreamTestsRequest(TestRequest):
    tool_subsystem = UpstreamTestsSubsystem
    field_set_type = UpstreamTestsFieldSet
    partitioner_type = PartitionerType.CUSTOM


@dataclass(frozen=True)
class NamedTargets:
    """The addresses among the arguments of this run: not globs, and not what `--changed-since` finds."""

    literals: Tuple[AddressLiteralSpec, ...]

    def have(self, address: Address) -> bool:
        """Whether one of them is ``address``, with all of its parameters or with some."""
        return any(
            (literal.path_component, literal.target_component) == (address.spec_path, address.target_name)
            and literal.parameters.items() <= address.parameters.items()
            for literal in self.literals
        )


@rule
def find_named_targets(options: _Options) -> NamedTargets:
    # Rules that tests are partitioned by may not ask for Specs.
    specs = SpecsParser().parse_specs(options.options.specs, description_of_origin="CLI arguments")
    return NamedTargets(specs.includes.address_literals)


@rule
async def partition_upstream_tests(
    request: UpstreamTestsRequest.PartitionRequest[UpstreamTestsFieldSet],
    subsystem: UpstreamTestsSubsystem,
    named: NamedTargets,
) -> Partitions[UpstreamTestsFieldSet, Shard]:
    if subsystem.skip:
        return Partitions()
    wanted = [tests for tests in request.field_sets if subsystem.unnamed or named.have(tests.address)]
    left_out = [tests.address for tests in request.field_sets if tests not in wanted]
    if left_out:
        example = f"{bin_name()} {TestSubsystem.name} {left_out[0]}"
        logger.info(f"{len(left_out)} `upstream_tests` run only when they are named: {example}")
    return Partitions(
        Partition((tests,), Shard(number, tests.shards.value))
        for tests in wanted
        for number in range(tests.shards.value)
    )


@rule(desc="Run unit tests of a component", level=LogLevel.DEBUG)
async def run_upstream_tests(
    batch: UpstreamTestsRequest.Batch[UpstreamTestsFieldSet, Shard], options: TestSubsystem
) -> TestResult:
    tests, shard = batch.single_element, batch.partition_metadata
    step = await Get(Step, ShardStepRequest(tests, shard.number))
    prepared = await Get(StepProcess, Step, step)
    scope = ProcessCacheScope.PER_SESSION if options.force else ProcessCacheScope.SUCCESSFUL
    finished = await Get(FallibleProcessResult, Process, dataclasses.replace(prepared.process, cache_scope=scope))
    # How many tests passed is worth a line also when all did.
    shown = ShowOutput.NONE if options.output == ShowOutput.NONE else ShowOutput.ALL
    return TestResult.from_batched_fallible_process_result(finished, batch, shown)


class InferUpstreamTestsLock(InferDependenciesRequest):
    infer_from = UpstreamTestsFieldSet


@rule
async def infer_upstream_tests_lock(request: InferUpstreamTestsLock, releases: AllReleases) -> InferredDependencies:
    tests = request.field_set
    image = await Get(
        ImageAddress, ImageAddressRequest(str(tests.image.value), TestedImageField.alias, tests.address)
    )
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(image.address, description_of_origin="<infallible>"))
    release = releases.by_name.get(str(wrapped.target[ReleaseField].value))
    lock = release and release.files.get(lock_name(str(wrapped.target[ComponentField].value), of_tests=True))
    return InferredDependencies([lock] if lock else ())


def rules():
    return (
        *collect_rules(),
        *UpstreamTestsRequest.rules(),
        UnionRule(InferDependenciesRequest, InferUpstreamTestsLock),
    )
