"""Becomes root of a user namespace: as an ordinary user with subordinate ids only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from imagekit.sandbox.user_namespace import enter_user_namespace
enter_user_namespace()
file = sys.argv[1]
open(file, "w").close()
os.chown(file, 42424, 42424)
os.chmod(file, 0o4755)
status = os.stat(file)
print(os.geteuid(), os.getegid(), os.getgroups(), status.st_uid, status.st_gid, oct(status.st_mode & 0o7777))
os.unlink(file)
"""


def start(file: Path, path: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PATH": path},
    )


pytestmark = pytest.mark.skipif(
    os.geteuid() == 0 or shutil.which("newuidmap") is None, reason="needs an ordinary user and uidmap"
)


def test_files_can_be_given_to_other_users(tmp_path: Path) -> None:
    finished = start(tmp_path / "file", os.environ.get("PATH", os.defpath))
    assert (finished.stdout, finished.stderr) == ("0 0 [] 42424 42424 0o4755\n", "")


def test_a_machine_without_newuidmap(tmp_path: Path) -> None:
    finished = start(tmp_path / "file", str(tmp_path))
    assert finished.stderr.endswith(
        "UserNamespaceError: the program 'newuidmap' is not on the PATH; it gives files of a root file system to other "
        "users. Install it: sudo apt-get install uidmap\n"
    )
