"""Put the files of a .deb into a directory without dpkg: what a root file system needs before its own dpkg can run."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Sequence, Set

from imagekit.debian.archive import ArchiveError, open_member
from imagekit.debian.control import Stanza


def extract_files(deb: Path, root: Path, skip: Callable[[str], bool]) -> None:
    """Extract the data of ``deb`` below ``root`` with its modes and numeric owners (those only as root).

    A symbolic link to a directory that is there already stays, so that ``/lib`` of a package lands in ``/usr/lib`` of a
    root file system with a merged /usr. ``skip`` is called with each image path. Raises ArchiveError for a path that
    leads out of ``root``, and for device nodes.
    """
    base = os.path.realpath(root)
    checked: Set[str] = set()
    with open_member(deb, "data.tar") as tar:
        for member in tar:
            path = os.path.normpath(member.name).lstrip("/")
            if path == "." or skip(path):
                continue
            parent = os.path.join(base, os.path.dirname(path))
            if parent not in checked:
                _check_inside(base, parent, deb, member)
                os.makedirs(parent, exist_ok=True)
                checked.add(parent)
            _extract(deb, tar, member, base, os.path.join(base, path))


def _check_inside(base: str, directory: str, deb: Path, member: tarfile.TarInfo) -> None:
    real = os.path.realpath(directory)
    if real != base and not real.startswith(base + "/"):
        raise ArchiveError(f"{deb} holds {member.name!r}, which leads out of the root file system. Do not use it.")


def _extract(deb: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, base: str, target: str) -> None:
    if member.isdir():
        if not os.path.isdir(target):
            os.mkdir(target)
    else:
        if os.path.lexists(target):
            os.unlink(target)
        if member.issym():
            os.symlink(member.linkname, target)
        elif member.islnk():
            source = os.path.join(base, os.path.normpath(member.linkname).lstrip("/"))
            _check_inside(base, os.path.dirname(source), deb, member)
            os.link(source, target, follow_symlinks=False)
            return
        elif member.isreg():
            content = tar.extractfile(member)
            assert content is not None
            with open(target, "xb") as file:
                shutil.copyfileobj(content, file, 1 << 20)
        else:
            raise ArchiveError(f"{deb} holds {member.name!r}, which is no file, directory or link. Do not use it.")
    if os.geteuid() == 0:
        os.chown(target, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        # After chown, which clears the set-user-id bit.
        os.chmod(target, member.mode)


def essential_closure(stanzas: Mapping[str, Stanza]) -> Sequence[str]:
    """The names of the essential packages and all that they depend on, sorted.

    Only these must be there for maintainer scripts to run: no package says that it depends on an essential one.
    """
    providers = _providers(stanzas)
    pending = [name for name, stanza in stanzas.items() if stanza.get("Essential") == "yes"]
    closure: Set[str] = set()
    while pending:
        name = pending.pop()
        if name in closure:
            continue
        closure.add(name)
        pending += dependencies(stanzas[name], providers, ("Pre-Depends", "Depends"))
    return sorted(closure)


def in_unpack_order(stanzas: Mapping[str, Stanza]) -> Sequence[str]:
    """The names so that a package follows those that it pre-depends on, otherwise sorted.

    Cycles, which policy forbids, are cut where they are met.
    """
    providers = _providers(stanzas)
    ordered: List[str] = []
    visited: Set[str] = set()

    def visit(name: str) -> None:
        if name in visited:
            return
        visited.add(name)
        for dependency in sorted(dependencies(stanzas[name], providers, ("Pre-Depends",))):
            visit(dependency)
        ordered.append(name)

    for name in sorted(stanzas):
        visit(name)
    return ordered


def dependencies(stanza: Stanza, providers: Mapping[str, str], fields: Sequence[str]) -> Sequence[str]:
    """The packages of ``providers`` that the relations in ``fields`` lead to."""
    found: List[str] = []
    for field in fields:
        for alternatives in stanza.relations(field):
            found += [providers[name] for name in alternatives if name in providers][:1]
    return found


def _providers(stanzas: Mapping[str, Stanza]) -> Mapping[str, str]:
    """From each real and virtual package name to a package that has it."""
    providers: Dict[str, str] = {}
    for name in sorted(stanzas):
        for alternatives in stanzas[name].relations("Provides"):
            for virtual in alternatives:
                providers.setdefault(virtual, name)
    providers.update({name: name for name in stanzas})
    return providers
