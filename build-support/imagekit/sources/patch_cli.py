"""The command that patches a source tree."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.sources.apply import PatchedSource, apply_patches
from imagekit.sources.manifest import with_manifest
from imagekit.sources.patch import read_patches
from imagekit.sources.tree import read_source, write_source


def _configure_patch_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", required=True, type=Path, metavar="FILE", help="sdist (.tar.gz) or source tree (.tar)"
    )
    parser.add_argument("--patch", action="append", default=[], type=Path, metavar="FILE", help="may be repeated")
    parser.add_argument("--component", required=True, help="as messages name it, as keystone")
    parser.add_argument("--release", required=True, help="OpenStack release, as 2025.2")
    parser.add_argument("--version", required=True, help="version of the source, as 28.0.0")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the patched source tree (.tar)")


def _patch_source(arguments: argparse.Namespace) -> None:
    source = PatchedSource(arguments.component, arguments.version, arguments.release)
    original = read_source(arguments.source)
    patched = apply_patches(original, read_patches(arguments.patch), source)
    write_source(with_manifest(original, patched), arguments.output)


COMMANDS: Mapping[str, Command] = {
    "patch-source": Command(
        help="apply patches to a source tree, all or none",
        configure=_configure_patch_source,
        run=_patch_source,
    ),
}
