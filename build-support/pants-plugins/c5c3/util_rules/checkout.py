"""The commit and the branch of this tree's checkout: for tags and records only, never for what an image is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from pants.engine.internals.selectors import Get
from pants.engine.rules import _uncacheable_rule, collect_rules
from pants.vcs.git import GitWorktreeRequest, MaybeGitWorktree

from c5c3.subsystems.images import ImagesSubsystem

#: Digits of a commit in a tag. A fixed number: what git finds short enough grows with the repository.
COMMIT_DIGITS = 12


@dataclass(frozen=True)
class Checkout:
    """``commit`` is ``None`` where the tree is not that of a commit; ``why_no_commit`` says why."""

    branch: Optional[str]
    commit: Optional[str]
    why_no_commit: str = ""

    @property
    def short_commit(self) -> Optional[str]:
        return None if self.commit is None else self.commit[:COMMIT_DIGITS]


# Not cacheable: a commit changes nothing that Pants watches.
@_uncacheable_rule
async def find_checkout(options: ImagesSubsystem) -> Checkout:
    worktree = (await Get(MaybeGitWorktree, GitWorktreeRequest())).git_worktree
    if worktree is None:
        return Checkout(options.branch, None, "this tree is no git checkout")
    branch = options.branch or worktree.branch_name
    changed = sorted(worktree.changed_files(include_untracked=True))
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return Checkout(branch, None, f"this tree has changes that are not committed: {changed[0]}{more}")
    return Checkout(branch, worktree.commit_id)


def rules():
    return collect_rules()
