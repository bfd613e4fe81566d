from __future__ import annotations

from dataclasses import replace
from typing import Optional, Sequence

import pytest

from imagekit.debian.lock import DebLock, DebPackage, LockError, lock_digest, parse_deb_lock, render

BASH = DebPackage("bash", "5.2-1", "amd64", "pool/main/b/bash/bash_5.2-1_amd64.deb", 1492516, "a" * 64)
TZDATA = DebPackage("tzdata", "2025b-0", "all", "pool/main/t/tzdata/tzdata_2025b-0_all.deb", 300, "b" * 64)
LOCK = DebLock(("bookworm",), ("main",), ("bash", "tzdata"), None, (("amd64", (BASH, TZDATA)), ("arm64", (TZDATA,))))
TEXT = """\
{
  "format": 1,
  "suites": ["bookworm"],
  "components": ["main"],
  "requested": [
    "bash",
    "tzdata"
  ],
  "extends": null,
  "architectures": {
    "amd64": [
      {"name": "bash", "version": "5.2-1", "architecture": "amd64", "filename": "pool/main/b/bash/bash_5.2-1_amd64.deb", "size": 1492516, "sha256": "%s"},
      {"name": "tzdata", "version": "2025b-0", "architecture": "all", "filename": "pool/main/t/tzdata/tzdata_2025b-0_all.deb", "size": 300, "sha256": "%s"}
    ],
    "arm64": [
      {"name": "tzdata", "version": "2025b-0", "architecture": "all", "filename": "pool/main/t/tzdata/tzdata_2025b-0_all.deb", "size": 300, "sha256": "%s"}
    ]
  }
}
""" % ("a" * 64, "b" * 64, "b" * 64)  # fmt: skip


def test_one_package_a_line() -> None:
    assert render(LOCK) == TEXT


@pytest.mark.parametrize(
    "lock",
    [
        LOCK,
        replace(LOCK, extends="c" * 64),
        replace(LOCK, requested=(), architectures=(("amd64", ()),)),
        replace(LOCK, requested=(), architectures=()),
    ],
)
def test_what_is_rendered_is_parsed(lock: DebLock) -> None:
    assert parse_deb_lock(render(lock), "x.lock.json") == lock


def test_packages_of_an_architecture() -> None:
    assert LOCK.packages_for("arm64") == (TZDATA,)


def test_an_architecture_that_is_not_locked() -> None:
    with pytest.raises(LockError) as error:
        LOCK.packages_for("riscv64")
    assert str(error.value) == (
        "no .deb is locked for the architecture 'riscv64'; locked are: amd64, arm64. "
        "Lock it as well, or build for one of those."
    )


def check(
    lock: DebLock = LOCK,
    suites: Sequence[str] = ("bookworm",),
    components: Sequence[str] = ("main",),
    requested: Sequence[str] = ("tzdata", "bash", "bash"),
    extends: Optional[str] = None,
) -> None:
    lock.check_inputs(
        suites=suites,
        components=components,
        requested=requested,
        extends=extends,
        origin="locks/base.lock.json",
        remedy="Run `lock`.",
    )


def test_a_lock_of_the_same_inputs_is_fresh() -> None:
    check()


@pytest.mark.parametrize(
    "suites, components, requested, extends, reason",
    [
        (["bookworm"], ["main"], ["bash", "curl"], None, "its packages changed: 'curl' is new; 'tzdata' is gone"),
        (["trixie"], ["main"], ["bash", "tzdata"], None, "its suites changed: 'trixie' is new; 'bookworm' is gone"),
        (["bookworm"], ["main", "x"], ["bash", "tzdata"], None, "its components changed: 'x' is new"),
        (["bookworm"], ["main"], ["bash", "tzdata"], "d" * 64, "the .deb lock that it extends changed"),
    ],
)
def test_a_stale_lock_names_what_changed_and_the_remedy(
    suites: Sequence[str], components: Sequence[str], requested: Sequence[str], extends: Optional[str], reason: str
) -> None:
    with pytest.raises(LockError) as error:
        check(LOCK, suites, components, requested, extends)
    assert str(error.value) == f"locks/base.lock.json is stale: {reason}. Run `lock`."


def test_the_order_of_suites_is_an_input() -> None:
    with pytest.raises(LockError) as error:
        check(replace(LOCK, suites=("bookworm", "bookworm-updates")), suites=["bookworm-updates", "bookworm"])
    assert str(error.value) == (
        "locks/base.lock.json is stale: its suites changed: their order is another. Run `lock`."
    )


def test_the_digest_of_a_lock_is_that_of_its_text() -> None:
    assert lock_digest("x") == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            '"format": 1',
            '"format": 2',
            "x: 'format' must be 1, but was 2. Make the lock again with this version of imagekit.",
        ),
        ('"format": 1,', "", "x: 'format' is missing; it must be an integer."),
        ('"size": 1492516', '"size": "1"', "x: architectures: amd64[0]: 'size' must be an integer, but was \"1\"."),
        ('"name": "bash"', '"name": "Bash"', "x: architectures: amd64[0]: 'Bash' is not a Debian package name."),
        ("a" * 64, "a", "x: architectures: amd64[0]: 'a' of bash is not a SHA-256 of 64 hexadecimal digits."),
        (
            "pool/main/b/",
            "../",
            "x: architectures: amd64[0]: '../bash/bash_5.2-1_amd64.deb' of bash is not the path of a .deb below a "
            "mirror's root.",
        ),
        (
            '"architecture": "amd64"',
            '"architecture": "arm64"',
            "x: architectures: amd64[0]: bash is for 'arm64', but must be for 'amd64' or 'all'.",
        ),
        (
            '"name": "bash"',
            '"name": "zsh"',
            "x: architectures: amd64[1]: tzdata must come once and in the order of names, but follows zsh.",
        ),
        (
            '"format": 1',
            '"format": 1, "mirror": "y"',
            "x: unknown key 'mirror'. Known keys: architectures, components, extends, format, requested, suites.",
        ),
        (TEXT, "[]", "x must hold a JSON object, but holds list."),
    ],
)  # fmt: skip
def test_a_malformed_lock_says_where(old: str, new: str, message: str) -> None:
    assert TEXT.count(old) >= 1
    with pytest.raises(LockError) as error:
        parse_deb_lock(TEXT.replace(old, new, 1), "x")
    assert str(error.value) == message
