"""Write layers: deterministic tars, compressed, named by their digest.

Two runs over the same entries give the same bytes: entries are sorted, every time is
:data:`imagekit.constants.SOURCE_DATE_EPOCH`, user and group names are left out, and headers and compression do not
depend on the machine. Contents are streamed: memory use does not grow with the size of a layer.
"""

from __future__ import annotations

import errno
import hashlib
import os
import posixpath
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Deque, Dict, Iterable, Iterator, List, Tuple

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.errors import ImagekitError
from imagekit.oci import media_types
from imagekit.oci.atomic_file import temporary_file, write_all, write_atomically
from imagekit.oci.compression import ZSTD, Compression
from imagekit.oci.descriptor import Descriptor, parse_digest
from imagekit.oci.digest import Digest
from imagekit.oci.entry import Entry, EntryKind, Piece, directory
from imagekit.oci.json_document import Document, Json, render
from imagekit.oci.layer_paths import DIRECTORY, LayerPaths
from imagekit.oci.tar_format import END, encode_header, padding

_BLOCK = 1 << 20
_BLOCKS_AHEAD = 4
_MAX_OPEN_FILES = 64

#: Directories that a piece may leave out although they are not 0755.
_PARENT_MODES = {"root": 0o700, "tmp": 0o1777, "var/tmp": 0o1777}
#: Directories that are symlinks in a merged-/usr base: an entry for one in a higher layer would replace the symlink.
_SYMLINKED_PARENTS = {
    "bin": "usr/bin",
    "lib": "usr/lib",
    "lib32": "usr/lib32",
    "lib64": "usr/lib64",
    "libx32": "usr/libx32",
    "sbin": "usr/sbin",
    "var/lock": "run/lock",
    "var/run": "run",
}


class LayerError(ImagekitError):
    """Pieces that cannot become a layer."""


@dataclass(frozen=True)
class Layer:
    """A layer's descriptor and what an image's configuration says of it (``layer.json``).

    ``size`` is the blob's, ``unpacked_size`` the tar's, both in bytes; ``created_by`` becomes the history's text.
    """

    media_type: str
    digest: Digest
    size: int
    diff_id: Digest
    unpacked_size: int
    entries: int
    created_by: str

    @classmethod
    def from_document(cls, document: Document) -> Layer:
        """Raises :class:`~imagekit.oci.json_document.DocumentError`."""
        media_type = document.string("mediaType")
        if media_type not in media_types.LAYERS:
            raise document.refusal(
                "mediaType", f"no layer has the media type {media_type!r}; use one of {sorted(media_types.LAYERS)}."
            )
        return cls(
            media_type,
            parse_digest(document, "digest"),
            document.integer("size"),
            parse_digest(document, "diff_id"),
            document.integer("unpacked_size"),
            document.integer("entries"),
            document.string("created_by"),
        )

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(self.media_type, self.digest, self.size)

    def to_json(self) -> Json:
        return {
            "mediaType": self.media_type,
            "digest": str(self.digest),
            "size": self.size,
            "diff_id": str(self.diff_id),
            "unpacked_size": self.unpacked_size,
            "entries": self.entries,
            "created_by": self.created_by,
        }


def write_layer(
    pieces: Iterable[Piece], output_dir: Path, *, created_by: str, compression: Compression = ZSTD
) -> Layer:
    """Merge pieces into one layer; write ``blobs/sha256/<hex>``, ``layer.json`` and ``paths.json`` below ``output_dir``.

    A tree of files becomes a layer with its real owners and modes by::

        write_layer([Piece("python-base", tree_entries(root, skip=...))], output_dir, created_by="...")

    and a difference to lower layers by a :class:`~imagekit.oci.entry.Piece` of chosen ``tree_entries`` and
    :func:`~imagekit.oci.entry.whiteout`. Entries may come in any order. Parent directories that no piece has are added
    as 0755 root:root. Two pieces may hold the same path only with the same kind, mode, owner and content.

    Raises :class:`LayerError` for pieces that collide, hardlinks out of their piece, files that changed while they were
    read, and a full disk. Nothing is left behind then.
    """
    members = [(entry, encode_header(entry, SOURCE_DATE_EPOCH)) for entry in _merge(pieces)]
    size = sum(len(header) + entry.size + padding(entry.size) for entry, header in members) + len(END)
    blobs = output_dir / "blobs" / "sha256"
    try:
        with temporary_file(blobs) as file:
            diff_id, digest, compressed_size = _write(members, file, compression, size)
            layer = Layer(compression.media_type, digest, compressed_size, diff_id, size, len(members), created_by)
            os.replace(file.name, blobs / digest.hex)
        write_atomically(output_dir / "paths.json", render(_paths(created_by, members).to_json()))
        write_atomically(output_dir / "layer.json", render(layer.to_json()))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise LayerError(
            f"The layer {created_by!r} does not fit: {error.strerror} in {output_dir}. "
            f"It needs up to {size // 1_000_000 + 1} MB: make room there and run the build again."
        ) from None
    return layer


