"""Python code of this process, made importable inside a root file system."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Sequence, Tuple

from imagekit.errors import ImagekitError
from imagekit.sandbox.mounts import Bind

#: The directory that ``python -m`` has to be started in.
LIBRARY = "/imagekit/lib"


class LibraryError(ImagekitError):
    """A package that imagekit needs and does not have."""


def driver_argv(python: str, driver: str, *arguments: str) -> Tuple[str, ...]:
    """The command that runs the module called ``driver`` with ``/usr/bin/python<python>``, in :data:`LIBRARY`.

    Neither byte code nor the packages of a user get in.
    """
    return (f"/usr/bin/python{python}", "-B", "-s", "-m", driver, *arguments)


def library_binds(modules: Sequence[str], packages: Sequence[str]) -> Tuple[Bind, ...]:
    """Own ``modules``, each a file of its own so that none comes along by accident, and pure Python ``packages``.

    By name: importing what runs in the sandbox would cost each of hundreds of processes its start. Raises
    :class:`LibraryError` for one that is not there.
    """
    own = tuple(Bind(_origin(name), f"{LIBRARY}/{name.replace('.', '/')}.py") for name in modules)
    return own + tuple(Bind(_origin(name).parent, f"{LIBRARY}/{name}") for name in packages)


def _origin(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LibraryError(
            f"the Python package {name!r}, which imagekit needs, is not installed. Install what "
            "3rdparty/tools/imagekit.lock.json names, or run imagekit from its tools directory."
        )
    return Path(spec.origin).absolute()
