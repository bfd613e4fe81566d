from __future__ import annotations

import pytest
from pants.engine.addresses import Address
from pants.engine.target import InvalidFieldException

from c5c3.target_types import ComponentField, GlibcVersionField, PythonVersionField, ReleaseField, WorkingDirectoryField

ADDRESS = Address("services/keystone")


def test_a_release_must_be_a_name() -> None:
    with pytest.raises(InvalidFieldException) as refusal:
        ReleaseField("../2025.2", ADDRESS)
    assert str(refusal.value) == (
        "The `release` field in target services/keystone:keystone must be a name like '2025.2', but was '../2025.2'."
    )


def test_a_component_must_be_a_name() -> None:
    with pytest.raises(InvalidFieldException) as refusal:
        ComponentField("key/stone", ADDRESS)
    assert str(refusal.value) == (
        "The `component` field in target services/keystone:keystone must be a name like 'keystone' or 'oslo.messaging', but was "
        "'key/stone'."
    )
    assert ComponentField("oslo.messaging", ADDRESS).value == "oslo.messaging"


def test_versions_of_a_base_must_be_versions() -> None:
    with pytest.raises(InvalidFieldException) as refusal:
        PythonVersionField("python3", ADDRESS)
    assert str(refusal.value) == (
        "The `python` field in target services/keystone:keystone must be a version like '3.11', but was 'python3'."
    )
    with pytest.raises(InvalidFieldException) as refusal:
        GlibcVersionField("236", ADDRESS)
    assert str(refusal.value) == (
        "The `glibc` field in target services/keystone:keystone must be a version like '2.36', but was '236'."
    )


def test_a_working_directory_must_be_absolute() -> None:
    with pytest.raises(InvalidFieldException) as refusal:
        WorkingDirectoryField("var/lib", ADDRESS)
    assert str(refusal.value) == (
        "The `working_directory` field in target services/keystone:keystone must be an absolute path, but was 'var/lib'. "
        "Use '/var/lib'."
    )
