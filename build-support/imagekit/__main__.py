"""``python -m imagekit <command>``: every step of a build, by hand."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from typing import List, Mapping, Optional

from imagekit.command import Command
from imagekit.errors import ImagekitError

# Only the module of the chosen command is imported: a build starts hundreds of these processes.
COMMAND_MODULES: Mapping[str, str] = {
    "assemble": "oci.cli",
    "bootstrap-rootfs": "debian.cli",
    "build-wheel": "python.wheel_cli",
    "describe-debs": "sbom.cli",
    "describe-wheels": "sbom.cli",
    "check-image": "checks.cli",
    "docker-archive": "oci.cli",
    "export-layout": "oci.cli",
    "extend-rootfs": "debian.cli",
    "fetch-deb": "debian.cli",
    "fetch-git": "sources.cli",
    "fetch-python": "fetch.cli",
    "files-piece": "python.piece_cli",
    "install-wheel": "python.install_cli",
    "layer": "oci.cli",
    "lock-debs": "debian.cli",
    "lock-python": "python.locking_cli",
    "lock-source": "sources.cli",
    "lock-tools": "python.locking_cli",
    "patch-source": "sources.cli",
    "push-image": "registry.cli",
    "run-image": "oci.cli",
    "run-in-image": "sandbox.cli",
    "sbom": "sbom.cli",
    "test-image": "checks.cli",
    "tools": "python.tools_cli",
    "unpack": "oci.cli",
    "validate": "oci.cli",
    "venv-skeleton": "python.piece_cli",
}


def load_command(name: str) -> Command:
    """The command called ``name``; raises ``KeyError`` for an unknown one."""
    commands: Mapping[str, Command] = importlib.import_module(f"imagekit.{COMMAND_MODULES[name]}").COMMANDS
    return commands[name]


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; returns the exit status (0, 1 for a refusal, 2 for wrong usage)."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] not in COMMAND_MODULES:
        stream = sys.stdout if arguments and arguments[0] in ("-h", "--help") else sys.stderr
        print("usage: python -m imagekit <command> [options]\n\ncommands:", file=stream)
        for name in sorted(COMMAND_MODULES):
            print(f"  {name:<18} {load_command(name).help}", file=stream)
        return 0 if stream is sys.stdout else 2
    # What a step creates must not get its mode from whoever runs it.
    os.umask(0o022)
    command = load_command(arguments[0])
    parser = argparse.ArgumentParser(prog=f"imagekit {arguments[0]}", description=command.help, allow_abbrev=False)
    command.configure(parser)
    try:
        command.run(parser.parse_args(arguments[1:]))
    except ImagekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = f" at {error.filename}" if error.filename else ""
        print(f"error: {error.strerror}{place}. Nothing was changed: make room and run it again.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
