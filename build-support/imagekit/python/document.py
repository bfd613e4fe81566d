"""Typed reading of a JSON document, where every error names the path inside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Callable, Dict, Tuple

from imagekit.errors import ImagekitError


@dataclass(frozen=True)
class Node:
    """A value inside a JSON document: what it is, where it lies (``packages[3].name``), and in which file.

    ``remedy`` is the sentence that every error ends with; ``error`` makes the exception of the subject being parsed.
    """

    value: object
    path: str
    origin: str
    remedy: str
    error: Callable[[str], ImagekitError]

    def refuse(self, problem: str) -> ImagekitError:
        """The error that says ``problem`` of this value."""
        where = f"{self.origin}: {self.path}" if self.path else self.origin
        return self.error(f"{where} {problem}. {self.remedy}")

    def _members(self) -> Dict[str, object]:
        if not isinstance(self.value, dict):
            raise self.refuse(f"must be an object, but was {_shown(self.value)}")
        return self.value

    def has(self, key: str) -> bool:
        """Whether this object has the member ``key``."""
        return key in self._members()

    def __getitem__(self, key: str) -> Node:
        members = self._members()
        path = f"{self.path}.{key}" if self.path else key
        if key not in members:
            raise Node(None, path, self.origin, self.remedy, self.error).refuse("is missing")
        return Node(members[key], path, self.origin, self.remedy, self.error)

    def only(self, *keys: str) -> Node:
        """This object, which must have no member but ``keys``."""
        for key in self._members():
            if key not in keys:
                raise self[key].refuse("is not a known field")
        return self

    def items(self) -> Tuple[Node, ...]:
        """The elements of this array."""
        if not isinstance(self.value, list):
            raise self.refuse(f"must be an array, but was {_shown(self.value)}")
        return tuple(
            Node(value, f"{self.path}[{index}]", self.origin, self.remedy, self.error)
            for index, value in enumerate(self.value)
        )

    def string(self) -> str:
        """This non-empty string."""
        if not isinstance(self.value, str) or not self.value:
            raise self.refuse(f"must be a non-empty string, but was {_shown(self.value)}")
        return self.value

    def strings(self) -> Tuple[str, ...]:
        """This array of non-empty strings."""
        return tuple(item.string() for item in self.items())

    def size(self) -> int:
        """This size in bytes."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            raise self.refuse(f"must be a size in bytes, but was {_shown(self.value)}")
        return self.value


def parse_document(text: str, *, origin: str, remedy: str, error: Callable[[str], ImagekitError]) -> Node:
    """The root of the JSON document ``text``, read from ``origin``."""
    try:
        value: object = json.loads(text)
    except ValueError as failure:
        raise error(f"{origin} is not JSON: {failure}. {remedy}") from None
    return Node(value, "", origin, remedy, error)


def _shown(value: object) -> str:
    return json.dumps(value)
