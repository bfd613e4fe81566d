"""The third-party packages that steps import, from the lock of our own tools."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass

from imagekit.python.lock import ToolLock, parse_tool_lock, select_packages
from imagekit.python.target import TargetPython
from pants.engine.fs import CreateDigest, Digest, DigestContents, FileContent, MergeDigests
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.platform import Platform
from pants.engine.rules import collect_rules, rule

from c5c3.util_rules.fetched import FetchedFile, PythonFileRequest
from c5c3.util_rules.required_file import RequiredFile, RequiredFileRequest
from c5c3.util_rules.step import BareStep, ImagekitTools, StepResult

TOOLS_LOCK = "3rdparty/tools/imagekit.lock.json"
_REMEDY = "Run `./pants generate-lockfiles --resolve=tools/imagekit` to make it."


@dataclass(frozen=True)
class LoadedToolLock:
    lock: ToolLock


@dataclass(frozen=True)
class UvWheel:
    """A digest that holds the wheel of uv, ``path``."""

    path: str
    digest: Digest


def machine(platform: Platform) -> str:
    """The kernel's name for the machine that images are built for."""
    return {"linux_x86_64": "x86_64", "linux_arm64": "aarch64"}[platform.value]


@rule
async def load_tool_lock() -> LoadedToolLock:
    file = await Get(RequiredFile, RequiredFileRequest(TOOLS_LOCK, "the lock of imagekit's own tools", _REMEDY))
    return LoadedToolLock(parse_tool_lock(file.text, TOOLS_LOCK, _REMEDY))


# The interpreter that Pants runs with, on the oldest C library that its own wheels allow.
def _host_python(platform: Platform) -> TargetPython:
    return TargetPython("3.9", (2, 17), machine(platform))


@rule
async def unpack_tools(loaded: LoadedToolLock, platform: Platform) -> ImagekitTools:
    selected = select_packages(loaded.lock.packages, _host_python(platform), TOOLS_LOCK, _REMEDY)
    wheels = await MultiGet(
        Get(FetchedFile, PythonFileRequest(package.name, package.artifact))
        for package in selected
        if package.name != "uv"
    )
    result = await Get(
        StepResult,
        BareStep(
            "tools",
            (*(f"--wheel={wheel.path}" for wheel in wheels), "--output-tar=tools.tar"),
            description="Unpack imagekit's tools",
            inputs=await Get(Digest, MergeDigests(wheel.digest for wheel in wheels)),
            output_files=("tools.tar",),
        ),
    )
    # A tree of directories would get lost in some cache servers, so a tar comes out of the step.
    contents = await Get(DigestContents, Digest, result.output)
    with tarfile.open(fileobj=io.BytesIO(contents[0].content)) as tar:
        files = [FileContent(member.name, tar.extractfile(member).read()) for member in tar if member.isfile()]
    return ImagekitTools(await Get(Digest, CreateDigest(files)))


@rule
async def fetch_uv(loaded: LoadedToolLock, platform: Platform) -> UvWheel:
    selected = select_packages(loaded.lock.packages, _host_python(platform), TOOLS_LOCK, _REMEDY)
    (uv,) = (package for package in selected if package.name == "uv")
    wheel = await Get(FetchedFile, PythonFileRequest(uv.name, uv.artifact))
    return UvWheel(wheel.path, wheel.digest)


def rules():
    return collect_rules()
