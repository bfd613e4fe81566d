"""An image as a one-line patch leaves it: all layers but one are the same."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Optional, Tuple

import zstandard
from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.digest import Digest
from imagekit.oci.layout import INDEX_FILE, Image, Layout

_LINE = b"# Changed.\n"


def change_image(source: Path, destination: Path) -> Image:
    """Copy the layout ``source`` to ``destination``, with one line more in a module of the topmost layer that has one."""
    layout = Layout(destination)
    # Blobs never change, so they may be the same files.
    shutil.copytree(source, destination, copy_function=os.link)
    image = layout.read_image()
    layers, diff_ids = list(image.manifest.layers), list(image.config.diff_ids)
    for position in reversed(range(len(layers))):
        changed_layer = _changed_layer(layout, layers[position])
        if changed_layer is not None:
            layers[position], diff_ids[position] = changed_layer
            break
    else:
        raise AssertionError(f"no layer of {source} holds a module to change")
    config = replace(image.config, diff_ids=tuple(diff_ids)).render()
    manifest = replace(
        image.manifest, config=_store(layout, config, media_types.CONFIG), layers=tuple(layers)
    )
    stored = _store(layout, manifest.render(), media_types.MANIFEST)
    index = layout.read_index()
    changed = replace(index.manifests[0], digest=stored.digest, size=stored.size)
    (destination / INDEX_FILE).unlink()
    (destination / INDEX_FILE).write_bytes(replace(index, manifests=(changed,)).render())
    return layout.read_image()


def _changed_layer(layout: Layout, old: Descriptor) -> Optional[Tuple[Descriptor, Digest]]:
    """The layer with a line more and its diff_id; ``None`` where it has no module."""
    with layout.blob_path(old.digest).open("rb") as file:
        content = zstandard.ZstdDecompressor().stream_reader(file).read()
    changed = io.BytesIO()
    lines = [_LINE]
    with tarfile.open(fileobj=io.BytesIO(content)) as tar, tarfile.open(fileobj=changed, mode="w") as new:
        for member in tar:
            file = tar.extractfile(member) if member.isreg() else None
            text = b"" if file is None else file.read()
            if lines and member.name.endswith(".py"):
                text += lines.pop()
                member.size = len(text)
            new.addfile(member, io.BytesIO(text))
    if lines:
        return None
    tar_bytes = changed.getvalue()
    return (
        _store(layout, zstandard.ZstdCompressor(level=9).compress(tar_bytes), old.media_type),
        Digest.of(tar_bytes),
    )


def _store(layout: Layout, data: bytes, media_type: str) -> Descriptor:
    descriptor = Descriptor(media_type, Digest.of(data), len(data))
    layout.blob_path(descriptor.digest).write_bytes(data)
    return descriptor
