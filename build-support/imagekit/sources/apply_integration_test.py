"""Patches applied by the real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Mapping

import pytest

from imagekit.sources.apply import PatchedSource, apply_patches
from imagekit.sources.git_command import GitError
from imagekit.sources.patch import PatchError
from imagekit.sources.tree import SourceFile, SourceLink, SourceTree, unpack

SOURCE = PatchedSource("keystone", "28.0.0", "2025.2")
NAME = "patches/keystone/2025.2/0001-fix.patch"
BODY = b"".join(b"line %d\n" % number for number in range(1, 41))
TREE: SourceTree = {
    "keystone/api.py": SourceFile(BODY),
    "keystone/link": SourceLink("api.py"),
    "setup.cfg": SourceFile(b"[metadata]\nname = keystone\n"),
    "tools/run.sh": SourceFile(b"#!/bin/sh\n", executable=True),
    "windows.txt": SourceFile(b"a\r\nb\r\nc\r\n"),
}


def edited(tree: SourceTree, path: str, old: bytes, new: bytes) -> SourceTree:
    entry = tree[path]
    assert isinstance(entry, SourceFile) and old in entry.content
    return {**tree, path: SourceFile(entry.content.replace(old, new), entry.executable)}


def git(folder: Path, *arguments: str) -> bytes:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@c5c3.example"]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE
    ).stdout


class Exporter:
    """Makes patches as a developer does: a checkout, a commit, git format-patch."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._count = 0

    def export(self, old: SourceTree, new: SourceTree, *options: str, folder: str = ".") -> bytes:
        self._count += 1
        checkout = self._scratch / str(self._count)
        checkout.mkdir()
        git(checkout, "init", "-q")
        for tree in (old, new):
            git(checkout, "rm", "-rq", "--ignore-unmatch", ".")
            unpack(tree, tree, checkout)
            git(checkout, "add", "-A")
            git(checkout, "commit", "-qm", "fix", "--allow-empty")
        return git(checkout / folder, "format-patch", "-1", "--stdout", *options)


@pytest.fixture
def exporter(tmp_path: Path) -> Exporter:
    scratch = tmp_path / "checkouts"
    scratch.mkdir()
    return Exporter(scratch)


def refusal(patches: Mapping[str, bytes], tree: SourceTree = TREE) -> str:
    with pytest.raises(PatchError) as error:
        apply_patches(tree, patches, SOURCE)
    return str(error.value)


REBASE = (
    f"\nApply it to a checkout of keystone 28.0.0 with 'git am -3 {NAME}', resolve the conflict, and export it again "
    "with: git format-patch -1"
)


def test_every_kind_of_change(exporter: Exporter) -> None:
    new: SourceTree = {
        "keystone/api.py": SourceFile(BODY.replace(b"line 20\n", b"line twenty\n"), executable=True),
        "keystone/new link": SourceLink("api.py"),
        "keystone/added.bin": SourceFile(bytes(range(256))),
        "moved/setup.cfg": SourceFile(b"[metadata]\nname = keystone\n"),
        "tools/run.sh": SourceFile(b"#!/bin/sh\n"),
        "windows.txt": SourceFile(b"a\r\nB\r\nc\r\n"),
        "empty/ü": SourceFile(b""),
    }

    assert apply_patches(TREE, {NAME: exporter.export(TREE, new, "--binary")}, SOURCE) == new


def test_patches_build_on_each_other_in_name_order(exporter: Exporter) -> None:
    second = edited(TREE, "setup.cfg", b"name = keystone", b"name = second")
    third = edited(second, "setup.cfg", b"name = second", b"name = third")
    patches = {"a/0002-x.patch": exporter.export(second, third), "z/0001-x.patch": exporter.export(TREE, second)}

    assert apply_patches(TREE, patches, SOURCE) == third
    assert apply_patches(TREE, {}, SOURCE) == TREE


def test_a_hunk_may_have_moved(exporter: Exporter) -> None:
    patch = exporter.export(TREE, edited(TREE, "keystone/api.py", b"line 20\n", b"line twenty\n"))
    moved = edited(TREE, "keystone/api.py", b"line 1\n", b"new\nnew\nline 1\n")

    assert apply_patches(moved, {NAME: patch}, SOURCE) == edited(
        moved, "keystone/api.py", b"line 20\n", b"line twenty\n"
    )


def test_no_fuzz(exporter: Exporter) -> None:
    patch = exporter.export(TREE, edited(TREE, "keystone/api.py", b"line 20\n", b"line twenty\n"))
    # 'patch' would take this with fuzz 1: only the outermost line of context differs.
    other = edited(TREE, "keystone/api.py", b"line 23\n", b"line 23 \n")

    assert refusal({NAME: patch}, other) == (
        f"{NAME} does not apply to keystone 28.0.0 (release 2025.2):\n"
        "  keystone/api.py: hunk 1 of 1 (@@ -17,7 +17,7 @@) does not match the file around line 17" + REBASE
    )


def test_the_failing_hunk_of_every_file_is_named(exporter: Exporter) -> None:
    new = edited(TREE, "keystone/api.py", b"line 3\n", b"three\n")
    new = edited(new, "keystone/api.py", b"line 38\n", b"thirty-eight\n")
    new = edited(new, "setup.cfg", b"keystone", b"identity")
    other = edited(edited(TREE, "keystone/api.py", b"line 38\n", b"other\n"), "setup.cfg", b"keystone", b"nova")

    assert refusal({NAME: exporter.export(TREE, new)}, other) == (
        f"{NAME} does not apply to keystone 28.0.0 (release 2025.2):\n"
        "  keystone/api.py: hunk 2 of 2 (@@ -35,6 +35,6 @@) does not match the file around line 35\n"
        "  setup.cfg: hunk 1 of 1 (@@ -1,2 +1,2 @@) does not match the file around line 1" + REBASE
    )


