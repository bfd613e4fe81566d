from __future__ import annotations

from dataclasses import replace

from pants.engine.addresses import Address

from c5c3.goals.lockfiles import GenerateDebLock, GenerateLibraryLocks, GenerateServiceLock, in_one_command
from c5c3.util_rules.debian import Distribution
from c5c3.util_rules.python import PythonEnvironmentRequest

BOOKWORM = Distribution("bookworm", "3rdparty/bases/bookworm", ("bookworm",), ("main",), "3.11", (2, 36))
IMAGE = Address("services/nova", generated_name="image")


def deb_lock(name: str, *extends: str) -> GenerateDebLock:
    return GenerateDebLock(f"bookworm/{name}", BOOKWORM.lock_path(name), False, BOOKWORM, name, (), extends, IMAGE)


BASE, STORAGE = deb_lock("python-base"), deb_lock("storage", "python-base")
NOVA = deb_lock("nova", "python-base", "storage")
ENVIRONMENT = PythonEnvironmentRequest("nova", "2025.2", (), (), True, IMAGE)
BUILDER = Address("3rdparty/bases/bookworm", generated_name="venv-builder")
SERVICE = GenerateServiceLock("2025.2/nova", "", False, ENVIRONMENT, BOOKWORM, BUILDER)
LIBRARY = GenerateLibraryLocks("2025.2/oslo.messaging", "", False, (SERVICE,))


def test_a_lock_extends_those_that_the_same_command_makes() -> None:
    nova, base, storage = in_one_command([NOVA, BASE, STORAGE])
    assert (base, storage) == (BASE, replace(STORAGE, made_before=(BASE,)))
    assert nova == replace(NOVA, made_before=(base, storage))


def test_a_lock_extends_those_on_disk_that_nobody_asked_for() -> None:
    assert in_one_command([NOVA, BASE]) == (replace(NOVA, made_before=(BASE,)), BASE)
    assert in_one_command([NOVA]) == (NOVA,)


def test_beside_system_packages_the_builder_may_be_stale_and_not_else() -> None:
    service = replace(SERVICE, stale_builder=True)
    assert in_one_command([SERVICE, LIBRARY]) == (SERVICE, LIBRARY)
    assert in_one_command([SERVICE, LIBRARY, BASE]) == (service, replace(LIBRARY, services=(service,)), BASE)
