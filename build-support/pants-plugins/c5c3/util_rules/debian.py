"""Layers of Debian packages: a base from nothing, and what packages add to one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional, Tuple

from imagekit.constants import SERVICE_UID, SERVICE_USER
from imagekit.debian.lock import DebLock, lock_digest, parse_deb_lock
from imagekit.oci.collisions import Replaces
from imagekit.python.target import TargetPython
from pants.engine.addresses import Address, Addresses, UnparsedAddressInputs
from pants.engine.fs import AddPrefix, Digest, DigestContents, MergeDigests, PathGlobs
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.platform import Platform
from pants.engine.rules import collect_rules, rule
from pants.engine.target import WrappedTarget, WrappedTargetRequest
from pants.util.logging import LogLevel

from c5c3.target_types import ComponentsField, DebianBase, GlibcVersionField, PythonVersionField, SuitesField
from c5c3.util_rules.fetched import DebRequest, FetchedFile
from c5c3.util_rules.layers import (
    LAYER_DIRECTORIES,
    LAYER_FILES,
    LAYER_OUTPUT,
    Compression,
    LayerBlob,
    LayerOutput,
    Rootfs,
    RootfsRequest,
)
from c5c3.util_rules.required_file import RequiredFile, RequiredFileRequest
from c5c3.util_rules.step import Step, StepResult
from c5c3.util_rules.tools import machine


def debian_architecture(platform: Platform) -> str:
    """Debian's (and OCI's) name of the machine that images are built for."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[machine(platform)]


class NoDistributionError(Exception):
    """An image wants system packages or Python, but does not say from which base."""


@dataclass(frozen=True)
class DistributionRequest:
    """The distribution at ``address``, an address as written in a field of the target ``owner``."""

    address: Optional[str]
    owner: Address


@dataclass(frozen=True)
class Distribution:
    """What a `debian_base` target says."""

    name: str
    folder: str
    suites: Tuple[str, ...]
    components: Tuple[str, ...]
    python: str
    glibc: Tuple[int, int]

    def target_python(self, platform: Platform) -> TargetPython:
        return TargetPython(self.python, self.glibc, machine(platform))

    def lock_path(self, name: str) -> str:
        """The path of the lock called ``name``, relative to the build root."""
        return os.path.join(self.folder, "locks", f"{name}.lock.json")


@rule
async def find_distribution(request: DistributionRequest) -> Distribution:
    if request.address is None:
        raise NoDistributionError(
            f"Target {request.owner} adds system packages or a Python environment, but its `distribution` field is not "
            "set. Name the `debian_base` it stands on, such as `distribution=\"3rdparty/bases/bookworm\"`."
        )
    addresses = await Get(
        Addresses,
        UnparsedAddressInputs(
            [request.address],
            owning_address=request.owner,
            description_of_origin=f"the `distribution` field from the target {request.owner}",
        ),
    )
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(addresses[0], description_of_origin="<infallible>"))
    target = wrapped.target
    if not isinstance(target, DebianBase):
        raise NoDistributionError(
            f"The `distribution` field in target {request.owner} must name a `debian_base`, but {request.address!r} is a "
            f"`{target.alias}`."
        )
    major, minor = target[GlibcVersionField].value.split(".")
    return Distribution(
        name=os.path.basename(target.address.spec_path) or target.address.target_name,
        folder=target.address.spec_path,
        suites=tuple(target[SuitesField].value),
        components=tuple(target[ComponentsField].value),
        python=target[PythonVersionField].value,
        glibc=(int(major), int(minor)),
    )


@dataclass(frozen=True)
class DebLockRequest:
    """The lock called ``name``; ``requested`` are the packages that it must have been made for, on top of ``extends``."""

    distribution: Distribution
    name: str
    requested: Tuple[str, ...]
    extends: Optional[str] = None
    allow_stale: bool = False


@dataclass(frozen=True)
class LoadedDebLock:
    lock: DebLock
    path: str
    digest: Digest


