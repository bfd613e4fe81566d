from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Optional, Sequence

import pytest

from imagekit.fetch.http import Client
from imagekit.fetch.settings import FetchSettings, HttpSettings
from imagekit.sources.git import GitRemote, ResolvedRef
from imagekit.sources.lock import describe, lock_source
from imagekit.sources.pin import GitPin, LockError, RefKind, SdistPin, SourceLock
from imagekit.sources.refs import GitRef, Place, SdistRef, SourceRef
from imagekit.sources.semantic_version import Commit

OLD, NEW = "a" * 40, "b" * 40
PLACE = Place("source-refs.yaml", 1)
BRANCH = GitRef("keystone", "keystone", "https://git.example/keystone", "stable/2025.2", PLACE)
TAG = replace(BRANCH, ref="28.0.0")
COMMIT = replace(BRANCH, ref=OLD)
SDIST = SdistRef("keystone", "keystone", "28.0.0", PLACE)


class FakeRemote(GitRemote):
    """A repository whose every tag and branch is at ``commit``."""

    def __init__(self, commit: str, history: Sequence[Commit] = ()) -> None:
        super().__init__("https://git.example/keystone", environ={})
        self._commit = commit
        self._history = tuple(history)

    def resolve(self, ref: str) -> ResolvedRef:
        kind = RefKind.COMMIT if ref == self._commit else RefKind.BRANCH if "/" in ref else RefKind.TAG
        return ResolvedRef(kind, self._commit)

    def history(self, resolved: ResolvedRef, ref: str) -> tuple[Commit, ...]:
        return self._history


HISTORY = (Commit((), "fix"), Commit(("28.0.0",), "release"))


def lock(
    ref: SourceRef,
    remote: Optional[FakeRemote] = None,
    previous: Optional[SourceLock] = None,
    move: bool = False,
    index_url: Optional[str] = None,
) -> SourceLock:
    def opened(url: str) -> GitRemote:
        assert remote is not None, "the network must not be needed"
        assert url == remote.url
        return remote

    return lock_source(ref, "2025.2", previous, move, FetchSettings(index_url), Client(HttpSettings()), opened, "move it")


def git_lock(ref: GitRef, kind: RefKind, commit: str, version: str) -> SourceLock:
    return SourceLock("keystone", "2025.2", GitPin("keystone", version, ref.url, ref.ref, kind, commit))


def test_a_tag_is_its_version() -> None:
    assert lock(TAG, FakeRemote(OLD)) == git_lock(TAG, RefKind.TAG, OLD, "28.0.0")


def test_a_tag_that_names_no_version_has_that_of_its_commit() -> None:
    eol = replace(BRANCH, ref="2025.2-eol")

    assert lock(eol, FakeRemote(OLD, HISTORY)) == git_lock(eol, RefKind.TAG, OLD, "28.0.1.dev1")


def test_a_branch_and_a_commit_have_the_version_of_pbr() -> None:
    assert lock(BRANCH, FakeRemote(NEW, HISTORY)) == git_lock(BRANCH, RefKind.BRANCH, NEW, "28.0.1.dev1")
    assert lock(COMMIT, FakeRemote(OLD, HISTORY)) == git_lock(COMMIT, RefKind.COMMIT, OLD, "28.0.1.dev1")


@pytest.mark.parametrize(("ref", "kind"), [(BRANCH, RefKind.BRANCH), (COMMIT, RefKind.COMMIT)])
def test_a_locked_branch_or_commit_stays_without_network(ref: GitRef, kind: RefKind) -> None:
    previous = git_lock(ref, kind, OLD, "28.0.1.dev1")

    assert lock(ref, None, previous) == previous


def test_a_branch_moves_when_told() -> None:
    previous = git_lock(BRANCH, RefKind.BRANCH, OLD, "28.0.0")

    assert lock(BRANCH, FakeRemote(NEW, HISTORY), previous, move=True) == git_lock(
        BRANCH, RefKind.BRANCH, NEW, "28.0.1.dev1"
    )


def test_another_ref_is_resolved_afresh() -> None:
    previous = git_lock(replace(BRANCH, ref="stable/2025.1"), RefKind.BRANCH, OLD, "27.0.1.dev1")

    assert lock(BRANCH, FakeRemote(NEW, HISTORY), previous) == git_lock(BRANCH, RefKind.BRANCH, NEW, "28.0.1.dev1")


def test_a_tag_that_moved_is_refused_unless_accepted() -> None:
    previous = git_lock(TAG, RefKind.TAG, OLD, "28.0.0")

    with pytest.raises(LockError) as error:
        lock(TAG, FakeRemote(NEW), previous)

    assert str(error.value) == (
        f"source-refs.yaml:1: the tag '28.0.0' of https://git.example/keystone has moved from {OLD} to {NEW}. Tags do "
        "not move; ask its maintainers why. To accept it, move it."
    )
    assert lock(TAG, FakeRemote(OLD), previous) == previous
    assert lock(TAG, FakeRemote(NEW), previous, move=True) == git_lock(TAG, RefKind.TAG, NEW, "28.0.0")


def test_an_sdist_that_changed_is_refused_unless_accepted(tmp_path: Path) -> None:
    name = "keystone-28.0.0.tar.gz"
    (tmp_path / "keystone").mkdir()
    (tmp_path / "keystone" / name).write_bytes(b"new")
    (tmp_path / "keystone" / "index.html").write_text(f'<a href="{name}">x</a>')
    url = f"file://{tmp_path}"
    old, new = sha256(b"old").hexdigest(), sha256(b"new").hexdigest()
    previous = SourceLock("keystone", "2025.2", SdistPin("keystone", "28.0.0", name, 3, old))
    renewed = SourceLock("keystone", "2025.2", SdistPin("keystone", "28.0.0", name, 3, new))

    with pytest.raises(LockError) as error:
        lock(SDIST, previous=previous, index_url=url)

    assert str(error.value) == (
        f"source-refs.yaml:1: keystone-28.0.0.tar.gz now has SHA-256 {new}, but {old} was locked. Releases do not "
        "change; ask its maintainers why. To accept it, move it."
    )
    assert lock(SDIST, previous=previous, move=True, index_url=url) == renewed
    assert lock(SDIST, previous=renewed, index_url=url) == renewed


def test_pins_are_described_for_people() -> None:
    assert describe(SdistPin("keystone", "28.0.0", "keystone-28.0.0.tar.gz", 3, "0" * 64)) == (
        f"keystone 28.0.0, sdist keystone-28.0.0.tar.gz, SHA-256 {'0' * 64}"
    )
    assert describe(GitPin("keystone", "28.0.1.dev1", BRANCH.url, BRANCH.ref, RefKind.BRANCH, OLD)) == (
        f"keystone 28.0.1.dev1, branch 'stable/2025.2', commit {OLD}"
    )
