from __future__ import annotations

import pytest

from c5c3.subsystems.registries import Registries, RegistriesError, Registry

TEAM = Registry("registry.example:5000", "team", default=True, insecure=True)
REGISTRIES = Registries.parse(
    {"team": {"address": "registry.example:5000", "default": True, "insecure": True}, "other": {"address": "ghcr.io"}}
)


def test_registries_are_named_by_alias_address_and_default() -> None:
    assert REGISTRIES.find(None, "") == (TEAM,)
    assert REGISTRIES.find(("@other", "registry.example:5000", "quay.example"), "") == (
        Registry("ghcr.io", "other"),
        TEAM,
        Registry("quay.example"),
    )
    assert REGISTRIES.find((), "") == ()


def test_an_alias_that_is_not_there_is_refused() -> None:
    with pytest.raises(RegistriesError) as refusal:
        REGISTRIES.find(("@teem",), "The `registries` field in target services/keystone#image")
    assert str(refusal.value) == (
        "The `registries` field in target services/keystone#image names the registry '@teem', but `[images].registries` "
        "has no such alias (it has: @team, @other). Add it there, or write an address."
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("ghcr.io", "must be a table with an `address`, such as {'address': 'ghcr.io'}, but was 'ghcr.io'."),
        (
            {"address": "ghcr.io", "http": True},
            "has the key 'http', which is not known. Use: address, default, insecure, skip_push.",
        ),
    ],
)
def test_a_registry_that_is_configured_wrong_is_refused(value: object, message: str) -> None:
    with pytest.raises(RegistriesError) as refusal:
        Registries.parse({"a": value})
    assert str(refusal.value) == f"`[images].registries`: 'a' {message}"
