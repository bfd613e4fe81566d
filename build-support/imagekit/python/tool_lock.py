"""Locking the packages that imagekit itself runs with."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Optional, Sequence, Tuple

from imagekit.fetch.settings import FetchSettings
from imagekit.python import uv
from imagekit.python.constraints import Constraints
from imagekit.python.lock import ToolLock
from imagekit.python.resolved_packages import lock_wheels

_UNCONSTRAINED = Constraints("", ())


def read_requirements(text: str) -> Tuple[str, ...]:
    """The requirements in ``text``, one a line, ``#`` comments and blank lines left out."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def lock_tools(
    requirements: Sequence[str],
    *,
    pythons: Tuple[str, ...],
    settings: FetchSettings,
    run: uv.RunUv,
    previous: Optional[ToolLock] = None,
) -> ToolLock:
    """Resolve ``requirements`` to wheels for ``pythons``; versions of ``previous`` that still fit stay.

    Raises :class:`~imagekit.python.lock.LockError` when they cannot be resolved, or a package has no wheel for one of
    the machines.
    """
    resolution = uv.Resolution(
        what="the tools of imagekit",
        requirements=tuple(requirements),
        constraints=_UNCONSTRAINED,
        python=pythons[0],
        wheels_only=True,
        preferred=tuple((package.name, package.version) for package in previous.packages) if previous else (),
    )
    with tempfile.TemporaryDirectory() as folder:
        resolved = uv.resolve(resolution, uv.environment(settings), Path(folder), run)
    packages = lock_wheels(resolved, pythons=pythons, constraints=_UNCONSTRAINED, what=resolution.what)
    return ToolLock(pythons, tuple(requirements), packages)
