"""The commands that make root file systems of .debs."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from types import FrameType
from typing import Mapping, Optional, Tuple

from imagekit.command import Command
from imagekit.debian.lock import DebPackage, parse_deb_lock, read_lock_text
from imagekit.debian.rootfs import LayerOutput, bootstrap, check_debs, extend
from imagekit.debian.users import User
from imagekit.errors import ImagekitError
from imagekit.oci.compression_options import add_compression_options, chosen_compression
from imagekit.sandbox.user_namespace import enter_user_namespace


def _configure_debs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--deb", action="append", default=[], type=Path, metavar="FILE", help="repeatable")
    parser.add_argument("--debs", type=Path, metavar="DIRECTORY", help="take every *.deb in it")
    parser.add_argument("--created-by", default="", metavar="TEXT", help="what the image's history says of the layer")
    parser.add_argument("--headers", action="store_true", help="keep /usr/include, for compilers")
    parser.add_argument("--output-dir", required=True, type=Path, metavar="DIRECTORY")
    add_compression_options(parser)


def _configure_bootstrap(parser: argparse.ArgumentParser) -> None:
    _configure_debs(parser)
    parser.add_argument("--order-lock", required=True, type=Path, metavar="LOCK", help="lock that the .debs must match")
    parser.add_argument("--architecture", required=True, help="such as amd64")
    parser.add_argument("--user", metavar="NAME:ID", help="service user to add, such as openstack:42424")


def _bootstrap(arguments: argparse.Namespace) -> None:
    debs = _debs(arguments)
    user = None if arguments.user is None else User.parse(arguments.user)
    check_debs(debs, _locked(arguments.order_lock, arguments.architecture))
    output = _output(arguments, "bootstrap-rootfs")
    _become_root()
    bootstrap(debs, arguments.architecture, user, output, headers=arguments.headers)


def _configure_extend(parser: argparse.ArgumentParser) -> None:
    _configure_debs(parser)
    parser.add_argument(
        "--rootfs", action="append", required=True, type=Path, metavar="LAYER", help="bottom layer first; repeatable"
    )
    parser.add_argument("--order-lock", type=Path, metavar="LOCK", help="lock that the .debs must match")
    parser.add_argument("--architecture", help="such as amd64; with --order-lock")


def _extend(arguments: argparse.Namespace) -> None:
    debs = _debs(arguments)
    if arguments.order_lock is not None:
        if arguments.architecture is None:
            raise ImagekitError("--order-lock needs to know which packages of the lock: give --architecture.")
        check_debs(debs, _locked(arguments.order_lock, arguments.architecture))
    output = _output(arguments, "extend-rootfs")
    _become_root()
    extend(arguments.rootfs, debs, output, headers=arguments.headers)


def _output(arguments: argparse.Namespace, command: str) -> LayerOutput:
    return LayerOutput(arguments.output_dir, arguments.created_by or command, chosen_compression(arguments))


def _debs(arguments: argparse.Namespace) -> Tuple[Path, ...]:
    found = () if arguments.debs is None else sorted(arguments.debs.glob("*.deb"))
    return (*arguments.deb, *found)


def _locked(path: Path, architecture: str) -> Tuple[DebPackage, ...]:
    return parse_deb_lock(read_lock_text(path), str(path)).packages_for(architecture)


def _become_root() -> None:
    # What is half-made belongs to ids that whoever started this could not remove: it must be removed here.
    signal.signal(signal.SIGTERM, _stop)
    enter_user_namespace()


def _stop(number: int, frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt


COMMANDS: Mapping[str, Command] = {
    "bootstrap-rootfs": Command(
        help="make a root file system of locked .debs, as one layer",
        configure=_configure_bootstrap,
        run=_bootstrap,
    ),
    "extend-rootfs": Command(
        help="install .debs on top of a root file system; the difference is one layer",
        configure=_configure_extend,
        run=_extend,
    ),
}
