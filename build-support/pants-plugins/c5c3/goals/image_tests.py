"""`test`: run commands in images, and the checks that hold for every image."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Tuple

from pants.core.goals.test import TestDebugRequest, TestFieldSet, TestRequest, TestResult, TestSubsystem
from pants.engine.addresses import Addresses, UnparsedAddressInputs
from pants.engine.fs import AddPrefix, Digest, MergeDigests, RemovePrefix
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.process import FallibleProcessResult, InteractiveProcess, Process, ProcessCacheScope
from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    FieldSet,
    HydratedSources,
    HydrateSourcesRequest,
    InferDependenciesRequest,
    InferredDependencies,
)
from pants.engine.unions import UnionRule
from pants.util.logging import LogLevel

from c5c3.subsystems.image_tests import ImageChecksSubsystem, ImageTestSubsystem
from c5c3.target_types import (
    AllowedFindingsField,
    ImageTestCommandField,
    ImageTestDependenciesField,
    ImageTestExpectField,
    ImageTestFilesField,
    ImageTestNetworkField,
    ImageTestScriptField,
    ImageTestTimeoutField,
    TestedImageField,
)
from c5c3.util_rules.host import ROOTFS_DIR
from c5c3.util_rules.image import BuiltImage, ImageAddress, ImageAddressRequest, ImageLayout, ImageRequest
from c5c3.util_rules.step import Step, StepProcess


class ImageTestError(Exception):
    """An `image_test` whose fields do not fit together."""


@dataclass(frozen=True)
class ImageTestFieldSet(TestFieldSet):
    required_fields = (TestedImageField, ImageTestCommandField, ImageTestScriptField)

    image: TestedImageField
    command: ImageTestCommandField
    script: ImageTestScriptField
    expect: ImageTestExpectField
    files: ImageTestFilesField
    network: ImageTestNetworkField
    timeout: ImageTestTimeoutField


@dataclass(frozen=True)
class ImageChecksFieldSet(TestFieldSet):
    required_fields = (TestedImageField, AllowedFindingsField)

    image: TestedImageField
    allowed: AllowedFindingsField


class ImageTestRequest(TestRequest):
    tool_subsystem = ImageTestSubsystem
    field_set_type = ImageTestFieldSet
    supports_debug = True


class ImageChecksRequest(TestRequest):
    tool_subsystem = ImageChecksSubsystem
    field_set_type = ImageChecksFieldSet


@dataclass(frozen=True)
class TestedImageFieldSet(FieldSet):
    required_fields = (TestedImageField, ImageTestDependenciesField)

    image: TestedImageField


class InferTestedImage(InferDependenciesRequest):
    infer_from = TestedImageFieldSet


@rule
async def infer_tested_image(request: InferTestedImage) -> InferredDependencies:
    address = request.field_set.address
    return InferredDependencies(
        await Get(
            Addresses,
            UnparsedAddressInputs(
                [request.field_set.image.value],
                owning_address=address,
                description_of_origin=f"the `{TestedImageField.alias}` field from the target {address}",
            ),
        )
    )


def command_of(field_set: ImageTestFieldSet) -> Tuple[str, ...]:
    """What the test runs; raises :class:`ImageTestError` unless it has either a command or a script."""
    command, script = tuple(field_set.command.value or ()), field_set.script.value
    if bool(command) == bool(script):
        raise ImageTestError(
            f"Target {field_set.address} must have either a `command` or a `script`, but has "
            f"{'both' if command else 'neither'}. Keep a `command` for one program, a `script` for several."
        )
    return command or ("sh", "-ec", str(script))


@dataclass(frozen=True)
class TestedLayoutRequest:
    field_set: TestFieldSet
    image: TestedImageField


@rule
async def lay_out_tested_image(request: TestedLayoutRequest) -> ImageLayout:
    found = await Get(
        ImageAddress,
        ImageAddressRequest(str(request.image.value), TestedImageField.alias, request.field_set.address),
    )
    return await Get(ImageLayout, BuiltImage, await Get(BuiltImage, ImageRequest(found.address)))


@rule
async def prepare_image_test(field_set: ImageTestFieldSet) -> StepProcess:
    command = command_of(field_set)
    layout, sources = await MultiGet(
        Get(ImageLayout, TestedLayoutRequest(field_set, field_set.image)),
        Get(HydratedSources, HydrateSourcesRequest(field_set.files)),
    )
    inputs = layout.digest
    options = [f"--timeout={field_set.timeout.value}"]
    if field_set.expect.value is not None:
        options.append(f"--expect={field_set.expect.value}")
    if field_set.network.value:
        options.append("--network")
    if sources.snapshot.files:
        bare = await Get(Digest, RemovePrefix(sources.snapshot.digest, field_set.address.spec_path))
        inputs = await Get(Digest, MergeDigests([inputs, await Get(Digest, AddPrefix(bare, "files"))]))
        options.append("--files=files")
    return await Get(
        StepProcess,
        Step(
            "test-image",
            ("--layout=layout", f"--rootfs-store={ROOTFS_DIR}", *options, "--", *command),
            description=f"Test {field_set.address}",
            inputs=inputs,
        ),
    )


async def _result(process: Process, field_set: TestFieldSet, options: TestSubsystem) -> TestResult:
    scope = ProcessCacheScope.PER_SESSION if options.force else ProcessCacheScope.SUCCESSFUL
    finished = await Get(FallibleProcessResult, Process, dataclasses.replace(process, cache_scope=scope))
    return TestResult.from_fallible_process_result(finished, field_set.address, options.output)


@rule(desc="Run a command in an image", level=LogLevel.DEBUG)
async def run_image_test(batch: ImageTestRequest.Batch[ImageTestFieldSet, Any], options: TestSubsystem) -> TestResult:
    prepared = await Get(StepProcess, ImageTestFieldSet, batch.single_element)
    return await _result(prepared.process, batch.single_element, options)


@rule(desc="Check an image", level=LogLevel.DEBUG)
async def run_image_checks(
    batch: ImageChecksRequest.Batch[ImageChecksFieldSet, Any], options: TestSubsystem
) -> TestResult:
    field_set = batch.single_element
    layout = await Get(ImageLayout, TestedLayoutRequest(field_set, field_set.image))
    prepared = await Get(
        StepProcess,
        Step(
            "check-image",
            (
                "--layout=layout",
                f"--rootfs-store={ROOTFS_DIR}",
                *(f"--allow={finding}" for finding in sorted(field_set.allowed.value or ())),
            ),
            description=f"Check {field_set.image.value}",
            inputs=layout.digest,
        ),
    )
    return await _result(prepared.process, field_set, options)


@rule
async def debug_image_test(batch: ImageTestRequest.Batch[ImageTestFieldSet, Any]) -> TestDebugRequest:
    prepared = await Get(StepProcess, ImageTestFieldSet, batch.single_element)
    return TestDebugRequest(InteractiveProcess.from_process(prepared.process))


def rules():
    return (
        *collect_rules(),
        *ImageTestRequest.rules(),
        *ImageChecksRequest.rules(),
        UnionRule(InferDependenciesRequest, InferTestedImage),
    )
