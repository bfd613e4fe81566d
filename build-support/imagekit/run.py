"""``python -m imagekit.run <module> <command>``: one command, whose module the caller names.

Only that module is imported: a build starts hundreds of these processes, and each is identified by the code it runs.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import sys
from typing import Mapping, Sequence

from imagekit.command import Command
from imagekit.errors import ImagekitError


def load_command(module: str, name: str) -> Command:
    """The command ``name`` of ``imagekit.<module>``; raises ``KeyError`` for one that it does not have."""
    commands: Mapping[str, Command] = importlib.import_module(f"imagekit.{module}").COMMANDS
    return commands[name]


def run_command(name: str, command: Command, arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status (0, 1 for a refusal). Exits with 2 for wrong options."""
    # What a step creates must not get its mode from whoever runs it.
    os.umask(0o022)
    parser = argparse.ArgumentParser(prog=f"imagekit {name}", description=command.help, allow_abbrev=False)
    command.configure(parser)
    try:
        command.run(parser.parse_args(arguments))
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
    module, name, *arguments = sys.argv[1:]
    sys.exit(run_command(name, load_command(module, name), arguments))
