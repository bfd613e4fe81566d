"""A writer of small .debs."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from pathlib import Path
from typing import Callable, Dict, Mapping, Sequence

import pytest

MakeDeb = Callable[..., Path]

COMPRESSIONS: Dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lzma.compress,
}


def tar_of(members: Sequence[tarfile.TarInfo], contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member in members:
            content = contents.get(member.name, b"")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, type_flag: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = type_flag, mode, link
    return info


def ar_of(members: Mapping[str, bytes]) -> bytes:
    archive = b"!<arch>\n"
    for name, content in members.items():
        archive += b"%-16b%-12d%-6d%-6d%-8o%-10d`\n" % (name.encode(), 0, 0, 0, 0o100644, len(content)) + content
        archive += b"\n" * (len(content) % 2)
    return archive


@pytest.fixture
def make_deb(tmp_path: Path) -> MakeDeb:
    """Write a .deb: ``make_deb(name, members=..., contents=..., control=...)`` gives its path."""

    def make(
        name: str,
        *,
        members: Sequence[tarfile.TarInfo] = (),
        contents: Mapping[str, bytes] = {},
        control: str = "",
        scripts: Mapping[str, str] = {},
        ending: str = ".xz",
        directory: Path = tmp_path,
    ) -> Path:
        fields = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y.example>\nDescription: x\n"
        fields += control
        files = {"./control": fields.encode(), **{f"./{key}": text.encode() for key, text in scripts.items()}}
        compress = COMPRESSIONS[ending]
        path = directory / f"{name}.deb"
        path.write_bytes(
            ar_of(
                {
                    "debian-binary": b"2.0\n",
                    f"control.tar{ending}": compress(tar_of([member(file, mode=0o755) for file in files], files)),
                    f"data.tar{ending}": compress(tar_of(members, contents)),
                }
            )
        )
        return path

    return make
