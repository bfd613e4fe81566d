"""A tar of image paths as the entries of a layer."""

from __future__ import annotations

import os
import posixpath
import tarfile
from pathlib import Path
from typing import Iterator

from imagekit.errors import ImagekitError
from imagekit.oci.entry import WHITEOUT_PREFIX, Entry, EntryError, EntryKind, FileSlice, Piece, check_image_path

_KINDS = {
    tarfile.REGTYPE: EntryKind.FILE,
    tarfile.AREGTYPE: EntryKind.FILE,
    tarfile.CONTTYPE: EntryKind.FILE,
    tarfile.LNKTYPE: EntryKind.HARDLINK,
    tarfile.SYMTYPE: EntryKind.SYMLINK,
    tarfile.DIRTYPE: EntryKind.DIRECTORY,
}
_CAPABILITY = "SCHILY.xattr.security.capability"


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
        with tarfile.open(path, "r:", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                yield _entry(path, member)
            _check_end(path, tar)
    except (tarfile.TarError, EOFError) as error:
        raise PieceError(
            f"{path} is no piece of a layer: {error}. A piece is an uncompressed tar of image paths; make it again."
        ) from None
    except FileNotFoundError:
        raise PieceError(f"The piece {path} does not exist. Check the path given to --piece.") from None


def _check_end(path: Path, tar: tarfile.TarFile) -> None:
    # The tar library takes an archive that breaks off between two members for a whole one.
    with path.open("rb") as file:
        file.seek(tar.offset)
        end = file.read(2 * tarfile.BLOCKSIZE)
    if end != bytes(2 * tarfile.BLOCKSIZE):
        raise PieceError(f"{path} is no whole tar: it breaks off after {tar.offset} bytes. Make it again.")


def _entry(piece: Path, member: tarfile.TarInfo) -> Entry:
    kind = _KINDS.get(member.type)
    if kind is None or member.sparse is not None:
        raise PieceError(
            f"{piece} holds {member.name!r} as something that no layer has (tar type {member.type.decode()!r}). "
            "Only files, directories, symlinks and hardlinks go into a layer: leave it out."
        )
    if posixpath.basename(member.name).startswith(WHITEOUT_PREFIX):
        raise PieceError(
            f"{piece} holds {member.name!r}: names that start with '{WHITEOUT_PREFIX}' mean removal in a layer. "
            "Rename the file, or leave it out."
        )
    try:
        if kind is EntryKind.HARDLINK:
            check_image_path(member.linkname)
        capability = member.pax_headers.get(_CAPABILITY)
        return Entry(
            member.name,
            kind,
            0o777 if kind is EntryKind.SYMLINK else member.mode,
            member.uid,
            member.gid,
            FileSlice(os.fsencode(piece), member.offset_data, member.size) if kind is EntryKind.FILE else b"",
            member.linkname if kind in (EntryKind.SYMLINK, EntryKind.HARDLINK) else "",
            None if capability is None else capability.encode("utf-8", "surrogateescape"),
        )
    except EntryError as error:
        raise PieceError(f"{piece}: {error}") from None
