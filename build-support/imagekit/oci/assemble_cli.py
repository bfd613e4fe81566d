"""The commands that compare the layers of an image and put it together."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping, Tuple

from imagekit.command import Command
from imagekit.errors import ImagekitError
from imagekit.oci.assemble import ImageSpec, assemble, write_assembled
from imagekit.oci.collisions import Replaces, check_collisions
from imagekit.oci.json_document import Document
from imagekit.oci.layer_paths import LayerPaths


def _configure_assemble(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--spec", type=Path, required=True, help="JSON: architecture, layers, config, created, …")
    parser.add_argument("--output-dir", type=Path, required=True)


def _assemble(arguments: argparse.Namespace) -> None:
    image = assemble(ImageSpec.parse(_read(arguments.spec, "--spec"), str(arguments.spec)))
    write_assembled(image, arguments.output_dir)
    print(image.digest)


def _configure_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", required=True, help="what an error calls the image")
    parser.add_argument(
        "--layer",
        type=_placed_layer,
        action="append",
        required=True,
        metavar="REPLACES:FILE",
        help="paths.json of a layer, and what of the layers below it may replace: anything, configuration or nothing; "
        "bottom first",
    )


def _placed_layer(text: str) -> Tuple[Replaces, Path]:
    replaces, _, path = text.partition(":")
    return Replaces(replaces), Path(path)


def _check(arguments: argparse.Namespace) -> None:
    check_collisions(
        arguments.image,
        [
            (LayerPaths.from_document(Document.parse(_read(path, "--layer"), str(path))), replaces)
            for replaces, path in arguments.layer
        ],
    )


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ImagekitError(f"The file {path} does not exist. Check the path given to {option}.") from None


COMMANDS: Mapping[str, Command] = {
    "assemble": Command("Put an image together from descriptors.", _configure_assemble, _assemble),
    "check-layers": Command("Refuse layers of one image that hold the same path.", _configure_check, _check),
}
