"""Run the programs that are measured, and say what went wrong in them."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

#: How much of a failed program's output an error shows.
LINES_SHOWN = 30


class BenchmarkError(Exception):
    """The measurement cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Finished:
    """A program that ended well: what it printed, and for how many seconds it ran."""

    output: str
    seconds: float


def run(
    command: Sequence[str],
    *,
    environment: Optional[Mapping[str, str]] = None,
    folder: Optional[Path] = None,
    attempts: int = 1,
) -> Finished:
    """Run ``command`` to its end; raises :class:`BenchmarkError` with the end of its output when it fails.

    ``environment`` replaces the one of this process. A further attempt is only for what may not be up yet.
    """
    begin = time.monotonic()
    finished = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        encoding="utf-8",
        errors="replace",
    )
    seconds = time.monotonic() - begin
    if finished.returncode == 0:
        return Finished(finished.stdout, seconds)
    if attempts > 1:
        time.sleep(0.2)
        return run(command, environment=environment, folder=folder, attempts=attempts - 1)
    shown = "\n".join(finished.stdout.splitlines()[-LINES_SHOWN:])
    raise BenchmarkError(f"'{' '.join(command[:2])}' failed with exit code {finished.returncode}:\n{shown}")


def environment_without(prefixes: Sequence[str], additions: Mapping[str, str]) -> Mapping[str, str]:
    """The environment of this process without the variables that start with one of ``prefixes``, plus ``additions``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(tuple(prefixes))}
    return {**kept, **additions}
