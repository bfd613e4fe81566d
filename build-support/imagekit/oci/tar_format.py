"""The bytes of a tar header: ustar, with a pax extended header only where ustar has no room.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header". Written here rather than with a tar
library because these bytes decide the diff_id of a layer: they must not move when the Python that runs the build does.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from imagekit.oci.entry import Entry, EntryKind

BLOCK = 512
#: Two blocks of zeros end an archive; no further padding.
END = bytes(2 * BLOCK)

_MAX_OCTAL_7 = 0o7777777
_MAX_OCTAL_11 = 0o77777777777


def padding(size: int) -> int:
    """Bytes of zeros after ``size`` bytes of content."""
    return -size % BLOCK


def encode_header(entry: Entry, mtime: int) -> bytes:
    """The header blocks of an entry, preceded by a pax header where needed; ``mtime`` in seconds since the epoch."""
    path = (entry.path + "/" if entry.kind is EntryKind.DIRECTORY else entry.path).encode("utf-8")
    link = entry.link_target.encode("utf-8")
    size = entry.size
    records: List[Tuple[str, bytes]] = []
    name_and_prefix = _split(path)
    if name_and_prefix is None:
        records.append(("path", path))
        name_and_prefix = _ascii(path)[:100], b""
    if len(link) > 100 or not link.isascii():
        records.append(("linkpath", link))
        link = _ascii(link)[:100]
    if size > _MAX_OCTAL_11:
        records.append(("size", b"%d" % size))
    if entry.uid > _MAX_OCTAL_7:
        records.append(("uid", b"%d" % entry.uid))
    if entry.gid > _MAX_OCTAL_7:
        records.append(("gid", b"%d" % entry.gid))
    if entry.capability is not None:
        records.append(("SCHILY.xattr.security.capability", entry.capability))
    header = _ustar(
        name_and_prefix,
        entry.mode & 0o7777,
        entry.uid if entry.uid <= _MAX_OCTAL_7 else 0,
        entry.gid if entry.gid <= _MAX_OCTAL_7 else 0,
        size if size <= _MAX_OCTAL_11 else 0,
        mtime,
        entry.kind.value,
        link,
    )
    if not records:
        return header
    body = b"".join(_record(keyword, value) for keyword, value in records)
    return (
        _ustar((b"PaxHeaders/entry", b""), 0o644, 0, 0, len(body), mtime, b"x", b"")
        + body
        + bytes(padding(len(body)))
        + header
    )


def _ustar(
    name_and_prefix: Tuple[bytes, bytes],
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    type_flag: bytes,
    link: bytes,
) -> bytes:
    name, prefix = name_and_prefix
    header = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%bustar\x0000%b0000000\x000000000\0%b" % (
        name.ljust(100, b"\0"),
        mode,
        uid,
        gid,
        size,
        mtime,
        type_flag,
        link.ljust(100, b"\0"),
        bytes(64),
        prefix.ljust(167, b"\0"),
    )
    # The checksum counts its own field as the eight spaces that it replaces.
    return b"%b%06o\0 %b" % (header[:148], sum(header), header[156:])


def _split(path: bytes) -> Optional[Tuple[bytes, bytes]]:
    """``path`` as the name and prefix fields, or ``None`` when they cannot hold it."""
    if not path.isascii():
        return None
    if len(path) <= 100:
        return path, b""
    # A directory's trailing slash stays in the name: an empty name would be no entry.
    slash = path.rfind(b"/", 0, min(156, len(path) - 1))
    if slash <= 0 or len(path) - slash - 1 > 100:
        return None
    return path[slash + 1 :], path[:slash]


def _ascii(text: bytes) -> bytes:
    return bytes(byte if byte < 128 else 0x3F for byte in text)


def _record(keyword: str, value: bytes) -> bytes:
    """``<length> <keyword>=<value>\\n``, where the length counts its own digits."""
    rest = b" %b=%b\n" % (keyword.encode("ascii"), value)
    length = len(rest) + 1
    while length != len(rest) + len(b"%d" % length):
        length = len(rest) + len(b"%d" % length)
    return b"%d%b" % (length, rest)
