"""The registries of `[images].registries`, in the form that Pants' docker backend has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Tuple

from imagekit.registry.errors import BadReference
from imagekit.registry.reference import RegistryAddress

ALL_DEFAULT_REGISTRIES = "<all default registries>"
_KEYS = ("address", "default", "insecure", "skip_push")


class RegistriesError(Exception):
    """Registries that are configured wrong, or a name that none has."""


@dataclass(frozen=True)
class Registry:
    """A registry: ``insecure`` allows plain HTTP, ``default`` takes images that name no registry."""

    address: str
    alias: str = ""
    default: bool = False
    skip_push: bool = False
    insecure: bool = False


@dataclass(frozen=True)
class Registries:
    registries: Tuple[Registry, ...]

    @classmethod
    def parse(cls, option: Mapping[str, object]) -> Registries:
        """Raises :class:`RegistriesError`."""
        return cls(tuple(_registry(alias, value) for alias, value in option.items()))

    @property
    def insecure(self) -> Tuple[str, ...]:
        """The addresses of those that may be asked over plain HTTP."""
        return tuple(sorted({registry.address for registry in self.registries if registry.insecure}))

    def find(self, names: Optional[Sequence[str]], what: str) -> Tuple[Registry, ...]:
        """The registries that a `registries` field names by address or ``@alias``; the default ones for ``None``.

        Raises :class:`RegistriesError`, which says ``what`` named them.
        """
        found: "dict[str, Registry]" = {}
        for name in (ALL_DEFAULT_REGISTRIES,) if names is None else names:
            for registry in self._named(name, what):
                found.setdefault(registry.address, registry)
        return tuple(found.values())

    def _named(self, name: str, what: str) -> Sequence[Registry]:
        if name == ALL_DEFAULT_REGISTRIES:
            return [registry for registry in self.registries if registry.default]
        if name.startswith("@"):
            matching = [registry for registry in self.registries if registry.alias == name[1:]]
            if not matching:
                known = ", ".join(f"@{registry.alias}" for registry in self.registries) or "none"
                raise RegistriesError(
                    f"{what} names the registry {name!r}, but `[images].registries` has no such alias (it has: {known}). "
                    "Add it there, or write an address."
                )
            return matching
        _check_address(name, what)
        return [next((registry for registry in self.registries if registry.address == name), Registry(name))]


def _registry(alias: str, value: object) -> Registry:
    what = f"`[images].registries`: {alias!r}"
    if not isinstance(value, dict) or not isinstance(value.get("address"), str):
        raise RegistriesError(f"{what} must be a table with an `address`, such as {{'address': 'ghcr.io'}}, but was {value!r}.")
    for key, field in value.items():
        if key not in _KEYS:
            raise RegistriesError(f"{what} has the key {key!r}, which is not known. Use: {', '.join(_KEYS)}.")
        if key != "address" and not isinstance(field, bool):
            raise RegistriesError(f"{what}: `{key}` must be true or false, but was {field!r}.")
    _check_address(value["address"], what)
    return Registry(
        value["address"],
        alias,
        value.get("default", alias == "default"),
        value.get("skip_push", False),
        value.get("insecure", False),
    )


def _check_address(address: str, what: str) -> None:
    try:
        RegistryAddress(address)
    except BadReference as error:
        raise RegistriesError(f"{what}: {error}") from None
