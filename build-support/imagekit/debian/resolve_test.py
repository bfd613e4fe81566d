from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

from imagekit.debian.apt_configuration import AptConfiguration, AptError
from imagekit.debian.resolve import Request, explain_failure, find_keyring, resolve
from imagekit.fetch.settings import HttpSettings


def request(suite: str, keyring: Optional[Path] = None) -> Request:
    return Request((suite,), ("main",), ("amd64",), ("bash",), keyring=keyring)


def test_a_suite_that_nobody_signs() -> None:
    with pytest.raises(AptError) as error:
        find_keyring(request("potato"))
    assert str(error.value) == (
        "the suite 'potato' is not known, and so is not who signs it; known are: bookworm, trixie, forky, sid, jammy, "
        "noble. Add it to DISTRIBUTIONS in imagekit/debian/resolve.py, or give the keyring with --keyring."
    )


def test_a_given_keyring_goes_before(tmp_path: Path) -> None:
    (tmp_path / "key.gpg").write_bytes(b"")
    assert find_keyring(request("potato", keyring=tmp_path / "key.gpg")) == tmp_path / "key.gpg"


def test_a_given_keyring_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(AptError) as error:
        find_keyring(request("bookworm", keyring=tmp_path / "key.gpg"))
    assert str(error.value) == f"the keyring {tmp_path}/key.gpg does not exist. Give the file with --keyring."


def test_a_machine_without_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AptError) as error:
        resolve(request("bookworm"), ("http://deb.example",), AptConfiguration((), ()), HttpSettings())
    assert str(error.value) == (
        "the program 'apt-get' is not on the PATH; .deb locks are resolved with apt. "
        "Make the lock on a Debian or Ubuntu machine."
    )


def test_a_package_that_the_suites_do_not_have() -> None:
    wanted = Request(("bookworm", "bookworm-updates"), ("main",), ("amd64",), ("bash", "libnope7"))
    said = (
        "NOTE: This is only a simulation!\nReading package lists...\nBuilding dependency tree...\n\n"
        "E: Unable to locate package libnope7\n"
    )
    assert explain_failure(wanted, "amd64", said) == (
        "apt cannot choose packages for amd64 from bash, libnope7:\n"
        "E: Unable to locate package libnope7\n"
        "Correct the list of packages, or take it from other suites (bookworm, bookworm-updates) and components (main)."
    )


def test_packages_that_exclude_each_other() -> None:
    said = (
        "Reading package lists...\nSome packages could not be installed. This may mean that you have\nrequested an "
        "impossible situation.\n\nThe following packages have unmet dependencies:\n rival : Conflicts: tool\n"
        "E: Unable to correct problems, you have held broken packages.\n"
    )
    assert explain_failure(Request(("demo",), ("main", "contrib"), ("arm64",), ("rival", "tool")), "arm64", said) == (
        "apt cannot choose packages for arm64 from rival, tool:\n"
        "The following packages have unmet dependencies:\n rival : Conflicts: tool\n"
        "E: Unable to correct problems, you have held broken packages.\n"
        "Correct the list of packages, or take it from other suites (demo) and components (main, contrib)."
    )
