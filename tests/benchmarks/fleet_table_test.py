from __future__ import annotations

from benchmarks.blobs import Blob, StoredImage
from benchmarks.fleet_table import (
    COLD, EMPTY_MACHINE, LAYERS, MOST_LAYERS, PATCHED, SECOND_RELEASE, SUM, UNIQUE, UNIQUE_SHARE, fleet_rows,
    image_numbers,
)  # fmt: skip
from benchmarks.services import Service


def service(name: str, release: str) -> Service:
    return Service(name, release, f"services/{name}#image@release={release}", "", "3rdparty/bases/bookworm", "", (), ())


BASE, A, B, C = Blob("sha256:ba", 40), Blob("sha256:a", 30), Blob("sha256:b", 20), Blob("sha256:c", 10)
IMAGES = {
    service("nova", "2025.1"): StoredImage((BASE, A), Blob("sha256:1", 1)),
    service("glance", "2025.1"): StoredImage((BASE,), Blob("sha256:2", 1)),
    service("nova", "2025.2"): StoredImage((BASE, A, B, C), Blob("sha256:3", 1)),
}


def test_layers_that_images_share_count_once() -> None:
    assert image_numbers(IMAGES) == {
        SUM: 71 + 41 + 101,
        UNIQUE: 103,
        UNIQUE_SHARE: 103 / 213,
        # The second release adds two layers and a configuration to base, layer and two configurations.
        SECOND_RELEASE: 31 / 72,
        LAYERS: 2,
        MOST_LAYERS: 4,
    }


def test_one_release_has_no_second_one() -> None:
    images = {service: image for service, image in IMAGES.items() if service.release == "2025.1"}
    assert SECOND_RELEASE not in image_numbers(images)


def test_rows_show_what_is_known() -> None:
    assert [(row.name, row.dockerfile, row.aim) for row in fleet_rows({COLD: 600.0, PATCHED: 9.0}, {})] == [
        (COLD.name, None, None),
        (PATCHED.name, None, None),
    ]


def test_aims_of_the_project() -> None:
    dockerfile = {COLD: 1000.0, UNIQUE: 1e9, UNIQUE_SHARE: 0.9, SECOND_RELEASE: 1.0}
    at_the_limit = {COLD: 700.0, UNIQUE: 0.35e9, UNIQUE_SHARE: 0.30, SECOND_RELEASE: 0.5, EMPTY_MACHINE: 90.0}
    assert {row.name: row.aim_met for row in fleet_rows(at_the_limit, dockerfile)} == {
        measure.name: True for measure in at_the_limit
    }
    beyond = {measure: number * 1.001 for measure, number in at_the_limit.items()}
    assert [row.aim_met for row in fleet_rows(beyond, dockerfile)] == [False] * 5
