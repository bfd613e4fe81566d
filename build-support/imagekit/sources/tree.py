"""A source tree as a value, and the two archives it comes from and goes to."""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Mapping, Optional, Union

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.errors import ImagekitError
from imagekit.fetch.whole_file import whole_file


class SourceTreeError(ImagekitError):
    """A source archive that cannot be used."""


@dataclass(frozen=True)
class SourceFile:
    """A regular file; of its mode only the executable bit counts, as in git."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True)
class SourceLink:
    """A symbolic link to ``target``, relative and inside the tree."""

    target: str


Entry = Union[SourceFile, SourceLink]
#: Files and links by their path relative to the top of the tree, with ``/``.
SourceTree = Mapping[str, Entry]


def read_source(path: Path) -> SourceTree:
    """The tree in an sdist (``.tar.gz``, its one top folder stripped) or in a ``.tar`` that this module wrote.

    Raises :class:`SourceTreeError`.
    """
    is_sdist = path.name.endswith((".tar.gz", ".tgz"))
    try:
        # Named modes: a wrong archive type is an error, not another guess.
        with tarfile.open(path, "r:gz" if is_sdist else "r:") as archive:
            entries = dict(_entries(archive, path.name))
    except (OSError, EOFError, tarfile.TarError) as error:
        raise SourceTreeError(
            f"{path.name} cannot be read as {'an sdist' if is_sdist else 'a tar'}: {error}."
        ) from None
    return _strip_top(entries, path.name) if is_sdist else entries


def write_source(tree: SourceTree, path: Path) -> None:
    """Write ``tree`` to ``path`` as a tar whose bytes depend on nothing but ``tree``.

    Folders are left out: they follow from the files. Raises :class:`SourceTreeError` when it cannot be written.
    """
    try:
        with whole_file(path) as stream, tarfile.open(
            fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8"
        ) as archive:
            for name in sorted(tree):
                _add(archive, name, tree[name])
    except OSError as error:
        raise SourceTreeError(f"{path} cannot be written: {error.strerror}.") from None


def _add(archive: tarfile.TarFile, name: str, entry: Entry) -> None:
    member = tarfile.TarInfo(name)
    member.mtime = SOURCE_DATE_EPOCH
    if isinstance(entry, SourceLink):
        member.type = tarfile.SYMTYPE
        member.linkname = entry.target
        member.mode = 0o777
        archive.addfile(member)
        return
    member.mode = 0o755 if entry.executable else 0o644
    member.size = len(entry.content)
    archive.addfile(member, io.BytesIO(entry.content))


def _entries(archive: tarfile.TarFile, origin: str) -> Iterable[tuple[str, Entry]]:
    seen: dict[str, Entry] = {}
    for member in archive:
        if member.isdir():
            continue
        name = checked_path(member.name, origin)
        seen[name] = _entry(archive, member, name, seen, origin)
    return seen.items()


def _entry(
    archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, seen: Mapping[str, Entry], origin: str
) -> Entry:
    if member.issym():
        return SourceLink(checked_target(name, member.linkname, origin))
    if member.islnk():
        linked = seen.get(checked_path(member.linkname, origin))
        if linked is None:
            raise SourceTreeError(f"{origin}: '{name}' is a hard link to '{member.linkname}', which is not before it.")
        return linked
    stream = archive.extractfile(member) if member.isreg() else None
    if stream is None:
        raise SourceTreeError(f"{origin}: '{name}' is neither a file, a folder nor a link.")
    return SourceFile(stream.read(), bool(member.mode & 0o111))


def checked_path(name: str, origin: str) -> str:
    """``name`` without a leading ``./``; raises :class:`SourceTreeError` if it leaves the tree."""
    path = posixpath.normpath(name)
    if path.startswith("/") or path in (".", "..") or path.startswith("../"):
        raise SourceTreeError(f"{origin}: the path '{name}' leaves the source tree.")
    return path


def checked_target(name: str, target: str, origin: str) -> str:
    """``target`` of the link ``name``; raises :class:`SourceTreeError` if it leaves the tree."""
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or resolved == ".." or resolved.startswith("../"):
        raise SourceTreeError(f"{origin}: the link '{name}' points to '{target}', outside of the source tree.")
    return target


def _strip_top(entries: SourceTree, origin: str) -> SourceTree:
    tops = sorted({name.partition("/")[0] for name in entries})
    if len(tops) != 1 or tops[0] in entries:
        found = ", ".join(f"'{top}'" for top in tops[:5]) or "nothing"
        raise SourceTreeError(f"{origin}: an sdist has one top folder, but this has {found}.")
    return {name.partition("/")[2]: _within_top(name, entry, origin) for name, entry in entries.items()}


def _within_top(name: str, entry: Entry, origin: str) -> Entry:
    # A link may lead from the top folder to its sibling, which does not exist any more once the top is stripped.
    if isinstance(entry, SourceLink):
        checked_target(name.partition("/")[2], entry.target, origin)
    return entry


def unpack(tree: SourceTree, paths: Iterable[str], folder: Path) -> None:
    """Write those of ``paths`` that are in ``tree`` below ``folder``."""
    for name in paths:
        entry: Optional[Entry] = tree.get(name)
        if entry is None:
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, SourceLink):
            path.symlink_to(entry.target)
        else:
            path.write_bytes(entry.content)
            path.chmod(0o755 if entry.executable else 0o644)


def pack(folder: Path) -> SourceTree:
    """The tree below ``folder``."""
    tree: dict[str, Entry] = {}
    for parent, folders, files in os.walk(folder):
        for name in files + [name for name in folders if os.path.islink(os.path.join(parent, name))]:
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                tree[relative] = SourceLink(checked_target(relative, os.readlink(path), "the patched source"))
            else:
                tree[relative] = SourceFile(path.read_bytes(), bool(path.stat().st_mode & 0o111))
    return tree
