"""Commands that pin, fetch and patch sources."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.fetch.settings import read_settings


def _configure_patch_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", required=True, type=Path, metavar="FILE", help="sdist (.tar.gz) or source tree (.tar)"
    )
    parser.add_argument("--patch", action="append", default=[], type=Path, metavar="FILE", help="may be repeated")
    parser.add_argument("--component", required=True, help="as messages name it, as keystone")
    parser.add_argument("--release", required=True, help="OpenStack release, as 2025.2")
    parser.add_argument("--version", required=True, help="version of the source, as 28.0.0")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the patched source tree (.tar)")


def _patch_source(arguments: argparse.Namespace) -> None:
    from imagekit.sources.apply import PatchedSource, apply_patches
    from imagekit.sources.manifest import with_manifest
    from imagekit.sources.patch import read_patches
    from imagekit.sources.tree import read_source, write_source

    source = PatchedSource(arguments.component, arguments.version, arguments.release)
    original = read_source(arguments.source)
    patched = apply_patches(original, read_patches(arguments.patch), source)
    write_source(with_manifest(original, patched), arguments.output)


def _configure_fetch_git(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", required=True, help="any URL that git takes")
    parser.add_argument("--commit", required=True, help="40 hex digits")
    parser.add_argument("--ref", required=True, help="tag, branch or commit that the commit was found by")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the source tree (.tar)")


def _fetch_git(arguments: argparse.Namespace) -> None:
    from imagekit.sources.git import GitRemote
    from imagekit.sources.tree import write_source

    settings = None if arguments.settings is None else read_settings(arguments.settings)
    write_source(GitRemote(arguments.url, settings).tree(arguments.commit, arguments.ref), arguments.output)


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
    from imagekit.fetch.http import Client
    from imagekit.sources.git import GitRemote
    from imagekit.sources.lock import describe, lock_source
    from imagekit.sources.pin import read_source_lock, write_source_lock
    from imagekit.sources.refs import read_source_refs

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
    "fetch-git": Command(
        help="fetch the tree of one commit of a git repository",
        configure=_configure_fetch_git,
        run=_fetch_git,
    ),
    "lock-source": Command(
        help="resolve a component's ref and pin what it names",
        configure=_configure_lock_source,
        run=_lock_source,
    ),
    "patch-source": Command(
        help="apply patches to a source tree, all or none",
        configure=_configure_patch_source,
        run=_patch_source,
    ),
}
