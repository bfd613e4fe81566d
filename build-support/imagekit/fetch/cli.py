"""Commands that download Python distributions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.fetch.http import Client, ExpectedFile
from imagekit.fetch.python_file import fetch_python_file
from imagekit.fetch.settings import read_settings


def _configure_fetch_python(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", required=True, metavar="PROJECT", help="project the file belongs to, as keystone")
    parser.add_argument("--filename", required=True, help="wheel or sdist, as keystone-28.0.0.tar.gz")
    parser.add_argument("--size", required=True, type=int, metavar="BYTES")
    parser.add_argument("--sha256", required=True, metavar="HEX")
    parser.add_argument("--settings", required=True, type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")


def _fetch_python(arguments: argparse.Namespace) -> None:
    settings = read_settings(arguments.settings)
    client = Client(settings.http, credential_urls=settings.index_urls + settings.find_links)
    expected = ExpectedFile(arguments.filename, arguments.size, arguments.sha256.lower())
    fetch_python_file(settings, client, arguments.name, expected, arguments.output)


COMMANDS: Mapping[str, Command] = {
    "fetch-python": Command(
        help="fetch one file of a Python project and verify it",
        configure=_configure_fetch_python,
        run=_fetch_python,
    ),
}
