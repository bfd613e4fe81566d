"""``build-support/add-release NEW --like OLD --constraints FILE``: the folder of a new OpenStack release.

Standard library only: it runs before anything of this tree is installed. It writes the new release's own folder and its
name in ``RELEASES``, and nothing else.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence, Tuple

RELEASES_FOLDER = "3rdparty/releases"
PRELUDE = "build-support/prelude/releases.py"
REFS, CONSTRAINTS, OVERRIDES = "source-refs.yaml", "upper-constraints.txt", "constraint-overrides.txt"

_NAME = re.compile(r"[0-9]{4}\.[0-9]+")
_RELEASES = re.compile(r"^RELEASES = \((?P<names>[^()]*)\)$", re.MULTILINE)
_OVERRIDES_HEAD = """\
# Changes to upper-constraints.txt for this release: `name===version` replaces or adds a pin, `-name` removes it, and the
# comment above a line says why. Renew the locks after an edit.
"""


class ReleaseError(Exception):
    """A release that cannot be made; the message says what to do."""


@dataclass(frozen=True)
class NewRelease:
    """The release ``name``, with the components of ``like`` and the upper constraints of the file ``constraints``."""

    name: str
    like: str
    constraints: Path


def releases_in(prelude: str) -> Tuple[str, ...]:
    """The names in the ``RELEASES`` of the prelude's text; raises :class:`ReleaseError` where it has none."""
    match = _RELEASES.search(prelude)
    if match is None:
        raise ReleaseError(f'{PRELUDE} has no line like RELEASES = ("2025.1", "2025.2"). Restore it from git.')
    return tuple(re.findall(r'"([^"]*)"', match["names"]))


def with_release(prelude: str, name: str) -> str:
    """The prelude's text with ``name`` among its ``RELEASES``, oldest first."""
    names = sorted({*releases_in(prelude), name}, key=lambda name: [int(part) for part in name.split(".")])
    quoted = ", ".join(f'"{name}"' for name in names)
    return _RELEASES.sub(f"RELEASES = ({quoted}{',' if len(names) == 1 else ''})", prelude)


def add_release(tree: Path, new: NewRelease) -> Tuple[str, ...]:
    """Make the folder of ``new`` in ``tree``; returns the components that it has.

    Raises :class:`ReleaseError`, and has written nothing then.
    """
    if not _NAME.fullmatch(new.name):
        raise ReleaseError(f"{new.name!r} is not the name of a release. Give one like 2026.2.")
    folder, old = tree / RELEASES_FOLDER / new.name, tree / RELEASES_FOLDER / new.like
    if folder.exists():
        raise ReleaseError(
            f"{RELEASES_FOLDER}/{new.name} exists already. Edit it, or remove it first: see docs/releases.md."
        )
    if not (old / REFS).is_file():
        known = ", ".join(sorted(path.parent.name for path in (tree / RELEASES_FOLDER).glob(f"*/{REFS}"))) or "none"
        raise ReleaseError(f"--like: there is no release {new.like!r} to copy from. This tree has: {known}.")
    constraints = _constraints(new.constraints)
    prelude = tree / PRELUDE
    if not prelude.is_file():
        raise ReleaseError(f"{PRELUDE} is missing. Restore it from git.")
    changed_prelude = with_release(prelude.read_text(encoding="utf-8"), new.name)
    refs = (old / REFS).read_text(encoding="utf-8").replace(new.like, new.name)

    # Under a name that nobody looks for until it is whole.
    unfinished = folder.with_name(f".{new.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    (unfinished / "BUILD").write_text(f'openstack_release(name="{new.name}", release="{new.name}")\n', encoding="utf-8")
    (unfinished / REFS).write_text(refs, encoding="utf-8")
    (unfinished / CONSTRAINTS).write_bytes(constraints)
    (unfinished / OVERRIDES).write_text(_OVERRIDES_HEAD, encoding="utf-8")
    unfinished.rename(folder)
    prelude.write_text(changed_prelude, encoding="utf-8")
    return tuple(re.findall(r"^([A-Za-z0-9][A-Za-z0-9._-]*):", refs, re.MULTILINE))


def _constraints(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReleaseError(f"--constraints: {path} cannot be read: {error.strerror}.") from None
    if not re.search(rb"^[A-Za-z0-9][^#\n]*===", content, re.MULTILINE):
        raise ReleaseError(
            f"--constraints: {path} has no line like oslo.config===10.0.0. Give the upper-constraints.txt of the "
            "release's branch of openstack/requirements."
        )
    return content


def _next_steps(new: NewRelease, components: Sequence[str]) -> str:
    folder = f"{RELEASES_FOLDER}/{new.name}"
    return "\n".join(
        [
            f"{folder} is made, and {new.name} is in RELEASES ({PRELUDE}).",
            "",
            "Review:",
            f"  {folder}/{REFS}: the versions are still those of {new.like};"
            f" take out what you do not build for {new.name}",
            f"  {folder}/{OVERRIDES}: empty; what of {RELEASES_FOLDER}/{new.like}/{OVERRIDES} holds still?",
            f"  patches/<component>/{new.like}: what of them goes into patches/<component>/{new.name}?",
            "Then lock each component that you keep, and build:",
            *(f"  ./pants generate-lockfiles --resolve={new.name}/{component}" for component in components),
            "  ./pants package services::",
        ]
    )


def main(arguments: List[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="build-support/add-release",
        description="Make the folder of a new OpenStack release, with the components of another one.",
        epilog="Files of the other releases stay as they are. docs/releases.md says what to do next.",
    )
    parser.add_argument("name", metavar="NEW", help="such as 2026.2")
    parser.add_argument("--like", required=True, metavar="OLD", help="the release whose components it has")
    parser.add_argument(
        "--constraints", required=True, type=Path, metavar="FILE", help="the new release's upper-constraints.txt"
    )
    parser.add_argument("--tree", type=Path, default=Path("."), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    new = NewRelease(given.name, given.like, given.constraints)
    try:
        components = add_release(given.tree, new)
    except ReleaseError as error:
        print(f"add-release: error: {error}", file=sys.stderr)
        return 1
    print(_next_steps(new, components))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
