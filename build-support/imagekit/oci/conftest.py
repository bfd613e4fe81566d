"""Small images for the tests."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence, Tuple

import pytest

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.oci.assemble import ImageSpec, assemble, write_assembled
from imagekit.oci.compression import GZIP, ZSTD, Compression
from imagekit.oci.descriptor import Platform
from imagekit.oci.entry import Entry, EntryKind, Piece, directory, whiteout
from imagekit.oci.image_config import ContainerConfig
from imagekit.oci.layer import Layer, write_layer

MakeLayer = Callable[..., Layer]


@dataclass(frozen=True)
class SampleImage:
    """A sound layout of two layers, zstd below gzip; the second removes ``etc/removed`` of the first."""

    path: Path
    layers: Tuple[Layer, ...]

    def blob(self, layer: int) -> Path:
        return self.path / "blobs" / "sha256" / self.layers[layer].digest.hex


@pytest.fixture
def make_layer(tmp_path: Path) -> MakeLayer:
    """Write a layer of entries into ``tmp_path / <name>``."""

    def make(name: str, entries: Sequence[Entry], compression: Compression = ZSTD) -> Layer:
        return write_layer([Piece(name, entries)], tmp_path / name, created_by=name, compression=compression)

    return make


@pytest.fixture
def sample_image(tmp_path: Path, make_layer: MakeLayer) -> SampleImage:
    lower = [
        directory("etc"),
        Entry("etc/motd", EntryKind.FILE, 0o644, content=b"hello\n" * 1000),
        Entry("etc/removed", EntryKind.FILE, 0o644, content=b"old\n"),
        Entry("usr/bin/tool", EntryKind.FILE, 0o755, content=bytes(range(256)) * 8192),
        Entry("bin", EntryKind.SYMLINK, 0o777, link_target="usr/bin"),
    ]
    upper = [Entry("etc/service.conf", EntryKind.FILE, 0o640, 0, 42424, b"key = value\n"), whiteout("etc/removed")]
    layers = make_layer("lower", lower), make_layer("upper", upper, GZIP)
    image = assemble(
        ImageSpec(
            Platform("amd64"),
            layers,
            ContainerConfig(user="42424", env=("PATH=/usr/bin",), entrypoint=("/usr/bin/tool",)),
            SOURCE_DATE_EPOCH,
            ("28.0.0",),
        )
    )
    path = tmp_path / "image"
    write_assembled(image, path)
    (path / "image.json").unlink()
    for name in ("lower", "upper"):
        shutil.copytree(tmp_path / name / "blobs", path / "blobs", dirs_exist_ok=True)
    return SampleImage(path, layers)
