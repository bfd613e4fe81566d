"""The shape of a subcommand of ``python -m imagekit``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Callable


@dataclass(frozen=True)
class Command:
    """One subcommand: ``configure`` declares its options, ``run`` does the work.

    ``run`` raises :class:`imagekit.errors.ImagekitError` to refuse.
    """

    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]
