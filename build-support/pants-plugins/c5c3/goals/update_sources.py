"""`update-sources`: move the sources of services forward to where their branches are now."""

from __future__ import annotations

from dataclasses import replace

from pants.core.goals.generate_lockfiles import GenerateLockfileResult
from pants.engine.console import Console
from pants.engine.environment import ChosenLocalEnvironmentName, EnvironmentName
from pants.engine.fs import Digest, MergeDigests, Workspace
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.rules import collect_rules, goal_rule
from pants.engine.target import Targets
from pants.util.docutil import bin_name
from pants.util.strutil import softwrap

from c5c3.goals.lockfiles import AllLocks, GenerateServiceLock
from c5c3.target_types import DockerImage, ReleaseField
from c5c3.util_rules.image import environment_request


class UpdateSourcesSubsystem(GoalSubsystem):
    name = "update-sources"
    help = softwrap(
        f"""
        Move the sources of services forward: a ref in `source-refs.yaml` that is a branch is resolved to the commit it
        names now, and the locks are made from that. A build never does this: it uses the commit that the lock records.

        Example: `{bin_name()} update-sources services/nova::`. Then review the difference, and commit it.
        """
    )


class UpdateSources(Goal):
    subsystem_cls = UpdateSourcesSubsystem
    environment_behavior = Goal.EnvironmentBehavior.USES_ENVIRONMENTS


@goal_rule
async def update_sources(
    targets: Targets,
    locks: AllLocks,
    workspace: Workspace,
    console: Console,
    local_environment: ChosenLocalEnvironmentName,
) -> UpdateSources:
    wanted = {
        f"{target[ReleaseField].value}/{environment_request(target, target[ReleaseField].value).component}"
        for target in targets
        if isinstance(target, DockerImage) and target[ReleaseField].value
    }
    requests = [
        replace(lock, move=True)
        for name in sorted(wanted)
        for lock in (locks.by_resolve[name],)
        if isinstance(lock, GenerateServiceLock)
    ]
    if not requests:
        console.print_stderr(
            "Nothing to update: name services, as in `./pants update-sources services/nova::`."
        )
        return UpdateSources(exit_code=1)
    results = await MultiGet(
        Get(GenerateLockfileResult, {request: GenerateServiceLock, local_environment.val: EnvironmentName})
        for request in requests
    )
    workspace.write_digest(await Get(Digest, MergeDigests(result.digest for result in results)))
    for result in results:
        console.print_stdout(f"Wrote the source and the lock of {result.resolve_name}: {result.path}")
    return UpdateSources(exit_code=0)


def rules():
    return collect_rules()
