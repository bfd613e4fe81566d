"""Run ``git`` so that neither the user's configuration nor the folder it runs in changes what it does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Mapping, Optional

from imagekit.errors import ImagekitError


class GitError(ImagekitError):
    """git that is missing, or that refuses."""


def isolated_environment(folder: Path) -> Mapping[str, str]:
    """An environment in which git finds no configuration, and no repository around ``folder``."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        # Compared textually with the working directory, which git asks the kernel for.
        "GIT_CEILING_DIRECTORIES": os.path.realpath(folder.parent),
        "GIT_TERMINAL_PROMPT": "0",
    }


def run_git(
    arguments: list[str], environment: Mapping[str, str], folder: Path, standard_input: Optional[bytes] = None
) -> subprocess.CompletedProcess[bytes]:
    """Run ``git ARGUMENTS`` in ``folder`` and wait; raises :class:`GitError` only when git is missing."""
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=dict(environment),
            input=b"" if standard_input is None else standard_input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError:
        raise GitError("git is not installed, or not on PATH. Install it, as with: apt-get install git") from None
