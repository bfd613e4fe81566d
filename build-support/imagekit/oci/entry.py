"""What a layer holds: one value per path."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from enum import Enum
from typing import Iterable, Optional, Union

from imagekit.errors import ImagekitError

#: A file of this prefix removes the rest of its name from the layers below (image-spec, layer.md, "Whiteouts").
WHITEOUT_PREFIX = ".wh."
#: A file of this name hides everything that the layers below have in its directory.
OPAQUE_WHITEOUT = ".wh..wh..opq"


class EntryError(ImagekitError):
    """A path that no layer may hold."""


class EntryKind(Enum):
    """The kinds of a layer's entries; the value is the type flag of tar (POSIX pax, "ustar Interchange Format")."""

    FILE = b"0"
    HARDLINK = b"1"
    SYMLINK = b"2"
    DIRECTORY = b"5"


@dataclass(frozen=True)
class FileSlice:
    """``size`` bytes of the file ``path`` (bytes, since file names are) from ``offset`` on."""

    path: bytes
    offset: int
    size: int


@dataclass(frozen=True)
class Entry:
    """One path of a layer.

    ``path`` is an image path in UTF-8 without a leading ``/`` or ``./``. ``content`` is used by files only.
    ``link_target`` is the text of a symlink, or the image path that a hardlink names. ``capability`` is the value of
    the extended attribute ``security.capability``. Times are no part of an entry: all have the same.
    Raises :class:`EntryError` for a path that could reach outside the image, and for a link that no tar can hold.
    """

    path: str
    kind: EntryKind
    mode: int
    uid: int = 0
    gid: int = 0
    content: Union[bytes, FileSlice] = b""
    link_target: str = ""
    capability: Optional[bytes] = None

    def __post_init__(self) -> None:
        check_image_path(self.path)
        if self.kind is EntryKind.HARDLINK:
            check_image_path(self.link_target)
        elif self.kind is EntryKind.SYMLINK:
            _check_symlink(self.path, self.link_target)

    @property
    def size(self) -> int:
        """Bytes of content."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.size


@dataclass(frozen=True)
class Piece:
    """Entries that go into a layer together; ``name`` is what an error calls them."""

    name: str
    entries: Iterable[Entry]


def check_image_path(path: str) -> None:
    """Raise :class:`EntryError` unless ``path`` is relative, normalised and UTF-8."""
    if not path or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        remedy = posixpath.normpath("/" + path.replace("\0", "")).lstrip("/")
        raise EntryError(
            f"A path of a layer must be relative to the image's root and have no empty, '.' or '..' part, but got "
            f"{path!r}. Write it as {remedy or 'etc/example'!r}."
        )
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise EntryError(
            f"A path of a layer must be UTF-8, but got {path.encode('utf-8', 'surrogateescape')!r}. "
            "Rename the file, or leave it out."
        ) from None


def _check_symlink(path: str, target: str) -> None:
    try:
        usable = bool(target) and "\0" not in target and bool(target.encode("utf-8"))
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise EntryError(
            f"The symlink {path!r} must point to a name in UTF-8, but points to {target!r}. "
            "Make it again, or leave it out."
        )


def directory(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return Entry(path, EntryKind.DIRECTORY, mode, uid, gid)


def whiteout(path: str) -> Entry:
    """The entry that removes ``path`` of the layers below."""
    parent, name = posixpath.split(path)
    return Entry(posixpath.join(parent, WHITEOUT_PREFIX + name), EntryKind.FILE, 0o644)


def opaque_whiteout(path: str) -> Entry:
    """The entry that hides everything that the layers below have in the directory ``path``."""
    return Entry(posixpath.join(path, OPAQUE_WHITEOUT), EntryKind.FILE, 0o644)
