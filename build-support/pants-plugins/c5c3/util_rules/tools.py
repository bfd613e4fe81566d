"""The third-party packages that imagekit imports, from the locks of our own tools."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import Tuple

from imagekit.python.lock import SelectedPackage, ToolLock, parse_tool_lock, select_packages
from imagekit.python.target import TargetPython
from pants.engine.fs import CreateDigest, Digest, DigestContents, FileContent, MergeDigests
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.platform import Platform
from pants.engine.rules import collect_rules, rule

from c5c3.util_rules.fetched import FetchedFile, PythonFileRequest
from c5c3.util_rules.required_file import RequiredFile, RequiredFileRequest
from c5c3.util_rules.step import BareStep, ImagekitTools, StepResult


@dataclass(frozen=True)
class ToolSet:
    """The packages of one lock, ``name`` in ``3rdparty/tools/``; ``glibc`` is the oldest C library they run with."""

    name: str
    glibc: Tuple[int, int]

    @property
    def lock_path(self) -> str:
        return f"3rdparty/tools/{self.name}.lock.json"

    @property
    def requirements_path(self) -> str:
        return f"3rdparty/tools/{self.name}.in"

    @property
    def resolve(self) -> str:
        return f"tools/{self.name}"

    @property
    def remedy(self) -> str:
        if self == STEP_TOOLS:
            # Its packages run the step that would make it.
            return f"Restore it: `git checkout -- {self.lock_path}`."
        return f"Run `./pants generate-lockfiles --resolve={self.resolve}` to make it."


#: What every step has. Pants' own wheels need this C library too.
STEP_TOOLS = ToolSet("imagekit", (2, 17))
#: What signing and verifying with keys need besides, and what they need without keys.
SIGNING_TOOLS = ToolSet("signing", (2, 34))
KEYLESS_TOOLS = ToolSet("keyless", (2, 34))
TOOL_SETS = (STEP_TOOLS, SIGNING_TOOLS, KEYLESS_TOOLS)
TOOLS_LOCK = STEP_TOOLS.lock_path


@dataclass(frozen=True)
class LoadedToolLock:
    tools: ToolSet
    lock: ToolLock

    def select(self, platform: Platform) -> Tuple[SelectedPackage, ...]:
        """The packages for the interpreter that Pants runs with."""
        python = TargetPython("3.9", self.tools.glibc, machine(platform))
        return select_packages(self.lock.packages, python, self.tools.lock_path, self.tools.remedy)


@dataclass(frozen=True)
class UnpackedTools:
    """The packages of a tool set, unpacked and byte-compiled."""

    digest: Digest


@dataclass(frozen=True)
class UvWheel:
    """A digest that holds the wheel of uv, ``path``."""

    path: str
    digest: Digest


def machine(platform: Platform) -> str:
    """The kernel's name for the machine that images are built for."""
    return {"linux_x86_64": "x86_64", "linux_arm64": "aarch64"}[platform.value]


@rule
async def load_tool_lock(tools: ToolSet) -> LoadedToolLock:
    file = await Get(
        RequiredFile, RequiredFileRequest(tools.lock_path, "the lock of imagekit's own tools", tools.remedy)
    )
    return LoadedToolLock(tools, parse_tool_lock(file.text, tools.lock_path, tools.remedy))


@rule
async def unpack_tools(tools: ToolSet, platform: Platform) -> UnpackedTools:
    loaded = await Get(LoadedToolLock, ToolSet, tools)
    wheels = await MultiGet(
        Get(FetchedFile, PythonFileRequest(package.name, package.artifact))
        for package in loaded.select(platform)
        if package.name != "uv"
    )
    result = await Get(
        StepResult,
        BareStep(
            "tools",
            (*(f"--wheel={wheel.path}" for wheel in wheels), "--output-tar=tools.tar"),
            description=f"Unpack the tools of {tools.lock_path}",
            inputs=await Get(Digest, MergeDigests(wheel.digest for wheel in wheels)),
            output_files=("tools.tar",),
        ),
    )
    # A tree of directories would get lost in some cache servers, so a tar comes out of the step.
    contents = await Get(DigestContents, Digest, result.output)
    with tarfile.open(fileobj=io.BytesIO(contents[0].content)) as tar:
        files = [FileContent(member.name, tar.extractfile(member).read()) for member in tar if member.isfile()]
    return UnpackedTools(await Get(Digest, CreateDigest(files)))


@rule
async def unpack_step_tools() -> ImagekitTools:
    tools = await Get(UnpackedTools, ToolSet, STEP_TOOLS)
    return ImagekitTools(tools.digest)


@rule
async def fetch_uv(platform: Platform) -> UvWheel:
    loaded = await Get(LoadedToolLock, ToolSet, STEP_TOOLS)
    (uv,) = (package for package in loaded.select(platform) if package.name == "uv")
    wheel = await Get(FetchedFile, PythonFileRequest(uv.name, uv.artifact))
    return UvWheel(wheel.path, wheel.digest)


def rules():
    return collect_rules()
