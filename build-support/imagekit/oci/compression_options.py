"""The command-line options that say how a layer is compressed."""

from __future__ import annotations

import argparse

from imagekit.oci.compression import Algorithm, Compression


def add_compression_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--compression`` and ``--level``."""
    parser.add_argument("--compression", choices=("zstd", "gzip"), default="zstd")
    parser.add_argument("--level", type=int, help="1-19 for zstd (default 3), 1-9 for gzip (default 6)")


def chosen_compression(arguments: argparse.Namespace) -> Compression:
    """What the options say. Raises :class:`~imagekit.oci.compression.CompressionError` for a level there is not."""
    algorithm = Algorithm(arguments.compression)
    return Compression.default(algorithm) if arguments.level is None else Compression(algorithm, arguments.level)
