"""Extension modules of Debian packages, made visible to a virtual environment one by one.

Ceph's bindings (``rbd``, ``rados``) exist as Debian packages only. With ``include-system-site-packages`` the environment
would see every other Python package of Debian too, whose versions no lock of Python packages knows.
"""

from __future__ import annotations

import re
from typing import Sequence, Tuple

from imagekit.constants import VENV
from imagekit.errors import ImagekitError
from imagekit.oci.entry import Entry, EntryKind
from imagekit.python.python_version import TargetError, check_python_version
from imagekit.python.target import MACHINES

#: Where Debian's policy for Python puts modules.
DEBIAN_MODULES = "/usr/lib/python3/dist-packages"


class SystemModuleError(ImagekitError):
    """A name that no extension module can have."""


def system_module_links(python: str, machine: str, modules: Sequence[str]) -> Tuple[Entry, ...]:
    """A symlink in the site-packages of :data:`~imagekit.constants.VENV` to each of ``modules`` (``rbd``).

    ``python`` is a version such as ``3.11``, ``machine`` the kernel's name of one, such as ``x86_64``: both are part of
    the name of the file that CPython loads (PEP 3149, with Debian's multiarch triplet).

    Raises :class:`SystemModuleError` for a name that is none, and :class:`~imagekit.python.target.TargetError`.
    """
    check_python_version(python)
    if machine not in MACHINES:
        raise TargetError(f"{machine!r} is not a machine that images are built for: {', '.join(MACHINES)}")
    site_packages = f"{VENV.lstrip('/')}/lib/python{python}/site-packages"
    links = []
    for module in sorted(set(modules)):
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", module):
            raise SystemModuleError(f"{module!r} is not the name of a top-level module, such as rbd")
        file = f"{module}.cpython-{python.replace('.', '')}-{machine}-linux-gnu.so"
        links.append(Entry(f"{site_packages}/{file}", EntryKind.SYMLINK, 0o777, link_target=f"{DEBIAN_MODULES}/{file}"))
    return tuple(links)
