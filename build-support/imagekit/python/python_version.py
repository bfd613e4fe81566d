"""What a version of Python looks like here. Apart from what needs ``packaging``, which takes long to import."""

from __future__ import annotations

import re

from imagekit.errors import ImagekitError


class TargetError(ImagekitError):
    """An interpreter version or machine that images cannot have."""


def check_python_version(version: str) -> None:
    """Raise :class:`TargetError` unless ``version`` looks like ``3.11``."""
    if not re.fullmatch(r"3\.[1-9][0-9]*", version):
        raise TargetError(f"{version!r} is not a Python version of the form 3.N, such as 3.11")
