from __future__ import annotations

import pytest

from imagekit.python.python_version import TargetError
from imagekit.python.target import TargetPython, best_wheel

BOOKWORM = TargetPython("3.11", (2, 36), "x86_64")


def test_platforms_are_those_of_pep_600_with_their_older_names() -> None:
    platforms = [tag.platform for tag in BOOKWORM.tags() if tag.abi == "cp311"]
    assert platforms[0] == "manylinux_2_36_x86_64"
    assert platforms[platforms.index("manylinux_2_17_x86_64") + 1] == "manylinux2014_x86_64"
    assert platforms[-2:] == ["manylinux1_x86_64", "linux_x86_64"]
    arm = [tag.platform for tag in TargetPython("3.11", (2, 36), "aarch64").tags() if tag.abi == "cp311"]
    assert arm[-3:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"]


def test_a_wheel_for_the_interpreter_is_better_than_abi3_is_better_than_pure() -> None:
    pure, abi3, exact = (
        "x-1-py2.py3-none-any.whl",
        "x-1-cp39-abi3-manylinux2014_x86_64.whl",
        "x-1-cp311-cp311-manylinux2014_x86_64.whl",
    )
    assert best_wheel([pure, abi3, exact], BOOKWORM) == exact
    assert best_wheel([pure, abi3], BOOKWORM) == abi3
    assert best_wheel([abi3, pure], TargetPython("3.11", (2, 36), "aarch64")) == pure
    assert best_wheel(["x-1-cp312-cp312-manylinux2014_x86_64.whl", "nonsense.whl"], BOOKWORM) is None


def test_of_equal_tags_the_higher_build_number_wins() -> None:
    wheels = ["x-1-2-py3-none-any.whl", "x-1-10-py3-none-any.whl", "x-1-py3-none-any.whl"]
    assert best_wheel(wheels, BOOKWORM) == "x-1-10-py3-none-any.whl"


@pytest.mark.parametrize(
    "marker, holds",
    [
        (None, True),
        ("python_version >= '3.10'", True),
        ("python_version < '3.9'", False),
        ("sys_platform == 'win32'", False),
        ("platform_machine == 'x86_64'", True),
        ("platform_python_implementation != 'PyPy'", True),
        ("extra == 'ldap'", False),
    ],
)
def test_markers_are_evaluated_for_the_target(marker: str, holds: bool) -> None:
    assert BOOKWORM.fits(marker) is holds


@pytest.mark.parametrize(
    "version, machine, message",
    [
        ("3", "x86_64", "'3' is not a Python version of the form 3.N, such as 3.11"),
        ("3.11.2", "x86_64", "'3.11.2' is not a Python version of the form 3.N, such as 3.11"),
        ("3.11", "amd64", "'amd64' is not a machine that images are built for: x86_64, aarch64"),
    ],
)
def test_a_target_that_no_image_can_have_is_refused(version: str, machine: str, message: str) -> None:
    with pytest.raises(TargetError) as refusal:
        TargetPython(version, (2, 36), machine)
    assert str(refusal.value) == message
