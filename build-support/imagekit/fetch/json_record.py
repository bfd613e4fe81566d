"""Typed reading of JSON objects: every refusal says where in which document, so no ``Any`` gets past the edge."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Mapping, Optional

from imagekit.errors import ImagekitError


class JsonRecordError(ImagekitError):
    """A JSON document that does not have the expected shape."""


@dataclass(frozen=True)
class JsonRecord:
    """One JSON object and its place, such as ``sources/keystone.json: sdist``."""

    fields: Mapping[str, object]
    place: str

    def require_only(self, *keys: str) -> None:
        """Refuse keys other than ``keys``: a key nobody reads is a misspelt or a newer one."""
        unknown = sorted(self.fields.keys() - set(keys))
        if unknown:
            raise JsonRecordError(f"{self.place}: unknown key '{unknown[0]}'. Known keys: {', '.join(sorted(keys))}.")

    def text(self, key: str) -> str:
        value = self.fields.get(key)
        if not isinstance(value, str):
            raise self._wrong(key, "a string")
        return value

    def optional_text(self, key: str) -> Optional[str]:
        return None if self.fields.get(key) is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.fields.get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key, "a list of strings")
        return tuple(value)

    def integer(self, key: str) -> int:
        value = self.fields.get(key)
        # bool is a subclass of int.
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._wrong(key, "an integer")
        return value

    def boolean(self, key: str) -> bool:
        value = self.fields.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def record(self, key: str) -> JsonRecord:
        value = self.fields.get(key)
        if not isinstance(value, dict):
            raise self._wrong(key, "an object")
        return JsonRecord(value, f"{self.place}: {key}")

    def records(self, key: str) -> tuple[JsonRecord, ...]:
        value = self.fields.get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(key, "a list of objects")
        return tuple(JsonRecord(item, f"{self.place}: {key}[{number}]") for number, item in enumerate(value))

    def _wrong(self, key: str, expected: str) -> JsonRecordError:
        if key not in self.fields:
            return JsonRecordError(f"{self.place}: '{key}' is missing; it must be {expected}.")
        return JsonRecordError(f"{self.place}: '{key}' must be {expected}, but was {json.dumps(self.fields[key])}.")


def parse_json_record(text: str, origin: str) -> JsonRecord:
    """The JSON object that ``text`` is; ``origin`` names the document in errors.

    Raises :class:`JsonRecordError`.
    """
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise JsonRecordError(f"{origin} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise JsonRecordError(f"{origin} must hold a JSON object, but holds {type(value).__name__}.")
    return JsonRecord(value, origin)
