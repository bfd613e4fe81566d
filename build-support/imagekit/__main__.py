"""``python -m imagekit <command>``: every step of a build, by hand."""

from __future__ import annotations

import sys
from typing import List, Optional

from imagekit.commands import COMMAND_MODULES
from imagekit.run import load_command, run_command


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; returns the exit status (0, 1 for a refusal, 2 for wrong usage)."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] not in COMMAND_MODULES:
        stream = sys.stdout if arguments and arguments[0] in ("-h", "--help") else sys.stderr
        print("usage: python -m imagekit <command> [options]\n\ncommands:", file=stream)
        for name in sorted(COMMAND_MODULES):
            print(f"  {name:<18} {load_command(COMMAND_MODULES[name], name).help}", file=stream)
        return 0 if stream is sys.stdout else 2
    return run_command(arguments[0], load_command(COMMAND_MODULES[arguments[0]], arguments[0]), arguments[1:])


if __name__ == "__main__":
    sys.exit(main())
