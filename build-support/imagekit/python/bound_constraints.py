"""Constraints that keep an environment to the versions of a lock below it."""

from __future__ import annotations

import re

from imagekit.python.constraints import Constraint, Constraints, Place
from imagekit.python.lock import LockedPackage, PythonLock


def bound(constraints: Constraints, lock: PythonLock, text: str, origin: str) -> Constraints:
    """``constraints``, and a pin for each package of ``lock`` that they do not pin: the version in the lock.

    ``text`` is the content of the file ``origin`` that the lock was read from. What is built from a pinned source has
    its version from there, and gets none.
    """
    own = tuple(
        Constraint(package.name, package.version, package.marker, Place(origin, _line(package, text)))
        for package in lock.packages
        if package.component is None and not constraints.of(package.name)
    )
    return Constraints(constraints.file, constraints.pins + own)


def _line(package: LockedPackage, text: str) -> int:
    said = re.search(rf'"name": "{re.escape(package.name)}",\s*"version": "{re.escape(package.version)}"', text)
    return text.count("\n", 0, said.start()) + 1 if said else 1
