"""Read a tar as a stream, and refuse one that is not whole.

Knows ustar, pax and the GNU forms that image tools write (POSIX.1-2017, pax; GNU tar manual, "Basic Tar Format"). The
standard library takes a broken header or a missing end for the end of the archive; for what becomes an image's root
file system that would be a silent loss.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, Dict, Iterator, Optional, Protocol, Tuple

from imagekit.errors import ImagekitError
from imagekit.oci.tar_format import BLOCK, padding

_READ_SIZE = 1 << 20
#: Reading what is nearer is faster than a system call.
_MIN_SEEK = 1 << 14
#: Names and extended attributes are small; anything larger is an attack on memory.
_MAX_EXTENSION = 1 << 20
#: What the kernel takes as a size or a time.
_MAX_DIGITS = 18
_MAX_BITS = 62
_XATTR_PREFIX = b"SCHILY.xattr."

FILE_TYPES = (b"0", b"\0", b"7")
HARDLINK_TYPE = b"1"
SYMLINK_TYPE = b"2"
DIRECTORY_TYPE = b"5"
_PAX_TYPE = b"x"
_PAX_GLOBAL_TYPE = b"g"
_GNU_LONG_NAME_TYPE = b"L"
_GNU_LONG_LINK_TYPE = b"K"
#: Kinds that have no content, whatever their size field says.
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")


class TarError(ImagekitError):
    """A tar that is broken, breaks off, or uses a form that is not known."""


@dataclass(frozen=True)
class Member:
    """One entry as the tar has it: ``name`` is not checked, ``offset`` is where its content starts."""

    name: str
    type_flag: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link_name: str
    xattrs: Tuple[Tuple[str, bytes], ...]
    offset: int


class Readable(Protocol):
    """A source of bytes whose ``read`` gives fewer than asked for only at the end."""

    def read(self, size: int) -> bytes: ...


class TarReader:
    """Iterate over the members of the tar in ``stream``; ``origin`` is what errors call it.

    ``seek``, the method of a file, lets large contents be passed over without reading them.

    The content of the member that came last may be read with :meth:`content`; what is left of it is skipped. Raises
    :class:`TarError` on the way, also when the tar has no end mark.
    """

    def __init__(self, stream: Readable, origin: str, seek: Optional[Callable[[int, int], int]] = None) -> None:
        self._stream = stream
        self._origin = origin
        self._seek = seek
        self._position = 0
        self._content_end = 0
        self._content_left = 0

    def __iter__(self) -> Iterator[Member]:
        extension: Dict[bytes, bytes] = {}
        everywhere: Dict[bytes, bytes] = {}
        while True:
            self._skip(self._content_left + padding(self._content_end))
            self._content_left = self._content_end = 0
            header = self._read(BLOCK)
            if header == bytes(BLOCK):
                self._end()
                return
            type_flag = self._check(header)
            size = self._number(header[124:136], "size")
            if type_flag == _PAX_TYPE:
                extension.update(self._pax_records(size))
            elif type_flag == _PAX_GLOBAL_TYPE:
                everywhere.update(self._pax_records(size))
            elif type_flag == _GNU_LONG_NAME_TYPE:
                extension[b"path"] = self._extension(size).rstrip(b"\0")
            elif type_flag == _GNU_LONG_LINK_TYPE:
                extension[b"linkpath"] = self._extension(size).rstrip(b"\0")
            else:
                member = self._member(header, type_flag, {**everywhere, **extension})
                extension = {}
                self._content_left = self._content_end = member.size
                yield member

    def content(self) -> Iterator[bytes]:
        """The content of the member that came last, in blocks."""
        while self._content_left:
            block = self._read(min(self._content_left, _READ_SIZE))
            self._content_left -= len(block)
            yield block

    def _end(self) -> None:
        if self._stream.read(BLOCK) != bytes(BLOCK):
            raise TarError(f"{self._origin} is no whole tar: it has no end mark. Make it again.")

    def _member(self, header: bytes, type_flag: bytes, extension: Dict[bytes, bytes]) -> Member:
        if any(key.startswith(b"GNU.sparse.") for key in extension) or type_flag == b"S":
            raise TarError(f"{self._origin} holds a sparse file, which no layer may hold. Write the tar without them.")
        name = header[0:100].split(b"\0", 1)[0]
        # GNU tar keeps other things where ustar has the prefix.
        if header[257:263] == b"ustar\0":
            prefix = header[345:500].split(b"\0", 1)[0]
            name = prefix + b"/" + name if prefix else name
        size = self._decimal(extension, b"size", self._number(header[124:136], "size"))
        return Member(
            _text(extension.get(b"path", name)),
            type_flag,
            self._number(header[100:108], "mode") & 0o7777,
            self._decimal(extension, b"uid", self._number(header[108:116], "uid")),
            self._decimal(extension, b"gid", self._number(header[116:124], "gid")),
            0 if type_flag in _WITHOUT_CONTENT else size,
            self._number(header[136:148], "mtime"),
            _text(extension.get(b"linkpath", header[157:257].split(b"\0", 1)[0])),
            tuple(
                (_text(key[len(_XATTR_PREFIX) :]), value)
                for key, value in sorted(extension.items())
                if key.startswith(_XATTR_PREFIX)
            ),
            self._position,
        )

    def _check(self, header: bytes) -> bytes:
        stored = self._number(header[148:156], "checksum")
        if stored != sum(header) - sum(header[148:156]) + 8 * 32:
            raise TarError(
                f"{self._origin} is no tar, or damaged: bad header at byte {self._position - BLOCK}. Make it again."
            )
        return header[156:157]

    def _number(self, field: bytes, name: str) -> int:
        try:
            # GNU tar writes what octal digits cannot hold as a binary number after a byte 0x80.
            if field[0] == 0x80:
                number = int.from_bytes(field[1:], "big")
                if number >> _MAX_BITS:
                    raise ValueError
                return number
            return int(field.split(b"\0", 1)[0].strip() or b"0", 8)
        except ValueError:
            raise TarError(
                f"{self._origin} is no tar, or damaged: the {name} in the header at byte {self._position - BLOCK} is "
                f"{field!r}. Make it again."
            ) from None

    def _decimal(self, extension: Dict[bytes, bytes], key: bytes, otherwise: int) -> int:
        text = extension.get(key)
        if text is None:
            return otherwise
        if not text.isdigit() or len(text) > _MAX_DIGITS:
            raise TarError(f"{self._origin} is damaged: a pax header says {key.decode()}={text!r}. Make it again.")
        return int(text)

    def _pax_records(self, size: int) -> Iterator[Tuple[bytes, bytes]]:
        body = self._extension(size)
        while body:
            digits, space, _ = body.partition(b" ")
            length = int(digits) if space and digits.isdigit() and len(digits) < 8 else 0
            keyword, equals, value = body[len(digits) + 1 : length - 1].partition(b"=")
            if length > len(body) or body[length - 1 : length] != b"\n" or not equals:
                raise TarError(
                    f"{self._origin} is damaged: bad pax header before byte {self._position}. Make it again."
                )
            yield keyword, value
            body = body[length:]

    def _extension(self, size: int) -> bytes:
        if size > _MAX_EXTENSION:
            raise TarError(
                f"{self._origin} has an extended header of {size} bytes at byte {self._position}; more than "
                f"{_MAX_EXTENSION} are refused. Make the tar without such names or attributes."
            )
        body = self._read(size)
        self._skip(padding(size))
        return body

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) != size:
            end = self._position + len(data) if self._seek is None else self._seek(0, os.SEEK_END)
            raise TarError(f"{self._origin} is no whole tar: it breaks off after {end} bytes. Make it again.")
        self._position += size
        return data

    def _skip(self, size: int) -> None:
        if self._seek is not None and size > _MIN_SEEK:
            # One byte less, so that a file that is too short is noticed here.
            self._seek(size - 1, os.SEEK_CUR)
            self._position += size - 1
            size = 1
        while size:
            size -= len(self._read(min(size, _READ_SIZE)))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