def _merge(pieces: Iterable[Piece]) -> List[Entry]:
    """The entries of a layer in order, parents included; raises :class:`LayerError` for collisions."""
    chosen: Dict[str, Tuple[Entry, str]] = {}
    for piece in pieces:
        own: Dict[str, Entry] = {}
        for entry in piece.entries:
            if entry.path in own:
                raise LayerError(f"{piece.name} holds {entry.path!r} twice. Make the piece again.")
            own[entry.path] = entry
        for entry in _hardlinks_in_order(own, piece.name):
            other = chosen.get(entry.path)
            if other is None:
                chosen[entry.path] = entry, piece.name
            elif not _same(entry, other[0]):
                raise LayerError(
                    f"{other[1]} and {piece.name} both hold {entry.path!r}, and {_difference(other[0], entry)}. "
                    "One path has one owner: leave it out of one of them, or put them into different layers."
                )
    for path, (entry, name) in list(chosen.items()):
        _add_parents(path, name, chosen)
    return [chosen[path][0] for path in sorted(chosen, key=_order)]


def _paths(created_by: str, members: List[Tuple[Entry, bytes]]) -> LayerPaths:
    descriptions: Dict[str, str] = {}
    for entry, _ in members:
        owner = f"{entry.mode:04o} of {entry.uid}:{entry.gid}"
        if entry.kind is EntryKind.DIRECTORY:
            descriptions[entry.path] = f"{DIRECTORY}{owner}"
        elif entry.kind is EntryKind.HARDLINK:
            # The first name of the file comes before all others.
            descriptions[entry.path] = descriptions[entry.link_target]
        elif entry.kind is EntryKind.SYMLINK:
            descriptions[entry.path] = f"symlink {owner} to {entry.link_target}"
        else:
            capability = "" if entry.capability is None else f" {entry.capability.hex()}"
            descriptions[entry.path] = f"file {owner} {_content_digest(entry).hex()}{capability}"
    return LayerPaths(created_by, descriptions)


def _order(path: str) -> bytes:
    """Sort key: a directory is followed by everything below it, names are compared by their bytes."""
    return path.encode("utf-8").replace(b"/", b"\0")


def _add_parents(path: str, piece_name: str, chosen: Dict[str, Tuple[Entry, str]]) -> None:
    parent = posixpath.dirname(path)
    while parent:
        present = chosen.get(parent)
        if present is None:
            if parent in _SYMLINKED_PARENTS:
                raise LayerError(
                    f"{piece_name} holds {path!r}, but {parent!r} is a symlink in a base, and a layer with this path "
                    f"would replace the symlink. Write it as {_SYMLINKED_PARENTS[parent] + path[len(parent):]!r}."
                )
            chosen[parent] = directory(parent, _PARENT_MODES.get(parent, 0o755)), piece_name
        elif present[0].kind is not EntryKind.DIRECTORY:
            raise LayerError(
                f"{piece_name} holds {path!r}, but {present[1]} holds {parent!r} as a {_KIND[present[0].kind]}. "
                "Only a directory has paths below it: leave one of them out."
            )
        else:
            # Its own parents were added with it, or are added in their turn.
            return
        parent = posixpath.dirname(parent)


def _hardlinks_in_order(own: Dict[str, Entry], piece_name: str) -> Iterator[Entry]:
    """The entries of a piece; of a hardlinked file the first name in the order of a layer holds the content."""
    groups: Dict[str, List[str]] = {}
    for entry in own.values():
        if entry.kind is EntryKind.HARDLINK:
            groups.setdefault(entry.link_target, []).append(entry.path)
    moved: Dict[str, Entry] = {}
    for target, links in groups.items():
        source = own.get(target)
        if source is None or source.kind not in (EntryKind.FILE, EntryKind.SYMLINK):
            raise LayerError(
                f"{piece_name} holds {links[0]!r} as a hardlink to {target!r}, which is no file of that piece. "
                "Put both into one piece, or make it a copy."
            )
        names = sorted([target, *links], key=_order)
        moved[names[0]] = replace(source, path=names[0])
        for name in names[1:]:
            moved[name] = replace(
                source, path=name, kind=EntryKind.HARDLINK, content=b"", link_target=names[0], capability=None
            )
    for path, entry in own.items():
        yield moved.get(path, entry)


