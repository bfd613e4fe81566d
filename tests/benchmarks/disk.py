"""How much of a disk a folder takes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Dict, Tuple

_BLOCK = 512


def disk_usage(folder: Path) -> int:
    """Bytes that are allocated below ``folder``: a file with two names counts once, and no mount does."""
    device = folder.lstat().st_dev
    allocated: Dict[Tuple[int, int], int] = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            # A daemon may be at work in it.
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(os.path.join(root, name))
                if status.st_dev == device:
                    allocated[status.st_dev, status.st_ino] = _BLOCK * status.st_blocks
        folders[:] = [name for name in folders if not os.path.ismount(os.path.join(root, name))]
    return sum(allocated.values())
