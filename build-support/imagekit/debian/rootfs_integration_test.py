"""Makes a root file system of real packages: needs apt, bubblewrap and the network; as an ordinary user also uidmap."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Sequence, Tuple

import pytest

from imagekit.debian.apt_configuration import archives_and_http, read_apt_configuration
from imagekit.debian.conftest import MakeDeb, member
from imagekit.debian.deb_file import fetch_deb
from imagekit.debian.lock import DebLock, render
from imagekit.debian.resolve import DEBIAN, Request, resolve
from imagekit.fetch.http import Client, ExpectedFile
from imagekit.fetch.settings import FetchSettings
from imagekit.oci.json_document import Document
from imagekit.oci.layer import Layer
from imagekit.sandbox.bwrap import Finished, run_in_rootfs
from imagekit.sandbox.store import RootfsStore

pytestmark = pytest.mark.skipif(
    shutil.which("apt-get") is None or not DEBIAN.keyring.exists(), reason="needs apt and Debian's keyring"
)

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def imagekit(*arguments: object) -> "subprocess.CompletedProcess[str]":
    # A process of its own, as a build has it: as an ordinary user, it changes its namespace.
    return subprocess.run(
        [sys.executable, "-m", "imagekit", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def made(output: Path) -> Tuple[Layer, Path]:
    layer = Layer.from_document(Document.parse((output / "layer.json").read_bytes(), "layer.json"))
    return layer, output / "blobs/sha256" / layer.digest.hex


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the lock and the .debs of the essential packages, and the root file system of them."""
    directory = tmp_path_factory.mktemp("base")
    archives, http = archives_and_http(FetchSettings(None))
    request = Request(("bookworm",), ("main",), (ARCHITECTURE,), ("usr-is-merged",))
    lock: DebLock = resolve(request, archives, read_apt_configuration(), http)
    (directory / "lock.json").write_text(render(lock))
    (directory / "debs").mkdir()
    client = Client(http)
    for package in lock.packages_for(ARCHITECTURE):
        expected = ExpectedFile(package.name, package.size, package.sha256)
        fetch_deb(archives, client, package.filename, expected, directory / f"debs/{package.name}.deb")
    bootstrapped = bootstrap(directory, directory / "first")
    assert bootstrapped.returncode == 0, bootstrapped.stderr
    return directory


def bootstrap(base: Path, output: Path) -> "subprocess.CompletedProcess[str]":
    return imagekit(
        "bootstrap-rootfs", "--debs", base / "debs", "--order-lock", base / "lock.json", "--architecture", ARCHITECTURE,
        "--user", "openstack:42424", "--output-dir", output,
    )  # fmt: skip


def run(base: Path, layers: Sequence[Path], script: str) -> Finished:
    with RootfsStore(base / "store").rootfs(layers) as rootfs:
        return run_in_rootfs(rootfs, ["sh", "-ec", script])


def test_two_runs_in_different_directories_give_the_same_layer(base: Path, tmp_path: Path) -> None:
    assert bootstrap(base, tmp_path / "another/place").returncode == 0
    assert made(tmp_path / "another/place")[0] == made(base / "first")[0]
    assert sorted(path.name for path in (tmp_path / "another/place").iterdir()) == ["blobs", "layer.json", "paths.json"]


def test_the_dpkg_database_is_real(base: Path) -> None:
    _, blob = made(base / "first")
    query = "dpkg-query -W -f '${db:Status-Abbrev}${Package}\\n'"
    finished = run(base, [blob], f"dpkg --audit; {query}; dpkg --verify coreutils")
    assert finished.returncode == 0
    locked = {record["name"] for record in json.loads((base / "lock.json").read_text())["architectures"][ARCHITECTURE]}
    # ii: wanted and installed. Documentation that was left out is what --verify misses.
    lines = finished.stdout.splitlines()
    assert {line for line in lines if line.startswith("ii ")} == {f"ii {name}" for name in locked}
    assert {line for line in lines if not line.startswith("ii ") and "/usr/share/" not in line} == set()


def test_maintainer_scripts_ran_and_nothing_is_left_of_it(base: Path) -> None:
    _, blob = made(base / "first")
    finished = run(
        base,
        [blob],
        "readlink /usr/bin/awk; grep openstack /etc/passwd; ls /usr/sbin/policy-rc.d /var/log/dpkg.log "
        "/var/lib/dpkg/lock /var/cache/ldconfig/aux-cache /var/lib/apt "
        "/usr/share/man/man1 2>/dev/null || ls /usr/share/doc/bash",
    )
    assert finished.stdout.splitlines() == [
        "/etc/alternatives/awk",
        "openstack:*:42424:42424::/var/lib/openstack:/usr/sbin/nologin",
        "copyright",
    ]


def test_only_packages_own_files_are_set_user_id(base: Path) -> None:
    _, blob = made(base / "first")
    finished = run(base, [blob], "find / -xdev -perm /6000 -type f | sort")
    assert finished.stdout.split() == [
        "/usr/bin/newgrp", "/usr/bin/su", "/usr/sbin/unix_chkpwd",
    ]  # fmt: skip


