"""JSON that came from outside, read with errors that name the document and the path inside it.

Also the one way JSON is written here: sorted keys, no white space, so that equal values have equal bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Mapping, Optional, Sequence, Tuple, Type, TypeVar, Union

from imagekit.errors import ImagekitError

Json = Union[None, bool, int, str, Sequence["Json"], Mapping[str, "Json"]]
_T = TypeVar("_T")

_KIND: Mapping[type, str] = {
    str: "a string",
    int: "an integer",
    dict: "an object",
    list: "an array",
    bool: "true or false",
    float: "a number with a fraction",
    type(None): "null",
}


class DocumentError(ImagekitError):
    """A JSON document that is not what it should be."""


def render(value: Json) -> bytes:
    """The canonical bytes of a JSON value: UTF-8, sorted keys, no white space, no newline at the end."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


@dataclass(frozen=True)
class Document:
    """One JSON object: ``origin`` names the document, ``place`` the path inside it (empty for the whole)."""

    origin: str
    place: str
    fields: Mapping[str, object]

    @classmethod
    def parse(cls, data: bytes, origin: str) -> Document:
        """Raises :class:`DocumentError` when ``data`` is no JSON object."""
        try:
            value: object = json.loads(data.decode("utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
            raise DocumentError(f"{origin} is no JSON document: {error}. Make it again.") from None
        if not isinstance(value, dict):
            raise DocumentError(f"{origin} must be a JSON object, but was {_KIND[type(value)]}. Make it again.")
        return cls(origin, "", value)

    def string(self, key: str) -> str:
        return self._required(key, str)

    def integer(self, key: str) -> int:
        """An integer that is not negative: everything counted here is a size, a number of things or a time."""
        value = self._required(key, int)
        if value < 0:
            raise DocumentError(f"{self.origin}: '{self._path(key)}' must not be negative, but was {value}.")
        return value

    def document(self, key: str) -> Document:
        return Document(self.origin, self._path(key), self._required(key, dict))

    def documents(self, key: str) -> Tuple[Document, ...]:
        return tuple(
            Document(self.origin, self._path(f"{key}[{index}]"), self._typed(f"{key}[{index}]", item, dict))
            for index, item in enumerate(self._required(key, list))
        )

    def strings(self, key: str) -> Tuple[str, ...]:
        return tuple(self._typed(f"{key}[{index}]", item, str) for index, item in enumerate(self._required(key, list)))

    def string_map(self, key: str) -> Mapping[str, str]:
        fields: Mapping[str, object] = self._required(key, dict)
        return {name: self._typed(f"{key}.{name}", value, str) for name, value in fields.items()}

    def optional_string(self, key: str) -> Optional[str]:
        return self.string(key) if self.has(key) else None

    def optional_documents(self, key: str) -> Tuple[Document, ...]:
        return self.documents(key) if self.has(key) else ()

    def optional_strings(self, key: str) -> Tuple[str, ...]:
        return self.strings(key) if self.has(key) else ()

    def optional_string_map(self, key: str) -> Mapping[str, str]:
        return self.string_map(key) if self.has(key) else {}

    def has(self, key: str) -> bool:
        """Whether the key is there with a value; Go programs write ``null`` for what is left out."""
        return self.fields.get(key) is not None

    def refuse_unknown(self, known: Sequence[str]) -> None:
        """Raises :class:`DocumentError` for a key outside ``known``: a misspelt key must not be lost in silence."""
        for key in self.fields:
            if key not in known:
                raise DocumentError(
                    f"{self.origin}: '{self._path(key)}' is not known. Use one of: {', '.join(sorted(known))}."
                )

    def refusal(self, key: str, reason: object) -> DocumentError:
        """The error that ``key`` has a bad value."""
        return DocumentError(f"{self.origin}: '{self._path(key)}' is wrong: {reason}")

    def _required(self, key: str, kind: Type[_T]) -> _T:
        if key not in self.fields:
            raise DocumentError(f"{self.origin}: '{self._path(key)}' is missing. It must be {_KIND[kind]}.")
        return self._typed(key, self.fields[key], kind)

    def _typed(self, key: str, value: object, kind: Type[_T]) -> _T:
        # bool is an int to Python, not to JSON.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise DocumentError(
                f"{self.origin}: '{self._path(key)}' must be {_KIND[kind]}, but was {_KIND[type(value)]}."
            )
        return value

    def _path(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key
