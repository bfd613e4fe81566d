"""Headers are checked by reading them back with the standard library."""

from __future__ import annotations

import io
import tarfile

import pytest

from imagekit.oci.entry import Entry, EntryKind, FileSlice
from imagekit.oci.tar_format import END, encode_header, padding


def read_back(entry: Entry) -> tarfile.TarInfo:
    content = entry.content if isinstance(entry.content, bytes) else b""
    archive = encode_header(entry, 1735689600) + content + bytes(padding(len(content))) + END
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:", encoding="utf-8") as tar:
        member = tar.next()
    assert member is not None
    return member


@pytest.mark.parametrize(
    "path, header_blocks",
    [
        ("etc", 1),
        ("x" * 100, 1),
        ("d" * 155 + "/" + "x" * 100, 1),
        ("x" * 101, 3),
        ("d" * 156 + "/x", 3),
        ("deep/" * 60 + "x", 3),
        ("etc/ö", 3),
    ],
)
def test_pax_only_where_ustar_has_no_room(path: str, header_blocks: int) -> None:
    entry = Entry(path, EntryKind.FILE, 0o644)
    assert len(encode_header(entry, 0)) == header_blocks * 512
    assert read_back(entry).name == path


def test_directory_of_the_longest_ustar_name() -> None:
    entry = Entry("d" * 155 + "/" + "x" * 99, EntryKind.DIRECTORY, 0o755)
    assert len(encode_header(entry, 0)) == 512
    assert read_back(entry).isdir() and read_back(entry).name == entry.path


def test_all_fields() -> None:
    member = read_back(Entry("usr/bin/sudo", EntryKind.FILE, 0o4755, 3, 4, b"ELF", capability=b"\1\0\0\2\n="))
    assert (member.mode, member.uid, member.gid, member.size, member.mtime) == (0o4755, 3, 4, 3, 1735689600)
    assert (member.uname, member.gname, member.devmajor, member.devminor) == ("", "", 0, 0)
    assert member.pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape") == b"\1\0\0\2\n="
    assert "mtime" not in member.pax_headers


def test_large_numbers() -> None:
    header = encode_header(Entry("x", EntryKind.FILE, 0o644, 1 << 21, 1 << 31, FileSlice(b"", 0, 1 << 33)), 0)
    with tarfile.open(fileobj=io.BytesIO(header), mode="r:") as tar:
        member = tar.next()
    assert member is not None
    assert (member.uid, member.gid, member.size) == (1 << 21, 1 << 31, 1 << 33)


@pytest.mark.parametrize("kind", [EntryKind.SYMLINK, EntryKind.HARDLINK])
@pytest.mark.parametrize("target", ["usr/bin", "t" * 100, "t" * 101, "ö"])
def test_links(kind: EntryKind, target: str) -> None:
    member = read_back(Entry("x", kind, 0o777, link_target=target))
    assert (member.type, member.linkname) == (kind.value, target)
