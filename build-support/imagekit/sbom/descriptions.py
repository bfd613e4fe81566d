"""What packages say of themselves: read from the .debs and wheels when they are at hand, needed when an SBOM is made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from imagekit.errors import ImagekitError
from imagekit.fetch.json_record import JsonRecord, JsonRecordError, parse_json_record
from imagekit.sbom.licences import Licence


class DescriptionError(ImagekitError):
    """A package that cannot be described, or descriptions that cannot be read."""


@dataclass(frozen=True)
class DebDescription:
    """A .deb: who maintains it, from which source package, what it needs.

    ``depends`` are groups of alternatives. ``licence_from`` names the package whose copyright file this one points to.
    """

    name: str
    summary: str
    maintainer: str
    homepage: str
    source: str
    depends: Tuple[Tuple[str, ...], ...]
    provides: Tuple[str, ...]
    licence: Licence
    licence_from: Optional[str] = None


@dataclass(frozen=True)
class WheelDescription:
    """A wheel: the file with its SHA-256, and what its METADATA says. ``links`` are (label, URL).

    ``left_out`` says in words which of its files are not installed.
    """

    name: str
    version: str
    filename: str
    sha256: str
    summary: str
    author: str
    links: Tuple[Tuple[str, str], ...]
    requires: Tuple[str, ...]
    licence: Licence
    left_out: Tuple[str, ...] = ()


def render_debs(descriptions: Sequence[DebDescription]) -> str:
    return _render([{**vars(item), "licence": vars(item.licence)} for item in descriptions])


def render_wheels(descriptions: Sequence[WheelDescription]) -> str:
    return _render([{**vars(item), "licence": vars(item.licence)} for item in descriptions])


def parse_debs(text: str, origin: str) -> Tuple[DebDescription, ...]:
    """What :func:`render_debs` wrote; raises :class:`DescriptionError`."""
    return tuple(
        DebDescription(
            name=record.text("name"),
            summary=record.text("summary"),
            maintainer=record.text("maintainer"),
            homepage=record.text("homepage"),
            source=record.text("source"),
            depends=_lists(record, "depends"),
            provides=record.texts("provides"),
            licence=_licence(record),
            licence_from=record.optional_text("licence_from"),
        )
        for record in _records(text, origin)
    )


def parse_wheels(text: str, origin: str) -> Tuple[WheelDescription, ...]:
    """What :func:`render_wheels` wrote; raises :class:`DescriptionError`."""
    return tuple(
        WheelDescription(
            name=record.text("name"),
            version=record.text("version"),
            filename=record.text("filename"),
            sha256=record.text("sha256"),
            summary=record.text("summary"),
            author=record.text("author"),
            links=tuple((pair[0], pair[1]) for pair in _lists(record, "links")),
            requires=record.texts("requires"),
            licence=_licence(record),
            left_out=record.texts("left_out"),
        )
        for record in _records(text, origin)
    )


def _render(items: "List[Dict[str, object]]") -> str:
    return json.dumps({"packages": items}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _records(text: str, origin: str) -> Tuple[JsonRecord, ...]:
    try:
        return parse_json_record(text, origin).records("packages")
    except JsonRecordError as error:
        raise DescriptionError(str(error)) from None


def _licence(record: JsonRecord) -> Licence:
    licence = record.record("licence")
    return Licence(licence.optional_text("expression"), licence.texts("names"))


def _lists(record: JsonRecord, key: str) -> Tuple[Tuple[str, ...], ...]:
    value = record.fields.get(key)
    if not isinstance(value, list):
        raise DescriptionError(f"{record.place}: '{key}' must be a list of lists.")
    return tuple(JsonRecord({key: item}, record.place).texts(key) for item in value)


def by_name(descriptions: Sequence[DebDescription]) -> Mapping[str, DebDescription]:
    """The descriptions by package; of two the later one, which replaced the earlier in the image."""
    return {description.name: description for description in descriptions}
