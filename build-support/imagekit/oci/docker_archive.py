"""Write an image as the archive that ``docker load`` and ``podman load`` read.

The form of ``docker save`` since Docker 1.10 (``manifest.json``, configuration, uncompressed layers), which Docker
20.10 and every Podman accept. The bytes are a function of image and tags. Layers are streamed: nothing is unpacked.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Iterator, List, Sequence, Tuple

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.errors import ImagekitError
from imagekit.oci.atomic_file import temporary_file, write_all
from imagekit.oci.digest import Digest
from imagekit.oci.entry import Entry, EntryKind, FileSlice
from imagekit.oci.json_document import render
from imagekit.oci.layer_reader import open_layer, unpacked_size
from imagekit.oci.layout import Image, Layout
from imagekit.oci.tar_format import END, encode_header, padding
from imagekit.oci.tar_reader import TarError, TarReader

_REFERENCE = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*"
    r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z"
)


class ArchiveError(ImagekitError):
    """An image that cannot become a docker archive."""


@dataclass(frozen=True)
class ArchiveLayer:
    """A layer of an archive: where its blob is, and the size in bytes of its tar."""

    blob: Path
    media_type: str
    diff_id_hex: str
    unpacked_size: int

    @property
    def name(self) -> str:
        return f"{self.diff_id_hex}.tar"


def archive_layers(layout: Layout, image: Image) -> Tuple[ArchiveLayer, ...]:
    """The layers of an archive of ``image``, bottom first."""
    return tuple(
        ArchiveLayer(
            layout.blob_path(layer.digest),
            layer.media_type,
            diff_id.hex,
            unpacked_size(layout.blob_path(layer.digest), layer.media_type),
        )
        for layer, diff_id in zip(image.manifest.layers, image.config.diff_ids)
    )


def archive_manifest(image: Image, tags: Sequence[str]) -> bytes:
    """The ``manifest.json`` of an archive; raises :class:`ArchiveError` for a tag that engines refuse."""
    for tag in tags:
        if not _REFERENCE.match(tag):
            raise ArchiveError(
                f"{tag!r} is no tag that engines accept. Write it as 'repository:tag' in lower case, for example "
                "'c5c3/keystone:28.0.0'."
            )
    return render(
        [
            {
                "Config": f"{image.manifest.config.digest.hex}.json",
                "RepoTags": list(tags),
                "Layers": [f"{diff_id.hex}.tar" for diff_id in image.config.diff_ids],
            }
        ]
    )


def write_docker_archive(layout: Layout, image: Image, tags: Sequence[str], file: BinaryIO) -> None:
    """Write the archive to ``file``, which may be a pipe.

    Raises :class:`ArchiveError` for a bad tag, and for a layer that is not what the image says: the archive is then
    worthless, and has no end mark.
    """
    manifest = archive_manifest(image, tags)
    config = layout.read_document(image.manifest.config)
    layers = archive_layers(layout, image)
    for name, data in (("manifest.json", manifest), (f"{image.manifest.config.digest.hex}.json", config)):
        write_all(file, _header(name, len(data)) + data + bytes(padding(len(data))))
    written: List[str] = []
    for layer in layers:
        if layer.name in written:
            continue
        written.append(layer.name)
        write_all(file, _header(layer.name, layer.unpacked_size))
        for block in _layer_blocks(layer):
            write_all(file, block)
        write_all(file, bytes(padding(layer.unpacked_size)))
    write_all(file, END)


def write_docker_archive_file(layout: Layout, image: Image, tags: Sequence[str], output: Path) -> None:
    """Write the archive to the file ``output``, which appears whole or not at all."""
    try:
        with temporary_file(output.parent) as file:
            write_docker_archive(layout, image, tags, file)
            os.replace(file.name, output)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ArchiveError(
            f"The docker archive {output} does not fit: {error.strerror}. Make room, or name an output on another disk."
        ) from None


def is_archive_of(path: Path, layout: Layout, image: Image, tags: Sequence[str]) -> bool:
    """Whether the file holds what :func:`write_docker_archive` would write; layers are compared by their diff_ids."""
    config_name = f"{image.manifest.config.digest.hex}.json"
    expected = {
        "manifest.json": Digest.of(archive_manifest(image, tags)).hex,
        config_name: image.manifest.config.digest.hex,
        **{f"{diff_id.hex}.tar": diff_id.hex for diff_id in image.config.diff_ids},
    }
    names = list(expected)
    try:
        with path.open("rb") as file:
            reader = TarReader(file, str(path))
            for member in reader:
                sha256 = hashlib.sha256()
                for block in reader.content():
                    sha256.update(block)
                if not names or member.name != names.pop(0) or sha256.hexdigest() != expected[member.name]:
                    return False
    except (FileNotFoundError, TarError):
        return False
    return not names


def _layer_blocks(layer: ArchiveLayer) -> Iterator[bytes]:
    with open_layer(layer.blob, layer.media_type) as stream:
        size = 0
        for block in stream.blocks():
            size += len(block)
            if size > layer.unpacked_size:
                break
            yield block
        diff_id = stream.finish().diff_id
    if size != layer.unpacked_size or diff_id.hex != layer.diff_id_hex:
        raise ArchiveError(
            f"The layer {layer.blob} is damaged: it has the diff_id {diff_id}, but the image says "
            f"sha256:{layer.diff_id_hex}. Build the image again."
        )


def _header(name: str, size: int) -> bytes:
    return encode_header(Entry(name, EntryKind.FILE, 0o644, content=FileSlice(b"", 0, size)), SOURCE_DATE_EPOCH)
