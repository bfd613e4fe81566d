"""Commands that make locks."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Iterator, Mapping, Optional, Tuple

from imagekit.command import Command
from imagekit.fetch.http import Client, ExpectedFile
from imagekit.fetch.python_file import fetch_python_file
from imagekit.fetch.settings import FetchSettings, read_settings
from imagekit.oci.atomic_file import write_atomically
from imagekit.python import uv
from imagekit.python.backend import SourceTree, Toolchain
from imagekit.python.bound_constraints import bound
from imagekit.python.constraints import Constraints, apply_overrides, parse_overrides, parse_upper_constraints
from imagekit.python.layer_groups import GroupedLock, members, renew
from imagekit.python.lock import (
    Artifact,
    LockError,
    PythonLock,
    check_overrides_are_used,
    parse_python_lock,
    parse_tool_lock,
    render_python_lock,
    render_tool_lock,
)
from imagekit.python.service_lock import LibrarySource, Locker, LockRequest
from imagekit.python.target import OLDEST_GLIBC, TargetPython
from imagekit.python.tool_lock import lock_tools, read_requirements
from imagekit.sandbox.bwrap import Rootfs
from imagekit.sandbox.store import RootfsStore

#: The interpreters of the bases bookworm, noble and trixie.
_BASE_PYTHONS = ("3.11", "3.12", "3.13")
#: The interpreter that imagekit runs with.
_TOOL_PYTHONS = ("3.9",)


def _configure_lock_python(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--service", required=True)
    parser.add_argument("--release", required=True, help="OpenStack release, as 2025.2")
    parser.add_argument(
        "--requirement", required=True, action="append", help="as 'keystone[ldap]' or uwsgi; may be repeated"
    )
    parser.add_argument("--source", required=True, type=Path, metavar="FILE", help="patched source tree (.tar) or sdist")
    parser.add_argument("--project", required=True, help="name of the source's own distribution")
    parser.add_argument("--version", required=True, help="its version, as 28.0.0")
    parser.add_argument(
        "--library",
        action="append",
        default=[],
        nargs=5,
        metavar=("COMPONENT", "PROJECT", "VERSION", "FILE", "PLACE"),
        help="a dependency that is built from this patched source tree, and the line that pins it; may be repeated",
    )
    parser.add_argument("--constraints", required=True, type=Path, metavar="FILE", help="upper-constraints.txt")
    parser.add_argument("--overrides", type=Path, metavar="FILE", help="constraint-overrides.txt; need not exist")
    parser.add_argument(
        "--python", action="append", metavar="3.N", help=f"oldest first; default: {' '.join(_BASE_PYTHONS)}"
    )
    parser.add_argument("--uv", required=True, type=Path, metavar="FILE", help="the uv executable, or its wheel")
    parser.add_argument("--rootfs", required=True, action="append", type=Path, metavar="LAYER", help="bottom first")
    parser.add_argument("--rootfs-store", required=True, type=Path, metavar="DIR", help="outlives this process")
    parser.add_argument("--settings", required=True, type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument(
        "--other-lock", action="append", default=[], type=Path, metavar="LOCK", help="of another service, of any release"
    )
    parser.add_argument("--previous", type=Path, metavar="LOCK", help="keep unpinned versions of it; need not exist")
    parser.add_argument(
        "--image-lock", type=Path, metavar="LOCK", help="lock what is run in the image of this lock, with its versions"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="LOCK")


def _lock_python(arguments: argparse.Namespace) -> None:
    constraints = _constraints(arguments.constraints, arguments.overrides)
    if arguments.image_lock:
        image_lock = read_python_lock(arguments.image_lock)
        constraints = bound(constraints, image_lock, _read(arguments.image_lock), str(arguments.image_lock))
    settings = read_settings(arguments.settings)
    request = LockRequest(
        release=arguments.release,
        service=arguments.service,
        requirements=tuple(arguments.requirement),
        source=SourceTree(arguments.project, arguments.version, arguments.source),
        constraints=constraints,
        pythons=tuple(arguments.python or _BASE_PYTHONS),
        libraries=tuple(
            LibrarySource(component, SourceTree(project, version, Path(file)), place)
            for component, project, version, file, place in arguments.library
        ),
    )
    previous = _read_lock(arguments.previous)
    with RootfsStore(arguments.rootfs_store).rootfs(arguments.rootfs) as rootfs, _executable(arguments.uv) as program:
        with tempfile.TemporaryDirectory() as name:
            lock = make_locker(settings, program, rootfs, Path(name)).lock(request, previous)
    others = tuple(read_python_lock(path) for path in arguments.other_lock)
    check_overrides_are_used(constraints, (lock, *(other for other in others if other.release == lock.release)))
    if arguments.image_lock:
        # No image has layers of it.
        layers: Tuple[Tuple[str, ...], ...] = (tuple(sorted({member.name for member in members(lock)})),)
    else:
        layers = renew(
            members(lock),
            GroupedLock((), ()) if previous is None else GroupedLock.of(previous),
            tuple(GroupedLock.of(other) for other in others),
        )
    write_atomically(arguments.output, render_python_lock(replace(lock, layers=layers)).encode())


def make_locker(settings: FetchSettings, program: Path, rootfs: Rootfs, folder: Path) -> Locker:
    """A :class:`Locker` that runs the executable ``program`` in ``rootfs``; ``folder`` is an empty directory for its files."""
    client = Client(settings.http, credential_urls=settings.index_urls + settings.find_links)

    def fetch(project: str, artifact: Artifact, into: Path) -> Path:
        path = into / artifact.filename
        expected = ExpectedFile(artifact.filename, artifact.size, artifact.sha256)
        fetch_python_file(settings, client, project, expected, path)
        return path

    cache = folder / "uv-cache"
    cache.mkdir()
    python = interpreter_of(rootfs.path)
    return Locker(
        run_uv=uv.run_in_sandbox(program, rootfs, cache, uv.local_files(settings)),
        uv_environment=uv.environment(settings),
        backends=Toolchain(rootfs, python),
        target=TargetPython(python, OLDEST_GLIBC, os.uname().machine),
        fetch=fetch,
        folder=folder,
    )


def interpreter_of(root: Path) -> str:
    """The version of ``/usr/bin/python3`` below ``root``; raises :class:`LockError` when there is none."""
    link = root / "usr/bin/python3"
    match = re.fullmatch(r"python(3\.[0-9]+)", os.readlink(link)) if link.is_symlink() else None
    if match is None:
        raise LockError("the root file system has no /usr/bin/python3. Lock with the layers of venv-builder.")
    return match[1]


def _constraints(path: Path, overrides: Optional[Path]) -> Constraints:
    constraints = parse_upper_constraints(_read(path), str(path))
    if overrides is None or not overrides.exists():
        return constraints
    return apply_overrides(constraints, parse_overrides(_read(overrides), str(overrides)))


def read_python_lock(path: Path) -> PythonLock:
    """The lock in the file ``path``; raises :class:`LockError`."""
    return parse_python_lock(_read(path), str(path))


def _read_lock(path: Optional[Path]) -> Optional[PythonLock]:
    return None if path is None or not path.exists() else read_python_lock(path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        reason = failure.strerror if isinstance(failure, OSError) else str(failure)
        raise LockError(f"{path} cannot be read: {reason}. Restore it, or name another file.") from None


@contextmanager
def _executable(program: Path) -> Iterator[Path]:
    """``program``, or the executable in it where it is uv's wheel."""
    if program.suffix != ".whl":
        yield program
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(program) as wheel:
        member = next((name for name in wheel.namelist() if name.endswith(".data/scripts/uv")), None)
        if member is None:
            raise LockError(f"{program.name} holds no uv. Name the uv executable or its wheel.")
        path = Path(folder, "uv")
        with wheel.open(member) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
        path.chmod(0o755)
        yield path


