from __future__ import annotations

import stat
import zipfile
from pathlib import Path
from typing import Optional, Sequence, Tuple

import pytest

from imagekit.python.wheel_file import WheelError, canonicalize, check_wheel_name, write_metadata_wheel

MEMBERS = (
    ("x/__init__.py", "import os\n", 0o644),
    ("x-1.data/scripts/run", "#!python\n", 0o755),
    ("x-1.dist-info/METADATA", "Name: x\n", 0o644),
    ("x-1.dist-info/RECORD", "x/__init__.py,sha256=wrong,1\n", 0o664),
)


def wheel(path: Path, members: Sequence[Tuple[str, str, int]], time: Tuple[int, int, int, int, int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text, mode in members:
            info = zipfile.ZipInfo(name, time)
            info.external_attr = (stat.S_IFREG | mode) << 16
            archive.writestr(info, text)
    return path


def test_order_times_modes_and_compression_do_not_matter(tmp_path: Path) -> None:
    one = wheel(tmp_path / "1/x-1-py3-none-any.whl", MEMBERS, (2024, 1, 1, 0, 0, 0))
    other = tuple((name, text, mode | 0o020) for name, text, mode in MEMBERS[::-1])
    two = wheel(tmp_path / "2/x-1-py3-none-any.whl", other, (2025, 2, 2, 2, 2, 2))
    canonicalize(one, tmp_path / "1.whl")
    canonicalize(two, tmp_path / "2.whl")
    assert (tmp_path / "1.whl").read_bytes() == (tmp_path / "2.whl").read_bytes()


def test_members_are_sorted_and_the_record_is_made_again_and_comes_last(tmp_path: Path) -> None:
    canonicalize(wheel(tmp_path / "x-1-py3-none-any.whl", MEMBERS, (2024, 1, 1, 0, 0, 0)), tmp_path / "out.whl")
    with zipfile.ZipFile(tmp_path / "out.whl") as archive:
        assert [(info.filename, oct(info.external_attr >> 16 & 0o777)) for info in archive.infolist()] == [
            ("x-1.data/scripts/run", "0o755"),
            ("x-1.dist-info/METADATA", "0o644"),
            ("x/__init__.py", "0o644"),
            ("x-1.dist-info/RECORD", "0o644"),
        ]
        assert archive.read("x-1.dist-info/RECORD").decode() == (
            "x-1.data/scripts/run,sha256=NKJyCC0fONcaYytG9mysca37TZf8wBDISvRNAW-78pQ,9\n"
            "x-1.dist-info/METADATA,sha256=y2WPk-xXj3pXkBFkxscp5NaLBHaEboBQqmMCh-w0TaA,8\n"
            "x/__init__.py,sha256=Nyet_1JOBhYCLq3Y9K8hoHeLKfxMd73-_Rr84sv15Lc,10\n"
            "x-1.dist-info/RECORD,,\n"
        )


@pytest.mark.parametrize("count, members", [(0, MEMBERS[:3]), (2, (*MEMBERS, ("y-1.dist-info/RECORD", "", 0o644)))])
def test_a_wheel_without_exactly_one_record_is_refused(
    tmp_path: Path, count: int, members: Sequence[Tuple[str, str, int]]
) -> None:
    built = wheel(tmp_path / "x-1-py3-none-any.whl", members, (2024, 1, 1, 0, 0, 0))
    with pytest.raises(WheelError) as refusal:
        canonicalize(built, tmp_path / "out.whl")
    assert str(refusal.value) == (
        f"x-1-py3-none-any.whl has {count} RECORD files instead of one. Its build backend is broken."
    )
    assert not (tmp_path / "out.whl").exists()


@pytest.mark.parametrize(
    "built, message",
    [
        ("python_ldap-3.4.4-cp311-cp311-linux_x86_64.whl", None),
        (
            "python_ldap-0.0.0-cp311-cp311-linux_x86_64.whl",
            "python-ldap 3.4.4 was built as python_ldap-0.0.0-cp311-cp311-linux_x86_64.whl: the source says that it is "
            "version 0.0.0. Lock the source again, or take the version out of the patch that changes it.",
        ),
        (
            "ldap-3.4.4-py3-none-any.whl",
            "python-ldap 3.4.4 was built as ldap-3.4.4-py3-none-any.whl: the source is of ldap. Correct the name.",
        ),
        (
            "ldap.whl",
            "python-ldap 3.4.4 was built as 'ldap.whl', which is no wheel's name: "
            "Invalid wheel filename (wrong number of parts): ",
        ),
    ],
)
def test_a_wheel_of_another_name_or_version_is_refused(built: str, message: Optional[str]) -> None:
    if message is None:
        check_wheel_name(built, "python-ldap", "3.4.4")
        return
    with pytest.raises(WheelError) as refusal:
        check_wheel_name(built, "python-ldap", "3.4.4")
    assert str(refusal.value).startswith(message)


def test_a_metadata_wheel_has_all_that_a_resolver_reads(tmp_path: Path) -> None:
    path = write_metadata_wheel(tmp_path, "oslo.messaging", "17.1.0", "Name: oslo.messaging\n")
    assert path.name == "oslo_messaging-17.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path) as archive:
        assert archive.read("oslo_messaging-17.1.0.dist-info/METADATA") == b"Name: oslo.messaging\n"
        assert "oslo_messaging-17.1.0.dist-info/WHEEL" in archive.namelist()
