"""The command that builds a wheel."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.python.backend import SourceTree, Toolchain
from imagekit.python.wheel_build import LockedRequires, build_wheel
from imagekit.sandbox.store import RootfsStore


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", required=True, type=Path, metavar="FILE", help="sdist (.tar.gz) or source tree (.tar)")
    parser.add_argument("--name", required=True, metavar="PROJECT")
    parser.add_argument("--version", required=True)
    parser.add_argument(
        "--build-wheel", action="append", default=[], type=Path, metavar="FILE", help="what the build needs; may be repeated"
    )
    parser.add_argument("--python", required=True, metavar="3.N", help="version of /usr/bin/python3.N")
    parser.add_argument("--rootfs", required=True, action="append", type=Path, metavar="LAYER", help="bottom first")
    parser.add_argument("--rootfs-store", required=True, type=Path, metavar="DIR", help="outlives this process")
    parser.add_argument(
        "--locked-requires", action="append", metavar="REQUIREMENT", help="refuse a wheel that requires anything else"
    )
    parser.add_argument("--extra", action="append", default=[], help="of which requirements count; may be repeated")
    parser.add_argument("--remedy", default="Make the lock again.", help="what that refusal tells the user to do")
    parser.add_argument("--output-dir", required=True, type=Path, metavar="DIR")


def _run(arguments: argparse.Namespace) -> None:
    requires = arguments.locked_requires
    locked = None if requires is None else LockedRequires(tuple(requires), tuple(arguments.extra), arguments.remedy)
    with RootfsStore(arguments.rootfs_store).rootfs(arguments.rootfs) as rootfs:
        build_wheel(
            SourceTree(arguments.name, arguments.version, arguments.source),
            Toolchain(rootfs, arguments.python),
            tuple(arguments.build_wheel),
            arguments.output_dir,
            locked=locked,
        )


COMMANDS: Mapping[str, Command] = {
    "build-wheel": Command(help="build a wheel without network", configure=_configure, run=_run),
}
