"""Small images and a user for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

import pytest

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.oci.assemble import ImageSpec, assemble, write_assembled
from imagekit.oci.compression import GZIP
from imagekit.oci.descriptor import Platform
from imagekit.oci.entry import Entry, EntryKind, Piece
from imagekit.oci.image_config import ContainerConfig
from imagekit.oci.layer import write_layer
from imagekit.registry.settings import RegistrySettings

MakeLayout = Callable[..., Path]


@pytest.fixture
def make_layout(tmp_path: Path) -> MakeLayout:
    """Write an image with one gzip layer for each text into ``tmp_path / <name>``."""

    def make(name: str, *texts: str) -> Path:
        folder = tmp_path / name
        layers = tuple(
            write_layer(
                [Piece(text, [Entry(f"file-{text}", EntryKind.FILE, 0o644, content=text.encode() * 3000)])],
                folder,
                created_by=text,
                compression=GZIP,
            )
            for text in texts
        )
        (folder / "layer.json").unlink()
        write_assembled(
            assemble(ImageSpec(Platform("amd64"), layers, ContainerConfig(user="42424"), SOURCE_DATE_EPOCH, ("1",))), folder
        )
        (folder / "image.json").unlink()
        return folder

    return make


@pytest.fixture
def settings(tmp_path: Path) -> RegistrySettings:
    """A user without any configuration."""
    return RegistrySettings.of_user({"HOME": str(tmp_path / "home")}, root=tmp_path)
