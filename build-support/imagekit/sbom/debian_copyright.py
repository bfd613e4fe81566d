"""Debian's copyright files: machine-readable ones (copyright-format 1.0), and what the others refer to."""

from __future__ import annotations

import re

from imagekit.sbom.licences import UNKNOWN, Licence, of_debian

#: Where the format is described, and where its drafts were.
_FORMATS = ("www.debian.org/doc/packaging-manuals/copyright-format/", "dep.debian.net/deps/dep5")
_FIELD = re.compile(r"^([A-Za-z-]+):[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_COMMON = re.compile(r"/usr/share/common-licenses/([A-Za-z0-9](?:[A-Za-z0-9.+-]*[A-Za-z0-9+])?)")


def licence_of(text: str) -> Licence:
    """What the files of a package are licensed under.

    A file that is written for people only refers to the licences that every Debian system has (Debian policy, 12.5):
    these, by their names there, since whether later versions may be used is said in words. Unknown without any.
    """
    stated = _machine_readable(text)
    return stated if stated != UNKNOWN else Licence(names=tuple(sorted(set(_COMMON.findall(text)))))


def _machine_readable(text: str) -> Licence:
    head = text.partition("\n\n")[0]
    if not any(place in head for place in _FORMATS):
        return UNKNOWN
    # Not as strictly as a control file: some have lines that are no fields.
    stanzas = [
        {name.lower(): value for name, value in _FIELD.findall(block)} for block in re.split(r"\n(?:[ \t]*\n)+", text)
    ]
    # What stands in debian/ only is the packaging, yet it is in the package all the same.
    return of_debian(stanza["license"] for stanza in stanzas if stanza.get("files") and stanza.get("license"))