@rule
async def load_deb_lock(request: DebLockRequest) -> LoadedDebLock:
    path = request.distribution.lock_path(request.name)
    remedy = f"Run `./pants generate-lockfiles --resolve={request.distribution.name}/{request.name}` to make it."
    file = await Get(
        RequiredFile, RequiredFileRequest(path, f"the lock of the system packages {request.name!r}", remedy)
    )
    lock = parse_deb_lock(file.text, path)
    if not request.allow_stale:
        extends = None
        if request.extends is not None:
            base_path = request.distribution.lock_path(request.extends)
            base = await Get(DigestContents, PathGlobs([base_path]))
            extends = lock_digest(base[0].content.decode()) if base else None
        lock.check_inputs(
            suites=request.distribution.suites,
            components=request.distribution.components,
            requested=request.requested,
            extends=extends,
            origin=path,
            remedy=remedy,
        )
    return LoadedDebLock(lock, path, file.digest)


@dataclass(frozen=True)
class FetchedDebs:
    """The .debs of one lock for this machine's architecture, in the folder ``debs``."""

    digest: Digest


@rule
async def fetch_debs(loaded: LoadedDebLock, platform: Platform) -> FetchedDebs:
    files = await MultiGet(
        Get(FetchedFile, DebRequest(package)) for package in loaded.lock.packages_for(debian_architecture(platform))
    )
    merged = await Get(Digest, MergeDigests(file.digest for file in files))
    return FetchedDebs(await Get(Digest, AddPrefix(merged, "debs")))


@dataclass(frozen=True)
class BaseLayerRequest:
    """The root file system of a lock that stands on nothing, with the service user; ``headers`` keeps /usr/include."""

    name: str
    lock: LoadedDebLock
    headers: bool


@rule(desc="Build a base's root file system", level=LogLevel.DEBUG)
async def build_base_layer(request: BaseLayerRequest, compression: Compression, platform: Platform) -> LayerBlob:
    debs = await Get(FetchedDebs, LoadedDebLock, request.lock)
    result = await Get(
        StepResult,
        Step(
            "bootstrap-rootfs",
            (
                "--debs=debs",
                f"--order-lock={request.lock.path}",
                f"--architecture={debian_architecture(platform)}",
                f"--user={SERVICE_USER}:{SERVICE_UID}",
                *(["--headers"] if request.headers else []),
                *compression.arguments,
                f"--created-by=c5c3: base {request.name}",
                f"--output-dir={LAYER_OUTPUT}",
            ),
            description=f"Build the root file system of {request.name}",
            inputs=await Get(Digest, MergeDigests([debs.digest, request.lock.digest])),
            output_files=LAYER_FILES,
            output_directories=LAYER_DIRECTORIES,
            level=LogLevel.INFO,
        ),
    )
    return await Get(LayerBlob, LayerOutput(result.output, Replaces.ANYTHING))


@dataclass(frozen=True)
class SystemLayerRequest:
    """What the packages of a lock add to the image made of ``below``; ``headers`` keeps /usr/include."""

    name: str
    lock: LoadedDebLock
    headers: bool
    below: Tuple[LayerBlob, ...]


@rule(desc="Install system packages", level=LogLevel.DEBUG)
async def build_system_layer(request: SystemLayerRequest, compression: Compression, platform: Platform) -> LayerBlob:
    debs, rootfs = await MultiGet(
        Get(FetchedDebs, LoadedDebLock, request.lock), Get(Rootfs, RootfsRequest(request.below))
    )
    result = await Get(
        StepResult,
        Step(
            "extend-rootfs",
            (
                *rootfs.layers,
                "--debs=debs",
                *(["--headers"] if request.headers else []),
                *compression.arguments,
                f"--created-by=c5c3: system packages of {request.name}",
                f"--output-dir={LAYER_OUTPUT}",
            ),
            description=f"Install the system packages of {request.name}",
            inputs=await Get(Digest, MergeDigests([debs.digest, rootfs.digest])),
            output_files=LAYER_FILES,
            output_directories=LAYER_DIRECTORIES,
            level=LogLevel.INFO,
        ),
    )
    return await Get(LayerBlob, LayerOutput(result.output, Replaces.ANYTHING))


def rules():
    return collect_rules()
