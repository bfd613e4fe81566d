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


COMMANDS: Mapping[str, Command] = {
    "lock-tools": Command(
        help="lock the packages that imagekit itself runs with",
        configure=_configure_lock_tools,
        run=_lock_tools,
    ),
}
