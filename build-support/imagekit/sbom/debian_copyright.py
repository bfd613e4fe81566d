"""Debian's machine-readable copyright files (copyright-format 1.0)."""

from __future__ import annotations

from imagekit.debian.control import ControlError, parse_stanzas
from imagekit.sbom.licences import UNKNOWN, Licence, of_debian

_FORMAT = "www.debian.org/doc/packaging-manuals/copyright-format/"


def licence_of(text: str) -> Licence:
    """What the files of a package are licensed under; unknown for a file that is written for people only."""
    if _FORMAT not in text.partition("\n\n")[0]:
        return UNKNOWN
    try:
        stanzas = tuple(parse_stanzas("\n".join(line for line in text.splitlines() if not line.startswith("#"))))
    except ControlError:
        return UNKNOWN
    named = [stanza.get("License").partition("\n")[0].strip() for stanza in stanzas if stanza.get("Files")]
    # What stands in debian/ only is the packaging, yet it is in the package all the same.
    return of_debian(name for name in named if name)
