"""A tar of image paths as the entries of a layer."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from typing import Iterator

from imagekit.errors import ImagekitError
from imagekit.oci.entry import WHITEOUT_PREFIX, Entry, EntryError, EntryKind, FileSlice, Piece
from imagekit.oci.tar_reader import (
    DIRECTORY_TYPE,
    FILE_TYPES,
    HARDLINK_TYPE,
    SYMLINK_TYPE,
    Member,
    TarError,
    TarReader,
)

_KINDS = {
    HARDLINK_TYPE: EntryKind.HARDLINK,
    SYMLINK_TYPE: EntryKind.SYMLINK,
    DIRECTORY_TYPE: EntryKind.DIRECTORY,
    **{file_type: EntryKind.FILE for file_type in FILE_TYPES},
}
_CAPABILITY = "security.capability"


class PieceError(ImagekitError):
    """A tar that is no piece of a layer."""


def tar_piece(path: Path) -> Piece:
    """The piece in an uncompressed tar; the tar must stay as it is until the layer is written.

    Reading its entries raises :class:`PieceError` for a file that is no such tar, for kinds that no layer has (device
    nodes, FIFOs), for whiteouts, and for paths that are not relative to the image's root.
    """
    return Piece(str(path), _entries(path))


def _entries(path: Path) -> Iterator[Entry]:
    try:
        with path.open("rb") as file:
            for member in TarReader(file, str(path), file.seek):
                yield _entry(path, member)
    except TarError as error:
        raise PieceError(f"{error} A piece of a layer is an uncompressed tar of image paths.") from None
    except FileNotFoundError:
        raise PieceError(f"The piece {path} does not exist. Check the path given to --piece.") from None


def _entry(piece: Path, member: Member) -> Entry:
    kind = _KINDS.get(member.type_flag)
    if kind is None:
        raise PieceError(
            f"{piece} holds {member.name!r} as something that no layer has (tar type {member.type_flag.decode()!r}). "
            "Only files, directories, symlinks and hardlinks go into a layer: leave it out."
        )
    name = member.name[:-1] if kind is EntryKind.DIRECTORY and member.name.endswith("/") else member.name
    if posixpath.basename(name).startswith(WHITEOUT_PREFIX):
        raise PieceError(
            f"{piece} holds {name!r}: names that start with '{WHITEOUT_PREFIX}' mean removal in a layer. "
            "Rename the file, or leave it out."
        )
    try:
        return Entry(
            name,
            kind,
            # Linux shows 0777 for every symlink; tar writers write other modes too.
            0o777 if kind is EntryKind.SYMLINK else member.mode,
            member.uid,
            member.gid,
            FileSlice(os.fsencode(piece), member.offset, member.size) if kind is EntryKind.FILE else b"",
            member.link_name if kind in (EntryKind.SYMLINK, EntryKind.HARDLINK) else "",
            dict(member.xattrs).get(_CAPABILITY),
        )
    except EntryError as error:
        raise PieceError(f"{piece}: {error}") from None
