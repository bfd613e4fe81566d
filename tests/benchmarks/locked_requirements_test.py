from __future__ import annotations

import json

import pytest

from benchmarks.locked_requirements import LockedRequirements, locked_requirements
from imagekit.fetch.json_record import JsonRecordError


def wheel(name: str, digit: str) -> "dict[str, object]":
    return {"filename": f"{name}-1-py3-none-any.whl", "size": 1, "sha256": digit * 64}


LOCK = {
    "format": 1,
    "root": {
        "name": "keystone",
        "version": "28.0.0",
        "build_requires": [{"name": "pbr", "version": "7.0.3", "wheels": [wheel("pbr", "1")]}],
    },
    "packages": [
        {"name": "flask", "version": "3.1.1", "wheels": [wheel("flask", "2"), wheel("flask", "3")]},
        {
            "name": "uwsgi",
            "version": "2.0.30",
            "marker": "sys_platform != 'win32'",
            "sdist": {"filename": "uwsgi-2.0.30.tar.gz", "size": 1, "sha256": "4" * 64},
            "build_requires": [
                {"name": "setuptools", "version": "80.9.0", "wheels": [wheel("setuptools", "5")]},
                {"name": "wheel", "version": "0.45.1", "wheels": [wheel("wheel", "6")]},
            ],
        },
        {"name": "oslo-messaging", "version": "17.1.0", "component": "oslo.messaging", "requires": []},
        {
            "name": "testresources",
            "version": "2.0.2",
            "sdist": {"filename": "testresources-2.0.2.tar.gz", "size": 1, "sha256": "7" * 64},
            "build_requires": [
                {"name": "setuptools", "version": "80.9.0", "wheels": [wheel("setuptools", "5")]},
                {"name": "pbr", "version": "6.1.1", "wheels": [wheel("pbr", "8")]},
            ],
        },
    ],
}


def test_requirements_have_every_hash_and_marker() -> None:
    assert locked_requirements(json.dumps(LOCK), "keystone.lock.json") == LockedRequirements(
        requirements=(
            f"flask==3.1.1 \\\n    --hash=sha256:{'2' * 64} \\\n    --hash=sha256:{'3' * 64}\n"
            f"uwsgi==2.0.30 ; sys_platform != 'win32' \\\n    --hash=sha256:{'4' * 64}\n"
            f"testresources==2.0.2 \\\n    --hash=sha256:{'7' * 64}\n"
        ),
        libraries=("oslo.messaging",),
        # Two builds need pbr in different versions.
        build_constraints="setuptools==80.9.0\nwheel==0.45.1\n",
        version="28.0.0",
    )


def test_a_package_without_a_version() -> None:
    broken = {**LOCK, "packages": [{"name": "flask", "wheels": []}]}
    with pytest.raises(JsonRecordError) as error:
        locked_requirements(json.dumps(broken), "keystone.lock.json")
    assert str(error.value) == "keystone.lock.json: packages[0]: 'version' is missing; it must be a string."
