from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import List

import pytest

from benchmarks.commands import BenchmarkError
from benchmarks.comparison import BuildCosts, build_costs
from benchmarks.keystone import build_rows
from benchmarks.servers import Registry
from benchmarks.table import Samples


@dataclass
class ScriptedWay:
    """An image of one base layer, which never changes, and one layer named by the number of the edit."""

    base: bytes
    layer: bytes
    seconds: List[float]
    edits: int = 0
    steps: List[str] = field(default_factory=list)

    def build(self) -> float:
        return self.seconds.pop(0)

    def edit(self, number: int) -> None:
        self.edits = number

    def push(self, registry: Registry) -> float:
        for name, content in (("ba5e", self.base), (f"{self.edits:04x}", self.layer)):
            folder = registry.storage / "docker/registry/v2/blobs/sha256" / name[:2] / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "data").write_bytes(content)
        return 0.5


def test_costs_of_a_way(tmp_path: Path) -> None:
    way = ScriptedWay(b"b" * 100, b"l" * 7, [60.0, 4.0, 6.0, 1.0, 2.0])
    registry = Registry("127.0.0.1:5000", tmp_path)
    costs = build_costs(way, registry, 2, way.steps.append)
    assert costs == BuildCosts(
        cold=Samples((60.0,)),
        patched=Samples((4.0, 6.0)),
        patched_and_pushed=Samples((4.5, 6.5)),
        unchanged=Samples((1.0, 2.0)),
        patch_bytes=Samples((7.0, 7.0)),
        image_bytes=Samples((107.0,)),
    )
    assert way.steps == ["cold build", "patch 1 of 2", "patch 2 of 2", "nothing changed"]


def test_a_patch_that_changes_nothing_is_no_measurement(tmp_path: Path) -> None:
    class DeafWay(ScriptedWay):
        def edit(self, number: int) -> None:
            pass

    way = DeafWay(b"b" * 100, b"l" * 7, [60.0, 0.1])
    with pytest.raises(BenchmarkError) as error:
        build_costs(way, Registry("127.0.0.1:5000", tmp_path), 1, way.steps.append)
    assert str(error.value) == "the image is the same after patch 1, so its rebuild was not one."


def costs(patched: float, unchanged: float, patch_bytes: float, image_bytes: float) -> BuildCosts:
    numbers = (30.0, patched, patched + 1, unchanged, patch_bytes, image_bytes)
    return BuildCosts(*(Samples((number,)) for number in numbers))


def test_aims_of_the_project() -> None:
    theirs = costs(patched=12.0, unchanged=0.5, patch_bytes=60e6, image_bytes=100e6)
    met = {row.name: row.aim_met for row in build_rows(costs(6.0, 2.0, 1.8e6, 60e6), theirs) if row.aim}
    assert met == {
        "rebuild after a one-line patch": True,
        "rebuild with nothing changed": True,
        "bytes to a registry after the patch": True,
        "compressed image": True,
    }
    missed = build_rows(costs(6.1, 2.1, 1.9e6, 61e6), theirs)
    assert [row.aim_met for row in missed if row.aim] == [False] * 4
