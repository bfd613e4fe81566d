"""The commands that test and check an image; its programs are those of the machine, which has a merged /usr."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Sequence

import pytest

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.oci.assemble import ImageSpec, assemble, write_assembled
from imagekit.oci.descriptor import Platform
from imagekit.oci.entry import Entry, EntryKind, Piece, directory
from imagekit.oci.image_config import ContainerConfig
from imagekit.oci.layer import write_layer

pytestmark = pytest.mark.skipif(not os.path.islink("/bin"), reason="needs a machine with a merged /usr")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    path = tmp_path / "layout"
    programs = [f"/usr/bin/{name}" for name in ("sh", "timeout", "sleep", "cat")]
    linked = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=True).stdout.split()
    # ldd names libraries below /lib and /lib64, which are links to the same below /usr.
    libraries = sorted({word if word.startswith("/usr/") else f"/usr{word}" for word in linked if ".so" in word and word[0] == "/"})
    entries = [
        *(directory(name) for name in ("dev", "proc", "run", "tmp", "var/tmp")),
        *(
            Entry(file.lstrip("/"), EntryKind.FILE, 0o755, content=Path(file).read_bytes())
            for file in (*programs, *libraries)
        ),
        *(Entry(name, EntryKind.SYMLINK, 0o777, link_target=f"usr/{name}") for name in ("bin", "lib", "lib64")),
    ]
    layer = write_layer([Piece("base", entries)], path, created_by="base")
    config = ContainerConfig(user="42424", env=("PATH=/usr/bin",))
    write_assembled(assemble(ImageSpec(Platform("amd64"), (layer,), config, SOURCE_DATE_EPOCH)), path)
    return path


def imagekit(command: str, layout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    options: Sequence[str] = ("--layout", str(layout), "--rootfs-store", str(layout.parent / "store"))
    return subprocess.run(
        [sys.executable, "-m", "imagekit", command, *options, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_a_command_that_does_what_is_expected(layout: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/greeting").write_text("hello\n")
    finished = imagekit(
        "test-image", layout, "--files", f"{tmp_path}/files", "--expect=^hell", "--", "cat", "/test/greeting"
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "hello\n", "")


def test_output_that_is_not_expected(layout: Path) -> None:
    finished = imagekit("test-image", layout, "--expect=^28", "--", "sh", "-ec", "echo 27")
    assert (finished.returncode, finished.stdout) == (1, "27\n")
    assert finished.stderr == "error: the output does not match '^28'. Correct `expect`, or the image.\n"


def test_a_command_that_fails(layout: Path) -> None:
    finished = imagekit("test-image", layout, "--", "sh", "-ec", "echo no >&2; exit 3")
    assert finished.returncode == 1
    assert finished.stderr == "no\nerror: 'sh' ended with exit code 3. Its output is above.\n"


def test_a_command_that_is_not_in_the_image(layout: Path) -> None:
    finished = imagekit("test-image", layout, "--", "qemu-img")
    assert finished.returncode == 1
    assert finished.stderr.endswith(
        "error: the image cannot run 'qemu-img'. Name a program of its PATH, or add the package that has it.\n"
    )


def test_a_command_that_takes_too_long(layout: Path) -> None:
    finished = imagekit("test-image", layout, "--timeout=1", "--", "sleep", "60")
    assert finished.returncode == 1
    assert finished.stderr == (
        "error: 'sleep' was still running after 1 s. Raise `timeout`, or see what it waits for.\n"
    )


def test_all_findings_are_reported_at_once_and_can_be_allowed(layout: Path) -> None:
    finished = imagekit("check-image", layout, "--check=accounts", "--check=links")
    assert finished.returncode == 1
    assert finished.stderr == (
        "error: the image violates 2 check(s).\n"
        "accounts: /etc/passwd: has no 'openstack' with the id 42424. Build the image on a `debian_base`.\n"
        "accounts: /etc/group: has no 'openstack' with the id 42424. Build the image on a `debian_base`.\n"
    )
    assert imagekit("check-image", layout, "--check=accounts", "--allow=accounts:/etc/*").returncode == 0
