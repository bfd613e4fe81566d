"""What a run changed in a directory tree, as the entries of a layer on top of it."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, Mapping, Optional, Set, Tuple

from imagekit.oci.entry import Entry, EntryKind, FileSlice, whiteout
from imagekit.oci.tree import tree_entries

#: Entries by image path, with the SHA-256 of files as their content and hardlinks as files of their own.
Snapshot = Mapping[str, Entry]


def snapshot(root: Path) -> Snapshot:
    """What is below ``root`` now, contents by hash: two snapshots compare without the tree."""
    return _snapshot(tuple(tree_entries(root)))


def difference(before: Snapshot, root: Path) -> Iterator[Entry]:
    """The entries of a layer that turns ``before`` into what is below ``root`` now.

    A path that only got another time is no difference. A file with several names comes with all of them, since a layer
    cannot link to a file of another. The directories that a difference lies in come along as they are: without them,
    what applies the layer would make up their modes and owners.
    """
    entries = tuple(tree_entries(root))
    after = _snapshot(entries)
    changed = {path for path, entry in after.items() if before.get(path) != entry}
    names = _names_of_linked_files(entries)
    for linked in names.values():
        if not changed.isdisjoint(linked):
            changed |= linked
    gone = [
        path
        for path in sorted(before.keys() - after.keys())
        # The parent's own removal, or what took its place, hides everything below it.
        if "/" not in path or _is_directory(after.get(posixpath.dirname(path)))
    ]
    directories = {parent for path in (*changed, *gone) for parent in _parents(path)}
    for entry in entries:
        if entry.path in changed or entry.path in directories:
            yield entry
    yield from map(whiteout, gone)


def _is_directory(entry: Optional[Entry]) -> bool:
    return entry is not None and entry.kind is EntryKind.DIRECTORY


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = posixpath.dirname(path)
        yield path


def _snapshot(entries: Tuple[Entry, ...]) -> Snapshot:
    found: Dict[str, Entry] = {}
    for entry in entries:
        if entry.kind is EntryKind.HARDLINK:
            found[entry.path] = replace(found[entry.link_target], path=entry.path)
        elif isinstance(entry.content, FileSlice):
            found[entry.path] = replace(entry, content=_sha256(entry.content))
        else:
            found[entry.path] = entry
    return found


def _sha256(content: FileSlice) -> bytes:
    sha256 = hashlib.sha256()
    with open(content.path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sha256.update(block)
    return sha256.digest()


def _names_of_linked_files(entries: Tuple[Entry, ...]) -> Mapping[str, Set[str]]:
    names: Dict[str, Set[str]] = {}
    for entry in entries:
        if entry.kind is EntryKind.HARDLINK:
            names.setdefault(entry.link_target, {entry.link_target}).add(entry.path)
    return names
