from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import pytest

from benchmarks.blobs_test import store
from benchmarks.commands import BenchmarkError
from benchmarks.fleet import measure
from benchmarks.fleet_table import (
    CACHES, COLD, MEMORY, OVERRIDDEN, OVERRIDE_BYTES, PATCH_BYTES, PATCHED, SUM, UNIQUE, Measure, Numbers,
)  # fmt: skip
from benchmarks.fleet_table_test import service
from benchmarks.servers import Registry
from benchmarks.services import Service


@dataclass
class ScriptedFleet:
    """Two images of one shared layer and a layer each, named by what has changed."""

    caches: Path
    seconds: List[float]
    deaf: bool = False
    services: Tuple[Service, ...] = (service("nova", "2025.1"), service("nova", "2025.2"))
    repository: str = "fleet"
    state: Dict[str, str] = field(default_factory=lambda: {"shared": "a0", "2025.1": "b0", "2025.2": "c0"})

    def processes(self) -> Sequence[int]:
        return (os.getpid(),)

    def build(self) -> float:
        return self.seconds.pop(0)

    def edit(self) -> None:
        if not self.deaf:
            self.state["2025.1"] = "b1"

    def change_library(self) -> None:
        self.state["shared"] = "a1"

    def push(self, registry: Registry) -> float:
        for service in self.services:
            layers = [self.state["shared"] * 32, self.state[service.release] * 32]
            for layer in layers:
                self._store(registry, layer, b"l" * 100)
            manifest = {
                "config": {"digest": f"sha256:{layers[1]}", "size": 100},
                "layers": [{"digest": f"sha256:{layer}", "size": 100} for layer in layers],
            }
            name = (self.state["shared"] + self.state[service.release]) * 16
            self._store(registry, name, json.dumps(manifest).encode().ljust(1000))
            tags = registry.storage / "docker/registry/v2/repositories/fleet/_manifests/tags"
            link = tags / service.tag / "current/link"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.write_text(f"sha256:{name}")
        return 1.0

    def _store(self, registry: Registry, name: str, content: bytes) -> None:
        if not (registry.storage / "docker/registry/v2/blobs/sha256" / name[:2] / name).exists():
            store(registry.storage, name, content)


def test_a_fleet_is_measured_step_by_step(tmp_path: Path) -> None:
    (tmp_path / "caches").mkdir()
    noted: Dict[Measure, float] = {}
    fleet = ScriptedFleet(tmp_path / "caches", [600.0, 5.0, 50.0])

    def note(numbers: Numbers) -> None:
        assert not noted.keys() & numbers.keys()
        noted.update(numbers)

    measure(fleet, Registry("127.0.0.1:5000", tmp_path / "storage"), "ours", note)
    assert (noted[COLD], noted[PATCHED], noted[OVERRIDDEN]) == (600.0, 5.0, 50.0)
    assert (noted[SUM], noted[UNIQUE]) == (400, 300)
    # The layer and manifest of one image; then a shared layer, and both manifests.
    assert (noted[PATCH_BYTES], noted[OVERRIDE_BYTES]) == (1100, 2100)
    assert {MEMORY, CACHES} <= noted.keys()


def test_a_patch_that_changes_nothing_is_no_measurement(tmp_path: Path) -> None:
    (tmp_path / "caches").mkdir()
    fleet = ScriptedFleet(tmp_path / "caches", [600.0, 0.1], deaf=True)
    with pytest.raises(BenchmarkError) as error:
        measure(fleet, Registry("127.0.0.1:5000", tmp_path / "storage"), "ours", lambda numbers: None)
    assert str(error.value) == "the images are the same after the patch, so their rebuild was not one."
