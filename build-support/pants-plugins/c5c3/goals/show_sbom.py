"""`sbom`: show what an image is made of, and how that differs from another SBOM."""

from __future__ import annotations

from pathlib import Path

from imagekit.errors import ImagekitError
from imagekit.sbom.listing import difference, parse_listing, table
from pants.base.build_environment import get_buildroot
from pants.engine.console import Console
from pants.engine.fs import Digest, DigestContents
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.internals.selectors import Get
from pants.engine.rules import collect_rules, goal_rule
from pants.engine.target import Targets
from pants.option.option_types import StrOption
from pants.util.docutil import bin_name
from pants.util.strutil import softwrap

from c5c3.goals.package import DockerImagePackageFieldSet
from c5c3.util_rules.image import BuiltImage, ImageRequest
from c5c3.util_rules.sbom import Sbom


class SbomSubsystem(GoalSubsystem):
    name = "sbom"
    help = softwrap(
        f"""
        Show what images are made of: Debian packages and Python distributions with version, licence and number of
        patches. Builds what is not built. `{bin_name()} package` writes the whole SBOM.
        """
    )

    against = StrOption(
        default=None,
        metavar="FILE",
        help=softwrap(
            """
            Show how the image differs from this SBOM, in packages, versions and patches: `-` is in FILE alone, `+` in
            the image alone, `~` has another version.
            """
        ),
    )


class NoImageError(Exception):
    """What was named has no SBOM."""


class ShowSbom(Goal):
    subsystem_cls = SbomSubsystem
    environment_behavior = Goal.EnvironmentBehavior.LOCAL_ONLY


@goal_rule
async def show_sboms(targets: Targets, subsystem: SbomSubsystem, console: Console) -> ShowSbom:
    old = None
    if subsystem.against:
        # Not through the engine: it does not see what git ignores, such as dist/.
        path = Path(get_buildroot(), subsystem.against)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ImagekitError(f"the SBOM {path} of --sbom-against cannot be read: {error.strerror}.") from None
        old = parse_listing(text, str(path))
    images = [target for target in targets if DockerImagePackageFieldSet.is_applicable(target)]
    if targets and not images:
        raise NoImageError(
            f"Nothing that was named is a `docker_image`, so there is no SBOM to show: {targets[0].address} is a "
            f"`{targets[0].alias}`. Name an image, such as {bin_name()} sbom services/keystone#image@release=2025.2, or a "
            "folder with images, such as services/keystone:."
        )
    for target in images:
        image = await Get(BuiltImage, ImageRequest(target.address))
        sbom = await Get(Sbom, BuiltImage, image)
        (file,) = await Get(DigestContents, Digest, sbom.digest)
        packages = parse_listing(file.content.decode(), f"the SBOM of {target.address}")
        console.print_stdout(f"{target.address} {image.digest}")
        for line in table(packages) if old is None else difference(old, packages) or ("no difference",):
            console.print_stdout(line)
    return ShowSbom(exit_code=0)


def rules():
    return collect_rules()
