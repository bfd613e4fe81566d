"""imagekit and the packages it runs with, in one directory that ``python DIRECTORY <command>`` runs.

Standard library only: this is what makes every other package available.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Optional, Sequence

from imagekit.errors import ImagekitError
from imagekit.python import byte_compile

_MAIN = """\
import sys

from imagekit.__main__ import main

sys.exit(main())
"""


class ToolsError(ImagekitError):
    """Wheels that cannot be unpacked next to each other."""


def write_tools(wheels: Sequence[Path], imagekit: Optional[Path], output: Path) -> None:
    """Unpack ``wheels`` and copy the package ``imagekit``, byte-compile both, and rename the result to ``output``.

    Without ``imagekit`` the directory holds the wheels only, for a caller that brings its own imagekit.

    Equal inputs give equal bytes. Raises :class:`ToolsError` when two wheels hold the same file, for a file that is no
    wheel, and when ``output`` is there already.
    """
    if output.exists():
        raise ToolsError(f"{output} exists already. Remove it, or name another directory.")
    output.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=output.parent, prefix=".new-"))
    try:
        for wheel in sorted(wheels, key=lambda wheel: wheel.name):
            _unpack(wheel, fresh)
        if imagekit is not None:
            _copy_sources(imagekit, fresh / "imagekit")
            (fresh / "__main__.py").write_text(_MAIN)
        _byte_compile(fresh)
        fresh.chmod(0o755)
        fresh.rename(output)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def write_tools_tar(wheels: Sequence[Path], imagekit: Optional[Path], output: Path) -> None:
    """What :func:`write_tools` makes, as an uncompressed tar of its files: for a cache that keeps single files better."""
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".new-") as name:
        folder = Path(name) / "tools"
        write_tools(wheels, imagekit, folder)
        packed = Path(name) / "tar"
        with tarfile.open(packed, "w", format=tarfile.USTAR_FORMAT) as tar:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                member = tarfile.TarInfo(path.relative_to(folder).as_posix())
                member.size = path.stat().st_size
                with path.open("rb") as file:
                    tar.addfile(member, file)
        packed.chmod(0o644)
        packed.rename(output)


def _unpack(wheel: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in sorted(archive.namelist()):
                path = _installed_path(name)
                if path is None:
                    continue
                target = folder / path
                if target.exists():
                    raise ToolsError(f"{wheel.name} holds {path}, which another wheel holds too. Leave one of them out.")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(name))
    except (OSError, zipfile.BadZipFile) as error:
        raise ToolsError(f"{wheel} cannot be unpacked as a wheel: {error}. Fetch it again.") from None


def _installed_path(name: str) -> Optional[PurePosixPath]:
    """Where a member of a wheel goes below site-packages; ``None`` for directories, scripts and data."""
    path = PurePosixPath(name)
    if name.endswith("/"):
        return None
    if path.is_absolute() or ".." in path.parts:
        raise ToolsError(f"{name!r} in a wheel points out of it. Do not use that wheel.")
    if path.parts[0].endswith(".data"):
        return PurePosixPath(*path.parts[2:]) if path.parts[1] in ("purelib", "platlib") else None
    return path


def _copy_sources(package: Path, target: Path) -> None:
    for source in byte_compile.sources(str(package)):
        if not source.endswith("_test.py"):
            path = target / Path(source).relative_to(package)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(Path(source).read_bytes())


def _byte_compile(folder: Path) -> None:
    # A process of its own: byte code depends on the hash seed, and on what else a process has loaded.
    subprocess.run(
        [sys.executable, "-S", os.path.abspath(byte_compile.__file__), "."],
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )
