"""The interpreter and machine that an image runs on, as wheel tags and markers see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, Mapping, Optional, Sequence, Tuple

from packaging.markers import InvalidMarker, Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion

from imagekit.python.python_version import TargetError, check_python_version

#: The machines that images are built for, by the kernel's name for them.
MACHINES: Tuple[str, ...] = ("x86_64", "aarch64")

#: The glibc of the oldest base (bookworm): a wheel that needs a newer one does not count as usable everywhere.
OLDEST_GLIBC = (2, 36)

# PEP 600: the names that PEPs 513, 571 and 599 gave to three glibc versions.
_LEGACY_MANYLINUX: Mapping[Tuple[int, int], str] = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}
# The glibc that PEPs 513 and 599 let the first wheels of each machine rely on.
_FIRST_GLIBC: Mapping[str, Tuple[int, int]] = {"x86_64": (2, 5), "aarch64": (2, 17)}


@dataclass(frozen=True)
class TargetPython:
    """CPython ``version`` (``3.11``) on Linux with ``glibc`` (``(2, 36)``) on ``machine`` (``x86_64``).

    Raises :class:`TargetError` for a version or a machine that no image can have.
    """

    version: str
    glibc: Tuple[int, int]
    machine: str

    def __post_init__(self) -> None:
        check_python_version(self.version)
        if self.machine not in MACHINES:
            raise TargetError(f"{self.machine!r} is not a machine that images are built for: {', '.join(MACHINES)}")

    @property
    def version_info(self) -> Tuple[int, int]:
        """``(3, 11)``."""
        major, minor = self.version.split(".")
        return int(major), int(minor)

    def tags(self) -> Iterator[Tag]:
        """The wheel tags that fit, best first (PEP 425, PEP 600)."""
        major, minor = self.version_info
        interpreter = f"cp{major}{minor}"
        platforms = list(self._platforms())
        yield from cpython_tags((major, minor), abis=[interpreter], platforms=platforms)
        yield from compatible_tags((major, minor), interpreter=interpreter, platforms=platforms)

    def _platforms(self) -> Iterator[str]:
        major, newest = self.glibc
        oldest = _FIRST_GLIBC[self.machine][1]
        for minor in range(newest, oldest - 1, -1):
            yield f"manylinux_{major}_{minor}_{self.machine}"
            if (major, minor) in _LEGACY_MANYLINUX:
                yield f"{_LEGACY_MANYLINUX[(major, minor)]}_{self.machine}"
        yield f"linux_{self.machine}"

    def environment(self) -> Dict[str, str]:
        """Every variable of PEP 508's markers, so that none is taken from the running interpreter.

        The patch level is not known before a base is chosen and counts as 0.
        """
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.version}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.version}.0",
            "python_version": self.version,
            "sys_platform": "linux",
            "extra": "",
        }

    def fits(self, marker: Optional[str]) -> bool:
        """Whether ``marker`` holds here; no marker always does. Raises :class:`TargetError` for an invalid one."""
        if marker is None:
            return True
        try:
            return Marker(marker).evaluate(self.environment())
        except InvalidMarker as failure:
            raise TargetError(f"{marker!r} is not an environment marker: {failure}") from None


def targets(pythons: Sequence[str]) -> Tuple[TargetPython, ...]:
    """``pythons`` on every machine, with the oldest glibc of any base."""
    return tuple(TargetPython(version, OLDEST_GLIBC, machine) for version in pythons for machine in MACHINES)


def best_wheel(filenames: Sequence[str], target: TargetPython) -> Optional[str]:
    """The wheel of ``filenames`` that fits ``target`` best, or ``None``.

    Of two equally good tags the higher build number wins (the wheel specification), then the name, so that the
    choice never depends on the order given.
    """
    ranks = {tag: rank for rank, tag in enumerate(target.tags())}
    best: Optional[Tuple[int, Tuple[int, str], str]] = None
    for filename in filenames:
        try:
            _, _, build, tags = parse_wheel_filename(filename)
        except (InvalidWheelFilename, InvalidVersion):
            continue
        fitting = [ranks[tag] for tag in tags if tag in ranks]
        if fitting:
            number, suffix = build if build else (0, "")
            candidate = (-min(fitting), (number, suffix), filename)
            if best is None or candidate > best:
                best = candidate
    return best[2] if best else None
