"""``--changed-since`` names exactly the images that an edit touches, in a scratch repository with real ``pants list``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence

import pytest

BASE = "3rdparty/bases/bookworm"
RELEASES = ("2025.1", "2025.2")


def python_lock(service: str, release: str, library: bool) -> str:
    packages = [{"name": "oslo-messaging", "version": "1.0", "component": "oslo.messaging"}] if library else []
    root = {"name": service, "version": "1.0", "build_requires": []}
    return json.dumps(
        {
            "format": 1, "release": release, "service": service, "python": ["3.11"],
            "requirements": [service], "root": root, "packages": packages,
        }
    )  # fmt: skip


def tree() -> Dict[str, str]:
    """Two services for two releases; keystone of 2025.2 alone holds the library."""
    files = {
        f"{BASE}/BUILD": 'debian_base(suites=["bookworm"], python="3.11", glibc="2.36", packages=["python3"], '
        'builder_packages=["gcc"])',
        "patches/BUILD": "patch_sets()",
        "patches/keystone/2025.1/0001-a.patch": "",
        "patches/oslo.messaging/2025.2/0001-a.patch": "",
    }
    for name in ("keystone", "python-base", "venv-builder"):
        files[f"{BASE}/locks/{name}.lock.json"] = "{}"
    for release in RELEASES:
        folder = f"3rdparty/releases/{release}"
        files[f"{folder}/BUILD"] = f'openstack_release(name="{release}", release="{release}")'
        files[f"{folder}/constraint-overrides.txt"] = ""
        files[f"{folder}/sources/oslo.messaging.json"] = "{}"
        for service in ("keystone", "placement"):
            files[f"{folder}/sources/{service}.json"] = "{}"
            library = (service, release) == ("keystone", "2025.2")
            files[f"{folder}/locks/{service}.lock.json"] = python_lock(service, release, library)
    for service, packages in (("keystone", '["xmlsec1"]'), ("placement", "[]")):
        files[f"services/{service}/BUILD"] = (
            f'openstack_service(release=parametrize("2025.1", "2025.2"), system_packages={packages})'
        )
        files[f"services/{service}/files/etc/{service}.conf"] = ""
    return files


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tree in git. The first run of Pants there starts a daemon of its own, which makes all others fast."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copy("pants.toml", folder)
    for path, text in tree().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message=x")
    yield folder
    for pid in folder.glob(".pids/*/pantsd/pid"):
        os.kill(int(pid.read_text()), signal.SIGTERM)


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True)


def changed_images(folder: Path) -> List[str]:
    plugins = Path("build-support").resolve()
    listed = subprocess.run(
        [
            sys.executable, "-m", "pants", "--changed-since=HEAD", "--changed-dependents=transitive",
            "--filter-target-type=docker_image", "list",
        ],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder.parent),
            "NO_SCIE_WARNING": "1",
            "PANTS_SUBPROCESSDIR": str(folder / ".pids"),
            "PANTS_DYNAMIC_UI": "false",
            "PANTS_PYTHONPATH": f"['{plugins}', '{plugins}/pants-plugins']",
            "PANTS_BACKEND_PACKAGES": "['c5c3']",
            # Sections of backends that are not loaded here.
            "PANTS_VERIFY_CONFIG": "false",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )  # fmt: skip
    assert listed.returncode == 0, listed.stderr
    return sorted(line[len("services/") :] for line in listed.stdout.split() if line.startswith("services/"))


def image(service: str, release: str) -> str:
    return f"{service}#image@release={release}"


EVERY = sorted(image(service, release) for service in ("keystone", "placement") for release in RELEASES)
ONE = [image("keystone", "2025.2")]
BOTH_OF_KEYSTONE = [image("keystone", release) for release in RELEASES]


@pytest.mark.parametrize(
    "path, content, expected",
    [
        ("patches/keystone/2025.2/0001-new.patch", "", ONE),
        ("patches/oslo.messaging/2025.2/0001-a.patch", "edited", ONE),
        ("3rdparty/releases/2025.2/sources/oslo.messaging.json", "{ }", ONE),
        ("3rdparty/releases/2025.2/sources/keystone.json", "{ }", ONE),
        ("3rdparty/releases/2025.2/locks/keystone.lock.json", None, ONE),
        ("3rdparty/releases/2025.2/constraint-overrides.txt", "x===1", []),
        (f"{BASE}/locks/keystone.lock.json", "{ }", BOTH_OF_KEYSTONE),
        (f"{BASE}/locks/python-base.lock.json", "{ }", EVERY),
        ("services/keystone/files/etc/keystone.conf", "edited", BOTH_OF_KEYSTONE),
    ],
)
def test_an_edit_touches_exactly_these_images(
    repository: Path, path: str, content: Optional[str], expected: Sequence[str]
) -> None:
    file = repository / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(file.read_text() + "\n" if content is None else content)
    try:
        assert changed_images(repository) == list(expected)
    finally:
        git(repository, "checkout", "--quiet", ".")
        git(repository, "clean", "--quiet", "--force", "-d", "patches")
