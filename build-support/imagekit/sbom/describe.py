"""Read from .debs and wheels what they say of themselves."""

from __future__ import annotations

import email.parser
import email.policy
import hashlib
import posixpath
import re
import zipfile
from collections import Counter
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from imagekit.debian.archive import open_member, read_control
from imagekit.python.install_driver import HEADER, UNIT_TESTS
from imagekit.sbom.debian_copyright import licence_of
from imagekit.sbom.descriptions import DebDescription, DescriptionError, WheelDescription
from imagekit.sbom.licences import UNKNOWN, of_wheel

_DOC = "usr/share/doc"


def describe_deb(path: Path) -> DebDescription:
    """The package of a .deb; raises :class:`~imagekit.debian.archive.ArchiveError`."""
    control = read_control(path)
    name = control.require("Package")
    copyright_file, pointed = _copyright(path, name)
    return DebDescription(
        name=name,
        summary=control.get("Description").partition("\n")[0].strip(),
        maintainer=control.get("Maintainer"),
        homepage=control.get("Homepage"),
        source=control.get("Source") or name,
        depends=(*control.relations("Pre-Depends"), *control.relations("Depends")),
        provides=tuple(group[0] for group in control.relations("Provides") if group),
        licence=UNKNOWN if copyright_file is None else licence_of(copyright_file),
        licence_from=pointed,
    )


def _copyright(path: Path, name: str) -> Tuple[Optional[str], Optional[str]]:
    """The text of the copyright file, or the package whose documentation is used instead."""
    with open_member(path, "data.tar") as tar:
        for member in tar:
            place = posixpath.normpath(member.name.lstrip("./"))
            if member.issym() and place in (f"{_DOC}/{name}", f"{_DOC}/{name}/copyright"):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(place), member.linkname)).lstrip("/")
                parts = target.split("/")
                if target.startswith(f"{_DOC}/") and parts[3] != name:
                    return None, parts[3]
            if member.isfile() and place == f"{_DOC}/{name}/copyright":
                file = tar.extractfile(member)
                assert file is not None
                return file.read().decode("utf-8", "replace"), None
    return None, None


def describe_wheel(path: Path, exclude_tests: bool = False) -> WheelDescription:
    """The distribution of a wheel, installed with or without its unit tests.

    Raises :class:`DescriptionError` for a file that is no wheel.
    """
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if not name.endswith("/")]
            names = [name for name in members if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
            if len(names) != 1:
                raise DescriptionError(f"{path.name} has {len(names)} METADATA files instead of one. Fetch it again.")
            text = archive.read(names[0]).decode("utf-8", "replace")
    except zipfile.BadZipFile as error:
        raise DescriptionError(f"{path.name} is no wheel: {error}. Fetch it again.") from None
    metadata = email.parser.Parser(policy=email.policy.compat32).parsestr(text, headersonly=True)

    def field(key: str) -> str:
        value = metadata.get(key)
        return "" if value is None or str(value).strip() == "UNKNOWN" else str(value).strip()

    def fields(key: str) -> Tuple[str, ...]:
        return tuple(str(value).strip() for value in metadata.get_all(key, []))

    links: List[Tuple[str, str]] = [("Homepage", field("Home-page"))] if field("Home-page") else []
    for text in fields("Project-URL"):
        label, comma, url = text.partition(",")
        if comma:
            links.append((label.strip(), url.strip()))
    return WheelDescription(
        name=re.sub(r"[-_.]+", "-", field("Name")).lower(),
        version=field("Version"),
        filename=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        summary=" ".join(field("Summary").split()),
        author=" ".join((field("Author") or field("Maintainer") or field("Author-email") or field("Maintainer-email")).split()),
        links=tuple(links),
        requires=tuple(" ".join(text.split()) for text in fields("Requires-Dist")),
        licence=of_wheel(field("License-Expression"), field("License"), fields("Classifier")),
        left_out=_left_out(members, exclude_tests),
    )


def _left_out(members: Sequence[str], exclude_tests: bool) -> Tuple[str, ...]:
    """What ``install-wheel`` passes over, by folder."""
    patterns = (HEADER, UNIT_TESTS) if exclude_tests else (HEADER,)
    matches = [match[0] for member in members for pattern in patterns for match in (pattern.match(member),) if match]
    return tuple(f"{folder} ({count} file{'s' * (count > 1)})" for folder, count in sorted(Counter(matches).items()))
