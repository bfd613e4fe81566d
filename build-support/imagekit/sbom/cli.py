"""The command that writes an SBOM."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import List, Mapping

from imagekit.command import Command
from imagekit.errors import ImagekitError
from imagekit.oci.atomic_file import write_atomically
from imagekit.sbom.contents import parse_contents
from imagekit.sbom.cyclonedx import Descriptions, ImageIdentity, render_sbom
from imagekit.sbom.descriptions import DebDescription, WheelDescription, by_name, parse_debs, parse_wheels


def _configure_sbom(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--contents", required=True, type=Path, metavar="FILE", help="what the locks say is in the image")
    parser.add_argument("--debs", action="append", default=[], type=Path, metavar="FILE", help="of describe-debs; bottom first")
    parser.add_argument("--wheels", action="append", default=[], type=Path, metavar="FILE", help="of describe-wheels")
    parser.add_argument("--patch", action="append", default=[], metavar="FILE", help="a patch by its path in the tree")
    parser.add_argument("--name", required=True, help="the image's name")
    parser.add_argument("--image-version", required=True, help="the image's first tag")
    parser.add_argument("--digest", required=True, help="the digest of the image's manifest")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")


def _sbom(arguments: argparse.Namespace) -> None:
    debs: List[DebDescription] = []
    wheels: List[WheelDescription] = []
    for path in arguments.debs:
        debs += parse_debs(_read(path), str(path))
    for path in arguments.wheels:
        wheels += parse_wheels(_read(path), str(path))
    try:
        patches = {path: Path(path).read_bytes() for path in arguments.patch}
    except OSError as error:
        raise ImagekitError(f"the patch {error.filename} cannot be read: {error.strerror}.") from None
    rendered = render_sbom(
        ImageIdentity(arguments.name, arguments.image_version, arguments.digest),
        parse_contents(_read(arguments.contents), str(arguments.contents)),
        Descriptions(by_name(debs), wheels, patches),
    )
    write_atomically(arguments.output, rendered)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ImagekitError(f"{path} cannot be read: {error.strerror}.") from None


COMMANDS: Mapping[str, Command] = {"sbom": Command("Write the SBOM of an image (CycloneDX).", _configure_sbom, _sbom)}
