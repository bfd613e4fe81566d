from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from imagekit.python.backend import BuildError, SourceTree, parse_metadata
from imagekit.python.wheel_build import LockedRequires, check_requires, wheel_metadata

TREE = SourceTree("keystone", "28.0.0", Path("source.tar"))
METADATA = parse_metadata(
    "Name: keystone\nVersion: 28.0.0\nRequires-Dist: pbr>=2\nRequires-Dist: flask\nRequires-Dist: hacking; extra == 'test'\n"
)


def test_a_wheel_that_requires_what_its_lock_was_made_for_is_accepted() -> None:
    check_requires(TREE, METADATA, LockedRequires(("flask", "pbr>=2"), ("ldap",), "Lock again."), "3.11")


def test_a_patch_that_adds_a_requirement_makes_the_lock_stale() -> None:
    with pytest.raises(BuildError) as refusal:
        check_requires(TREE, METADATA, LockedRequires(("pbr>=2", "routes"), ("ldap",), "Lock again."), "3.11")
    assert str(refusal.value) == (
        "the lock was made for other requirements of keystone 28.0.0 than its patched source has: 'flask' was added. "
        "Lock again."
    )


def test_markers_count_for_what_they_say_of_this_python() -> None:
    metadata = parse_metadata(
        "Name: neutron\nVersion: 27.0.1\nRequires-Dist: pyroute2>=0.7.3; (sys_platform!='win32')\n"
        "Requires-Dist: pywin32; sys_platform=='win32'\nRequires-Dist: python-ldap; extra=='ldap'\n"
    )
    locked = LockedRequires(("pyroute2>=0.7.3", 'python-ldap; extra == "ldap"'), ("ldap",), "Lock again.")
    check_requires(TREE, metadata, locked, "3.11")
    without = LockedRequires(('python-ldap; extra == "ldap"',), ("ldap",), "Lock again.")
    with pytest.raises(BuildError, match="'pyroute2>=0.7.3' was added. Lock again.$"):
        check_requires(TREE, metadata, without, "3.11")


def test_the_metadata_of_a_wheel_is_its_own_and_not_that_of_a_vendored_one(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/_vendor/y-2.dist-info/METADATA", "Name: y\nVersion: 2\n")
        archive.writestr("x-1.dist-info/METADATA", "Name: x\nVersion: 1\n")
    assert wheel_metadata(path).name == "x"
