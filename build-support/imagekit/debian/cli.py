"""Commands that lock and fetch .debs, and make root file systems of them."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Mapping, Optional, Tuple

from imagekit.command import Command
from imagekit.errors import ImagekitError

if TYPE_CHECKING:
    from imagekit.debian.lock import DebPackage
    from imagekit.debian.rootfs import LayerOutput

# Modules are imported where they are used: fetch-deb is started once per package, and needs few of them.


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
    from imagekit.debian.apt_configuration import archives_and_http, read_apt_configuration
    from imagekit.debian.lock import lock_digest, parse_deb_lock, render
    from imagekit.debian.resolve import Request, resolve
    from imagekit.fetch.settings import FetchSettings, read_settings
    from imagekit.oci.atomic_file import write_atomically

    settings = FetchSettings(None) if arguments.settings is None else read_settings(arguments.settings)
    archives: Tuple[str, ...] = tuple(arguments.mirror)
    http = settings.http
    if not archives:
        archives, http = archives_and_http(settings)
    below = [(str(path), _read(path)) for path in arguments.extends]
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


def _configure_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--filename", required=True, help="path below a mirror's root: pool/…")
    parser.add_argument("--size", required=True, type=int, metavar="BYTES")
    parser.add_argument("--sha256", required=True, metavar="HEX")
    parser.add_argument("--settings", required=True, type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")


def _fetch(arguments: argparse.Namespace) -> None:
    from imagekit.debian.apt_configuration import archives_and_http
    from imagekit.debian.deb_file import fetch_deb
    from imagekit.fetch.http import Client, ExpectedFile
    from imagekit.fetch.settings import read_settings

    archives, http = archives_and_http(read_settings(arguments.settings))
    expected = ExpectedFile(Path(arguments.filename).name, arguments.size, arguments.sha256.lower())
    client = Client(http, credential_urls=archives)
    fetch_deb(archives, client, arguments.filename, expected, arguments.output)


def _configure_debs(parser: argparse.ArgumentParser) -> None:
    from imagekit.oci.compression_options import add_compression_options

    parser.add_argument("--deb", action="append", default=[], type=Path, metavar="FILE", help="repeatable")
    parser.add_argument("--debs", type=Path, metavar="DIRECTORY", help="take every *.deb in it")
    parser.add_argument("--created-by", default="", metavar="TEXT", help="what the image's history says of the layer")
    parser.add_argument("--output-dir", required=True, type=Path, metavar="DIRECTORY")
    add_compression_options(parser)


def _configure_bootstrap(parser: argparse.ArgumentParser) -> None:
    _configure_debs(parser)
    parser.add_argument("--order-lock", required=True, type=Path, metavar="LOCK", help="lock that the .debs must match")
    parser.add_argument("--architecture", required=True, help="such as amd64")
    parser.add_argument("--user", metavar="NAME:ID", help="service user to add, such as openstack:42424")


def _bootstrap(arguments: argparse.Namespace) -> None:
    from imagekit.debian.rootfs import bootstrap, check_debs
    from imagekit.debian.users import User

    debs = _debs(arguments)
    user = None if arguments.user is None else User.parse(arguments.user)
    check_debs(debs, _locked(arguments.order_lock, arguments.architecture))
    output = _output(arguments, "bootstrap-rootfs")
    _become_root()
    bootstrap(debs, arguments.architecture, user, output)


def _configure_extend(parser: argparse.ArgumentParser) -> None:
    _configure_debs(parser)
    parser.add_argument(
        "--rootfs", action="append", required=True, type=Path, metavar="LAYER", help="bottom layer first; repeatable"
    )
    parser.add_argument("--order-lock", type=Path, metavar="LOCK", help="lock that the .debs must match")
    parser.add_argument("--architecture", help="such as amd64; with --order-lock")


def _extend(arguments: argparse.Namespace) -> None:
    from imagekit.debian.rootfs import check_debs, extend

    debs = _debs(arguments)
    if arguments.order_lock is not None:
        if arguments.architecture is None:
            raise ImagekitError("--order-lock needs to know which packages of the lock: give --architecture.")
        check_debs(debs, _locked(arguments.order_lock, arguments.architecture))
    output = _output(arguments, "extend-rootfs")
    _become_root()
    extend(arguments.rootfs, debs, output)


def _output(arguments: argparse.Namespace, command: str) -> LayerOutput:
    from imagekit.debian.rootfs import LayerOutput
    from imagekit.oci.compression_options import chosen_compression

    return LayerOutput(arguments.output_dir, arguments.created_by or command, chosen_compression(arguments))


def _debs(arguments: argparse.Namespace) -> Tuple[Path, ...]:
    found = () if arguments.debs is None else sorted(arguments.debs.glob("*.deb"))
    return (*arguments.deb, *found)


def _locked(path: Path, architecture: str) -> Tuple[DebPackage, ...]:
    from imagekit.debian.lock import parse_deb_lock

    return parse_deb_lock(_read(path), str(path)).packages_for(architecture)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ImagekitError(f"the .deb lock {path} cannot be read: {error.strerror}.") from None


def _become_root() -> None:
    from imagekit.sandbox.user_namespace import enter_user_namespace

    # What is half-made belongs to ids that whoever started this could not remove: it must be removed here.
    signal.signal(signal.SIGTERM, _stop)
    enter_user_namespace()


def _stop(number: int, frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt


COMMANDS: Mapping[str, Command] = {
    "lock-debs": Command(
        help="resolve Debian packages with apt and lock them with version, size and SHA-256",
        configure=_configure_lock,
        run=_lock,
    ),
    "fetch-deb": Command(
        help="fetch one .deb from the mirrors of this machine's apt and verify it",
        configure=_configure_fetch,
        run=_fetch,
    ),
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
