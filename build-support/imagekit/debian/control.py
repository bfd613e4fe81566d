"""Stanzas of Debian control files (deb822), of which package indexes and .debs' own metadata are made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterator, Mapping, Tuple

from imagekit.errors import ImagekitError

_RELATION = re.compile(r"\s*([a-z0-9][a-z0-9+.-]+)")


class ControlError(ImagekitError):
    """A control file that cannot be read."""


@dataclass(frozen=True)
class Stanza:
    """The fields of one package as they were written; continuation lines keep their leading space."""

    fields: Mapping[str, str]
    text: str

    def get(self, name: str) -> str:
        """The field, or "" without one. Field names compare without case, as deb822 has it."""
        return self.fields.get(name.lower(), "")

    def require(self, name: str) -> str:
        """The field; raises ControlError without one."""
        value = self.get(name)
        if not value:
            raise ControlError(f"a control stanza lacks the field {name!r}: {self.text.splitlines()[0]!r}")
        return value

    def relations(self, name: str) -> Tuple[Tuple[str, ...], ...]:
        """The package names of a relation field such as Depends: a group of alternatives for each relation."""
        groups = []
        for relation in filter(str.strip, self.get(name).split(",")):
            found = [_RELATION.match(alternative) for alternative in relation.split("|")]
            groups.append(tuple(match.group(1) for match in found if match is not None))
        return tuple(groups)


def parse_stanzas(text: str) -> Iterator[Stanza]:
    """The stanzas of a control file; raises ControlError for a line that is neither a field nor a continuation."""
    for block in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        if block.strip():
            yield _parse_stanza(block)


def _parse_stanza(block: str) -> Stanza:
    fields: Dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if line[0] in " \t" and name:
            fields[name] += "\n" + line
            continue
        name, colon, value = line.partition(":")
        if not colon or not name or " " in name:
            raise ControlError(f"a control file has a line that is no field: {line!r}")
        name = name.lower()
        fields[name] = value.strip()
    return Stanza(fields, block)
