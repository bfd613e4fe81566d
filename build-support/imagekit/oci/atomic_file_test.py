from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from imagekit.oci.atomic_file import temporary_file, write_atomically


def test_replaces(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a/b", b"one")
    write_atomically(tmp_path / "a/b", b"two")
    assert (tmp_path / "a/b").read_bytes() == b"two"
    assert os.listdir(tmp_path / "a") == ["b"]


def test_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x", b"")
    (tmp_path / "y").touch()
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == stat.S_IMODE((tmp_path / "y").stat().st_mode)


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), temporary_file(tmp_path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
