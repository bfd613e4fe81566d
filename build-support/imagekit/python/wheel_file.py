"""Wheels in one form: the same members give the same bytes, whichever backend wrote them and when."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import stat
import zipfile
from pathlib import Path
from typing import List, Tuple

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from imagekit.errors import ImagekitError
from imagekit.oci.atomic_file import temporary_file

_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


class WheelError(ImagekitError):
    """A wheel that is not what it should be."""


def check_wheel_name(wheel: str, name: str, version: str) -> None:
    """Raise :class:`WheelError` unless the filename ``wheel`` is of ``version`` of ``name``."""
    try:
        built_name, built_version, _, _ = parse_wheel_filename(wheel)
    except (InvalidWheelFilename, InvalidVersion) as failure:
        raise WheelError(f"{name} {version} was built as {wheel!r}, which is no wheel's name: {failure}") from None
    if built_name != canonicalize_name(name):
        raise WheelError(f"{name} {version} was built as {wheel}: the source is of {built_name}. Correct the name.")
    if built_version != Version(version):
        raise WheelError(
            f"{name} {version} was built as {wheel}: the source says that it is version {built_version}. Lock the source "
            "again, or take the version out of the patch that changes it."
        )


def canonicalize(wheel: Path, output: Path) -> None:
    """Write the members of ``wheel`` to ``output``: sorted, not compressed, with one time and two modes.

    ``RECORD`` is made again, sorted, and comes last (the wheel specification's recommendation). Not compressed, since
    the bytes of a compressed member are those of the machine's zlib.
    """
    with zipfile.ZipFile(wheel) as archive:
        members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        record = _record_name(wheel.name, tuple(members))
        rows: List[Tuple[str, str, str]] = []
        with temporary_file(output.parent) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as target:
                for name in sorted(members):
                    if name in (record, f"{record}.jws", f"{record}.p7s"):
                        continue
                    content = archive.read(name)
                    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                    rows.append((name, f"sha256={digest}", str(len(content))))
                    executable = bool(members[name].external_attr >> 16 & stat.S_IXUSR)
                    target.writestr(_member(name, executable), content)
                rows.append((record, "", ""))
                target.writestr(_member(record, executable=False), _render_record(rows))
            os.replace(file.name, output)


def write_metadata_wheel(folder: Path, name: str, version: str, metadata: str) -> Path:
    """A wheel that holds nothing but ``metadata``: all that a resolver wants to know of a source tree."""
    stem = f"{canonicalize_name(name).replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    wheel = "Wheel-Version: 1.0\nGenerator: imagekit\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", metadata)
        archive.writestr(f"{stem}.dist-info/WHEEL", wheel)
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    return path


def _record_name(wheel: str, names: Tuple[str, ...]) -> str:
    records = [name for name in names if name.count("/") == 1 and name.endswith(".dist-info/RECORD")]
    if len(records) != 1:
        raise WheelError(f"{wheel} has {len(records)} RECORD files instead of one. Its build backend is broken.")
    return records[0]


def _member(name: str, executable: bool) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = _UNIX
    info.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
    return info


def _render_record(rows: List[Tuple[str, str, str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
