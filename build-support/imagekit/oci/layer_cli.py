"""The command that writes a layer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.oci.compression_options import add_compression_options, chosen_compression
from imagekit.oci.layer import write_layer
from imagekit.oci.piece import tar_piece


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--piece", type=Path, action="append", required=True, help="uncompressed tar of image paths")
    add_compression_options(parser)
    parser.add_argument("--created-by", required=True, help="the layer's text in the image's history")
    parser.add_argument("--output-dir", type=Path, required=True, help="gets blobs/sha256/<hex>, layer.json and paths.json")


def _write(arguments: argparse.Namespace) -> None:
    pieces = [tar_piece(path) for path in arguments.piece]
    layer = write_layer(
        pieces, arguments.output_dir, created_by=arguments.created_by, compression=chosen_compression(arguments)
    )
    print(layer.digest)


COMMANDS: Mapping[str, Command] = {"layer": Command("Merge pieces into one layer.", _configure, _write)}
