"""`run`: load an image into a container engine and run it."""

from __future__ import annotations

from dataclasses import dataclass

from pants.core.goals.run import RunFieldSet, RunInSandboxBehavior, RunRequest
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.rules import collect_rules, rule

from c5c3.goals.package import DockerImagePackageFieldSet, image_repository
from c5c3.subsystems.images import ImagesSubsystem
from c5c3.target_types import BaseField, DockerImageDependenciesField
from c5c3.util_rules.host import HOST_CACHE, HOST_DIR, PYTHON, HostSetup
from c5c3.util_rules.image import BuiltImage, ImageLayout, ImageRequest
from c5c3.util_rules.step import CommandCode, CommandCodeRequest, ImagekitTools, imagekit_argv


@dataclass(frozen=True)
class DockerImageRunFieldSet(DockerImagePackageFieldSet, RunFieldSet):
    required_fields = (DockerImageDependenciesField, BaseField)
    run_in_sandbox_behavior = RunInSandboxBehavior.NOT_SUPPORTED


@rule
async def run_image(
    field_set: DockerImageRunFieldSet, options: ImagesSubsystem, tools: ImagekitTools, host: HostSetup
) -> RunRequest:
    image = await Get(BuiltImage, ImageRequest(field_set.address))
    layout, code = await MultiGet(
        Get(ImageLayout, BuiltImage, image), Get(CommandCode, CommandCodeRequest("run-image"))
    )
    reference = f"{image_repository(field_set, options)}:{image.tags[0]}"
    engine = (f"--engine={options.engine}",) if options.engine else ()
    return RunRequest(
        digest=layout.digest,
        args=(
            *imagekit_argv("run-image", python=f"{{chroot}}/{PYTHON}"),
            "--layout={chroot}/layout",
            f"--tag={reference}",
            *engine,
            "--",
        ),
        extra_env={"PYTHONPATH": "{chroot}/__imagekit:{chroot}/__tools"},
        immutable_input_digests={"__imagekit": code.digest, "__tools": tools.digest},
        append_only_caches={HOST_CACHE: HOST_DIR},
    )


def rules():
    return (*collect_rules(), *DockerImageRunFieldSet.rules())
