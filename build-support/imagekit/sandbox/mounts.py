"""What is mounted where in a sandbox: a pure plan over a root file system that is never written to."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence, Tuple, Union

from imagekit.errors import ImagekitError


class MountError(ImagekitError):
    """A mount point that cannot be made in the root file system."""


@dataclass(frozen=True)
class Bind:
    """A file or directory of the host at ``target`` in the sandbox, read-only unless ``writable``."""

    source: Path
    target: str
    writable: bool = False

    def __post_init__(self) -> None:
        check_target(self.target)


@dataclass(frozen=True)
class Tmpfs:
    """An empty directory in memory at ``target``, gone when the sandbox ends."""

    target: str
    mode: int = 0o755

    def __post_init__(self) -> None:
        check_target(self.target)


@dataclass(frozen=True)
class Proc:
    """The process file system of the sandbox's own processes."""

    target: str = "/proc"


@dataclass(frozen=True)
class Dev:
    """null, zero, full, random, urandom, tty, and a shm of the sandbox's own."""

    target: str = "/dev"


Mount = Union[Bind, Tmpfs, Proc, Dev]


def check_target(target: str) -> None:
    """Raises MountError unless ``target`` is an absolute, normalised path below ``/``."""
    if not target.startswith("/") or posixpath.normpath(target) != target or target.startswith("//") or target == "/":
        raise MountError(
            f"a mount point in a sandbox must be an absolute path below '/' without '.', '..' or a trailing '/', "
            f"but was {target!r}. Write it like '/build' or '/var/lib/openstack'."
        )


def mount_options(root: Path, mounts: Sequence[Mount], *, writable: bool) -> Tuple[str, ...]:
    """The bubblewrap options that put ``root`` at ``/`` and ``mounts`` on top.

    A read-only root file system has no room for mount points it lacks. The directory that should hold such a mount
    point is replaced by one in memory in which every original entry is bound again, so that ``root`` itself stays as
    it was unpacked. With ``writable``, ``root`` is bound read-write and mount points are made in it.

    Raises MountError for a target that lies below a file or a symbolic link of ``root``, or is used twice.
    """
    root = root.absolute()
    ordered = sorted(mounts, key=lambda mount: mount.target)
    for first, second in zip(ordered, ordered[1:]):
        if first.target == second.target:
            raise MountError(f"two mounts share the mount point {first.target!r}. Drop one of them.")
    targets = frozenset(mount.target for mount in ordered)
    if writable:
        options = ["--bind", str(root), "/"]
        replaced: Tuple[str, ...] = ()
    else:
        replaced = tuple(sorted({_replaced_directory(root, target, targets) for target in targets} - {""}))
        options = [] if "/" in replaced else ["--ro-bind", str(root), "/"]
        for directory in replaced:
            options += _replace(root, directory, targets)
    for mount in ordered:
        options += _mount(mount)
    for directory in replaced:
        options += ["--remount-ro", directory]
    return tuple(options)


def _replaced_directory(root: Path, target: str, targets: frozenset[str]) -> str:
    """The directory of ``root`` to replace so that ``target`` can exist; "" when nothing needs to be replaced."""
    directory = "/"
    for name in target.strip("/").split("/"):
        path = posixpath.join(directory, name)
        found = root / path.lstrip("/")
        is_target = path == target
        if path in targets and not is_target:
            # The mount there covers the rest of the way.
            return ""
        if found.is_symlink():
            if is_target:
                return directory
            raise MountError(
                f"the mount point {target!r} passes through the symbolic link {path!r} -> {os.readlink(found)!r} of "
                f"the root file system. Use the path it points to."
            )
        if not found.exists():
            return directory
        if not is_target and not found.is_dir():
            raise MountError(
                f"the mount point {target!r} lies below {path!r}, which is not a directory in the root file system. "
                "Use another path."
            )
        directory = path
    return ""


def _replace(root: Path, directory: str, targets: frozenset[str]) -> Sequence[str]:
    options = []
    original = root / directory.lstrip("/")
    if directory != "/":
        options += ["--perms", f"{original.stat().st_mode & 0o7777:04o}", "--tmpfs", directory]
    for name in sorted(os.listdir(original)):
        path = posixpath.join(directory, name)
        if path in targets:
            continue
        if (original / name).is_symlink():
            options += ["--symlink", os.readlink(original / name), path]
        else:
            options += ["--ro-bind", str(original / name), path]
    return options


def _mount(mount: Mount) -> Sequence[str]:
    if isinstance(mount, Bind):
        return ["--bind" if mount.writable else "--ro-bind", str(mount.source.absolute()), mount.target]
    if isinstance(mount, Tmpfs):
        return ["--perms", f"{mount.mode:04o}", "--tmpfs", mount.target]
    if isinstance(mount, Proc):
        return ["--proc", mount.target]
    return ["--dev", mount.target]
