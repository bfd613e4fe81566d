"""Read .deb files (deb(5)): an ``ar`` archive of a control tar and a data tar."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Iterator, Tuple, cast

from imagekit.debian.control import ControlError, Stanza, parse_stanzas
from imagekit.errors import ImagekitError

_MAGIC = b"!<arch>\n"
_HEADER = 60


class ArchiveError(ImagekitError):
    """A file that is not a .deb that can be read."""


def read_control(deb: Path) -> Stanza:
    """The control stanza of a .deb; raises ArchiveError."""
    with open_member(deb, "control.tar") as tar:
        for member in tar:
            if member.name.lstrip("./") == "control":
                file = tar.extractfile(member)
                assert file is not None
                try:
                    return next(parse_stanzas(file.read().decode("utf-8", "replace")))
                except (ControlError, StopIteration) as error:
                    raise ArchiveError(f"{deb}: its control file cannot be read: {error}") from None
    raise ArchiveError(f"{deb} has no control file. Fetch it again.")


@contextmanager
def open_member(deb: Path, member: str) -> Iterator[tarfile.TarFile]:
    """The tar that a .deb holds as ``control.tar`` or ``data.tar``, to be read front to back.

    Raises ArchiveError for what is not a .deb, is truncated, or is compressed in an unknown way.
    """
    try:
        with deb.open("rb") as file:
            name, size = _find(deb, file, member)
            with _decompressor(deb, name[len(member) :], cast(BinaryIO, _Slice(file, size))) as stream:
                with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as tar:
                    yield tar
    except (tarfile.TarError, EOFError, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise ArchiveError(f"{deb}: its {member} is damaged: {error}. Fetch it again.") from None


def _find(deb: Path, file: BinaryIO, member: str) -> Tuple[str, int]:
    """Seek to a member; returns its name with the ending, and its size."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ArchiveError(f"{deb} is not a .deb: it is no ar archive.")
    while True:
        header = file.read(_HEADER)
        if len(header) < _HEADER or header[58:60] != b"`\n":
            raise ArchiveError(f"{deb} is not a .deb: it has no member {member}.")
        name = header[:16].decode("ascii", "replace").rstrip(" /")
        size = int(header[48:58])
        if name == member or name.startswith(f"{member}."):
            return name, size
        file.seek(size + size % 2, 1)


class _Slice(io.RawIOBase):
    """The next ``size`` bytes of a file as a file of their own."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


def _decompressor(deb: Path, ending: str, stream: BinaryIO) -> IO[bytes]:
    if ending in (".xz", ".lzma"):
        return lzma.open(stream)
    if ending == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
    if ending == ".bz2":
        return bz2.open(stream)
    if ending == ".zst":
        # Not in the standard library, and Debian's own .debs do not need it.
        import zstandard

        return cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(stream))
    if ending == "":
        return cast(IO[bytes], stream)
    raise ArchiveError(
        f"{deb} is compressed as {ending!r}, which is unknown; known are .xz, .zst, .gz, .bz2 and .lzma."
    )
