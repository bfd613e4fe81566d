"""The paths of an unpacked image, and symbolic links that stay within it."""

from __future__ import annotations

import os
import posixpath
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

_MAX_LINKS = 40


@dataclass(frozen=True)
class Node:
    """One path of an image: absolute in the image, with its mode."""

    path: str
    mode: int

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)


@dataclass(frozen=True)
class ImageTree:
    """Every path below ``root``, sorted; ``/`` itself is left out."""

    root: Path
    nodes: Tuple[Node, ...]

    @classmethod
    def read(cls, root: Path) -> ImageTree:
        return cls(root, tuple(sorted(_walk(str(root), ""), key=lambda node: node.path)))

    def host_path(self, path: str) -> Path:
        """Where the absolute image path ``path`` lies outside."""
        return self.root / path.lstrip("/")

    def resolve(self, path: str) -> Optional[str]:
        """``path`` with every symbolic link followed as inside the image; ``None`` when it leads nowhere."""
        waiting: List[str] = [part for part in reversed(path.split("/")) if part]
        found = "/"
        links = 0
        while waiting:
            part = waiting.pop()
            if part == ".":
                continue
            if part == "..":
                found = posixpath.dirname(found)
                continue
            step = posixpath.join(found, part)
            host = self.host_path(step)
            try:
                mode = os.lstat(host).st_mode
            except OSError:
                return None
            if not stat.S_ISLNK(mode):
                found = step
                continue
            links += 1
            if links > _MAX_LINKS:
                return None
            target = os.readlink(host)
            if target.startswith("/"):
                found = "/"
            waiting.extend(part for part in reversed(target.split("/")) if part)
        return found


def _walk(root: str, folder: str) -> Iterator[Node]:
    with os.scandir(f"{root}{folder}") as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}"
            yield Node(path, entry.stat(follow_symlinks=False).st_mode)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, path)