#: invoke-rc.d asks policy-rc.d before it starts a service; 101 means no.
SCRIPT = """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
answer=0
/usr/sbin/policy-rc.d demo start || answer=$?
echo "configured $answer" > /etc/demo
rm /etc/issue.net
chown 42424 /etc/demo
"""


def test_a_layer_on_top_holds_the_difference_only(base: Path, make_deb: MakeDeb, tmp_path: Path) -> None:
    _, blob = made(base / "first")
    deb = make_deb(
        "demo",
        members=[
            member("./etc/", tarfile.DIRTYPE, 0o755),
            member("./etc/demo.conf"),
            member("./usr/share/man/demo.1"),
        ],
        scripts={"postinst": SCRIPT},
    )
    for output in ("one", "two"):
        extended = imagekit("extend-rootfs", "--rootfs", blob, "--deb", deb, "--output-dir", tmp_path / output)
        assert extended.returncode == 0, extended.stderr
    assert made(tmp_path / "one")[0] == made(tmp_path / "two")[0]
    _, top = made(tmp_path / "one")
    finished = run(
        base,
        [blob, top],
        "cat /etc/demo; test ! -e /etc/issue.net; test ! -e /usr/share/man/demo.1; dpkg -s demo | grep ^Status",
    )
    assert finished.stdout.splitlines() == ["configured 101", "Status: install ok installed"]
    assert entries(top) == [
        ("etc", 0), ("etc/.wh.issue.net", 0), ("etc/demo", 42424), ("etc/demo.conf", 0),
        ("var", 0), ("var/lib", 0), ("var/lib/dpkg", 0), ("var/lib/dpkg/info", 0), ("var/lib/dpkg/info/demo.list", 0),
        ("var/lib/dpkg/info/demo.md5sums", 0), ("var/lib/dpkg/info/demo.postinst", 0), ("var/lib/dpkg/status", 0),
    ]  # fmt: skip


def entries(blob: Path) -> Sequence[Tuple[str, int]]:
    zstandard = pytest.importorskip("zstandard")
    with blob.open("rb") as file, tarfile.open(
        fileobj=zstandard.ZstdDecompressor().stream_reader(file), mode="r|"
    ) as tar:
        return [(item.name, item.uid) for item in tar]


def test_a_package_whose_dependencies_are_missing(base: Path, make_deb: MakeDeb, tmp_path: Path) -> None:
    _, blob = made(base / "first")
    deb = make_deb("demo", control="Depends: not-there\n")
    extended = imagekit("extend-rootfs", "--rootfs", blob, "--deb", deb, "--output-dir", tmp_path / "out")
    assert extended.returncode == 1
    assert extended.stderr.splitlines() == [
        "error: dpkg could not install the packages:",
        "dpkg: dependency problems prevent configuration of demo:",
        " demo depends on not-there; however:",
        "  Package not-there is not installed.",
        "",
        "dpkg: error processing package demo (--configure):",
        " dependency problems - leaving unconfigured",
        "Errors were encountered while processing:",
        " demo",
    ]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_maintainer_script_that_fails_shows_what_it_said(base: Path, make_deb: MakeDeb, tmp_path: Path) -> None:
    _, blob = made(base / "first")
    deb = make_deb("demo", scripts={"postinst": "#!/bin/sh\necho no luck >&2\nexit 3\n"})
    extended = imagekit("extend-rootfs", "--rootfs", blob, "--deb", deb, "--output-dir", tmp_path / "out")
    assert extended.returncode == 1
    assert "no luck" in extended.stderr
    assert " installed demo package post-installation script subprocess returned error exit status 3" in extended.stderr


def test_scripts_have_no_network(base: Path, make_deb: MakeDeb, tmp_path: Path) -> None:
    _, blob = made(base / "first")
    script = "#!/bin/sh\ntail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' > /etc/interfaces\n"
    deb = make_deb("demo", scripts={"postinst": script})
    assert imagekit("extend-rootfs", "--rootfs", blob, "--deb", deb, "--output-dir", tmp_path).returncode == 0
    assert run(base, [blob, made(tmp_path)[1]], "cat /etc/interfaces").stdout == "lo\n"


def test_debs_that_the_lock_does_not_name(base: Path, make_deb: MakeDeb, tmp_path: Path) -> None:
    deb = make_deb("demo")
    refused = imagekit(
        "bootstrap-rootfs", "--debs", base / "debs", "--deb", deb, "--order-lock", base / "lock.json", "--architecture",
        ARCHITECTURE, "--output-dir", tmp_path / "out",
    )  # fmt: skip
    assert (refused.returncode, refused.stderr) == (
        1,
        f"error: the .debs are not those of the lock: not locked are {deb}. Fetch what the lock names.\n",
    )
    assert not (tmp_path / "out").exists()
