"""The command that makes imagekit's own tools available. Standard library only."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.python.tools_tree import write_tools, write_tools_tar


def _configure_tools(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wheel", action="append", default=[], type=Path, metavar="FILE", help="may be repeated")
    parser.add_argument("--imagekit", type=Path, metavar="DIR", help="the package's own folder, to make the result run")
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--output", type=Path, metavar="DIR")
    output.add_argument("--output-tar", type=Path, metavar="TAR", help="the directory as a tar")


def _tools(arguments: argparse.Namespace) -> None:
    if arguments.output_tar is None:
        write_tools(arguments.wheel, arguments.imagekit, arguments.output)
    else:
        write_tools_tar(arguments.wheel, arguments.imagekit, arguments.output_tar)


COMMANDS: Mapping[str, Command] = {
    "tools": Command(
        help="unpack imagekit and the wheels it runs with into one directory",
        configure=_configure_tools,
        run=_tools,
    ),
}
