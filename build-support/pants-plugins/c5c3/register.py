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
    upstream_tests,
    verify,
)
from c5c3.subsystems.debian import DebianSubsystem
from c5c3.subsystems.images import ImagesSubsystem
from c5c3.subsystems.signing import SigningSubsystem
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
    UpstreamTests,
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
    provenance,
    python,
    required_file,
    sbom,
    source,
    step,
    targets,
    tests_in_image,
    tools,
    user_process,
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
        UpstreamTests,
    ]


def rules():
    return [
        *DebianSubsystem.rules(),
        *ImagesSubsystem.rules(),
        *SigningSubsystem.rules(),
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
        *provenance.rules(),
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
        *tests_in_image.rules(),
        *tools.rules(),
        *update_sources.rules(),
        *upstream_tests.rules(),
        *user_process.rules(),
        *verify.rules(),
    ]
