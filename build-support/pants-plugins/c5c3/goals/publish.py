"""`publish`: push images to registries, with what users know from Pants' docker backend.

Pants' goal runs one process for each image, one after the other, and shows the exit code of each. All images of a run are
pushed together by the first of these processes, whichever it is; each then tells the outcome of its own image.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

from imagekit.provenance import statement
from imagekit.sbom import cyclonedx
from pants.base.build_environment import get_buildroot
from pants.core.goals.publish import (
    PublishFieldSet,
    PublishOutputData,
    PublishPackages,
    PublishProcesses,
    PublishRequest,
)
from pants.core.util_rules.distdir import DistDir
from pants.engine.addresses import Address
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.internals.session import RunId
from pants.engine.process import InteractiveProcess
from pants.engine.rules import collect_rules, rule
from pants.engine.target import AllTargets, WrappedTarget, WrappedTargetRequest
from pants.option.global_options import GlobalOptions

from c5c3.subsystems.images import ImagesSubsystem
from c5c3.subsystems.registries import Registry
from c5c3.subsystems.signing import SigningSubsystem
from c5c3.target_types import (
    BaseField,
    ComponentField,
    DockerImage,
    DockerImageDependenciesField,
    ImageOutputPathField,
    RegistriesField,
    ReleaseField,
    RepositoryField,
    SkipPushField,
)
from c5c3.util_rules.checkout import Checkout
from c5c3.util_rules.image import BuiltImage, ImageRequest
from c5c3.util_rules.image_names import ImageError, PublishedTags, published_tags, repository_of_target
from c5c3.util_rules.provenance import PROVENANCE_FILE
from c5c3.util_rules.sbom import SBOM_FILE
from c5c3.util_rules.source import ComponentRequest, Source
from c5c3.util_rules.user_process import UserProcessRequest, signer_tools

logger = logging.getLogger(__name__)

#: What is attached to each image. Types and annotation are those that readers of such documents look for.
_ATTACHED = (
    {"path": SBOM_FILE, "artifact_type": cyclonedx.MEDIA_TYPE, "media_type": cyclonedx.MEDIA_TYPE},
    {
        "path": PROVENANCE_FILE,
        "artifact_type": statement.MEDIA_TYPE,
        "media_type": statement.MEDIA_TYPE,
        "annotations": {"in-toto.io/predicate-type": statement.PREDICATE_TYPE},
    },
)


class PublishImageRequest(PublishRequest):
    pass


@dataclass(frozen=True)
class PublishImageFieldSet(PublishFieldSet):
    publish_request_type = PublishImageRequest
    required_fields = (DockerImageDependenciesField, BaseField)

    registries: RegistriesField
    repository: RepositoryField
    skip_push: SkipPushField
    output_path: ImageOutputPathField

    def get_output_data(self) -> PublishOutputData:
        return PublishOutputData(
            {"publisher": "c5c3", "registries": self.registries.value or (), **super().get_output_data()}
        )


@dataclass(frozen=True)
class ImageTagsRequest:
    """The tags under which the `docker_image` at ``address`` is published from this checkout."""

    address: Address


@rule
async def find_tags(request: ImageTagsRequest, checkout: Checkout) -> PublishedTags:
    wrapped = await Get(WrappedTarget, WrappedTargetRequest(request.address, description_of_origin="<infallible>"))
    target = wrapped.target
    release = target[ReleaseField].value
    source: Optional[Source] = None
    if release:
        component = target[ComponentField].value or target.address.target_name
        source = await Get(Source, ComponentRequest(component, release, target.address))
    return published_tags(target, source, checkout)


def check_shared_tags(address: Address, repository: str, tags: PublishedTags, others: Dict[Address, PublishedTags]) -> None:
    """Raises :class:`ImageError` when an image of the same repository has one of the tags too."""
    for other, other_tags in others.items():
        for tag in tags.tags:
            if any(tag.name == other_tag.name for other_tag in other_tags.tags):
                raise ImageError(
                    f"Targets {address} and {other} would both be {repository}:{tag.name}. Give them tags of their own: put "
                    "{release} into their `image_tags` or `repository`."
                )


@dataclass(frozen=True)
class PublishPlan:
    """Where one image goes, and under which tags. Nothing is built to know it."""

    address: Address
    repository: str
    tags: PublishedTags
    registries: Tuple[Registry, ...]
    skip_push: bool

    @property
    def pushed(self) -> Tuple[Registry, ...]:
        if self.skip_push or not self.tags.tags:
            return ()
        return tuple(registry for registry in self.registries if not registry.skip_push)

    @property
    def skipped(self) -> Tuple[Registry, ...]:
        return self.registries if self.skip_push else tuple(one for one in self.registries if one.skip_push)


@dataclass(frozen=True)
class PublishFolder:
    """Where the images of one run of the goal meet: it holds a request of each, and then its outcome."""

    path: str


@rule
async def name_publish_folder(run_id: RunId, global_options: GlobalOptions) -> PublishFolder:
    # The number of a run is not unique without pantsd; asking for it gives each run a folder of its own with pantsd too.
    return PublishFolder(os.path.join(global_options.pants_workdir, "publish", uuid.uuid4().hex))


@rule
async def plan_publishing(
    field_set: PublishImageFieldSet, options: ImagesSubsystem, all_targets: AllTargets
) -> PublishPlan:
    address = field_set.address
    repositories = _repositories(all_targets, options)
    repository = repositories[address]
    sharing = [other for other in repositories if other != address and repositories[other] == repository]
    tags, *others = await MultiGet(Get(PublishedTags, ImageTagsRequest(one)) for one in (address, *sharing))
    check_shared_tags(address, repository, tags, dict(zip(sharing, others)))
    for note in tags.notes:
        logger.info(f"{address}: {note}.")
    registries = options.parsed_registries.find(
        field_set.registries.value, f"The `{RegistriesField.alias}` field in target {address}"
    )
    if not registries and not field_set.skip_push.value:
        raise ImageError(
            f"Target {address} has no registry to be published to. Set its `{RegistriesField.alias}` field, or mark one of "
            "`[images].registries` as default."
        )
    return PublishPlan(address, repository, tags, tuple(registries), bool(field_set.skip_push.value))


@rule
async def publish_image(
    request: PublishImageRequest,
    options: ImagesSubsystem,
    all_targets: AllTargets,
    dist_dir: DistDir,
    signing: SigningSubsystem,
    folder: PublishFolder,
) -> PublishProcesses:
    plan = await Get(PublishPlan, PublishImageFieldSet, request.field_set)
    if plan.skip_push:
        names = _names(plan.skipped, plan.repository, plan.tags)
        return PublishProcesses([PublishPackages(names, description=f"(by `{SkipPushField.alias}` on {plan.address})")])
    packages = [
        PublishPackages(
            _names((registry,), plan.repository, plan.tags), description=f"(by `skip_push` on registry @{registry.alias})"
        )
        for registry in plan.skipped
    ]
    if plan.pushed:
        image = await Get(BuiltImage, ImageRequest(plan.address))
        siblings = _siblings(plan, all_targets, options, dist_dir)
        for registry in plan.pushed:
            name = f"{plan.address.path_safe_spec}@{registry.address}"
            _write_request(folder, name, _push_document(plan, registry, image, request.field_set, dist_dir, siblings))
            process = await Get(
                InteractiveProcess,
                UserProcessRequest(
                    "push-image",
                    (
                        f"--shared={folder.path}",
                        f"--image={name}",
                        f"--at-once={options.publish_at_once}",
                        # The first process pushes the images of all others too.
                        *(f"--insecure={address}" for address in options.parsed_registries.insecure),
                        *signing.signer_arguments,
                    ),
                    signer_tools(signing),
                    signing.signer_variables,
                ),
            )
            packages.append(PublishPackages(_names((registry,), plan.repository, plan.tags), process))
    return PublishProcesses(packages)


def _push_document(
    plan: PublishPlan,
    registry: Registry,
    image: BuiltImage,
    field_set: PublishImageFieldSet,
    dist_dir: DistDir,
    siblings: Sequence[Dict[str, str]],
) -> Dict[str, object]:
    layout = _layout_path(field_set.output_path, dist_dir)
    return {
        "images": [
            {
                "layout": layout,
                # The goal has packaged it, but so may somebody else since.
                "digest": image.digest,
                "repository": f"{registry.address}/{plan.repository}",
                "tags": [{"name": tag.name, "immutable": tag.immutable} for tag in plan.tags.tags],
                "attachments": [{**item, "path": os.path.join(layout, item["path"])} for item in _ATTACHED],
            }
        ],
        "siblings": siblings,
    }


def _write_request(folder: PublishFolder, name: str, document: Dict[str, object]) -> None:
    # Not through the engine: what is written is for the process of another image, which may be the first to run.
    path = Path(folder.path, "requests", f"{name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _siblings(
    plan: PublishPlan, all_targets: AllTargets, options: ImagesSubsystem, dist_dir: DistDir
) -> Sequence[Dict[str, str]]:
    """Images of this tree from whose repositories layers may be taken."""
    repositories = _repositories(all_targets, options)
    return [
        {
            "layout": _layout_path(target[ImageOutputPathField], dist_dir),
            "repository": f"{registry.address}/{repositories[target.address]}",
        }
        for target in all_targets
        if isinstance(target, DockerImage) and repositories[target.address] != plan.repository
        for registry in plan.pushed
    ]


def _repositories(all_targets: AllTargets, options: ImagesSubsystem) -> Dict[Address, str]:
    return {
        target.address: repository_of_target(target, options.default_repository)
        for target in all_targets
        if isinstance(target, DockerImage)
    }


def _names(registries: Tuple[Registry, ...], repository: str, tags: PublishedTags) -> Tuple[str, ...]:
    return tuple(f"{registry.address}/{repository}:{tag.name}" for registry in registries for tag in tags.tags)


def _layout_path(output_path: ImageOutputPathField, dist_dir: DistDir) -> str:
    return os.path.join(get_buildroot(), dist_dir.relpath, output_path.value_or_default(file_ending=None))


def rules():
    return (*collect_rules(), *PublishImageFieldSet.rules())
