from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import FrozenSet, List, Optional, Tuple

import pytest

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.oci.entry import Entry, EntryKind
from imagekit.python.piece import FilesError, write_files_piece, write_piece


def write(root: Path, path: str, text: str = "x", mode: int = 0o600) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def listing(piece: Path) -> List[Tuple[str, int, str]]:
    with tarfile.open(piece, "r:") as tar:
        assert {(member.uid, member.gid, member.mtime) for member in tar} == {(0, 0, SOURCE_DATE_EPOCH)}
        return [(member.name, member.mode, member.linkname) for member in tar]


def files_piece(root: Path, executables: Optional[FrozenSet[str]] = None) -> List[Tuple[str, int, str]]:
    output = root.parent / "out" / "piece.tar"
    write_files_piece(root, output, executables)
    return listing(output)


def test_entries_are_sorted_and_have_the_one_timestamp(tmp_path: Path) -> None:
    entries = [Entry(path, EntryKind.FILE, 0o644, content=path.encode()) for path in ("b", "a/é", "a.b", "a/b")]
    write_piece(entries, tmp_path / "one.tar")
    write_piece(reversed(entries), tmp_path / "two.tar")
    assert [name for name, _, _ in listing(tmp_path / "one.tar")] == ["a.b", "a/b", "a/é", "b"]
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        content = tar.extractfile("a/é")
        assert content is not None and content.read().decode() == "a/é"


def test_files_have_two_modes_and_no_directories(tmp_path: Path) -> None:
    root = tmp_path / "files"
    write(root, "etc/keystone/keystone.conf", mode=0o640)
    write(root, "usr/bin/run", mode=0o700)
    (root / "usr/bin/alias").symlink_to("run")
    (root / "var/log/keystone").mkdir(parents=True)
    assert files_piece(root) == [
        ("etc/keystone/keystone.conf", 0o644, ""),
        ("usr/bin/alias", 0o777, "run"),
        ("usr/bin/run", 0o755, ""),
        ("var/log/keystone", 0o755, ""),
    ]


def test_files_that_a_sandbox_linked_to_each_other_are_files_of_their_own(tmp_path: Path) -> None:
    root = tmp_path / "files"
    os.link(write(root, "a", "same"), root / "b")
    assert files_piece(root) == [("a", 0o644, ""), ("b", 0o644, "")]


def test_the_caller_can_say_which_files_are_executable(tmp_path: Path) -> None:
    root = tmp_path / "files"
    write(root, "a", mode=0o755)
    write(root, "b", mode=0o755)
    assert files_piece(root, frozenset({"b"})) == [("a", 0o644, ""), ("b", 0o755, "")]


def test_a_directory_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "files/etc").mkdir(parents=True)
    with pytest.raises(FilesError) as refusal:
        files_piece(tmp_path / "files")
    assert str(refusal.value) == f"{tmp_path}/files holds no files. Add one, or leave the files out of the image."
    with pytest.raises(FilesError) as refusal:
        files_piece(tmp_path / "none")
    assert str(refusal.value) == f"{tmp_path}/none is not a directory. Name the directory whose files go into the image."
    assert list(tmp_path.glob("out/*")) == []
