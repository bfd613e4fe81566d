"""A small image in a registry, with its SBOM and provenance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Iterator

import pytest

from imagekit.registry.conftest import MakeLayout, make_layout, settings
from imagekit.registry.registry_servers import registry
from imagekit.registry.settings import RegistrySettings
from imagekit.signing.signed_images import Published

__all__ = ["make_layout", "settings"]


@pytest.fixture
def published(tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings) -> Iterator[Published]:
    with registry(tmp_path / "registry") as server:
        yield Published(server, make_layout("image", "base", "service"), replace(settings, first_pause=0.01))
