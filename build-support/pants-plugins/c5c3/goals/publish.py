"""`publish`: push images to registries, with what users know from Pants' docker backend."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from typing import Dict, Optional, Tuple

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
from pants.engine.fs import CreateDigest, Digest, FileContent, MergeDigests
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.process import InteractiveProcess
from pants.engine.rules import collect_rules, rule
from pants.engine.target import AllTargets, Target, WrappedTarget, WrappedTargetRequest

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
from c5c3.util_rules.image import BuiltImage, ImageLayout, ImageRequest
from c5c3.util_rules.image_names import ImageError, PublishedTags, published_tags, repository_of_target
from c5c3.util_rules.provenance import Provenance
from c5c3.util_rules.sbom import SBOM_FILE, Sbom
from c5c3.util_rules.source import ComponentRequest, Source
from c5c3.util_rules.user_process import UserProcessRequest, signer_tools

logger = logging.getLogger(__name__)

_REQUEST = "push.json"
_PROVENANCE_FILE = "provenance.json"

#: What is attached to each image. Types and annotation are those that readers of such documents look for.
_ATTACHMENTS = (
    {"path": SBOM_FILE, "artifact_type": cyclonedx.MEDIA_TYPE, "media_type": cyclonedx.MEDIA_TYPE},
    {
        "path": _PROVENANCE_FILE,
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


@rule
async def publish_image(
    request: PublishImageRequest,
    options: ImagesSubsystem,
    all_targets: AllTargets,
    dist_dir: DistDir,
    signing: SigningSubsystem,
) -> PublishProcesses:
    address = request.field_set.address
    images = {target.address: target for target in all_targets if isinstance(target, DockerImage)}
    repositories = {
        other: repository_of_target(target, options.default_repository) for other, target in images.items()
    }
    repository = repositories[address]
    sharing = [other for other in images if other != address and repositories[other] == repository]
    tags, *others = await MultiGet(Get(PublishedTags, ImageTagsRequest(one)) for one in (address, *sharing))
    check_shared_tags(address, repository, tags, dict(zip(sharing, others)))
    for note in tags.notes:
        logger.info(f"{address}: {note}.")

    registries = options.parsed_registries.find(
        request.field_set.registries.value, f"The `{RegistriesField.alias}` field in target {address}"
    )
    pushed = tuple(registry for registry in registries if not registry.skip_push)
    if request.field_set.skip_push.value:
        names = _names(registries, repository, tags)
        return PublishProcesses(
            [PublishPackages(names, description=f"(by `{SkipPushField.alias}` on {address})")]
        )
    packages = [
        PublishPackages(
            _names((registry,), repository, tags), description=f"(by `skip_push` on registry @{registry.alias})"
        )
        for registry in registries
        if registry.skip_push
    ]
    if not registries:
        raise ImageError(
            f"Target {address} has no registry to be published to. Set its `{RegistriesField.alias}` field, or mark one of "
            "`[images].registries` as default."
        )
    if pushed and tags.tags:
        siblings = [
            {"layout": _layout_path(target, dist_dir), "repository": f"{registry.address}/{repositories[other]}"}
            for other, target in images.items()
            if repositories[other] != repository
            for registry in pushed
        ]
        document = {
            "images": [
                {
                    "layout": "layout",
                    "repository": f"{registry.address}/{repository}",
                    "tags": [{"name": tag.name, "immutable": tag.immutable} for tag in tags.tags],
                    "attachments": _ATTACHMENTS,
                }
                for registry in pushed
            ],
            "siblings": siblings,
        }
        image = await Get(BuiltImage, ImageRequest(address))
        layout, sbom, provenance = await MultiGet(
            Get(ImageLayout, BuiltImage, image),
            Get(Sbom, BuiltImage, image),
            Get(Provenance, BuiltImage, image),
        )
        written = await Get(
            Digest,
            CreateDigest(
                [
                    FileContent(_REQUEST, json.dumps(document, indent=1).encode()),
                    FileContent(_PROVENANCE_FILE, provenance.content),
                ]
            ),
        )
        process = await Get(
            InteractiveProcess,
            UserProcessRequest(
                "push-image",
                (
                    f"--request={_REQUEST}",
                    *(f"--insecure={registry.address}" for registry in pushed if registry.insecure),
                    *signing.signer_arguments,
                ),
                signer_tools(signing),
                signing.signer_variables,
                inputs=await Get(Digest, MergeDigests([layout.digest, sbom.digest, written])),
            ),
        )
        packages.append(PublishPackages(_names(pushed, repository, tags), process))
    return PublishProcesses(packages)


def _names(registries: Tuple[Registry, ...], repository: str, tags: PublishedTags) -> Tuple[str, ...]:
    return tuple(f"{registry.address}/{repository}:{tag.name}" for registry in registries for tag in tags.tags)


def _layout_path(target: Target, dist_dir: DistDir) -> str:
    path = target[ImageOutputPathField].value_or_default(file_ending=None)
    return os.path.join(get_buildroot(), dist_dir.relpath, path)


def rules():
    return (*collect_rules(), *PublishImageFieldSet.rules())
