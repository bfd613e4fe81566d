"""The command that pins a source."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.fetch.http import Client
from imagekit.fetch.settings import read_settings
from imagekit.sources.git import GitRemote
from imagekit.sources.lock import describe, lock_source
from imagekit.sources.pin import read_source_lock, write_source_lock
from imagekit.sources.refs import read_source_refs


def _configure_lock_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--component", required=True, help="as source-refs.yaml names it")
    parser.add_argument("--refs", required=True, type=Path, metavar="FILE", help="source-refs.yaml of the release")
    parser.add_argument("--release", required=True, help="OpenStack release, as 2025.2")
    parser.add_argument("--previous", type=Path, metavar="FILE", help="the lock so far; need not exist")
    parser.add_argument("--move", action="store_true", help="follow a branch, and accept a tag or sdist that changed")
    parser.add_argument(
        "--accept", default="lock again with --move", metavar="TEXT", help="how to accept it, for the refusal of it"
    )
    parser.add_argument("--settings", required=True, type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the lock (JSON)")


def _lock_source(arguments: argparse.Namespace) -> None:
    settings = read_settings(arguments.settings)
    lock = lock_source(
        ref=read_source_refs(arguments.refs).ref_of(arguments.component),
        release=arguments.release,
        previous=read_source_lock(arguments.previous) if arguments.previous and arguments.previous.exists() else None,
        move=arguments.move,
        settings=settings,
        client=Client(settings.http, credential_urls=settings.index_urls + settings.find_links),
        remote=lambda url: GitRemote(url, settings),
        accept=arguments.accept,
    )
    write_source_lock(lock, arguments.output)
    print(f"{arguments.component} of {arguments.release}: {describe(lock.pin)}")


COMMANDS: Mapping[str, Command] = {
    "lock-source": Command(
        help="resolve a component's ref and pin what it names",
        configure=_configure_lock_source,
        run=_lock_source,
    ),
}
