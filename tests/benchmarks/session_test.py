from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.session import Measured
from benchmarks.table import Row, Samples, Unit


def row(name: str, ours: float) -> Row:
    return Row(name, Unit.SECONDS, Samples((ours,)))


def test_each_result_is_in_the_file_at_once_and_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = Measured(tmp_path / "results.json")
    measured.add([row("patch", 2.0)])
    measured.add([row("cold", 60.0), row("patch", 2.0)])
    written = json.loads((tmp_path / "results.json").read_text())
    assert [(found["name"], found["ours"]) for found in written["rows"]] == [("cold", 60.0), ("patch", 2.0)]
    # Each is shown once, when it comes.
    shown = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert shown == ["patch: ours 2.00 s", "cold: ours 60.00 s"]
