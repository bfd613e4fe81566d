"""What publishing costs, by each way, as a table."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Mapping, Sequence, Tuple


@dataclass(frozen=True)
class Cost:
    """What one way took on one occasion: ``size`` are the bytes that went over the network, both ways."""

    seconds: float
    size: int
    requests: int

    @classmethod
    def median(cls, costs: Sequence[Cost]) -> Cost:
        """Of each number the median, which need not be of one run."""
        return cls(
            statistics.median(cost.seconds for cost in costs),
            round(statistics.median(cost.size for cost in costs)),
            round(statistics.median(cost.requests for cost in costs)),
        )


#: The costs of each way, by its name, on one occasion.
Occasion = Tuple[str, Mapping[str, Cost]]


def render_costs(occasions: Sequence[Occasion]) -> str:
    """A line for each number of each occasion, a column for each way; behind every other way ours by it."""
    ours, *others = occasions[0][1]
    lines = [("", ours, *(text for other in others for text in (other, "ratio")))]
    for name, costs in occasions:
        for unit in ("s", "MB", "requests"):
            numbers = [_number(costs[way], unit) for way in (ours, *others)]
            cells = [f"{numbers[0]:{_FORMATS[unit]}} {unit}"]
            for number in numbers[1:]:
                cells += [f"{number:{_FORMATS[unit]}} {unit}", f"{numbers[0] / number:.2f}" if number else "-"]
            lines.append((name if unit == "s" else "", *cells))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(line[1:], widths[1:]))])
        for line in lines
    )


_FORMATS = {"s": ".2f", "MB": ".3f", "requests": ".0f"}


def _number(cost: Cost, unit: str) -> float:
    return {"s": cost.seconds, "MB": cost.size / 1e6, "requests": float(cost.requests)}[unit]
