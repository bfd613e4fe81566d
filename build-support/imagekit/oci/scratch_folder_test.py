from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imagekit.oci.scratch_folder import scratch_folder

PROGRAM = """\
import time
from imagekit.oci.scratch_folder import scratch_folder
with scratch_folder("test", ending={ending!r}) as folder:
    print(folder, flush=True)
    time.sleep(600)
"""


def test_a_folder_is_gone_after_the_block() -> None:
    with scratch_folder("test") as folder:
        (folder / "closed").mkdir()
        (folder / "closed/file").touch()
        (folder / "closed").chmod(0o500)
    assert not folder.exists()


def test_a_folder_is_gone_after_a_failure() -> None:
    with pytest.raises(ValueError), scratch_folder("test") as folder:
        raise ValueError
    assert not folder.exists()


def test_a_folder_is_gone_when_its_process_group_was_killed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(ending=f"pwd >{tmp_path}/ended")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().decode().strip())
    assert folder.is_dir()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 60
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not folder.exists()
    assert (tmp_path / "ended").read_text() == f"{folder}\n"
