"""One step of a build: a command of imagekit as a cached process.

A step is identified by the code it runs, its arguments and its inputs; by nothing of the machine.
"""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass
from typing import Tuple

from imagekit.commands import COMMAND_MODULES
from pants.base.build_environment import get_buildroot
from pants.engine.fs import (
    EMPTY_DIGEST,
    Digest,
    DigestContents,
    DigestSubset,
    FileContent,
    MergeDigests,
    PathGlobs,
    RemovePrefix,
)
from pants.engine.internals.selectors import Get
from pants.engine.process import FallibleProcessResult, Process, ProcessCacheScope, ProcessResult
from pants.engine.rules import collect_rules, rule
from pants.util.logging import LogLevel

from c5c3.util_rules.host import (
    FETCH_SETTINGS,
    HOST_CACHE,
    HOST_DIR,
    PYTHON,
    ROOTFS_CACHE,
    ROOTFS_DIR,
    HostSetup,
    in_option_names,
)
from c5c3.util_rules.import_closure import import_closure

_CODE_DIR = "__imagekit"
_TOOLS_DIR = "__tools"
_BYTE_COMPILE = "imagekit/python/byte_compile.py"

#: How long a process waits for the remote cache's answer before it runs here, in milliseconds. A miss does not wait for
#: it. Without it a short step is run here although somebody else has run it.
_SPECULATION_DELAY = 60_000

# The hash seed decides the order of set constants in byte code; the rest is what a process would otherwise take from
# the machine.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


class StepError(Exception):
    """A step refused its input or failed. The message is the step's own."""


@dataclass(frozen=True)
class Step:
    """A command of imagekit with its inputs and outputs (paths relative to the sandbox).

    ``origin`` says where the user wrote what the step may refuse, if the step cannot know: it goes before the refusal.
    Output directories must hold files only: some cache servers (buildbox-casd) lose outputs that have directories in them.
    """

    command: str
    arguments: Tuple[str, ...]
    description: str
    inputs: Digest = EMPTY_DIGEST
    output_files: Tuple[str, ...] = ()
    output_directories: Tuple[str, ...] = ()
    level: LogLevel = LogLevel.DEBUG
    cache_scope: ProcessCacheScope = ProcessCacheScope.SUCCESSFUL
    origin: str = ""


@dataclass(frozen=True)
class FetchStep(Step):
    """A step that reads the network through the user's own configuration and needs no third-party code.

    ``--settings`` is added to its arguments.
    """


@dataclass(frozen=True)
class BareStep(Step):
    """A step that needs no third-party code: the one that unpacks it for the others."""


@dataclass(frozen=True)
class StepResult:
    """What a step wrote, and what it printed."""

    output: Digest
    stdout: str


@dataclass(frozen=True)
class StepProcess:
    """The process of a step, for a caller to whom its exit code is a result."""

    process: Process


@dataclass(frozen=True)
class ImagekitSources:
    """imagekit's modules, below ``imagekit/``."""

    digest: Digest
    contents: Tuple[FileContent, ...]


@dataclass(frozen=True)
class CommandCodeRequest:
    command: str


@dataclass(frozen=True)
class CommandCode:
    """The modules that one command runs, byte-compiled, below ``imagekit/``."""

    digest: Digest


@dataclass(frozen=True)
class ImagekitTools:
    """The third-party packages that steps import, unpacked and byte-compiled."""

    digest: Digest


@rule
async def find_imagekit() -> ImagekitSources:
    # Found where it is imported from, so that the plugin and the steps can never be of two minds.
    package = os.path.dirname(importlib.import_module("imagekit").__file__ or "")
    folder = os.path.relpath(package, get_buildroot())
    sources = await Get(Digest, PathGlobs([f"{folder}/**/*.py", f"!{folder}/**/*_test.py", f"!{folder}/**/conftest.py"]))
    digest = await Get(Digest, RemovePrefix(sources, os.path.dirname(folder)))
    return ImagekitSources(digest, tuple(await Get(DigestContents, Digest, digest)))


