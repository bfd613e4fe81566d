"""Machines that have nothing, beside a cache that has everything."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Iterator, Tuple

from benchmarks.cache_server import cache_server
from benchmarks.commands import Finished
from benchmarks.product import ProductWay, clone, executed_processes, product_way
from benchmarks.servers import remove_with_mounts
from benchmarks.services import Service
from benchmarks.session import Machine, say

Options = Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class WarmCache:
    """The builds of two machines with empty caches: the one that filled the server, and the one that read from it."""

    filled: Finished
    read: Finished

    @property
    def fact(self) -> str:
        executed = executed_processes(self.read.output)
        number = "an unknown number of" if executed is None else str(executed)
        return (
            f"a cold build that writes to it took {self.filled.seconds:.1f} s. The machine that reads ran {number} "
            "processes itself; each image is always written to dist/. The Dockerfile's is the pushed image with BuildKit's "
            "inline cache (docker build --cache-from)."
        )


def product_from_cache(machine: Machine, services: Tuple[Service, ...]) -> WarmCache:
    """Build with an empty cache server, which is gone afterwards."""
    with cache_server(machine.repository, machine.scratch / "cache") as address:
        reading = (("PANTS_REMOTE_CACHE_READ", "true"), ("PANTS_REMOTE_STORE_ADDRESS", address))
        writing = (*reading, ("PANTS_REMOTE_CACHE_WRITE", "true"))
        say("ours: filling a remote cache")
        with _fresh_machine(machine, "ci", services, writing) as ci:
            filled = ci.package()
        say("ours: a machine with nothing but the remote cache")
        with _fresh_machine(machine, "mate", services, reading) as mate:
            return WarmCache(filled, mate.package())


@contextlib.contextmanager
def _fresh_machine(
    machine: Machine, name: str, services: Tuple[Service, ...], options: Options
) -> Iterator[ProductWay]:
    """A machine that has Pants and a clone, and nothing else; its disk is free again afterwards."""
    folder = machine.scratch / name
    folder.mkdir()
    tree = clone(machine.repository, folder / "tree")
    way = ProductWay(tree, folder / "state", services, options)
    way.install()
    try:
        with product_way(way):
            yield way
    finally:
        remove_with_mounts(folder)
