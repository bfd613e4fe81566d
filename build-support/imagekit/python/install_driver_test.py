from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from imagekit.python.install_driver import RuntimeFiles, WithoutTests, schemes

RECORD = "x/__init__.py,,\nx/tests/__init__.py,,\nx/common/tests/data.py,,\ntests/__init__.py,,\nx-1.dist-info/RECORD,,\n"


def test_unit_tests_of_a_distribution_are_left_out_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("x/__init__.py", "x/tests/__init__.py", "x/common/tests/data.py", "tests/__init__.py"):
            archive.writestr(name, "")
        archive.writestr("x-1.dist-info/RECORD", RECORD)
    with WithoutTests.open(path) as wheel:
        names = [element[0][0] for element in wheel.get_contents()]
    assert names == ["x/__init__.py", "x/common/tests/data.py", "tests/__init__.py", "x-1.dist-info/RECORD"]


def test_scripts_are_executable_whatever_the_wheel_says_and_headers_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    names = ["x.py", "x-1.data/scripts/run", "x-1.data/data/etc/x.conf", "x-1.data/headers/x.h"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
        archive.writestr("x-1.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    with RuntimeFiles.open(path) as wheel:
        contents = {record[0]: executable for record, _, executable in wheel.get_contents()}
    assert contents == {
        "x.py": False,
        "x-1.data/scripts/run": True,
        "x-1.data/data/etc/x.conf": False,
        "x-1.dist-info/RECORD": False,
    }


def test_everything_goes_below_the_virtual_environment() -> None:
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    assert schemes("/var/lib/openstack", "greenlet") == {
        "purelib": f"/var/lib/openstack/lib/{python}/site-packages",
        "platlib": f"/var/lib/openstack/lib/{python}/site-packages",
        "scripts": "/var/lib/openstack/bin",
        "data": "/var/lib/openstack",
        "headers": f"/var/lib/openstack/include/site/{python}/greenlet",
    }