def _configure_lock_tools(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requirements", required=True, type=Path, metavar="FILE", help="one requirement a line")
    parser.add_argument(
        "--python", action="append", metavar="3.N", help=f"oldest first; default: {' '.join(_TOOL_PYTHONS)}"
    )
    parser.add_argument("--uv", required=True, type=Path, metavar="FILE", help="the uv executable, or its wheel")
    parser.add_argument("--settings", required=True, type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument("--previous", type=Path, metavar="LOCK", help="keep versions of it that fit; need not exist")
    parser.add_argument("--output", required=True, type=Path, metavar="LOCK")


def _lock_tools(arguments: argparse.Namespace) -> None:
    previous = arguments.previous if arguments.previous and arguments.previous.exists() else None
    with _executable(arguments.uv) as program:
        lock = lock_tools(
            read_requirements(_read(arguments.requirements)),
            pythons=tuple(arguments.python or _TOOL_PYTHONS),
            settings=read_settings(arguments.settings),
            run=uv.run_on_host(program),
            previous=parse_tool_lock(_read(previous), str(previous)) if previous else None,
        )
    write_atomically(arguments.output, render_tool_lock(lock).encode())


COMMANDS: Mapping[str, Command] = {
    "lock-python": Command(
        help="lock the Python packages of a service for a release",
        configure=_configure_lock_python,
        run=_lock_python,
    ),
    "lock-tools": Command(
        help="lock the packages that imagekit itself runs with",
        configure=_configure_lock_tools,
        run=_lock_tools,
    ),
}
