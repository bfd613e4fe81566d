"""Installing one wheel, once per interpreter, as the piece of an image."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Iterable, Iterator

from imagekit.constants import VENV
from imagekit.errors import ImagekitError
from imagekit.oci.entry import Entry, EntryKind
from imagekit.python.piece import root_owned, write_piece
from imagekit.python.sandbox_library import LIBRARY, driver_argv, library_binds
from imagekit.python.skeleton import materialize, venv_skeleton
from imagekit.sandbox.bwrap import Rootfs, run_in_rootfs
from imagekit.sandbox.mounts import Bind

_INPUT = "/imagekit/in"
#: What runs in the sandbox; being named, it is among the modules that the step's key holds.
_DRIVER = "imagekit.python.install_driver"
_BYTE_COMPILE = "imagekit.python.byte_compile"
#: Where the data files of a wheel land that are a service's configuration, and where the service looks for them.
_WHEEL_CONFIGURATION = f"{VENV.lstrip('/')}/etc/"
_CONFIGURATION = "etc/"


class InstallError(ImagekitError):
    """A wheel that cannot be installed."""


def install_wheel(wheel: Path, rootfs: Rootfs, python: str, output: Path, *, exclude_tests: bool = False) -> None:
    """Install ``wheel`` with ``/usr/bin/python<python>`` of ``rootfs``, byte-compile it, and write the piece ``output``.

    The piece holds the wheel's own files and no directories, and for each configuration file that the wheel carries
    (``/var/lib/openstack/etc/nova/api-paste.ini``) a symlink where the service looks for it (``/etc/nova/api-paste.ini``).
    With ``exclude_tests``, ``<package>/tests`` is left out.
    Raises :class:`InstallError` with what the installer says.
    """
    skeleton = venv_skeleton(python)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        materialize(skeleton, folder / "image")
        job = folder / "job.json"
        job.write_text(
            json.dumps({"wheel": f"{_INPUT}/{wheel.name}", "prefix": VENV, "exclude_tests": exclude_tests})
        )
        finished = run_in_rootfs(
            rootfs,
            driver_argv(python, _DRIVER, f"{_INPUT}/job.json"),
            binds=(
                *library_binds((_DRIVER, _BYTE_COMPILE), ("installer",)),
                Bind(job, f"{_INPUT}/job.json"),
                Bind(wheel, f"{_INPUT}/{wheel.name}"),
                Bind(folder / "image" / VENV.lstrip("/"), VENV, writable=True),
            ),
            cwd=LIBRARY,
        )
        if finished.returncode != 0:
            raise InstallError(f"{wheel.name} cannot be installed:\n{finished.stderr.strip()}")
        present = {entry.path for entry in skeleton}
        installed = tuple(
            entry
            for entry in root_owned(folder / "image")
            if entry.kind is not EntryKind.DIRECTORY and entry.path not in present
        )
        write_piece((*installed, *configuration_links(installed)), output)


def configuration_links(installed: Iterable[Entry]) -> Iterator[Entry]:
    """A symlink below ``/etc`` to each file of ``installed`` that lies below the ``etc`` of the virtual environment."""
    for entry in installed:
        if entry.path.startswith(_WHEEL_CONFIGURATION):
            path = _CONFIGURATION + entry.path[len(_WHEEL_CONFIGURATION) :]
            yield Entry(path, EntryKind.SYMLINK, 0o777, link_target=f"/{entry.path}")
