"""SBOMs as people read them: a table of what is in one, and what differs between two.

Pure. Reads the SBOMs that :mod:`imagekit.sbom.cyclonedx` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from imagekit.errors import ImagekitError
from imagekit.fetch.json_record import JsonRecord, JsonRecordError, parse_json_record
from imagekit.sbom.cyclonedx import PATCH_PROPERTY

_KINDS = {"pkg:deb/": "deb", "pkg:pypi/": "python"}
_HEADINGS = ("name", "version", "kind", "patches", "licence")


class ListingError(ImagekitError):
    """An SBOM that cannot be listed."""


@dataclass(frozen=True)
class ListedPackage:
    """A package; ``kind`` is ``deb`` or ``python``, ``licence`` "" where nothing is known.

    ``patches`` are paths in the tree, each with the hash of the patch: `patches/… sha256:…`.
    """

    name: str
    version: str
    kind: str
    licence: str
    patches: Tuple[str, ...]


def parse_listing(text: str, origin: str) -> Tuple[ListedPackage, ...]:
    """The packages of an SBOM, by kind and name; raises :class:`ListingError`."""
    try:
        packages = [_package(item, origin) for item in parse_json_record(text, origin).records("components")]
    except JsonRecordError as error:
        raise ListingError(str(error)) from None
    return tuple(sorted(packages, key=lambda package: (package.kind, package.name)))


def _package(component: JsonRecord, origin: str) -> ListedPackage:
    purl = component.text("purl")
    kinds = [kind for start, kind in _KINDS.items() if purl.startswith(start)]
    if not kinds:
        raise ListingError(
            f"{origin} has the component {purl}, which is neither a Debian package nor a Python distribution. "
            "Give an SBOM that `package` wrote."
        )
    licences = [
        item.text("expression") if "expression" in item.fields else item.record("license").text("name")
        for item in (component.records("licenses") if "licenses" in component.fields else ())
    ]
    patches = [item.text("value") for item in component.records("properties") if item.text("name") == PATCH_PROPERTY]
    return ListedPackage(
        component.text("name"), component.text("version"), kinds[0], "; ".join(licences), tuple(patches)
    )


def table(packages: Sequence[ListedPackage]) -> Tuple[str, ...]:
    """A line for each package below one of headings; ``patches`` is how many there are."""
    rows = [_HEADINGS] + [
        (item.name, item.version, item.kind, str(len(item.patches) or "-"), item.licence or "-") for item in packages
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return tuple("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def difference(old: Sequence[ListedPackage], new: Sequence[ListedPackage]) -> Tuple[str, ...]:
    """What ``new`` has more (`+`), less (`-`) and otherwise (`~`), in packages, versions and patches."""
    before: Dict[Tuple[str, str], ListedPackage] = {(item.kind, item.name): item for item in old}
    after: Dict[Tuple[str, str], ListedPackage] = {(item.kind, item.name): item for item in new}
    lines: List[str] = []
    for key in sorted(before.keys() | after.keys()):
        kind, name = key
        was, now = before.get(key), after.get(key)
        if was is None and now is not None:
            lines.append(f"+ {kind} {name} {now.version}")
        elif now is None and was is not None:
            lines.append(f"- {kind} {name} {was.version}")
        elif was is not None and now is not None and was.version != now.version:
            lines.append(f"~ {kind} {name} {was.version} -> {now.version}")
        had, has = (was.patches if was else ()), (now.patches if now else ())
        lines += [f"- {kind} {name} {patch}" for patch in had if patch not in has]
        lines += [f"+ {kind} {name} {patch}" for patch in has if patch not in had]
    return tuple(lines)