@rule
async def compile_command_code(
    request: CommandCodeRequest, imagekit: ImagekitSources, host: HostSetup
) -> CommandCode:
    sources = {file.path: file.content for file in imagekit.contents}
    modules = ("imagekit.run", f"imagekit.{COMMAND_MODULES[request.command]}")
    needed = {_BYTE_COMPILE}.union(*(import_closure(sources, module) for module in modules))
    digest = await Get(Digest, DigestSubset(imagekit.digest, PathGlobs(sorted(needed))))
    # Compiled apart for each command: byte code depends a little on what else a process compiled before.
    result = await Get(
        ProcessResult,
        Process(
            argv=(PYTHON, "-s", "-S", _BYTE_COMPILE, "imagekit"),
            description=f"Compile the code of {request.command}",
            input_digest=digest,
            # One by one, since some cache servers lose outputs that have directories in them.
            output_directories=sorted({f"{os.path.dirname(path)}/__pycache__" for path in needed}),
            append_only_caches={HOST_CACHE: HOST_DIR},
            env=_ENVIRONMENT,
            level=LogLevel.DEBUG,
            remote_cache_speculation_delay_millis=_SPECULATION_DELAY,
        ),
    )
    return CommandCode(await Get(Digest, MergeDigests([digest, result.output_digest])))


def imagekit_argv(command: str, python: str = PYTHON) -> Tuple[str, ...]:
    """What starts ``command`` of imagekit, before its own arguments: its code is that of :class:`CommandCode`."""
    return (python, "-s", "-S", "-m", "imagekit.run", COMMAND_MODULES[command], command)


def _process(step: Step, immutable_inputs: "dict[str, Digest]", arguments: Tuple[str, ...]) -> Process:
    return Process(
        argv=(*imagekit_argv(step.command), *arguments),
        description=step.description,
        level=step.level,
        input_digest=step.inputs,
        immutable_input_digests=immutable_inputs,
        append_only_caches={HOST_CACHE: HOST_DIR, ROOTFS_CACHE: ROOTFS_DIR},
        env={**_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sorted(immutable_inputs))},
        output_files=step.output_files,
        output_directories=step.output_directories,
        cache_scope=step.cache_scope,
        remote_cache_speculation_delay_millis=_SPECULATION_DELAY,
    )


def _step_result(step: Step, result: FallibleProcessResult) -> StepResult:
    if result.exit_code == 0:
        return StepResult(result.output_digest, result.stdout.decode())
    message = in_option_names(result.stderr.decode(errors="replace").strip())
    prefix = "error: "
    if result.exit_code == 1 and message.startswith(prefix):
        origin = f"{step.origin}: " if step.origin else ""
        raise StepError(f"{origin}{message[len(prefix):]}")
    raise StepError(
        f"{step.description}: `imagekit {step.command}` failed with exit code {result.exit_code}.\n{message}\n"
        f"{result.stdout.decode(errors='replace').strip()}\n"
        "Run again with `--keep-sandboxes=on_failure` to keep the folder it ran in."
    )


@rule
async def prepare_step(step: Step, tools: ImagekitTools, host: HostSetup) -> StepProcess:
    code = await Get(CommandCode, CommandCodeRequest(step.command))
    return StepProcess(_process(step, {_CODE_DIR: code.digest, _TOOLS_DIR: tools.digest}, step.arguments))


@rule
async def run_step(step: Step) -> StepResult:
    prepared = await Get(StepProcess, Step, step)
    return _step_result(step, await Get(FallibleProcessResult, Process, prepared.process))


@rule
async def run_bare_step(step: BareStep, host: HostSetup) -> StepResult:
    code = await Get(CommandCode, CommandCodeRequest(step.command))
    process = _process(step, {_CODE_DIR: code.digest}, step.arguments)
    return _step_result(step, await Get(FallibleProcessResult, Process, process))


@rule
async def run_fetch_step(step: FetchStep, host: HostSetup) -> StepResult:
    code = await Get(CommandCode, CommandCodeRequest(step.command))
    process = _process(step, {_CODE_DIR: code.digest}, (*step.arguments, "--settings", FETCH_SETTINGS))
    return _step_result(step, await Get(FallibleProcessResult, Process, process))


def rules():
    return collect_rules()
