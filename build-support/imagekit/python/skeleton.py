"""The virtual environment without packages: what makes ``/var/lib/openstack/bin/python`` find its site-packages."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

from imagekit.constants import VENV
from imagekit.oci.entry import Entry, EntryKind, directory
from imagekit.python.python_version import check_python_version


def venv_skeleton(python: str, *, system_site_packages: bool = False) -> Tuple[Entry, ...]:
    """The entries of an empty virtual environment at :data:`~imagekit.constants.VENV` for ``/usr/bin/python<python>``.

    ``python`` is a version such as ``3.11``. Implements what the ``site`` module reads (PEP 405).
    """
    check_python_version(python)
    root = VENV.lstrip("/")
    configuration = (
        "home = /usr/bin\n"
        f"include-system-site-packages = {'true' if system_site_packages else 'false'}\n"
        f"version = {python}\n"
        f"executable = /usr/bin/python{python}\n"
    )
    return (
        directory(root),
        directory(f"{root}/bin"),
        directory(f"{root}/lib"),
        directory(f"{root}/lib/python{python}"),
        directory(f"{root}/lib/python{python}/site-packages"),
        _symlink(f"{root}/bin/python", f"/usr/bin/python{python}"),
        _symlink(f"{root}/bin/python3", "python"),
        _symlink(f"{root}/bin/python{python}", "python"),
        _symlink(f"{root}/lib64", "lib"),
        Entry(f"{root}/pyvenv.cfg", EntryKind.FILE, 0o644, content=configuration.encode()),
    )


def materialize(entries: Tuple[Entry, ...], root: Path) -> None:
    """Make the directories, symlinks and files of ``entries`` below ``root``."""
    for entry in entries:
        path = root / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind is EntryKind.DIRECTORY:
            path.mkdir(exist_ok=True)
        elif entry.kind is EntryKind.SYMLINK:
            path.symlink_to(entry.link_target)
        elif isinstance(entry.content, bytes):
            path.write_bytes(entry.content)


def _symlink(path: str, target: str) -> Entry:
    return Entry(path, EntryKind.SYMLINK, 0o777, link_target=target)
