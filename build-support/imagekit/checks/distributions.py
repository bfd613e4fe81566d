"""Python distributions: their requirements fit together (as `pip check` says) and their files are what they say."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Mapping, Set, Tuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from imagekit.checks.finding import Finding, Subject
from imagekit.constants import VENV

_SITE_PACKAGES = f"{VENV.lstrip('/')}/lib/python3.*/site-packages"
_SYSTEM_PACKAGES = "usr/lib/python3/dist-packages"


@dataclass(frozen=True)
class Distribution:
    """An installed distribution; ``folder`` is its ``.dist-info`` outside, ``path`` the same in the image."""

    name: str
    version: str
    requires: Tuple[str, ...]
    folder: Path
    path: str


def distributions(root: Path, pattern: str = _SITE_PACKAGES) -> Tuple[Distribution, ...]:
    """The distributions in the folders that ``pattern`` (relative to ``root``) names, sorted by path."""
    found: List[Distribution] = []
    for metadata in sorted(root.glob(f"{pattern}/*.dist-info/METADATA")):
        headers = HeaderParser().parsestr(metadata.read_text(encoding="utf-8", errors="replace"))
        folder = metadata.parent
        found.append(
            Distribution(
                str(headers["Name"]),
                str(headers["Version"]),
                tuple(str(value) for value in headers.get_all("Requires-Dist") or ()),
                folder,
                f"/{folder.relative_to(root).as_posix()}",
            )
        )
    return tuple(found)


def _marker_environment(root: Path) -> Mapping[str, str]:
    python = next((path.name for path in sorted(root.glob(f"{VENV.lstrip('/')}/lib/python3.*"))), "python3")
    version = python[len("python") :]
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{version}.0",
        "python_version": version,
        "sys_platform": "linux",
    }


def check_requirements(subject: Subject) -> Iterator[Finding]:
    """What each distribution requires, with markers and the extras that others ask for, is there at a fitting version."""
    root = subject.rootfs.path
    environment = _marker_environment(root)
    installed: Dict[str, Distribution] = {}
    for distribution in (*distributions(root, _SYSTEM_PACKAGES), *distributions(root)):
        name = canonicalize_name(distribution.name)
        other = installed.get(name)
        if other is not None and other.folder.parent == distribution.folder.parent:
            yield Finding(
                distribution.path, f"{name} is installed twice: {other.path} too", "Renew the lock; keep one of them."
            )
        installed[name] = distribution
    waiting: List[Tuple[Distribution, str]] = [(distribution, "") for distribution in distributions(root)]
    seen: Set[Tuple[str, str]] = set()
    while waiting:
        distribution, extra = waiting.pop()
        if (distribution.path, extra) in seen:
            continue
        seen.add((distribution.path, extra))
        for text in distribution.requires:
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                yield Finding(distribution.path, f"its requirement {text!r} cannot be read", "Patch its metadata.")
                continue
            if requirement.marker and not requirement.marker.evaluate({**environment, "extra": extra}):
                continue
            there = installed.get(canonicalize_name(requirement.name))
            if there is None:
                yield Finding(
                    distribution.path, f"{text!r} is not installed", "Add it to `python_packages` or renew the lock."
                )
            elif not SpecifierSet(str(requirement.specifier)).contains(there.version, prereleases=True):
                yield Finding(
                    distribution.path,
                    f"{text!r} is installed as {there.version}",
                    "Override its version in `constraint-overrides.txt` and renew the lock.",
                )
            else:
                waiting.extend((there, wanted) for wanted in requirement.extras)


def check_records(subject: Subject) -> Iterator[Finding]:
    """Each file that a distribution's RECORD names is there with the hash that it says."""
    for distribution in distributions(subject.rootfs.path):
        record = distribution.folder / "RECORD"
        if not record.is_file():
            yield Finding(f"{distribution.path}/RECORD", "it is not there", "Install the wheel again.")
            continue
        with record.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
        for name, expected in ((row[0], row[1] if len(row) > 1 else "") for row in rows):
            path = distribution.folder.parent / name
            if name.startswith("/") or not path.is_file():
                yield Finding(
                    f"{distribution.path}/RECORD", f"it names {name!r}, which is not there", "Install the wheel again."
                )
            elif expected:
                algorithm, _, wanted = expected.partition("=")
                digest = hashlib.new(algorithm, path.read_bytes()).digest()
                if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != wanted:
                    yield Finding(
                        f"{distribution.path}/RECORD", f"the hash of {name!r} is another one", "Install the wheel again."
                    )


_SECTION = re.compile(r"\[(?P<name>[^]]+)\]")


def console_scripts(distribution: Distribution) -> FrozenSet[str]:
    """The names of the distribution's console scripts (entry_points.txt and the files of its RECORD in bin/)."""
    found: Set[str] = set()
    section = ""
    entry_points = distribution.folder / "entry_points.txt"
    for line in entry_points.read_text(encoding="utf-8").splitlines() if entry_points.is_file() else ():
        header = _SECTION.fullmatch(line.strip())
        if header:
            section = header["name"].strip()
        elif section == "console_scripts" and "=" in line:
            found.add(line.partition("=")[0].strip())
    return frozenset(found)
