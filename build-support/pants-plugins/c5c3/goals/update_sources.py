"""`update-sources`: move the sources of services forward to where their branches are now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Tuple

from imagekit.python.lock import parse_python_lock
from packaging.utils import canonicalize_name
from pants.core.goals.generate_lockfiles import GenerateLockfileResult
from pants.engine.console import Console
from pants.engine.environment import ChosenLocalEnvironmentName, EnvironmentName
from pants.engine.fs import Digest, DigestContents, MergeDigests, PathGlobs, Workspace
from pants.engine.goal import Goal, GoalSubsystem
from pants.engine.internals.selectors import Get, MultiGet
from pants.engine.rules import collect_rules, goal_rule, rule
from pants.engine.target import Targets
from pants.util.docutil import bin_name
from pants.util.logging import LogLevel
from pants.util.strutil import softwrap

from c5c3.goals.lockfiles import AllLocks, GenerateServiceLock, PinnedSource, PinSourceRequest
from c5c3.target_types import DockerImage, ReleaseField
from c5c3.util_rules.image import environment_request
from c5c3.util_rules.source import ReleaseRefs, ReleaseRefsRequest


class UpdateSourcesSubsystem(GoalSubsystem):
    name = "update-sources"
    help = softwrap(
        f"""
        Move the sources of services forward: a ref in `source-refs.yaml` that is a branch is resolved to the commit it
        names now, and the locks of the services whose source or patched library moved are made from that. A build never
        does this: it uses the commit that the lock records.

        Example: `{bin_name()} update-sources services/nova::`. Then review the difference, and commit it.
        """
    )


class UpdateSources(Goal):
    subsystem_cls = UpdateSourcesSubsystem
    environment_behavior = Goal.EnvironmentBehavior.USES_ENVIRONMENTS


@dataclass(frozen=True)
class MovedSourcesRequest:
    """What of the sources in the lock that ``lock`` makes is not what it was."""

    lock: GenerateServiceLock


@dataclass(frozen=True)
class MovedSources:
    """The components that moved: the service itself, and libraries that its lock holds. All of them without a lock."""

    components: Tuple[str, ...]


@rule(desc="Find the sources that moved", level=LogLevel.DEBUG)
async def find_moved_sources(request: MovedSourcesRequest) -> MovedSources:
    environment = request.lock.environment
    refs = await Get(ReleaseRefs, ReleaseRefsRequest(environment.release, environment.owner))
    lock_path = refs.release.path(environment.lock_name)
    files = await Get(DigestContents, PathGlobs([lock_path]))
    locked: Dict[str, str] = {}
    for lock in (parse_python_lock(file.content.decode(), file.path) for file in files):
        locked.update((package.name, package.version) for package in (lock.root, *lock.packages))
    libraries = [
        library.component for library in refs.libraries if not locked or canonicalize_name(library.project) in locked
    ]
    pinned = await MultiGet(
        Get(PinnedSource, PinSourceRequest(component, environment.release, environment.owner, move=True))
        for component in (environment.component, *libraries)
    )
    now = await MultiGet(Get(DigestContents, Digest, source.pin_digest) for source in pinned)
    before = set(await Get(DigestContents, PathGlobs([file.path for (file,) in now])))
    return MovedSources(
        tuple(
            source.component
            for source, (file,) in zip(pinned, now)
            # The pin may be right already and the lock not: a library is moved with whichever service comes first.
            if file not in before or locked.get(canonicalize_name(source.pin.project)) != source.pin.version
        )
    )


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
    sources = await MultiGet(
        Get(MovedSources, {MovedSourcesRequest(request): MovedSourcesRequest, local_environment.val: EnvironmentName})
        for request in requests
    )
    moved = {request: found.components for request, found in zip(requests, sources) if found.components}
    results = await MultiGet(
        Get(GenerateLockfileResult, {request: GenerateServiceLock, local_environment.val: EnvironmentName})
        for request in moved
    )
    workspace.write_digest(await Get(Digest, MergeDigests(result.digest for result in results)))
    for request in requests:
        if request not in moved:
            console.print_stdout(f"Nothing of {request.resolve_name} has moved.")
    for result, components in zip(results, moved.values()):
        console.print_stdout(
            f"Wrote the source and the lock of {result.resolve_name}, since {' and '.join(components)} moved: "
            f"{result.path}"
        )
    return UpdateSources(exit_code=0)


def rules():
    return collect_rules()
