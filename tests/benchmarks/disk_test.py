from __future__ import annotations

import os
from pathlib import Path

from benchmarks.disk import disk_usage


def test_a_file_with_two_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").write_bytes(b"x" * 100_000)
    once = disk_usage(tmp_path)
    assert 100_000 <= once < 200_000
    os.link(tmp_path / "a/one", tmp_path / "two")
    assert disk_usage(tmp_path) == once


def test_holes_take_no_disk(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert disk_usage(tmp_path) < 1 << 20
