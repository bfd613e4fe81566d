"""The command that runs something in an image without a container engine."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Mapping, Tuple

from imagekit.command import Command
from imagekit.sandbox.bwrap import SandboxError
from imagekit.sandbox.mounts import Bind, Mount, Tmpfs


def parse_bind(text: str) -> Bind:
    """``SOURCE:TARGET`` or ``SOURCE:TARGET:rw``; raises SandboxError."""
    source, _, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not source or not target or mode not in ("", "ro", "rw"):
        raise SandboxError(
            f"--bind must be SOURCE:TARGET or SOURCE:TARGET:rw, but was {text!r}. Write it like './data:/srv/data:rw'."
        )
    return Bind(Path(source), target, writable=mode == "rw")


def parse_variable(text: str) -> Tuple[str, str]:
    """``NAME=value``; raises SandboxError."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise SandboxError(f"--env must be NAME=VALUE, but was {text!r}. Write it like 'OS_DEBUG=true'.")
    return name, value


def _configure(parser: argparse.ArgumentParser) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--layout", required=True, type=Path, metavar="DIRECTORY", help="OCI image layout")
    parser.add_argument("--architecture", help="which image of the layout, such as amd64")
    parser.add_argument("--rootfs-store", type=Path, metavar="DIRECTORY", default=cache / "imagekit" / "rootfs")
    parser.add_argument("--bind", action="append", default=[], metavar="SOURCE:TARGET[:rw]", help="repeatable")
    parser.add_argument("--tmpfs", action="append", default=[], metavar="TARGET", help="empty and writable; repeatable")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="repeatable")
    parser.add_argument("--user", metavar="USER[:GROUP]", help="names or ids (default: the image's)")
    parser.add_argument("--network", action="store_true", help="use the host's network")
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="command or arguments, after '--'")


def _run(arguments: argparse.Namespace) -> None:
    from imagekit.oci.layout import Layout
    from imagekit.sandbox.image import run_in_image
    from imagekit.sandbox.store import RootfsStore

    mounts: Tuple[Mount, ...] = (
        *(parse_bind(text) for text in arguments.bind),
        *(Tmpfs(target) for target in arguments.tmpfs),
    )
    layout = Layout(arguments.layout)
    finished = run_in_image(
        layout,
        layout.read_image(arguments.architecture),
        RootfsStore(arguments.rootfs_store),
        arguments.arguments,
        mounts=mounts,
        env=dict(parse_variable(text) for text in arguments.env),
        user=arguments.user,
        network=arguments.network,
    )
    raise SystemExit(finished.returncode)


COMMANDS: Mapping[str, Command] = {
    "run-in-image": Command(
        help="run a command in an image of a layout, without a container engine",
        configure=_configure,
        run=_run,
    ),
}
