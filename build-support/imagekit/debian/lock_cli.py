"""The command that locks .debs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping, Tuple

from imagekit.command import Command
from imagekit.debian.apt_configuration import archives_and_http, read_apt_configuration
from imagekit.debian.lock import lock_digest, parse_deb_lock, read_lock_text, render
from imagekit.debian.resolve import Request, resolve
from imagekit.fetch.settings import FetchSettings, read_settings
from imagekit.oci.atomic_file import write_atomically


def _configure_lock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--suite", action="append", required=True, help="codename such as bookworm; repeatable")
    parser.add_argument("--component", action="append", help="archive component; repeatable (default: main)")
    parser.add_argument("--architecture", action="append", required=True, help="such as amd64; repeatable")
    parser.add_argument("--package", action="append", default=[], help="package to install; repeatable")
    parser.add_argument(
        "--extends",
        action="append",
        default=[],
        type=Path,
        metavar="LOCK",
        help="lock whose packages are installed already; repeatable, bottom first",
    )
    parser.add_argument("--mirror", action="append", default=[], metavar="URL", help="archive to use instead of apt's")
    parser.add_argument("--keyring", type=Path, help="keyring that signs the suite (default: the distribution's)")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")


def _lock(arguments: argparse.Namespace) -> None:
    settings = FetchSettings(None) if arguments.settings is None else read_settings(arguments.settings)
    archives: Tuple[str, ...] = tuple(arguments.mirror)
    http = settings.http
    if not archives:
        archives, http = archives_and_http(settings)
    below = [(str(path), read_lock_text(path)) for path in arguments.extends]
    request = Request(
        tuple(arguments.suite),
        tuple(arguments.component or ["main"]),
        tuple(arguments.architecture),
        tuple(arguments.package),
        tuple(parse_deb_lock(text, origin) for origin, text in below),
        lock_digest(below[-1][1]) if below else None,
        arguments.keyring,
    )
    lock = resolve(request, archives, read_apt_configuration(), http)
    write_atomically(arguments.output, render(lock).encode())


COMMANDS: Mapping[str, Command] = {
    "lock-debs": Command(
        help="resolve Debian packages with apt and lock them with version, size and SHA-256",
        configure=_configure_lock,
        run=_lock,
    ),
}
