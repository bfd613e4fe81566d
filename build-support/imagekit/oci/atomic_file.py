"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Iterator

_UMASK_MODE = 0o666


@contextmanager
def temporary_file(folder: Path) -> Iterator[BinaryIO]:
    """A new file in ``folder`` (made where missing), removed on leaving unless the block renamed it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".new-")
    try:
        # mkstemp gives 0600; a blob is no secret and has the mode that any new file gets.
        os.fchmod(descriptor, _UMASK_MODE & ~_umask())
        os.close(descriptor)
        with open(name, "wb", buffering=0) as file:
            yield file
    finally:
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``; readers see the old file or the new one."""
    with temporary_file(path.parent) as file:
        write_all(file, data)
        os.replace(file.name, path)


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write to an unbuffered file, which may take less than all at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _umask() -> int:
    # Linux tells the mask without changing it for other threads.
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022
