"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from enum import Enum
from typing import Mapping, Optional, Sequence


class Unit(Enum):
    """What a number counts."""

    SECONDS = "s"
    BYTES = "B"
    FILES = "files"
    LAYERS = "layers"
    SHARE = "share"


@dataclass(frozen=True)
class Samples:
    """Repeated measurements of one thing; never empty."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True)
class Aim:
    """Ours is to be at most ``factor`` times ``reference``, in the words of ``text``."""

    text: str
    factor: float
    reference: float = 1.0

    def met_by(self, value: float) -> bool:
        return value <= self.factor * self.reference


@dataclass(frozen=True)
class Row:
    """One measured thing; ``dockerfile`` is ``None`` where the Dockerfile has no counterpart."""

    name: str
    unit: Unit
    ours: Samples
    dockerfile: Optional[Samples] = None
    aim: Optional[Aim] = None

    @property
    def ratio(self) -> Optional[float]:
        """Ours by the Dockerfile's."""
        if self.dockerfile is None or self.dockerfile.median == 0:
            return None
        return self.ours.median / self.dockerfile.median

    @property
    def aim_met(self) -> Optional[bool]:
        return None if self.aim is None else self.aim.met_by(self.ours.median)


HEADER = ("", "ours", "Dockerfile", "ratio", "aim", "met")


def render_table(rows: Sequence[Row]) -> str:
    """The rows as aligned columns."""
    cells = [HEADER, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADER))]
    lines = [
        "  ".join(
            # Numbers are compared by their right ends.
            text.rjust(width) if 1 <= column <= 3 else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]]) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        render_number(row.ours.median, row.unit),
        "-" if row.dockerfile is None else render_number(row.dockerfile.median, row.unit),
        "" if row.ratio is None else f"{row.ratio:.3f}" if row.ratio < 0.1 else f"{row.ratio:.2f}",
        "" if row.aim is None else row.aim.text,
        "" if row.aim_met is None else "yes" if row.aim_met else "NO",
    )


def render_number(value: float, unit: Unit) -> str:
    """``value`` with its unit, in the digits that a reader compares. Bytes are decimal: a MB is 1,000,000."""
    if unit is Unit.SECONDS:
        return f"{value:.2f} s"
    if unit is Unit.SHARE:
        return f"{value:.2f}"
    if unit in (Unit.FILES, Unit.LAYERS):
        return f"{value:.0f} {unit.value}"
    return f"{value / 1e6:.2f} MB" if value >= 1e6 else f"{value / 1e3:.1f} kB"


def render_json(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """The rows with every sample, and the facts about the run."""
    return json.dumps({"facts": dict(facts), "rows": [_record(row) for row in rows]}, indent=2) + "\n"


def _record(row: Row) -> Mapping[str, object]:
    return {
        "name": row.name,
        "unit": row.unit.value,
        "ours": row.ours.median,
        "ours_samples": list(row.ours.values),
        "dockerfile": None if row.dockerfile is None else row.dockerfile.median,
        "dockerfile_samples": None if row.dockerfile is None else list(row.dockerfile.values),
        "ratio": row.ratio,
        "aim": None if row.aim is None else row.aim.text,
        "aim_met": row.aim_met,
    }
