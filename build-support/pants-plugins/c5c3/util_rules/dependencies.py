"""What an image is made of, as dependencies: so that ``--changed-since`` names exactly the images a change touches.

The files of a release are targets of their own, and an image depends on its own lock and pin only: `upper-constraints.txt`
does not decide what is built, the locks made from it do.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import List

from imagekit.python.lock import parse_python_lock
from pants.engine.addresses import Address, Addresses, UnparsedAddressInputs
from pants.engine.fs import DigestContents, PathGlobs
from pants.engine.internals.selectors import Get
from pants.engine.rules import collect_rules, rule
from pants.engine.target import (
    FieldSet,
    InferDependenciesRequest,
    InferredDependencies,
    WrappedTarget,
    WrappedTargetRequest,
)
from pants.engine.unions import UnionRule
from pants.util.logging import LogLevel

from c5c3.target_types import (
    BaseField,
    BuilderField,
    ComponentField,
    DistributionField,
    DockerImageDependenciesField,
    PythonBaseField,
    ReleaseField,
    SystemPackagesField,
)
from c5c3.util_rules.image import system_lock_name
from c5c3.util_rules.source import lock_command
from c5c3.util_rules.targets import AllPatchSets, AllReleases


@dataclass(frozen=True)
class ImageDependenciesFieldSet(FieldSet):
    required_fields = (DockerImageDependenciesField, BaseField)

    dependencies: DockerImageDependenciesField


class InferImageDependencies(InferDependenciesRequest):
    infer_from = ImageDependenciesFieldSet


@rule(desc="Infer what an image is made of", level=LogLevel.DEBUG)
async def infer_image_dependencies(
    request: InferImageDependencies, releases: AllReleases, patch_sets: AllPatchSets
) -> InferredDependencies:
    wrapped = await Get(
        WrappedTarget, WrappedTargetRequest(request.field_set.address, description_of_origin="<infallible>")
    )
    target = wrapped.target
    named = [target[field].value for field in (BaseField, PythonBaseField, BuilderField) if target[field].value]
    found: List[Address] = list(
        await Get(
            Addresses,
            UnparsedAddressInputs(
                named,
                owning_address=target.address,
                description_of_origin=f"the `base`, `python_base` or `builder` field from the target {target.address}",
            ),
        )
    )
    if target[SystemPackagesField].value and target[DistributionField].value:
        (distribution,) = await Get(
            Addresses,
            UnparsedAddressInputs(
                [target[DistributionField].value],
                owning_address=target.address,
                description_of_origin=f"the `distribution` field from the target {target.address}",
            ),
        )
        found.append(distribution.create_generated(os.path.join("locks", f"{system_lock_name(target)}.lock.json")))
    release_name, component = target[ReleaseField].value, target[ComponentField].value
    if release_name and component:
        release = releases.get(release_name, target.address)
        files = release.files
        lock_path = f"locks/{component}.lock.json"
        components = [component]
        if lock_path in files:
            found.append(files[lock_path])
            path = release.path(lock_path)
            contents = await Get(DigestContents, PathGlobs([path]))
            lock = parse_python_lock(
                contents[0].content.decode(), path, f"Run `{lock_command(release_name, component)}`."
            )
            components += [package.component for package in lock.packages if package.component is not None]
        for name in components:
            if f"sources/{name}.json" in files:
                found.append(files[f"sources/{name}.json"])
            patch_set = patch_sets.get(name, release_name)
            if patch_set is not None:
                found.append(patch_set.address)
    return InferredDependencies(sorted(set(found)))


def rules():
    return (*collect_rules(), UnionRule(InferDependenciesRequest, InferImageDependencies))
