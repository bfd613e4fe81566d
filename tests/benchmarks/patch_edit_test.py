from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.commands import BenchmarkError
from benchmarks.patch_edit import edit_first_patch, edited_patch

PATCH = """\
Subject: [PATCH] Name the build

--- a/discovery.py
+++ b/discovery.py
@@ -1,2 +1,4 @@
 # Not added.
 import flask
+# Why it is here.
+BUILD = '1'
"""


def test_the_first_added_comment_changes() -> None:
    assert edited_patch(PATCH, 1, "0001.patch") == PATCH.replace("+# Why it is here.", "+# Why it is here. (edit 1)")


def test_an_edited_patch_is_edited_again() -> None:
    assert edited_patch(edited_patch(PATCH, 1, "0001.patch"), 12, "0001.patch") == edited_patch(PATCH, 12, "0001.patch")


def test_a_patch_without_an_added_comment() -> None:
    with pytest.raises(BenchmarkError) as error:
        edited_patch("+++ b/setup.cfg\n+[metadata]\n # kept\n", 1, "0001.patch")
    assert str(error.value) == (
        "0001.patch adds no line with a Python comment ('+# ...') to change. Add one to the patch."
    )


def test_the_first_patch_of_the_folder_is_edited(tmp_path: Path) -> None:
    for name in ("0002-b.patch", "0001-a.patch"):
        (tmp_path / name).write_text(PATCH)
    edit_first_patch(tmp_path, 3)
    assert (tmp_path / "0001-a.patch").read_text() == edited_patch(PATCH, 3, "")
    assert (tmp_path / "0002-b.patch").read_text() == PATCH


def test_a_folder_without_patches(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError) as error:
        edit_first_patch(tmp_path, 1)
    assert str(error.value) == f"{tmp_path} holds no patch to change. Add one."
