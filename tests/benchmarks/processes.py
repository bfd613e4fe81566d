"""The processes of this machine: who started whom, and how much memory they hold."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, Mapping

#: How long there is between two looks at the processes.
SECONDS_BETWEEN_SAMPLES = 0.5


@dataclass(frozen=True)
class Process:
    """``memory`` is in bytes, without what a file backs and the kernel drops when it wants to (RssAnon, proc(5))."""

    parent: int
    memory: int


def running_processes() -> Mapping[int, Process]:
    """All processes by id."""
    found: Dict[int, Process] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            # It may have ended since.
            with contextlib.suppress(OSError):
                status = (folder / "status").read_text(encoding="utf-8", errors="replace")
                found[int(folder.name)] = parse_status(status)
    return found


def parse_status(text: str) -> Process:
    """A process by its ``/proc/<id>/status``; one that has ended, or is the kernel's, holds no memory."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return Process(int(fields["PPid"]), 1024 * int(fields.get("RssAnon", "0 kB").split()[0]))


def with_descendants(processes: Mapping[int, Process], roots: Iterable[int]) -> frozenset[int]:
    """Those of ``roots`` that run, and all that they started, directly or not."""
    children: Dict[int, "list[int]"] = {}
    for number, process in processes.items():
        children.setdefault(process.parent, []).append(number)
    found: "set[int]" = set()
    waiting = [root for root in roots if root in processes]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += children.get(number, ())
    return frozenset(found)


@dataclass
class Peak:
    """The most memory that was held at once, in bytes."""

    memory: int = 0


@contextlib.contextmanager
def peak_memory(roots: Callable[[], Iterable[int]], without: Iterable[int] = ()) -> Iterator[Peak]:
    """Sample what the processes ``roots()`` and all that they started hold together, until the block ends.

    ``without`` are left out, not so what they started.
    """
    peak = Peak()
    done = threading.Event()

    def sample() -> None:
        while True:
            processes = running_processes()
            counted = with_descendants(processes, roots()) - frozenset(without)
            peak.memory = max(peak.memory, sum(processes[number].memory for number in counted))
            if done.wait(SECONDS_BETWEEN_SAMPLES):
                return

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
