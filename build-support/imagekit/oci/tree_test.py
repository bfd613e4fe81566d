from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import Dict, List

import pytest

from imagekit.oci.entry import Entry, EntryKind, FileSlice
from imagekit.oci.tree import TreeError, tree_entries


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def by_path(entries: List[Entry]) -> Dict[str, Entry]:
    return {entry.path: entry for entry in entries}


def test_order_is_that_of_a_layer(root: Path) -> None:
    for name in ("a/z", "a/b", "a-b/x", "a.b", "b0", "b1a"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).touch()
    assert [entry.path for entry in tree_entries(root)] == ["a", "a/b", "a/z", "a-b", "a-b/x", "a.b", "b0", "b1a"]


def test_modes_owners_and_contents(root: Path) -> None:
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "tool").write_bytes(b"ELF")
    (root / "tool").chmod(0o4755)
    (root / "link").symlink_to("/etc/passwd")
    entries = by_path(list(tree_entries(root)))
    assert (entries["tmp"].kind, entries["tmp"].mode) == (EntryKind.DIRECTORY, 0o1777)
    tool = entries["tool"]
    assert (tool.mode, tool.uid, tool.gid) == (0o4755, os.getuid(), (root / "tool").stat().st_gid)
    assert tool.content == FileSlice(os.fsencode(root / "tool"), 0, 3)
    assert (entries["link"].kind, entries["link"].link_target) == (EntryKind.SYMLINK, "/etc/passwd")


def test_hardlinks_point_to_the_first_name(root: Path) -> None:
    (root / "b").write_bytes(b"x")
    os.link(root / "b", root / "a")
    os.link(root / "b", root / "c")
    entries = list(tree_entries(root))
    assert [(entry.path, entry.kind, entry.link_target) for entry in entries] == [
        ("a", EntryKind.FILE, ""),
        ("b", EntryKind.HARDLINK, "a"),
        ("c", EntryKind.HARDLINK, "a"),
    ]


def test_skip_leaves_out_what_is_below(root: Path) -> None:
    (root / "proc/1").mkdir(parents=True)
    os.mkfifo(root / "proc/1/fifo")
    (root / "process").touch()
    assert [entry.path for entry in tree_entries(root, lambda path: path == "proc")] == ["process"]


def test_refuses_what_no_layer_has(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with pytest.raises(TreeError) as error:
        list(tree_entries(root))
    mode = stat.filemode((root / "fifo").stat().st_mode)
    assert str(error.value) == (
        f"{root}/fifo cannot go into a layer: it is neither a file, a directory nor a link (mode {mode}). "
        "Remove it, or leave it out: engines make /dev themselves."
    )


def test_refuses_sockets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(TreeError):
            list(tree_entries(root))


def test_refuses_whiteout_names(root: Path) -> None:
    (root / ".wh.x").touch()
    with pytest.raises(TreeError) as error:
        list(tree_entries(root))
    assert str(error.value) == (
        f"{root}/.wh.x cannot go into a layer: names that start with '.wh.' mean removal there. "
        "Rename the file, or leave it out."
    )
