"""The pex program is the same on every machine: ``pants.toml`` holds its SHA-256. Needs the Python index."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_pex_program_is_the_one_that_pants_toml_knows(tmp_path: Path, umask: int) -> None:
    program = tmp_path / "a folder" / "pex"
    environment = tmp_path / "environment"
    # The interpreter of this test's own virtual environment has no pip.
    subprocess.run([os.path.realpath(sys.executable), "-m", "venv", str(environment)], check=True)

    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", 'source "$0"; make_pex_cli "$1" "$2"']
        + ["build-support/launcher/pex_cli.bash", str(environment / "bin/python"), str(program)],
        check=True,
        preexec_fn=lambda: os.umask(umask) and None,
    )

    versions = re.findall(r"\|linux_\w+\|([0-9a-f]{64})\|(\d+)", Path("pants.toml").read_text())
    made = program.read_bytes()
    assert versions == [(hashlib.sha256(made).hexdigest(), str(len(made)))] * 2
    assert [path.name for path in program.parent.iterdir()] == ["pex"]
