"""Recompute everything that a layout says of itself, and report all that is wrong at once.

After ``validate`` of google/go-containerregistry: the one oracle of what is written here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator, List, Set

from imagekit.errors import ImagekitError
from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.digest import Digest
from imagekit.oci.json_document import DocumentError
from imagekit.oci.layer_reader import BlobError, LayerStream, open_layer
from imagekit.oci.layout import Image, Layout, LayoutError
from imagekit.oci.tar_reader import HARDLINK_TYPE, TarError, TarReader

_BLOB_NAME = re.compile(r"[0-9a-f]{64}\Z")


class ValidationError(ImagekitError):
    """A layout with faults; the message lists them all."""


def validate_layout(path: Path) -> None:
    """Raise :class:`ValidationError` unless the layout in ``path`` is sound.

    Checked: ``oci-layout`` and ``index.json``; of each image digest and size of manifest, configuration and layers,
    media types, each layer's diff_id and that its tar is whole with paths inside the root, the history's length, the
    platform; and that every blob has the digest it is named by.
    """
    problems = tuple(find_problems(path))
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        count = "1 fault" if len(problems) == 1 else f"{len(problems)} faults"
        raise ValidationError(f"{path} has {count}:\n{listed}\nBuild the image again, or fetch it again.")


def find_problems(path: Path) -> Iterator[str]:
    """What is wrong with the layout in ``path``, one line each."""
    layout = Layout(path)
    try:
        index = layout.read_index()
    except (LayoutError, DocumentError) as error:
        yield str(error)
        return
    if not index.manifests:
        yield "index.json names no image"
    read: Set[Digest] = set()
    seen: Set[Digest] = set()
    for descriptor in index.manifests:
        if descriptor.digest in seen:
            continue
        seen.add(descriptor.digest)
        try:
            image = layout.read_manifest(descriptor)
        except (LayoutError, DocumentError) as error:
            yield str(error)
            continue
        read.update((descriptor.digest, image.manifest.config.digest))
        yield from _check_image(layout, image, read)
    yield from _check_other_blobs(path / "blobs" / "sha256", read)


def _check_image(layout: Layout, image: Image, read: Set[Digest]) -> Iterator[str]:
    described = image.descriptor.platform
    if described is not None and described != image.config.platform:
        own = image.config.platform
        yield f"index.json says that {image.descriptor.digest} is for {described}, its configuration {own}"
    with_content = [item for item in image.config.history if not item.empty_layer]
    if image.config.history and len(with_content) != len(image.manifest.layers):
        yield (
            f"the configuration {image.manifest.config.digest} has {len(with_content)} history entries with a layer, "
            f"but {len(image.manifest.layers)} layers"
        )
    for layer, diff_id in zip(image.manifest.layers, image.config.diff_ids):
        yield from _check_layer(layout.blob_path(layer.digest), layer, diff_id)
        read.add(layer.digest)


def _check_layer(path: Path, descriptor: Descriptor, diff_id: Digest) -> Iterator[str]:
    name = f"layer {descriptor.digest}"
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        yield f"{name} is missing"
        return
    if descriptor.media_type not in media_types.LAYERS:
        yield f"{name} has the media type {descriptor.media_type}, which is no layer of an OCI image"
        return
    if size != descriptor.size:
        yield f"{name} has {size} bytes, but the manifest says {descriptor.size}"
    broken: List[str] = []
    with open_layer(path, descriptor.media_type) as stream:
        try:
            broken.extend(
                f"{name} holds the path {bad!r}, which is not inside the image" for bad in _bad_paths(stream, str(path))
            )
            sums = stream.finish()
        except (BlobError, TarError) as error:
            actual = Digest.of_file(path)
            if actual != descriptor.digest:
                yield f"{name} really has the digest {actual}"
            yield f"{name}: {error}"
            return
    if sums.digest != descriptor.digest:
        yield f"{name} really has the digest {sums.digest}"
    if sums.diff_id != diff_id:
        yield f"{name} really has the diff_id {sums.diff_id}, but the configuration says {diff_id}"
    yield from broken


def _bad_paths(stream: LayerStream, origin: str) -> Iterator[str]:
    for member in TarReader(stream, origin):
        names = [member.name]
        if member.type_flag == HARDLINK_TYPE:
            names.append(member.link_name)
        yield from (name for name in names if name.startswith("/") or ".." in name.split("/"))


def _check_other_blobs(folder: Path, read: Set[Digest]) -> Iterator[str]:
    """Blobs that no image of the index has: they may be there, but must be what their names say."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not _BLOB_NAME.match(path.name):
            yield f"{path} is no blob: its name is no digest"
        elif Digest(path.name) not in read:
            actual = Digest.of_file(path)
            if actual.hex != path.name:
                yield f"the blob {path} really has the digest {actual}"
