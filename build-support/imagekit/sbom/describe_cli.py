"""The commands that describe packages, for SBOMs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.oci.atomic_file import write_atomically
from imagekit.sbom.describe import describe_deb, describe_wheel
from imagekit.sbom.descriptions import render_debs, render_wheels


def _configure_describe_debs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debs", required=True, type=Path, metavar="DIRECTORY", help="take every *.deb in it")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")


def _describe_debs(arguments: argparse.Namespace) -> None:
    described = [describe_deb(path) for path in sorted(arguments.debs.glob("*.deb"))]
    write_atomically(arguments.output, render_debs(sorted(described, key=lambda deb: deb.name)).encode())


def _configure_describe_wheels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wheel", action="append", default=[], type=Path, metavar="FILE", help="may be repeated")
    parser.add_argument("--exclude-tests", action="store_true", help="they are installed without <package>/tests/")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")


def _describe_wheels(arguments: argparse.Namespace) -> None:
    described = [describe_wheel(path, arguments.exclude_tests) for path in arguments.wheel]
    write_atomically(arguments.output, render_wheels(sorted(described, key=lambda wheel: wheel.name)).encode())


COMMANDS: Mapping[str, Command] = {
    "describe-debs": Command("Write what .debs say of themselves.", _configure_describe_debs, _describe_debs),
    "describe-wheels": Command("Write what wheels say of themselves.", _configure_describe_wheels, _describe_wheels),
}
