"""OpenStack container images: `openstack_service`, `patch_set`, `docker_image` and what they stand on."""

from __future__ import annotations

from c5c3.goals import (
    group_layers,
    image_tests,
    images_for_tests,
    lockfiles,
    package,
    publish,
    run,
    show_sbom,
    update_sources,
)
from c5c3.subsystems.debian import DebianSubsystem
from c5c3.subsystems.images import ImagesSubsystem
from c5c3.target_types import (
    DebianBase,
    DebLockTarget,
    DockerImage,
    ImageChecks,
    ImageTest,
    OpenstackRelease,
    OpenstackService,
    PatchSet,
    PatchSets,
    ReleaseFile,
)
from c5c3.util_rules import (
    checkout,
    contents,
    debian,
    dependencies,
    fetched,
    host,
    image,
    layers,
    python,
    required_file,
    sbom,
    source,
    step,
    targets,
    tools,
)


def target_types():
    return [
        DebianBase,
        DebLockTarget,
        DockerImage,
        ImageChecks,
        ImageTest,
        OpenstackRelease,
        OpenstackService,
        PatchSet,
        PatchSets,
        ReleaseFile,
    ]


def rules():
    return [
        *DebianSubsystem.rules(),
        *ImagesSubsystem.rules(),
        *checkout.rules(),
        *contents.rules(),
        *debian.rules(),
        *dependencies.rules(),
        *fetched.rules(),
        *host.rules(),
        *image.rules(),
        *image_tests.rules(),
        *layers.rules(),
        *group_layers.rules(),
        *lockfiles.rules(),
        *package.rules(),
        *publish.rules(),
        *python.rules(),
        *required_file.rules(),
        *run.rules(),
        *sbom.rules(),
        *show_sbom.rules(),
        *source.rules(),
        *step.rules(),
        *targets.rules(),
        *images_for_tests.rules(),
        *tools.rules(),
        *update_sources.rules(),
    ]
