"""The command that fetches a .deb."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.debian.apt_configuration import archives_and_http
from imagekit.debian.deb_file import fetch_deb
from imagekit.fetch.http import Client, ExpectedFile
from imagekit.fetch.settings import read_settings


def _configure_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--filename", required=True, help="path below a mirror's root: pool/…")
    parser.add_argument("--size", required=True, type=int, metavar="BYTES")
    parser.add_argument("--sha256", required=True, metavar="HEX")
    parser.add_argument("--settings", required=True, type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")


def _fetch(arguments: argparse.Namespace) -> None:
    archives, http = archives_and_http(read_settings(arguments.settings))
    expected = ExpectedFile(Path(arguments.filename).name, arguments.size, arguments.sha256.lower())
    client = Client(http, credential_urls=archives)
    fetch_deb(archives, client, arguments.filename, expected, arguments.output)


COMMANDS: Mapping[str, Command] = {
    "fetch-deb": Command(
        help="fetch one .deb from the mirrors of this machine's apt and verify it",
        configure=_configure_fetch,
        run=_fetch,
    ),
}
