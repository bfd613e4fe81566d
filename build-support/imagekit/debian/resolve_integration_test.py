"""Locks with apt from a small archive that the test signs itself: needs apt and gpg, no network."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator, Sequence, Tuple

import pytest

from imagekit.debian.apt_configuration import AptConfiguration, AptError
from imagekit.debian.lock import DebLock, lock_digest, render
from imagekit.debian.resolve import Request, resolve
from imagekit.fetch.settings import HttpSettings

pytestmark = pytest.mark.skipif(not (shutil.which("apt-get") and shutil.which("gpg")), reason="needs apt and gpg")

NO_OPTIONS = AptConfiguration((), (("Acquire::Check-Date", "false"), ("APT::Install-Recommends", "true")))

PACKAGES = """\
Package: base
Essential: yes
Depends: libbase

Package: libbase

Package: apt

Package: tool
Depends: libtool, base
Recommends: extra

Package: libtool

Package: extra

Package: rival
Conflicts: tool

Package: broken
Depends: not-in-the-archive
"""


class Archive:
    """An archive of empty packages for the suite ``demo``, in a directory."""

    def __init__(self, path: Path, home: Path) -> None:
        self.path = path
        self.home = home
        self.keyring = path.with_name("keyring.gpg")
        self.index = path / "dists/demo/main/binary-amd64/Packages"
        self.index.parent.mkdir(parents=True)

    def gpg(self, *arguments: str) -> None:
        subprocess.run(
            ["gpg", "--batch", "--yes", "--homedir", str(self.home), "--pinentry-mode", "loopback", *arguments],
            check=True,
            capture_output=True,
        )

    def write(self, packages: str, version: str = "1.0-1") -> None:
        stanzas = []
        for block in packages.strip().split("\n\n"):
            name = block.split("\n")[0].split(": ")[1]
            stanzas.append(
                f"{block}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x <x@y.example>\n"
                f"Filename: pool/main/{name}_{version}_amd64.deb\nSize: 4\n"
                f"SHA256: {hashlib.sha256(name.encode()).hexdigest()}\nDescription: {name}\n"
            )
        self.index.write_text("\n".join(stanzas))
        self.release(self.index.read_bytes())

    def release(self, index: bytes) -> None:
        release = self.path / "dists/demo/Release"
        release.write_text(
            "Origin: Demo\nSuite: demo\nCodename: demo\nArchitectures: amd64\nComponents: main\n"
            "Date: Wed, 01 Jan 2025 00:00:00 UTC\nSHA256:\n"
            f" {hashlib.sha256(index).hexdigest()} {len(index)} main/binary-amd64/Packages\n"
        )
        self.gpg("--clearsign", "--output", str(release.with_name("InRelease")), str(release))

    def request(self, *packages: str) -> Request:
        return Request(("demo",), ("main",), ("amd64",), packages, keyring=self.keyring)

    def lock(self, request: Request) -> DebLock:
        return resolve(request, (f"file://{self.path}",), NO_OPTIONS, HttpSettings())


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    # gpg's agent has a socket there, whose path must be short.
    home = Path(tempfile.mkdtemp(dir="/tmp"))
    archive = Archive(tmp_path / "served" / "archive", home)
    archive.gpg("--passphrase", "", "--quick-generate-key", "demo@archive.example", "rsa2048", "sign", "never")
    archive.gpg("--output", str(archive.keyring), "--export", "demo@archive.example")
    archive.write(PACKAGES)
    yield archive
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    # The agent takes its own sockets away while it ends: what is gone already is no failure of the test.
    shutil.rmtree(home, ignore_errors=True)


def names(lock: DebLock) -> Sequence[str]:
    return [package.name for package in lock.packages_for("amd64")]


def test_essential_packages_and_dependencies_but_nothing_recommended(archive: Archive) -> None:
    lock = archive.lock(archive.request("tool"))
    assert names(lock) == ["base", "libbase", "libtool", "tool"]
    assert (lock.suites, lock.components, lock.requested, lock.extends) == (("demo",), ("main",), ("tool",), None)
    tool = lock.packages_for("amd64")[3]
    assert (tool.version, tool.filename, tool.size) == ("1.0-1", "pool/main/tool_1.0-1_amd64.deb", 4)
    assert tool.sha256 == hashlib.sha256(b"tool").hexdigest()


def test_what_the_base_has_is_not_locked_again(archive: Archive) -> None:
    base = archive.lock(archive.request())
    assert names(base) == ["base", "libbase"]
    digest = lock_digest(render(base))
    request = Request(("demo",), ("main",), ("amd64",), ("tool",), (base,), digest, archive.keyring)
    lock = archive.lock(request)
    assert names(lock) == ["libtool", "tool"]
    assert lock.extends == digest


def test_what_any_lock_below_has_is_not_locked_again(archive: Archive) -> None:
    base = archive.lock(archive.request())
    shared = archive.lock(
        Request(("demo",), ("main",), ("amd64",), ("libtool",), (base,), lock_digest(render(base)), archive.keyring)
    )
    assert names(shared) == ["libtool"]
    digest = lock_digest(render(shared))
    request = Request(("demo",), ("main",), ("amd64",), ("tool",), (base, shared), digest, archive.keyring)
    lock = archive.lock(request)
    assert names(lock) == ["tool"]
    assert lock.extends == digest


def test_the_same_archive_gives_the_same_lock(archive: Archive) -> None:
    assert render(archive.lock(archive.request("tool"))) == render(archive.lock(archive.request("tool")))


def test_a_base_that_the_archive_no_longer_has(archive: Archive) -> None:
    base = archive.lock(archive.request())
    archive.write(PACKAGES, version="2.0-1")
    request = Request(("demo",), ("main",), ("amd64",), ("tool",), (base,), "0" * 64, archive.keyring)
    with pytest.raises(AptError) as error:
        archive.lock(request)
    assert str(error.value) == (
        "the locks below name versions that demo no longer has: base 1.0-1, libbase 1.0-1. Renew those locks first, from "
        "the bottom up."
    )


@pytest.mark.parametrize(
    "packages, explanation",
    [
        (("no-such-package",), "E: Unable to locate package no-such-package"),
        (("tool", "rival"), " rival : Conflicts: tool but 1.0-1 is to be installed"),
        (("broken",), " broken : Depends: not-in-the-archive but it is not installable"),
    ],
)
def test_packages_that_cannot_be_installed(archive: Archive, packages: Tuple[str, ...], explanation: str) -> None:
    with pytest.raises(AptError) as error:
        archive.lock(archive.request(*packages))
    lines = str(error.value).splitlines()
    assert lines[0] == f"apt cannot choose packages for amd64 from {', '.join(packages)}:"
    assert explanation in lines
    assert lines[-1] == "Correct the list of packages, or take it from other suites (demo) and components (main)."


def test_an_index_that_its_signature_does_not_cover(archive: Archive) -> None:
    inrelease = archive.path / "dists/demo/InRelease"
    inrelease.write_text(inrelease.read_text().replace("Origin: Demo", "Origin: Evil"))
    with pytest.raises(AptError) as error:
        archive.lock(archive.request("tool"))
    message = str(error.value)
    assert message.startswith(
        f"no archive gave a signed index of demo:\n  file://{archive.path}: apt refuses for amd64: "
    )
    assert "BADSIG" in message
    assert message.endswith(
        "\nCheck the network, or name a mirror that carries the suite (deb_mirrors in the download settings)."
    )


def test_an_index_without_a_signature(archive: Archive) -> None:
    (archive.path / "dists/demo/InRelease").unlink()
    with pytest.raises(AptError) as error:
        archive.lock(archive.request("tool"))
    assert "is not signed" in str(error.value)


def test_an_index_signed_with_another_key(archive: Archive) -> None:
    archive.gpg("--passphrase", "", "--quick-generate-key", "evil@archive.example", "rsa2048", "sign", "never")
    release = archive.path / "dists/demo/Release"
    archive.gpg("-u", "evil@archive.example", "--clearsign", "--output", f"{release.parent}/InRelease", str(release))
    with pytest.raises(AptError) as error:
        archive.lock(archive.request("tool"))
    assert "NO_PUBKEY" in str(error.value)


def test_an_index_that_differs_from_its_release(archive: Archive) -> None:
    archive.index.write_text(archive.index.read_text().replace("Size: 4", "Size: 5"))
    with pytest.raises(AptError) as error:
        archive.lock(archive.request("tool"))
    assert "Hash Sum mismatch" in str(error.value)


def test_the_second_archive_is_used_when_the_first_has_no_suite(archive: Archive, tmp_path: Path) -> None:
    lock = resolve(
        archive.request("tool"), (f"file://{tmp_path}", f"file://{archive.path}"), NO_OPTIONS, HttpSettings()
    )
    assert names(lock) == ["base", "libbase", "libtool", "tool"]


def test_the_machines_own_state_is_not_looked_at(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APT_CONFIG", os.devnull)
    assert names(archive.lock(archive.request("tool"))) == ["base", "libbase", "libtool", "tool"]