_KIND = {
    EntryKind.FILE: "file",
    EntryKind.HARDLINK: "hardlink",
    EntryKind.SYMLINK: "symlink",
    EntryKind.DIRECTORY: "directory",
}


def _same(one: Entry, other: Entry) -> bool:
    if one == other:
        return True
    if one.kind is not EntryKind.FILE or one.size != other.size:
        return False
    return replace(one, content=b"") == replace(other, content=b"") and _content_digest(one) == _content_digest(other)


def _content_digest(entry: Entry) -> bytes:
    sha256 = hashlib.sha256()
    with ExitStack() as stack:
        for block in _blocks(entry, {}, stack, _BLOCK):
            sha256.update(block)
    return sha256.digest()


def _difference(one: Entry, other: Entry) -> str:
    if one.kind is not other.kind:
        return f"it is a {_KIND[one.kind]} in the first and a {_KIND[other.kind]} in the second"
    if one.mode != other.mode:
        return f"its mode is {one.mode:04o} in the first and {other.mode:04o} in the second"
    if (one.uid, one.gid) != (other.uid, other.gid):
        return f"its owner is {one.uid}:{one.gid} in the first and {other.uid}:{other.gid} in the second"
    if one.link_target != other.link_target:
        return f"it points to {one.link_target!r} in the first and to {other.link_target!r} in the second"
    if one.capability != other.capability:
        return "its capabilities differ"
    return "its content differs"


def _write(
    members: List[Tuple[Entry, bytes]], file: BinaryIO, compression: Compression, size: int
) -> Tuple[Digest, Digest, int]:
    """Write the blob; returns diff_id, digest and the blob's size."""
    compressor = compression.compressor(size)
    diff_id = hashlib.sha256()
    digest = hashlib.sha256()
    compressed_size = 0

    def write(compressed: bytes) -> None:
        nonlocal compressed_size
        digest.update(compressed)
        write_all(file, compressed)
        compressed_size += len(compressed)

    # Compressing takes as long as everything else: files are read and hashed while the block before is compressed.
    with ThreadPoolExecutor(max_workers=1) as compressing:
        pending: Deque[Future[None]] = deque()
        for block in _tar_blocks(members):
            pending.append(compressing.submit(lambda block: write(compressor.compress(block)), block))
            diff_id.update(block)
            if len(pending) > _BLOCKS_AHEAD:
                pending.popleft().result()
        for future in pending:
            future.result()
    write(compressor.flush())
    return Digest(diff_id.hexdigest()), Digest(digest.hexdigest()), compressed_size


def _tar_blocks(members: List[Tuple[Entry, bytes]]) -> Iterator[bytes]:
    """The tar in blocks of one size, whatever the entries' sizes: a compressor may not depend on where files end."""
    buffer = bytearray()
    open_files: Dict[bytes, int] = {}
    with ExitStack() as stack:
        for entry, header in members:
            buffer += header
            for block in _blocks(entry, open_files, stack, _BLOCK):
                buffer += block
                if len(buffer) >= _BLOCK:
                    yield bytes(buffer[:_BLOCK])
                    del buffer[:_BLOCK]
            buffer += bytes(padding(entry.size))
            if len(buffer) >= _BLOCK:
                yield bytes(buffer[:_BLOCK])
                del buffer[:_BLOCK]
    buffer += END
    yield bytes(buffer)


def _blocks(entry: Entry, open_files: Dict[bytes, int], stack: ExitStack, limit: int) -> Iterator[bytes]:
    """The content of an entry in blocks of at most ``limit`` bytes."""
    content = entry.content
    if isinstance(content, bytes):
        yield content
        return
    if content.size == 0:
        return
    file = open_files.get(content.path)
    if file is None:
        if len(open_files) == _MAX_OPEN_FILES:
            stack.close()
            open_files.clear()
        file = os.open(content.path, os.O_RDONLY | os.O_CLOEXEC)
        open_files[content.path] = file
        stack.callback(os.close, file)
    position, end = content.offset, content.offset + content.size
    while position < end:
        block = os.pread(file, min(limit, end - position), position)
        if not block:
            raise LayerError(
                f"{os.fsdecode(content.path)} changed while {entry.path!r} was read from it: "
                f"{end - position} bytes are missing. Run the build again."
            )
        yield block
        position += len(block)
