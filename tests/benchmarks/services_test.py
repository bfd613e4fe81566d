from __future__ import annotations

import json
from pathlib import Path
from typing import Mapping

import pytest

from benchmarks.commands import BenchmarkError
from benchmarks.services import Service, choose, parse_services, patched_service

BASE = "3rdparty/bases/bookworm"


def image(name: str, release: str, **fields: object) -> Mapping[str, object]:
    return {
        "address": f"services/{name}#image@release={release}",
        "target_type": "docker_image",
        "base": f"{BASE}#python-base",
        "python_base": f"{BASE}#python-base",
        "distribution": BASE,
        "component": name,
        "release": release,
        "output_path": f"images/{name}/{release}",
        "system_packages": [],
        **fields,
    }


STORAGE = {
    "address": f"{BASE}:storage",
    "target_type": "docker_image",
    "release": None,
    "system_packages": ["qemu-utils"],
}
PEEKED = [
    STORAGE,
    {"address": "services/nova#checks@release=2025.2", "target_type": "image_checks"},
    image("nova", "2025.2", base=f"{BASE}:storage", system_packages=["ovmf"]),
    image("keystone", "2025.2", system_packages=["xmlsec1"]),
    image("keystone", "2025.1"),
    image("nova", "2025.1"),
    image("tempest", "2025.2"),
]


def test_services_are_images_of_a_release() -> None:
    services = parse_services(json.dumps(PEEKED))
    assert [service.tag for service in services] == [
        "keystone-2025.1", "nova-2025.1", "keystone-2025.2", "nova-2025.2", "tempest-2025.2",
    ]  # fmt: skip
    assert services[3] == Service(
        "nova",
        "2025.2",
        "services/nova#image@release=2025.2",
        "images/nova/2025.2",
        BASE,
        f"{BASE}:storage",
        ("qemu-utils",),
        ("ovmf",),
    )
    assert (services[2].shared, services[2].shared_packages, services[2].packages) == ("", (), ("xmlsec1",))


def test_the_fleet_is_what_every_release_has() -> None:
    services = parse_services(json.dumps(PEEKED))
    assert [service.tag for service in choose(services, (), ())] == [
        "keystone-2025.1", "nova-2025.1", "keystone-2025.2", "nova-2025.2",
    ]  # fmt: skip
    assert [service.tag for service in choose(services, (), ("2025.2",))] == ["keystone-2025.2", "nova-2025.2"]
    assert [service.tag for service in choose(services, ("tempest", "nova"), ())] == [
        "nova-2025.1", "nova-2025.2", "tempest-2025.2",
    ]  # fmt: skip


def test_the_service_whose_patch_is_edited(tmp_path: Path) -> None:
    services = parse_services(json.dumps(PEEKED))
    with pytest.raises(BenchmarkError) as error:
        patched_service(services[:2], tmp_path)
    assert str(error.value) == (
        "none of keystone-2025.1, nova-2025.1 has a patch that could be edited. Choose others, or add one to patches/."
    )
    (tmp_path / "patches/nova/2025.1").mkdir(parents=True)
    (tmp_path / "patches/nova/2025.1/0001-a.patch").touch()
    assert patched_service(services, tmp_path).tag == "nova-2025.1"


def test_names_that_there_are_not() -> None:
    services = parse_services(json.dumps(PEEKED))
    with pytest.raises(BenchmarkError) as error:
        choose(services, ("nowa",), ())
    assert str(error.value) == "--services names 'nowa', but there is only: keystone, nova, tempest. Correct it."
    with pytest.raises(BenchmarkError) as error:
        choose(services, (), ("2024.1",))
    assert str(error.value) == "--releases names '2024.1', but there is only: 2025.1, 2025.2. Correct it."
