"""Commands of the Python side of an image."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command


def _configure_lock_tools(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requirements", required=True, type=Path, metavar="FILE", help="one requirement a line")
    parser.add_argument("--python", required=True, action="append", metavar="3.N", help="oldest first; may be repeated")
    parser.add_argument("--uv", required=True, type=Path, metavar="FILE", help="the uv executable")
    parser.add_argument("--settings", required=True, type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument("--previous", type=Path, metavar="LOCK", help="keep its versions where they still fit")
    parser.add_argument("--output", required=True, type=Path, metavar="LOCK")


def _lock_tools(arguments: argparse.Namespace) -> None:
    from imagekit.fetch.settings import read_settings
    from imagekit.oci.atomic_file import write_atomically
    from imagekit.python.lock import parse_tool_lock, render_tool_lock
    from imagekit.python.tool_lock import lock_tools, read_requirements
    from imagekit.python.uv import run_on_host

    previous = arguments.previous
    lock = lock_tools(
        read_requirements(arguments.requirements.read_text(encoding="utf-8")),
        pythons=tuple(arguments.python),
        settings=read_settings(arguments.settings),
        run=run_on_host(arguments.uv),
        previous=parse_tool_lock(previous.read_text(encoding="utf-8"), str(previous)) if previous else None,
    )
    write_atomically(arguments.output, render_tool_lock(lock).encode())


def _configure_tools(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wheel", action="append", default=[], type=Path, metavar="FILE", help="may be repeated")
    parser.add_argument("--imagekit", type=Path, metavar="DIR", help="the package's own folder, to make the result run")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")


def _tools(arguments: argparse.Namespace) -> None:
    from imagekit.python.tools_tree import write_tools

    write_tools(arguments.wheel, arguments.imagekit, arguments.output)


def _configure_venv_skeleton(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--python", required=True, metavar="3.N", help="version of /usr/bin/python3.N in the image")
    parser.add_argument("--system-site-packages", action="store_true", help="see the modules of Debian packages too")
    parser.add_argument("--output", required=True, type=Path, metavar="TAR")


def _venv_skeleton(arguments: argparse.Namespace) -> None:
    from imagekit.python.piece import write_piece
    from imagekit.python.skeleton import venv_skeleton

    entries = venv_skeleton(arguments.python, system_site_packages=arguments.system_site_packages)
    write_piece(entries, arguments.output)


def _configure_files_piece(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", required=True, type=Path, metavar="DIR", help="laid out as the image's root")
    parser.add_argument(
        "--executable", action="append", default=[], metavar="PATH", help="path below DIR; default: what the modes say"
    )
    parser.add_argument("--no-executables", action="store_true", help="no file is executable, whatever the modes say")
    parser.add_argument("--output", required=True, type=Path, metavar="TAR")


def _files_piece(arguments: argparse.Namespace) -> None:
    from imagekit.python.piece import write_files_piece

    said = arguments.executable or arguments.no_executables
    write_files_piece(arguments.root, arguments.output, frozenset(arguments.executable) if said else None)


COMMANDS: Mapping[str, Command] = {
    "lock-tools": Command(
        help="lock the packages that imagekit itself runs with",
        configure=_configure_lock_tools,
        run=_lock_tools,
    ),
    "tools": Command(
        help="unpack imagekit and the wheels it runs with into one directory",
        configure=_configure_tools,
        run=_tools,
    ),
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
