"""Python code of this process, made importable inside a root file system."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Sequence, Tuple

from imagekit.errors import ImagekitError
from imagekit.sandbox.mounts import Bind

#: The directory that ``python -m`` has to be started in.
LIBRARY = "/imagekit/lib"


class LibraryError(ImagekitError):
    """A package that imagekit needs and does not have."""


def driver_argv(python: str, driver: ModuleType, *arguments: str) -> Tuple[str, ...]:
    """The command that runs the module ``driver`` with ``/usr/bin/python<python>``, in :data:`LIBRARY`.

    Neither byte code nor the packages of a user get in.
    """
    return (f"/usr/bin/python{python}", "-B", "-s", "-m", driver.__name__, *arguments)


def library_binds(modules: Sequence[ModuleType], packages: Sequence[str]) -> Tuple[Bind, ...]:
    """Own ``modules``, each a file of its own so that none comes along by accident, and pure Python ``packages``.

    Raises :class:`LibraryError` for a package that is not installed next to imagekit.
    """
    own = tuple(
        Bind(Path(str(module.__file__)).absolute(), f"{LIBRARY}/{module.__name__.replace('.', '/')}.py") for module in modules
    )
    return own + tuple(_package(name) for name in packages)


def _package(name: str) -> Bind:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise LibraryError(
            f"the Python package {name!r}, which imagekit needs, is not installed. Install what "
            "3rdparty/tools/imagekit.lock.json names, or run imagekit from its tools directory."
        )
    return Bind(Path(spec.submodule_search_locations[0]).absolute(), f"{LIBRARY}/{name}")
