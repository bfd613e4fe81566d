"""What is measured of a fleet of images, as rows of the table with the aims of the project."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Dict, Iterable, Mapping, Optional, Sequence

from benchmarks.blobs import Blob, StoredImage, size_of
from benchmarks.services import Service
from benchmarks.table import Aim, Row, Samples, Unit, render_number


@dataclass(frozen=True)
class Measure:
    """One thing that is measured of both ways."""

    name: str
    unit: Unit


COLD = Measure("cold build", Unit.SECONDS)
PATCHED = Measure("rebuild after a patch to one service", Unit.SECONDS)
OVERRIDDEN = Measure("rebuild after another version of a library", Unit.SECONDS)
EMPTY_MACHINE = Measure("build on an empty machine, cache warm", Unit.SECONDS)
SUM = Measure("compressed bytes of the images, summed", Unit.BYTES)
UNIQUE = Measure("  of them unique", Unit.BYTES)
UNIQUE_SHARE = Measure("  unique by sum", Unit.SHARE)
SECOND_RELEASE = Measure("what a second release adds, by the first", Unit.SHARE)
PATCH_BYTES = Measure("bytes to a registry after the patch", Unit.BYTES)
OVERRIDE_BYTES = Measure("bytes to a registry after the library", Unit.BYTES)
LAYERS = Measure("layers of an image, median", Unit.LAYERS)
MOST_LAYERS = Measure("  most", Unit.LAYERS)
MEMORY = Measure("peak memory of the cold build", Unit.BYTES)
CACHES = Measure("disk of the caches after it", Unit.BYTES)

MEASURES = (
    COLD, PATCHED, OVERRIDDEN, EMPTY_MACHINE, SUM, UNIQUE, UNIQUE_SHARE, SECOND_RELEASE, PATCH_BYTES, OVERRIDE_BYTES,
    LAYERS, MOST_LAYERS, MEMORY, CACHES,
)  # fmt: skip

#: What is known so far of one way.
Numbers = Mapping[Measure, float]

#: Ours by the Dockerfile's.
_BY_DOCKERFILE = {COLD: 0.7, UNIQUE: 0.35}
_AT_MOST = {EMPTY_MACHINE: 90.0, UNIQUE_SHARE: 0.30, SECOND_RELEASE: 0.5}


def fleet_rows(ours: Numbers, dockerfile: Numbers) -> Sequence[Row]:
    """Rows for what is known of ours, with what is known of the Dockerfile's."""
    return [
        Row(
            measure.name,
            measure.unit,
            Samples((ours[measure],)),
            Samples((dockerfile[measure],)) if measure in dockerfile else None,
            _aim(measure, dockerfile.get(measure)),
        )
        for measure in MEASURES
        if measure in ours
    ]


def _aim(measure: Measure, dockerfile: Optional[float]) -> Optional[Aim]:
    if measure in _AT_MOST:
        limit = _AT_MOST[measure]
        return Aim(f"<= {render_number(limit, measure.unit)}", limit)
    if measure in _BY_DOCKERFILE and dockerfile is not None:
        factor = _BY_DOCKERFILE[measure]
        return Aim(f"<= {factor} of the Dockerfile's", factor, dockerfile)
    return None


def image_numbers(images: Mapping[Service, StoredImage]) -> Numbers:
    """What the images of a fleet, as a registry has them, weigh together. A blob is as large as it is sent."""
    total = sum(size_of(image.blobs) for image in images.values())
    unique = size_of(_union(images.values()))
    layers = [len(image.layers) for image in images.values()]
    numbers: Dict[Measure, float] = {
        SUM: total,
        UNIQUE: unique,
        UNIQUE_SHARE: unique / total,
        LAYERS: statistics.median(layers),
        MOST_LAYERS: max(layers),
    }
    releases = sorted({service.release for service in images})
    if len(releases) > 1:
        first, second = (
            _union(image for service, image in images.items() if service.release == release) for release in releases[:2]
        )
        numbers[SECOND_RELEASE] = size_of(second - first) / size_of(first)
    return numbers


def _union(images: Iterable[StoredImage]) -> frozenset[Blob]:
    return frozenset(blob for image in images for blob in image.blobs)
