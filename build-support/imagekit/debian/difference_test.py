from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Sequence

import pytest

from imagekit.debian.difference import difference, snapshot
from imagekit.oci.entry import Entry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for directory in ("etc", "usr/share/x/y"):
        (tmp_path / directory).mkdir(parents=True)
    for file in ("etc/same", "etc/changed", "etc/gone", "usr/share/x/y/file"):
        (tmp_path / file).write_text(file)
    (tmp_path / "etc/link").symlink_to("same")
    (tmp_path / "etc/first").write_text("linked")
    os.link(tmp_path / "etc/first", tmp_path / "etc/second")
    return tmp_path


def changes(root: Path, change: Callable[[], None]) -> Sequence[Entry]:
    before = snapshot(root)
    change()
    return list(difference(before, root))


def paths(entries: Sequence[Entry]) -> Sequence[str]:
    return [entry.path for entry in entries]


def test_nothing_changed(root: Path) -> None:
    def touch() -> None:
        (root / "etc/same").unlink()
        (root / "etc/same").write_text("etc/same")
        os.utime(root / "etc", (1, 1))

    assert changes(root, touch) == []


def test_contents_modes_links_and_new_files(root: Path) -> None:
    def change() -> None:
        (root / "etc/changed").write_text("etc/CHANGED")
        (root / "etc/same").chmod(0o600)
        (root / "etc/link").unlink()
        (root / "etc/link").symlink_to("changed")
        (root / "new").mkdir()
        (root / "new/file").write_text("")

    assert paths(changes(root, change)) == ["etc", "etc/changed", "etc/link", "etc/same", "new", "new/file"]


def test_the_directories_of_a_change_come_along_with_their_modes(root: Path) -> None:
    (root / "usr/share/x").chmod(0o2750)
    found = changes(root, (root / "usr/share/x/y/file").unlink)
    assert [(entry.path, oct(entry.mode)) for entry in found] == [
        ("usr", "0o755"),
        ("usr/share", "0o755"),
        ("usr/share/x", "0o2750"),
        ("usr/share/x/y", "0o755"),
        ("usr/share/x/y/.wh.file", "0o644"),
    ]


def test_the_mode_of_a_directory(root: Path) -> None:
    assert paths(changes(root, lambda: (root / "usr/share/x").chmod(0o700))) == ["usr", "usr/share", "usr/share/x"]


def test_what_is_gone_is_whited_out_once(root: Path) -> None:
    def remove() -> None:
        (root / "etc/gone").unlink()
        (root / "usr/share/x/y/file").unlink()
        (root / "usr/share/x/y").rmdir()
        (root / "usr/share/x").rmdir()

    assert paths(changes(root, remove)) == ["etc", "usr", "usr/share", "etc/.wh.gone", "usr/share/.wh.x"]


def test_a_file_in_the_place_of_a_directory_hides_it(root: Path) -> None:
    def replace() -> None:
        (root / "usr/share/x/y/file").unlink()
        (root / "usr/share/x/y").rmdir()
        (root / "usr/share/x/y").write_text("")

    assert paths(changes(root, replace)) == ["usr", "usr/share", "usr/share/x", "usr/share/x/y"]


def test_a_linked_file_comes_with_all_its_names(root: Path) -> None:
    entries = changes(root, lambda: os.link(root / "etc/first", root / "third"))
    assert [(entry.path, entry.link_target) for entry in entries] == [
        ("etc", ""),
        ("etc/first", ""),
        ("etc/second", "etc/first"),
        ("third", "etc/first"),
    ]


def test_names_that_no_longer_are_one_file(root: Path) -> None:
    def split() -> None:
        (root / "etc/second").unlink()
        (root / "etc/second").write_text("other")

    assert paths(changes(root, split)) == ["etc", "etc/second"]
