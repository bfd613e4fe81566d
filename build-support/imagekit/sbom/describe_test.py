from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from imagekit.sbom.describe import describe_wheel
from imagekit.sbom.descriptions import DescriptionError, parse_wheels, render_wheels

METADATA = "Name: Nova.Things\nVersion: 1.0\nSummary: Things\nRequires-Dist: pbr>=2\n"


def wheel(folder: Path, *members: str) -> Path:
    path = folder / "nova_things-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nova_things-1.0.dist-info/METADATA", METADATA)
        for member in members:
            archive.writestr(member, "")
    return path


def test_what_is_not_installed_is_recorded_by_folder(tmp_path: Path) -> None:
    path = wheel(
        tmp_path,
        "nova/__init__.py",
        "nova/tests/",
        "nova/tests/unit/test_a.py",
        "nova/tests/unit/test_b.py",
        "nova/api/tests/kept.py",
        "nova_things-1.0.data/headers/nova.h",
    )
    assert describe_wheel(path).left_out == ("nova_things-1.0.data/headers/ (1 file)",)
    assert describe_wheel(path, exclude_tests=True).left_out == (
        "nova/tests/ (2 files)",
        "nova_things-1.0.data/headers/ (1 file)",
    )


def test_descriptions_survive_being_written(tmp_path: Path) -> None:
    described = describe_wheel(wheel(tmp_path, "nova/tests/test_a.py"), exclude_tests=True)
    assert described.name == "nova-things"
    assert described.requires == ("pbr>=2",)
    assert parse_wheels(render_wheels([described]), "wheels.json") == (described,)


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"")
    with pytest.raises(DescriptionError) as error:
        describe_wheel(tmp_path / "a.whl")
    assert str(error.value) == "a.whl is no wheel: File is not a zip file. Fetch it again."
