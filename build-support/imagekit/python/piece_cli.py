"""Commands that make pieces without a root file system."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.python.piece import write_files_piece, write_piece
from imagekit.python.skeleton import venv_skeleton
from imagekit.python.system_modules import system_module_links
from imagekit.python.target import MACHINES


def _configure_venv_skeleton(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--python", required=True, metavar="3.N", help="version of /usr/bin/python3.N in the image")
    parser.add_argument("--system-site-packages", action="store_true", help="see the modules of Debian packages too")
    parser.add_argument(
        "--system-module", action="append", default=[], metavar="NAME", help="see this extension module of a Debian package"
    )
    parser.add_argument("--machine", choices=MACHINES, help="which one the system modules are for (default: the first)")
    parser.add_argument("--output", required=True, type=Path, metavar="TAR")


def _venv_skeleton(arguments: argparse.Namespace) -> None:
    entries = venv_skeleton(arguments.python, system_site_packages=arguments.system_site_packages)
    links = system_module_links(arguments.python, arguments.machine or MACHINES[0], arguments.system_module)
    write_piece((*entries, *links), arguments.output)


def _configure_files_piece(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", required=True, type=Path, metavar="DIR", help="laid out as the image's root")
    parser.add_argument(
        "--executable", action="append", default=[], metavar="PATH", help="path below DIR; default: what the modes say"
    )
    parser.add_argument("--no-executables", action="store_true", help="no file is executable, whatever the modes say")
    parser.add_argument("--output", required=True, type=Path, metavar="TAR")


def _files_piece(arguments: argparse.Namespace) -> None:
    said = arguments.executable or arguments.no_executables
    write_files_piece(arguments.root, arguments.output, frozenset(arguments.executable) if said else None)


COMMANDS: Mapping[str, Command] = {
    "venv-skeleton": Command(
        help="make the piece of an empty virtual environment",
        configure=_configure_venv_skeleton,
        run=_venv_skeleton,
    ),
    "files-piece": Command(
        help="make a piece of the files below a directory",
        configure=_configure_files_piece,
        run=_files_piece,
    ),
}
