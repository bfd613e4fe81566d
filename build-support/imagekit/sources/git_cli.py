"""The command that fetches a tree from git."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Mapping

from imagekit.command import Command
from imagekit.fetch.settings import read_settings
from imagekit.sources.git import GitRemote
from imagekit.sources.tree import write_source


def _configure_fetch_git(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", required=True, help="any URL that git takes")
    parser.add_argument("--commit", required=True, help="40 hex digits")
    parser.add_argument("--ref", required=True, help="tag, branch or commit that the commit was found by")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="download settings (JSON)")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="the source tree (.tar)")


def _fetch_git(arguments: argparse.Namespace) -> None:
    settings = None if arguments.settings is None else read_settings(arguments.settings)
    write_source(GitRemote(arguments.url, settings).tree(arguments.commit, arguments.ref), arguments.output)


COMMANDS: Mapping[str, Command] = {
    "fetch-git": Command(
        help="fetch the tree of one commit of a git repository",
        configure=_configure_fetch_git,
        run=_fetch_git,
    ),
}
