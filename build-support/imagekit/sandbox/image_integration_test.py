"""Runs an image without a container engine; its programs are those of the machine, which has a merged /usr."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.oci.assemble import ImageSpec, assemble, write_assembled
from imagekit.oci.descriptor import Platform
from imagekit.oci.entry import Entry, EntryKind, Piece, directory
from imagekit.oci.image_config import ContainerConfig
from imagekit.oci.layer import write_layer

pytestmark = pytest.mark.skipif(not os.path.islink("/bin"), reason="needs a machine with a merged /usr")

PASSWD = b"root:*:0:0::/root:/bin/sh\nopenstack:*:42424:42424::/var/lib/openstack:/usr/sbin/nologin\n"


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    links = [Path(path) for path in ("/bin", "/lib", "/lib64") if os.path.islink(path)]
    layer = write_layer(
        [
            Piece(
                "base",
                [
                    *(directory(path) for path in ("dev", "proc", "run", "tmp", "usr", "var/lib/openstack", "var/tmp")),
                    *(Entry(link.name, EntryKind.SYMLINK, 0o777, link_target=os.readlink(link)) for link in links),
                    Entry("etc/passwd", EntryKind.FILE, 0o644, content=PASSWD),
                ],
            )
        ],
        tmp_path / "layout",
        created_by="base",
    )
    config = ContainerConfig(
        user="openstack",
        env=("PATH=/usr/bin:/bin", "GREETING=hello"),
        entrypoint=("/bin/sh", "-ec"),
        cmd=("echo by default",),
        working_dir="/var/lib/openstack",
    )
    image = assemble(ImageSpec(Platform("amd64"), (layer,), config, SOURCE_DATE_EPOCH))
    write_assembled(image, tmp_path / "layout")
    return tmp_path / "layout"


def run(layout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            sys.executable, "-m", "imagekit", "run-in-image", "--layout", str(layout), "--rootfs-store",
            str(layout.parent / "store"), "--bind", "/usr:/usr", *arguments,
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LEAK": "1"},
    )  # fmt: skip


def test_the_images_own_command(layout: Path) -> None:
    finished = run(layout)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "by default\n", "")


def test_user_directory_and_environment_are_the_images(layout: Path) -> None:
    finished = run(layout, "--env", "MORE=x", "--", "id -u; id -g; pwd; env | sort")
    assert finished.stdout.split() == [
        "42424", "42424", "/var/lib/openstack", "GREETING=hello", "HOME=/var/lib/openstack", "MORE=x",
        "PATH=/usr/bin:/bin", "PWD=/var/lib/openstack",
    ]  # fmt: skip


def test_another_user(layout: Path) -> None:
    assert run(layout, "--user", "0", "--", "id -u; echo $HOME").stdout.split() == ["0", "/root"]


def test_what_can_be_written(layout: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    finished = run(
        layout,
        "--tmpfs",
        "/var/lib/scratch",
        "--bind",
        f"{tmp_path}/state:/var/lib/state:rw",
        "--",
        "cd /; for d in tmp run var/tmp var/lib/scratch var/lib/state var/lib etc; do "
        "touch $d/x 2>/dev/null && echo $d || true; done",
    )
    assert finished.stdout.split() == ["tmp", "run", "var/tmp", "var/lib/scratch", "var/lib/state"]
    assert (tmp_path / "state/x").exists()


def test_the_exit_code_is_the_commands(layout: Path) -> None:
    assert run(layout, "--", "exit 7").returncode == 7


def test_the_network_is_there_when_asked_for(layout: Path) -> None:
    def interfaces(*options: str) -> int:
        return len(run(layout, *options, "--", "cat /proc/net/dev").stdout.splitlines()) - 2

    assert interfaces() == 1
    with open("/proc/net/dev") as devices:
        assert interfaces("--network") == len(devices.readlines()) - 2
