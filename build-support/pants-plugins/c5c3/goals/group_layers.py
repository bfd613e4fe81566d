"""`group-layers`: choose anew which Python packages share a layer."""

from __future__ import annotations

from dataclasses import replace

from imagekit.python.layer_groups import GroupedLock, regroup, summed_size, unique_size
from imagekit.python.lock import parse_python_lock, render_python_lock
from pants.engine.console import Console
from pants.engine.fs import CreateDigest, Digest, DigestContents, FileContent, PathGlobs, Workspace
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.internals.selectors import Get
from pants.engine.rules import collect_rules, goal_rule
from pants.util.docutil import bin_name
from pants.util.strutil import softwrap

from c5c3.goals.package import readable_size
from c5c3.util_rules.targets import AllReleases


class GroupLayersSubsystem(GoalSubsystem):
    name = "group-layers"
    help = softwrap(
        f"""
        Choose anew, for all images at once, which Python packages share a layer. Packages that the same images hold
        become one layer, large and patched ones one each. Only the `layers` of the Python locks are written.

        `{bin_name()} generate-lockfiles` keeps the layers there are and moves only what changed. Run this after new
        services or releases, or when small layers have become many: most images get other layers once.
        """
    )


class GroupLayers(Goal):
    subsystem_cls = GroupLayersSubsystem
    environment_behavior = Goal.EnvironmentBehavior.LOCAL_ONLY


@goal_rule
async def group_layers(releases: AllReleases, workspace: Workspace, console: Console) -> GroupLayers:
    globs = [release.path("locks/*.lock.json") for _, release in sorted(releases.by_name.items())]
    files = await Get(DigestContents, PathGlobs(globs))
    locks = {file.path: parse_python_lock(file.content.decode(), file.path) for file in files}
    before = {path: GroupedLock.of(lock) for path, lock in locks.items()}
    groups = regroup({path: lock.members for path, lock in before.items()})
    after = {path: replace(lock, groups=groups[path]) for path, lock in before.items()}
    written = await Get(
        Digest,
        CreateDigest(
            FileContent(path, render_python_lock(replace(lock, layers=groups[path])).encode())
            for path, lock in sorted(locks.items())
        ),
    )
    workspace.write_digest(written)
    for path in sorted(locks):
        console.print_stdout(f"{path}: {len(before[path].groups)} -> {len(after[path].groups)} layers")
    was, now = unique_size(tuple(before.values())), unique_size(tuple(after.values()))
    console.print_stdout(
        f"{len(locks)} locks: packages of {readable_size(summed_size(tuple(before.values())))}; in different layers "
        f"{readable_size(was)} -> {readable_size(now)}"
    )
    return GroupLayers(exit_code=0)


def rules():
    return collect_rules()
