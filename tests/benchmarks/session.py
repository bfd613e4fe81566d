"""A run of a benchmark: its options, its scratch folder, and what it has measured, shown whatever happens."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Callable, Dict, Iterator, Optional, Sequence

from imagekit.errors import ImagekitError

from benchmarks.commands import BenchmarkError, run
from benchmarks.machine import check_machine, describe, docker_client, search_path
from benchmarks.product import clone
from benchmarks.servers import remove_with_mounts
from benchmarks.table import Row, render_json, render_number, render_table

_BEGIN = time.monotonic()


def say(step: str) -> None:
    """Print what goes on, with the time since the program began."""
    print(f"[{time.monotonic() - _BEGIN:6.1f} s] {step}", file=sys.stderr, flush=True)


def add_session_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-remote-cache", action="store_true", help="leave out the rebuild from a remote cache")
    parser.add_argument(
        "--output", "--json", type=Path, metavar="FILE", help="write every measurement to FILE as well, as JSON"
    )
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made (default: the system's)")


@dataclass
class Measured:
    """What is known so far: rows of the table, and facts that explain them. ``output`` is a file that follows."""

    output: Optional[Path] = None
    rows: Dict[str, Row] = field(default_factory=dict)
    facts: Dict[str, str] = field(default_factory=dict)

    def add(self, rows: Sequence[Row]) -> None:
        """Show ``rows``, the last of the table in this order, and write everything to the file: nothing gets lost."""
        for row in rows:
            if self.rows.get(row.name) != row:
                theirs = row.dockerfile
                other = "" if theirs is None else f", Dockerfile {render_number(theirs.median, row.unit)}"
                say(f"{row.name.strip()}: ours {render_number(row.ours.median, row.unit)}{other}")
        for row in rows:
            self.rows.pop(row.name, None)
            self.rows[row.name] = row
        if self.output is not None:
            self.output.write_text(render_json(list(self.rows.values()), self.facts), encoding="utf-8")

    def show(self) -> None:
        """Print the table."""
        self.add([])
        if self.rows:
            print(render_table(list(self.rows.values())))
            for name, text in self.facts.items():
                print(f"{name}: {text}")


@dataclass(frozen=True)
class Machine:
    """What a benchmark works with: the repository as it was last committed, a folder for all files, a Docker client."""

    repository: Path
    scratch: Path
    client: str


def run_session(options: argparse.Namespace, compare: Callable[[Machine, Measured], None]) -> int:
    """Run ``compare`` as a program and return its exit code. Whatever ends it, no server and no file is left."""
    os.environ["PATH"] = search_path(os.environ["PATH"])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    measured = Measured(options.output)
    try:
        check_machine(os.environ["PATH"], os.geteuid())
        repository = Path(run(["git", "rev-parse", "--show-toplevel"]).output.strip())
        client = docker_client()
        measured.facts.update(describe(repository, client))
        with _scratch(options.folder) as scratch:
            # Somebody may commit to the user's own in the meantime.
            compare(Machine(clone(repository, scratch / "repository"), scratch, client), measured)
        return 0
    except (BenchmarkError, ImagekitError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("benchmark: interrupted; nothing is left behind", file=sys.stderr)
        return 130
    finally:
        # Also what a failed or interrupted run has measured: it took minutes.
        measured.show()


def _interrupt(_signal: int, _frame: Optional[FrameType]) -> None:
    # As Ctrl-C does it: servers and files go away on the way out, which a second signal must not cut short.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextlib.contextmanager
def _scratch(parent: Optional[Path]) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=parent))
    try:
        yield folder
    finally:
        remove_with_mounts(folder)
