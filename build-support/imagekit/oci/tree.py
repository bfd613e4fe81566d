"""A directory tree as the entries of a layer."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Callable, Dict, Iterator, Optional, Tuple

from imagekit.errors import ImagekitError
from imagekit.oci.entry import WHITEOUT_PREFIX, Entry, EntryKind, FileSlice

_CAPABILITY = "security.capability"


class TreeError(ImagekitError):
    """A directory tree that cannot become a layer."""


def tree_entries(root: Path, skip: Callable[[str], bool] = lambda path: False) -> Iterator[Entry]:
    """The entries below ``root`` (not ``root`` itself) with their real modes and owners, in the order of a layer.

    ``skip`` is called with each image path; a skipped directory is skipped with everything below it. Of a file with
    several names the first in the order is the file and the others are hardlinks to it. Of the extended attributes only
    ``security.capability`` is taken: the others are the machine's, not the image's. Contents are read when the layer is
    written: the tree must stay as it is until then.

    Raises :class:`TreeError` for device nodes, sockets, FIFOs, whiteout names and names that are not UTF-8.
    """
    seen: Dict[Tuple[int, int], str] = {}
    yield from _below(os.fsencode(root), "", skip, seen)


def _below(
    folder: bytes, prefix: str, skip: Callable[[str], bool], seen: Dict[Tuple[int, int], str]
) -> Iterator[Entry]:
    # Bytes, since the decoding of file names would otherwise depend on the locale.
    with os.scandir(folder) as children:
        ordered = sorted(children, key=lambda child: child.name)
    for child in ordered:
        path = prefix + child.name.decode("utf-8", "surrogateescape")
        if skip(path):
            continue
        if path[len(prefix) :].startswith(WHITEOUT_PREFIX):
            raise TreeError(
                f"{os.fsdecode(child.path)} cannot go into a layer: names that start with '{WHITEOUT_PREFIX}' mean "
                "removal there. Rename the file, or leave it out."
            )
        status = child.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield Entry(
                path,
                EntryKind.DIRECTORY,
                stat.S_IMODE(status.st_mode),
                status.st_uid,
                status.st_gid,
            )
            yield from _below(child.path, path + "/", skip, seen)
        else:
            yield _leaf(child.path, path, status, seen)


def _leaf(file: bytes, path: str, status: os.stat_result, seen: Dict[Tuple[int, int], str]) -> Entry:
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
        if status.st_nlink > 1:
            first = seen.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                return Entry(path, EntryKind.HARDLINK, mode, status.st_uid, status.st_gid, link_target=first)
    if stat.S_ISREG(status.st_mode):
        return Entry(
            path,
            EntryKind.FILE,
            mode,
            status.st_uid,
            status.st_gid,
            FileSlice(file, 0, status.st_size),
            capability=_capability(file),
        )
    if stat.S_ISLNK(status.st_mode):
        target = os.readlink(file).decode("utf-8", "surrogateescape")
        # Linux shows 0777 for every symlink; other file systems show other modes.
        return Entry(path, EntryKind.SYMLINK, 0o777, status.st_uid, status.st_gid, link_target=target)
    raise TreeError(
        f"{os.fsdecode(file)} cannot go into a layer: it is neither a file, a directory nor a link (mode "
        f"{stat.filemode(status.st_mode)}). Remove it, or leave it out: engines make /dev themselves."
    )


def _capability(file: bytes) -> Optional[bytes]:
    try:
        if _CAPABILITY not in os.listxattr(file, follow_symlinks=False):
            return None
        return os.getxattr(file, _CAPABILITY, follow_symlinks=False)
    except OSError:
        # The file system keeps no extended attributes.
        return None
