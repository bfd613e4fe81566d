"""The command that installs a wheel."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.python.wheel_install import install_wheel
from imagekit.sandbox.store import RootfsStore


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wheel", required=True, type=Path, metavar="FILE")
    parser.add_argument("--python", required=True, metavar="3.N", help="version of /usr/bin/python3.N")
    parser.add_argument("--rootfs", required=True, action="append", type=Path, metavar="LAYER", help="bottom first")
    parser.add_argument("--rootfs-store", required=True, type=Path, metavar="DIR", help="outlives this process")
    parser.add_argument("--exclude-tests", action="store_true", help="leave out PACKAGE/tests")
    parser.add_argument("--output", required=True, type=Path, metavar="TAR")


def _run(arguments: argparse.Namespace) -> None:
    with RootfsStore(arguments.rootfs_store).rootfs(arguments.rootfs) as rootfs:
        install_wheel(
            arguments.wheel, rootfs, arguments.python, arguments.output, exclude_tests=arguments.exclude_tests
        )


COMMANDS: Mapping[str, Command] = {
    "install-wheel": Command(help="install and byte-compile a wheel as a piece", configure=_configure, run=_run),
}
