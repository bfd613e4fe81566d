"""The one-line change that is timed: an added comment in a patch, reworded."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.commands import BenchmarkError

_COMMENT = re.compile(r"^(\+[ \t]*# [^\n]*?)(?: \(edit \d+\))?$", re.MULTILINE)


def edited_patch(text: str, number: int, origin: str) -> str:
    """``text`` with its first added Python comment changed; each ``number`` gives another text.

    The hunks keep their lengths, so the patch still applies. Raises :class:`BenchmarkError` without such a line.
    """
    edited, count = _COMMENT.subn(rf"\g<1> (edit {number})", text, count=1)
    if count == 0:
        raise BenchmarkError(f"{origin} adds no line with a Python comment ('+# ...') to change. Add one to the patch.")
    return edited


def edit_first_patch(folder: Path, number: int) -> None:
    """Change the first patch in ``folder``."""
    patches = sorted(folder.glob("*.patch"))
    if not patches:
        raise BenchmarkError(f"{folder} holds no patch to change. Add one.")
    first = patches[0]
    first.write_text(edited_patch(first.read_text(encoding="utf-8"), number, str(first)), encoding="utf-8")
