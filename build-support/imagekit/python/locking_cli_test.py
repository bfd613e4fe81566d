from __future__ import annotations

from pathlib import Path

import pytest

from imagekit.python.lock import LockError
from imagekit.python.locking_cli import interpreter_of, read_python_lock


def test_the_interpreter_of_a_root_file_system_is_found(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/python3").symlink_to("python3.12")
    assert interpreter_of(tmp_path) == "3.12"


def test_a_root_file_system_without_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LockError) as refusal:
        interpreter_of(tmp_path)
    assert str(refusal.value) == (
        "the root file system has no /usr/bin/python3. Lock with the layers of venv-builder."
    )


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LockError) as refusal:
        read_python_lock(tmp_path / "nova.lock.json")
    assert str(refusal.value) == (
        f"{tmp_path}/nova.lock.json cannot be read: No such file or directory. Restore it, or name another file."
    )