def test_an_applied_patch_is_to_be_deleted(exporter: Exporter) -> None:
    new = {**edited(TREE, "setup.cfg", b"keystone", b"identity"), "added": SourceFile(b"x")}

    assert refusal({NAME: exporter.export(TREE, new)}, new) == (
        f"{NAME} is already applied: keystone 28.0.0 (release 2025.2) contains it. Delete {NAME}."
    )


def test_a_file_that_is_there_already(exporter: Exporter) -> None:
    patch = exporter.export(TREE, {**TREE, "added": SourceFile(b"x\n")})

    assert refusal({NAME: patch}, {**TREE, "added": SourceFile(b"y\n")}) == (
        f"{NAME} does not apply to keystone 28.0.0 (release 2025.2):\n  added: the source already has this file"
        + REBASE
    )


def test_a_file_that_is_not_there(exporter: Exporter) -> None:
    patch = exporter.export(TREE, edited(TREE, "setup.cfg", b"keystone", b"identity"))
    without = {path: entry for path, entry in TREE.items() if path != "setup.cfg"}

    assert refusal({NAME: patch}, without) == (
        f"{NAME} does not apply to keystone 28.0.0 (release 2025.2):\n  setup.cfg: there is no such file in the source"
        + REBASE
    )


def test_a_strip_level_too_low(exporter: Exporter) -> None:
    outer = {f"keystone-28.0.0/{path}": entry for path, entry in TREE.items()}
    patch = exporter.export(outer, edited(outer, "keystone-28.0.0/setup.cfg", b"keystone", b"identity"))

    assert refusal({NAME: patch}) == (
        f"{NAME} does not apply to keystone 28.0.0 (release 2025.2):\n"
        "  keystone-28.0.0/setup.cfg: wrong strip level: the source has this file as 'setup.cfg'. Make the patch at "
        "the top of the source, without the folder 'keystone-28.0.0/'" + REBASE
    )


def test_a_strip_level_too_high(exporter: Exporter) -> None:
    new = edited(TREE, "keystone/api.py", b"line 20\n", b"line twenty\n")
    patch = exporter.export(TREE, new, "--relative", folder="keystone")

    assert refusal({NAME: patch}) == (
        f"{NAME} does not apply to keystone 28.0.0 (release 2025.2):\n"
        "  api.py: wrong strip level: the source has this file as 'keystone/api.py'. Make the patch at the top of the "
        "source, without --relative" + REBASE
    )


def test_a_failing_patch_is_named_after_good_ones(exporter: Exporter) -> None:
    good = exporter.export(TREE, edited(TREE, "setup.cfg", b"keystone", b"identity"))
    bad = exporter.export(TREE, edited(TREE, "setup.cfg", b"keystone", b"nova"))

    assert refusal({"0001-good.patch": good, NAME.replace("0001", "0002"): bad}).startswith(
        f"{NAME.replace('0001', '0002')} does not apply to keystone 28.0.0 (release 2025.2):\n  setup.cfg: hunk 1 of 1"
    )


def test_a_path_through_a_link_is_refused() -> None:
    tree: SourceTree = {"link": SourceLink("keystone"), "keystone/api.py": SourceFile(BODY)}
    patch = (
        "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: A <a@c5c3.example>\n"
        "Date: Wed, 5 Nov 2025 09:00:00 +0000\nSubject: [PATCH] x\n\n---\n"
        "diff --git a/link/new b/link/new\nnew file mode 100644\n--- /dev/null\n+++ b/link/new\n@@ -0,0 +1 @@\n+x\n"
    )

    assert refusal({NAME: patch.encode()}, tree) == (
        f"{NAME} does not apply to keystone 28.0.0 (release 2025.2):\n"
        "  affected file 'link/new' is beyond a symbolic link" + REBASE
    )


def test_a_link_out_of_the_source_is_refused(exporter: Exporter) -> None:
    patch = exporter.export(TREE, {**TREE, "keystone/passwd": SourceLink("../../../etc/passwd")})

    assert refusal({NAME: patch}) == (
        f"{NAME}: the patched source: the link 'keystone/passwd' points to '../../../etc/passwd', outside of the "
        "source tree."
    )


@pytest.mark.parametrize("in_repository", [False, True])
def test_the_folder_and_the_user_s_git_make_no_difference(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_repository: bool
) -> None:
    new = edited(TREE, "setup.cfg", b"keystone", b"identity \t")
    patch = exporter.export(TREE, new)
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[apply]\n  whitespace = fix\n[core]\n  autocrlf = true\n")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    if in_repository:
        git(scratch, "init", "-q")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(scratch / ".git"))
    monkeypatch.setattr("tempfile.tempdir", str(scratch))

    assert apply_patches(TREE, {NAME: patch}, SOURCE) == new


def test_without_git_the_remedy_is_named(exporter: Exporter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patch = exporter.export(TREE, edited(TREE, "setup.cfg", b"keystone", b"identity"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(GitError) as error:
        apply_patches(TREE, {NAME: patch}, SOURCE)

    assert str(error.value) == "git is not installed, or not on PATH. Install it, as with: apt-get install git"
