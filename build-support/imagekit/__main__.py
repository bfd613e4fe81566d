"""``python -m imagekit <command>``: every step of a build, by hand."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import List, Mapping, Optional

from imagekit.command import Command
from imagekit.errors import ImagekitError

# Only the subpackage of the chosen command is imported: a build starts hundreds of these processes.
SUBPACKAGES: Mapping[str, str] = {
    "assemble": "oci",
    "bootstrap-rootfs": "debian",
    "build-wheel": "python",
    "docker-archive": "oci",
    "export-layout": "oci",
    "extend-rootfs": "debian",
    "fetch-deb": "debian",
    "fetch-git": "sources",
    "fetch-python": "fetch",
    "files-piece": "python",
    "install-wheel": "python",
    "layer": "oci",
    "lock-debs": "debian",
    "lock-python": "python",
    "lock-source": "sources",
    "lock-tools": "python",
    "patch-source": "sources",
    "run-image": "oci",
    "run-in-image": "sandbox",
    "tools": "python",
    "unpack": "oci",
    "validate": "oci",
    "venv-skeleton": "python",
}


def load_command(name: str) -> Command:
    """The command called ``name``; raises ``KeyError`` for an unknown one."""
    commands: Mapping[str, Command] = importlib.import_module(f"imagekit.{SUBPACKAGES[name]}.cli").COMMANDS
    return commands[name]


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; returns the exit status (0, 1 for a refusal, 2 for wrong usage)."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] not in SUBPACKAGES:
        stream = sys.stdout if arguments and arguments[0] in ("-h", "--help") else sys.stderr
        print("usage: python -m imagekit <command> [options]\n\ncommands:", file=stream)
        for name in sorted(SUBPACKAGES):
            print(f"  {name:<18} {load_command(name).help}", file=stream)
        return 0 if stream is sys.stdout else 2
    command = load_command(arguments[0])
    parser = argparse.ArgumentParser(prog=f"imagekit {arguments[0]}", description=command.help, allow_abbrev=False)
    command.configure(parser)
    try:
        command.run(parser.parse_args(arguments[1:]))
    except ImagekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
