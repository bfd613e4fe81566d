"""Make or renew the lock of a component's source."""

from __future__ import annotations

from typing import Callable, Optional

from imagekit.fetch.http import Client
from imagekit.fetch.settings import FetchSettings
from imagekit.sources.git import GitRemote
from imagekit.sources.pin import GitPin, LockError, RefKind, SdistPin, SourceLock, SourcePin, made_from
from imagekit.sources.refs import GitRef, SdistRef, SourceRef
from imagekit.sources.sdist import pin_sdist
from imagekit.sources.semantic_version import parse_version_tag, version_of


def lock_source(
    ref: SourceRef,
    release: str,
    previous: Optional[SourceLock],
    move: bool,
    settings: FetchSettings,
    client: Client,
    remote: Callable[[str], GitRemote],
    accept: str,
) -> SourceLock:
    """The lock of ``ref``; ``remote`` opens the repository at a URL.

    What ``previous`` has pinned stays, unless ``move``: a branch is not followed, and a tag or a release that is no
    longer what it was is refused; ``accept`` is what the user does to have it nevertheless. Raises :class:`imagekit.errors.ImagekitError`.
    """
    kept = previous.pin if previous is not None and made_from(previous, ref, release) else None
    pin: SourcePin
    if isinstance(ref, SdistRef):
        pin = pin_sdist(ref, settings, client)
    elif isinstance(kept, GitPin) and kept.ref_kind is not RefKind.TAG and not move:
        pin = kept
    else:
        pin = _pin_git(ref, remote(ref.url))
    if kept is not None and not move:
        _check_unmoved(ref, kept, pin, accept)
    return SourceLock(ref.component, release, pin)


def _pin_git(ref: GitRef, remote: GitRemote) -> GitPin:
    resolved = remote.resolve(ref.ref)
    tagged = parse_version_tag(ref.ref.rpartition("refs/tags/")[2]) if resolved.kind is RefKind.TAG else None
    version = str(tagged) if tagged is not None else version_of(remote.history(resolved, ref.ref))
    return GitPin(ref.project, version, ref.url, ref.ref, resolved.kind, resolved.commit)


def _check_unmoved(ref: SourceRef, kept: SourcePin, pin: SourcePin, accept: str) -> None:
    if isinstance(kept, GitPin) and isinstance(pin, GitPin) and kept.commit != pin.commit:
        raise LockError(
            f"{ref.place}: the tag '{pin.ref}' of {pin.url} has moved from {kept.commit} to {pin.commit}. Tags do not "
            f"move; ask its maintainers why. To accept it, {accept}."
        )
    if isinstance(kept, SdistPin) and isinstance(pin, SdistPin) and kept.sha256 != pin.sha256:
        raise LockError(
            f"{ref.place}: {pin.filename} now has SHA-256 {pin.sha256}, but {kept.sha256} was locked. Releases do not "
            f"change; ask its maintainers why. To accept it, {accept}."
        )


def describe(pin: SourcePin) -> str:
    """``pin`` in a line for people."""
    if isinstance(pin, SdistPin):
        return f"{pin.project} {pin.version}, sdist {pin.filename}, SHA-256 {pin.sha256}"
    return f"{pin.project} {pin.version}, {pin.ref_kind.value} '{pin.ref}', commit {pin.commit}"
