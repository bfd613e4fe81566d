"""Building one wheel, once per source and toolchain."""

from __future__ import annotations

import platform
import re
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, Optional, Tuple

from packaging.requirements import Requirement

from imagekit.python.backend import BuildError, Metadata, SourceTree, Toolchain, parse_metadata
from imagekit.python.target import OLDEST_GLIBC, TargetPython
from imagekit.python.wheel_file import canonicalize, check_wheel_name


@dataclass(frozen=True)
class LockedRequires:
    """The requirements, with ``extras``, that a lock was made for; ``remedy`` says how to make it again."""

    requires: Tuple[str, ...]
    extras: Tuple[str, ...]
    remedy: str


def build_wheel(
    tree: SourceTree,
    toolchain: Toolchain,
    build_wheels: Tuple[Path, ...],
    output_dir: Path,
    *,
    locked: Optional[LockedRequires] = None,
) -> Path:
    """Build ``tree`` with ``build_wheels`` and write the wheel, in canonical form, into ``output_dir``.

    Raises :class:`~imagekit.python.backend.BuildError` with the backend's own output when it fails, and when the wheel
    requires something else than ``locked``; :class:`~imagekit.python.wheel_file.WheelError` when the wheel is of another
    name or version than ``tree``.
    """
    with tempfile.TemporaryDirectory() as folder:
        built = toolchain.build(tree, build_wheels, Path(folder))
        check_wheel_name(built.name, tree.name, tree.version)
        if locked is not None:
            check_requires(tree, wheel_metadata(built), locked, toolchain.python)
        output = output_dir / built.name
        canonicalize(built, output)
    return output


def wheel_metadata(wheel: Path) -> Metadata:
    """The metadata in the file ``wheel``."""
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        return parse_metadata(archive.read(member).decode("utf-8"))


def check_requires(tree: SourceTree, metadata: Metadata, locked: LockedRequires, python: str) -> None:
    """Raise :class:`~imagekit.python.backend.BuildError` when a patch made ``tree`` require more with ``python``.

    What counts is what holds for that Python: pbr evaluates markers when it is asked for metadata, which is what a lock
    is made from; in a wheel it keeps them, or loses the requirement where the project has a ``pyproject.toml``. So what
    a wheel does not require any more is no sign of a patch; it is in the image until the next lock.
    """
    target = TargetPython(python, OLDEST_GLIBC, platform.machine())
    requires = tuple(_in_force(metadata.requires_with(locked.extras), locked.extras, target))
    known = tuple(_in_force(locked.requires, locked.extras, target))
    added = [f"{requirement!r} was added" for requirement in requires if requirement not in known]
    if added:
        raise BuildError(
            f"the lock was made for other requirements of {tree.name} {tree.version} than its patched source has: "
            f"{', '.join(added)}. {locked.remedy}"
        )


def _in_force(requirements: Iterable[str], extras: Tuple[str, ...], target: TargetPython) -> Iterator[str]:
    """Those of ``requirements`` that hold on ``target`` with ``extras``, without their markers."""
    for text in requirements:
        requirement = Requirement(text)
        marker, requirement.marker = requirement.marker, None
        environments = ({**target.environment(), "extra": extra} for extra in ("", *extras))
        if marker is None or any(marker.evaluate(environment) for environment in environments):
            yield str(requirement)
