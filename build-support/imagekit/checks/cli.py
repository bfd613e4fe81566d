"""The commands that check and test an image."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path
from typing import List, Mapping, Tuple

from imagekit.checks.accounts import check_accounts
from imagekit.checks.build_tools import check_build_tools
from imagekit.checks.distributions import check_records, check_requirements
from imagekit.checks.finding import Allowance, Check, CheckError, Finding, Subject, report, without_allowed
from imagekit.checks.image_tree import ImageTree
from imagekit.checks.leftovers import check_leftovers, check_links
from imagekit.checks.libraries import check_libraries
from imagekit.checks.modes import check_modes
from imagekit.checks.programs import check_programs
from imagekit.checks.times import check_times
from imagekit.command import Command
from imagekit.oci.layout import Layout
from imagekit.sandbox.image import run_in_image
from imagekit.sandbox.mounts import Bind
from imagekit.sandbox.store import RootfsStore

CHECKS: Mapping[str, Check] = {
    "accounts": check_accounts,
    "build-tools": check_build_tools,
    "leftovers": check_leftovers,
    "libraries": check_libraries,
    "links": check_links,
    "modes": check_modes,
    "programs": check_programs,
    "records": check_records,
    "requirements": check_requirements,
    "times": check_times,
}


def _configure_image(parser: argparse.ArgumentParser) -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser.add_argument("--layout", required=True, type=Path, metavar="DIRECTORY", help="OCI image layout")
    parser.add_argument("--rootfs-store", type=Path, metavar="DIRECTORY", default=cache / "imagekit" / "rootfs")


def _configure_checks(parser: argparse.ArgumentParser) -> None:
    _configure_image(parser)
    parser.add_argument("--check", action="append", default=[], choices=sorted(CHECKS), help="repeatable (default: all)")
    parser.add_argument("--allow", action="append", default=[], metavar="CHECK:PATH", help="shell pattern; repeatable")


def _check(arguments: argparse.Namespace) -> None:
    allowed = [Allowance.parse(text, CHECKS) for text in arguments.allow]
    layout = Layout(arguments.layout)
    image = layout.read_image()
    found: List[Tuple[str, Finding]] = []
    with RootfsStore(arguments.rootfs_store).rootfs(
        [layout.blob_path(layer.digest) for layer in image.manifest.layers]
    ) as rootfs:
        subject = Subject(layout, image, rootfs, ImageTree.read(rootfs.path))
        for name in arguments.check or sorted(CHECKS):
            start = time.monotonic()
            findings = list(without_allowed(name, CHECKS[name](subject), allowed))
            print(f"{name:<13} {len(findings) or 'nothing'} found in {time.monotonic() - start:.1f}s")
            found.extend((name, finding) for finding in findings)
    if found:
        raise CheckError(f"the image violates {len(found)} check(s).\n{report(found)}")


def _configure_test(parser: argparse.ArgumentParser) -> None:
    _configure_image(parser)
    parser.add_argument("--expect", metavar="REGEX", help="what the output must match somewhere")
    parser.add_argument("--timeout", type=int, default=60, metavar="SECONDS")
    parser.add_argument("--network", action="store_true", help="use the host's network")
    parser.add_argument("--files", type=Path, metavar="DIRECTORY", help="seen read-only at /test")
    parser.add_argument("arguments", nargs="+", metavar="ARGUMENT", help="command, after '--'")


def _test(arguments: argparse.Namespace) -> None:
    layout = Layout(arguments.layout)
    command = arguments.arguments
    finished = run_in_image(
        layout,
        layout.read_image(),
        RootfsStore(arguments.rootfs_store),
        ("timeout", "--kill-after=5", str(arguments.timeout), *command),
        mounts=(Bind(arguments.files, "/test"),) if arguments.files else (),
        network=arguments.network,
        capture=True,
    )
    sys.stdout.write(finished.stdout)
    sys.stderr.write(finished.stderr)
    if finished.returncode in (124, 137):
        raise CheckError(
            f"{command[0]!r} was still running after {arguments.timeout} s. Raise `timeout`, or see what it waits for."
        )
    if finished.returncode in (126, 127) and command[:2] != ["sh", "-ec"]:
        raise CheckError(
            f"the image cannot run {command[0]!r}. Name a program of its PATH, or add the package that has it."
        )
    if finished.returncode != 0:
        raise CheckError(f"{command[0]!r} ended with exit code {finished.returncode}. Its output is above.")
    if arguments.expect is not None and not re.search(arguments.expect, finished.stdout + finished.stderr, re.MULTILINE):
        raise CheckError(f"the output does not match {arguments.expect!r}. Correct `expect`, or the image.")


COMMANDS: Mapping[str, Command] = {
    "check-image": Command(
        help="check what holds for every image: libraries, modes, metadata, programs, …",
        configure=_configure_checks,
        run=_check,
    ),
    "test-image": Command(
        help="run a command in an image and look at its exit code and output",
        configure=_configure_test,
        run=_test,
    ),
}
