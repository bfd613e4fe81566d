"""Pieces of an image: uncompressed tars of image paths, made of values rather than of a directory's accidents."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, FrozenSet, Iterable, Iterator, Optional

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.errors import ImagekitError
from imagekit.oci.atomic_file import temporary_file, write_all
from imagekit.oci.entry import Entry, EntryKind, FileSlice
from imagekit.oci.tar_format import END, encode_header, padding
from imagekit.oci.tree import tree_entries

_BLOCK = 1 << 20


class FilesError(ImagekitError):
    """Files that cannot become a piece."""


def write_piece(entries: Iterable[Entry], output: Path) -> None:
    """Write ``entries``, sorted by path, to the tar ``output``; it appears whole or not at all."""
    with temporary_file(output.parent) as file:
        for entry in sorted(entries, key=lambda entry: entry.path.encode("utf-8")):
            write_all(file, encode_header(entry, SOURCE_DATE_EPOCH))
            _write_content(entry, file)
            write_all(file, bytes(padding(entry.size)))
        write_all(file, END)
        os.replace(file.name, output)


def root_owned(root: Path) -> Iterator[Entry]:
    """What lies below ``root``, as an image has it: root:root, 0755 for directories and executables, else 0644."""
    for entry in tree_entries(root):
        if entry.kind is EntryKind.DIRECTORY:
            yield replace(entry, mode=0o755, uid=0, gid=0)
        elif entry.kind is EntryKind.FILE:
            mode = 0o755 if entry.mode & stat.S_IXUSR else 0o644
            yield replace(entry, mode=mode, uid=0, gid=0, capability=None)
        elif entry.kind is EntryKind.HARDLINK:
            # A build sandbox may have linked equal files to each other: in an image they are files of their own.
            path = root / entry.path
            yield from _unlinked(path, entry)
        else:
            yield replace(entry, uid=0, gid=0)


def write_files_piece(root: Path, output: Path, executables: Optional[FrozenSet[str]] = None) -> None:
    """The piece that holds the files below ``root`` at the same paths in the image, without their directories.

    ``executables`` are the paths below ``root`` of the files with mode 0755; where it is ``None``, their modes say. A
    sandbox that links large files read-only shows all of them as executable, so a build must say which ones are.

    Directories are left to the layer, so that ``etc/keystone/keystone.conf`` does not decide the mode of ``/etc``.
    Raises :class:`FilesError` when there is nothing below ``root``, or an empty directory, which no Git tree keeps.
    """
    if not root.is_dir():
        raise FilesError(f"{root} is not a directory. Name the directory whose files go into the image.")
    entries = tuple(_with_mode(entry, executables) for entry in root_owned(root))
    parents = {str(parent) for entry in entries for parent in Path(entry.path).parents}
    files = tuple(entry for entry in entries if entry.kind is not EntryKind.DIRECTORY)
    empty = [entry for entry in entries if entry.kind is EntryKind.DIRECTORY and entry.path not in parents]
    if not files:
        raise FilesError(f"{root} holds no files. Add one, or leave the files out of the image.")
    write_piece((*files, *empty), output)


def _with_mode(entry: Entry, executables: Optional[FrozenSet[str]]) -> Entry:
    if executables is None or entry.kind is not EntryKind.FILE:
        return entry
    return replace(entry, mode=0o755 if entry.path in executables else 0o644)


def _unlinked(path: Path, entry: Entry) -> Iterator[Entry]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        yield Entry(entry.path, EntryKind.SYMLINK, 0o777, link_target=os.readlink(path))
    else:
        mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        yield Entry(entry.path, EntryKind.FILE, mode, content=FileSlice(os.fsencode(path), 0, status.st_size))


def _write_content(entry: Entry, file: BinaryIO) -> None:
    if isinstance(entry.content, bytes):
        write_all(file, entry.content)
        return
    rest = entry.content.size
    with open(entry.content.path, "rb") as source:
        source.seek(entry.content.offset)
        while rest:
            block = source.read(min(_BLOCK, rest))
            if not block:
                raise FilesError(f"{os.fsdecode(entry.content.path)} became shorter while it was read. Run the step again.")
            write_all(file, block)
            rest -= len(block)
