"""The service user of an image, written as the ``passwd`` package's tools would, without depending on today's date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from imagekit.constants import VENV
from imagekit.errors import ImagekitError

_SPECIFICATION = re.compile(r"([a-z_][a-z0-9_-]{0,31}):([0-9]+)")


class UserError(ImagekitError):
    """A user that cannot be made."""


@dataclass(frozen=True)
class User:
    """A user and group of the same name and id, with no password and no login shell."""

    name: str
    uid: int

    @classmethod
    def parse(cls, text: str) -> User:
        """``name:id`` as a user; raises UserError."""
        match = _SPECIFICATION.fullmatch(text)
        if match is None or not 0 < int(match.group(2)) < 60000:
            raise UserError(
                f"a user must be written as NAME:ID with an id from 1 to 59999, but was {text!r}. "
                "Write it like 'openstack:42424'."
            )
        return cls(match.group(1), int(match.group(2)))


def add_user(root: Path, user: User) -> None:
    """Add ``user`` to the account files below ``root``, and its home directory, which belongs to root.

    Raises UserError when the name or id is taken.
    """
    etc = root / "etc"
    # Without the passwd package, a root file system has no shadow files, and "x" would point to nothing.
    shadowed = (etc / "shadow").exists()
    lines = [
        ("passwd", f"{user.name}:{'x' if shadowed else '*'}:{user.uid}:{user.uid}::{VENV}:/usr/sbin/nologin"),
        ("group", f"{user.name}:{'x' if shadowed else '*'}:{user.uid}:"),
    ]
    if shadowed:
        lines += [("shadow", f"{user.name}:!:::::::"), ("gshadow", f"{user.name}:!::")]
    for file, line in lines:
        text = (etc / file).read_text()
        _check_free(text, file, user)
        with (etc / file).open("a") as accounts:
            accounts.write(line + "\n")
    (root / VENV.lstrip("/")).mkdir(mode=0o755, parents=True, exist_ok=True)


def _check_free(text: str, file: str, user: User) -> None:
    for line in text.splitlines():
        fields = line.split(":")
        taken = fields[0] == user.name or (file in ("passwd", "group") and fields[2] == str(user.uid))
        if taken:
            raise UserError(
                f"the user {user.name!r} with id {user.uid} cannot be added: /etc/{file} has {line!r} already. "
                "Choose another name or id."
            )
