"""`verify`: check the signatures of published images, and that this tree builds them."""

from __future__ import annotations

import os
from typing import Tuple

from pants.base.build_environment import get_buildroot
from pants.core.util_rules.distdir import DistDir
from pants.engine.console import Console
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.internals.selectors import Effect, Get
from pants.engine.process import InteractiveProcess, InteractiveProcessResult
from pants.engine.rules import collect_rules, goal_rule
from pants.engine.target import Target, Targets
from pants.option.option_types import BoolOption, StrOption
from pants.util.docutil import bin_name
from pants.util.strutil import softwrap

from c5c3.goals.package import DockerImagePackageFieldSet
from c5c3.goals.publish import ImageTagsRequest
from c5c3.subsystems.images import ImagesSubsystem
from c5c3.subsystems.signing import SigningSubsystem
from c5c3.target_types import ImageOutputPathField, RegistriesField, SkipPushField
from c5c3.util_rules.image import BuiltImage, ImageRequest
from c5c3.util_rules.image_names import ImageError, PublishedTags, repository_of_target
from c5c3.util_rules.provenance import provenance_path
from c5c3.util_rules.sbom import sbom_path
from c5c3.util_rules.user_process import UserProcessRequest, verifier_tools


class VerifySubsystem(GoalSubsystem):
    name = "verify"
    help = softwrap(
        f"""
        Verify published images: that manifest, configuration and layers are what their digests say, and that image,
        SBOM and provenance are signed by whom `[signing]` names. Looks in the registries that `{bin_name()} publish`
        pushes to.
        """
    )

    tag = StrOption(
        default=None,
        help="The tag to verify. Defaults to the first one that the image is published under, such as `28.0.0-p1`.",
    )
    rebuild = BoolOption(
        default=False,
        help=softwrap(
            f"""
            If true, build each image from this tree and refuse a published one with another digest. What is in the
            cache counts as built: `{bin_name()} --no-local-cache --no-remote-cache-read verify --rebuild` runs every
            step anew.
            """
        ),
    )
    packaged = BoolOption(
        default=False,
        help=softwrap(
            f"""
            If true, verify the image layouts that `{bin_name()} package` wrote below `dist/`, by the bundles that
            `imagekit sign` wrote beside them, instead of what is in registries.
            """
        ),
    )


class Verify(Goal):
    subsystem_cls = VerifySubsystem
    environment_behavior = Goal.EnvironmentBehavior.LOCAL_ONLY


@goal_rule
async def verify_images(
    targets: Targets,
    subsystem: VerifySubsystem,
    signing: SigningSubsystem,
    options: ImagesSubsystem,
    dist_dir: DistDir,
    console: Console,
) -> Verify:
    images = [
        target
        for target in targets
        if DockerImagePackageFieldSet.is_applicable(target)
        and (subsystem.packaged or not target[SkipPushField].value)
    ]
    if not images:
        raise ImageError(f"There is no published image to verify. Name one: `{bin_name()} verify services/keystone::`.")
    exit_code = 0
    for target in images:
        expected: Tuple[str, ...] = ()
        if subsystem.rebuild:
            image = await Get(BuiltImage, ImageRequest(target.address))
            expected = (f"--expect={image.digest}",)
        if subsystem.packaged:
            places = (_layout_arguments(target, dist_dir),)
        else:
            tags = await Get(PublishedTags, ImageTagsRequest(target.address))
            places = _image_arguments(target, options, subsystem.tag or _first_tag(target, tags))
        for place in places:
            process = await Get(
                InteractiveProcess,
                UserProcessRequest(
                    "verify",
                    (*place, *signing.verifier_arguments, *expected),
                    verifier_tools(signing),
                    signing.verifier_variables,
                ),
            )
            result = await Effect(InteractiveProcessResult, InteractiveProcess, process)
            sound = result.exit_code == 0
            console.print_stderr(
                f"{console.sigil_succeeded() if sound else console.sigil_failed()} {target.address} "
                f"{'verified' if sound else 'is refused'}."
            )
            exit_code = exit_code or result.exit_code
    return Verify(exit_code)


def _layout_arguments(target: Target, dist_dir: DistDir) -> Tuple[str, ...]:
    relative = target[ImageOutputPathField].value_or_default(file_ending=None)
    path = os.path.join(get_buildroot(), dist_dir.relpath, relative)
    return (f"--layout={path}", f"--sbom={sbom_path(path)}", f"--provenance={provenance_path(path)}")


def _first_tag(target: Target, tags: PublishedTags) -> str:
    if not tags.tags:
        raise ImageError(
            f"Target {target.address} is published under no tag. Name the one to verify with `--verify-tag`."
        )
    return tags.tags[0].name


def _image_arguments(target: Target, options: ImagesSubsystem, tag: str) -> Tuple[Tuple[str, ...], ...]:
    registries = options.parsed_registries.find(
        target[RegistriesField].value, f"The `{RegistriesField.alias}` field in target {target.address}"
    )
    pushed = [registry for registry in registries if not registry.skip_push]
    if not pushed:
        raise ImageError(
            f"Target {target.address} has no registry to be found in. Set its `{RegistriesField.alias}` field, or mark "
            "one of `[images].registries` as default."
        )
    repository = repository_of_target(target, options.default_repository)
    return tuple(
        (
            f"--image={registry.address}/{repository}:{tag}",
            *((f"--insecure={registry.address}",) if registry.insecure else ()),
        )
        for registry in pushed
    )


def rules():
    return collect_rules()
