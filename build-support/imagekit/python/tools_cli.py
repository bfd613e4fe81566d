"""The command that makes imagekit's own tools available. Standard library only."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.python.tools_tree import write_tools


def _configure_tools(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wheel", action="append", default=[], type=Path, metavar="FILE", help="may be repeated")
    parser.add_argument("--imagekit", type=Path, metavar="DIR", help="the package's own folder, to make the result run")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")


def _tools(arguments: argparse.Namespace) -> None:
    write_tools(arguments.wheel, arguments.imagekit, arguments.output)


COMMANDS: Mapping[str, Command] = {
    "tools": Command(
        help="unpack imagekit and the wheels it runs with into one directory",
        configure=_configure_tools,
        run=_tools,
    ),
}
