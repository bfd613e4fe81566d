from __future__ import annotations

from typing import Optional, Tuple

import pytest

from imagekit.python.constraints import Constraints, parse_upper_constraints
from imagekit.python.lock import Artifact, LockedPackage, LockError
from imagekit.python.pylock import ResolvedPackage
from imagekit.python.resolved_packages import lock_packages, lock_wheels

WHAT = "the lock of keystone 2025.2"
SETUPTOOLS = LockedPackage("setuptools", "80.9.0", wheels=(Artifact("setuptools-80.9.0-py3-none-any.whl", 1, "0" * 64),))


def artifact(filename: str) -> Artifact:
    return Artifact(filename, 1, "0" * 64)


def package(
    name: str, *wheels: str, marker: Optional[str] = None, sdist: Optional[str] = None, version: str = "1"
) -> ResolvedPackage:
    files = tuple(artifact(f"{name.replace('-', '_')}-{version}-{tag}.whl") for tag in wheels)
    return ResolvedPackage(name, version, marker, files, artifact(sdist) if sdist else None)


def lock(*packages: ResolvedPackage, constraints: str = "") -> Tuple[LockedPackage, ...]:
    return lock_packages(
        packages,
        pythons=("3.11", "3.12"),
        constraints=parse_upper_constraints(constraints, "upper-constraints.txt"),
        what=WHAT,
        lock_build_requires=lambda package: (SETUPTOOLS,),
    )


def test_packages_for_other_systems_are_left_out_and_so_are_markers_that_always_hold() -> None:
    locked = lock(
        package("colorama", "py3-none-any", marker="sys_platform == 'win32'"),
        package("cffi", "py3-none-any", marker="platform_python_implementation != 'PyPy'"),
        package("legacy-cgi", "py3-none-any", marker="python_full_version >= '3.12'"),
    )
    assert [(item.name, item.marker) for item in locked] == [
        ("cffi", None),
        ("legacy-cgi", "python_full_version >= '3.12'"),
    ]


def test_an_sdist_is_kept_only_where_a_wheel_is_missing_and_then_with_what_its_build_needs() -> None:
    pure, partly, never = lock(
        package("pure", "py3-none-any", sdist="pure-1.tar.gz"),
        package("partly", "cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-win_amd64", sdist="partly-1.tar.gz"),
        package("never", sdist="never-1.tar.gz"),
    )
    assert (pure.sdist, pure.build_requires) == (None, ())
    assert partly.sdist == artifact("partly-1.tar.gz")
    assert [wheel.filename for wheel in partly.wheels] == ["partly-1-cp311-cp311-manylinux_2_17_x86_64.whl"]
    assert never.wheels == ()
    assert partly.build_requires == never.build_requires == (SETUPTOOLS,)


def test_a_wheel_that_is_missing_only_where_the_package_is_not_installed_is_not_missed() -> None:
    (locked,) = lock(
        package("x", "cp312-cp312-manylinux_2_17_x86_64", marker="python_version >= '3.12' and platform_machine == 'x86_64'")
    )
    assert locked.sdist is None


def test_the_pins_in_force_are_kept() -> None:
    (locked,) = lock(package("x", "py3-none-any"), constraints="X===1;python_version>='3.10'\nX===0;python_version<'3.10'\n")
    assert locked.constraints == ('x===1 ; python_version >= "3.10"',)


def test_a_package_with_no_file_for_a_machine_is_refused() -> None:
    with pytest.raises(LockError) as refusal:
        lock(package("x", "cp311-cp311-manylinux_2_17_x86_64"))
    assert str(refusal.value) == f"{WHAT}: x 1 has no file for Python 3.11 on aarch64. Require a version that has one."


def test_a_tool_without_a_wheel_is_refused() -> None:
    with pytest.raises(LockError) as refusal:
        lock_wheels([package("x", sdist="x-1.tar.gz")], pythons=("3.9",), constraints=Constraints("", ()), what="the tools")
    assert str(refusal.value) == (
        "the tools: x 1 has no wheel for some Python of 3.9 on some machine. Require a version that has one."
    )
