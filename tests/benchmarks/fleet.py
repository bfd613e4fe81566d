"""Compare the images of all services with those that a multi-stage Dockerfile makes with BuildKit.

Both fleets are made in this run, on this machine, from the same commit, sdists, patches, locked Python packages and
lists of Debian packages, by programs that start with empty caches: cold, after a patch to one service, after another
version of a library that all have, and on an empty machine beside a warm cache. Nothing outside a temporary folder is
touched.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Protocol, Sequence, Tuple

if not __package__:
    # Run as a file instead of by Pants, which knows the source roots.
    sys.path[:1] = [str(Path(__file__).resolve().parents[2] / root) for root in ("tests", "build-support")]

from benchmarks import dockerfile, product
from benchmarks.blobs import received_bytes, stored_image
from benchmarks.commands import BenchmarkError
from benchmarks.disk import disk_usage
from benchmarks.dockerfile import DockerfileWay, prepare, prepare_start
from benchmarks.downloads import Downloads
from benchmarks.fleet_table import (
    CACHES, COLD, EMPTY_MACHINE, MEMORY, OVERRIDDEN, OVERRIDE_BYTES, PATCH_BYTES, PATCHED, Measure, Numbers, fleet_rows,
    image_numbers,
)  # fmt: skip
from benchmarks.processes import peak_memory
from benchmarks.product import ProductWay, clone, daemons, product_way
from benchmarks.servers import Docker, Registry, docker_daemon, registry, remove_with_mounts
from benchmarks.services import Service, choose, patched_service
from benchmarks.session import Machine, Measured, add_session_options, run_session, say
from benchmarks.warm_cache import product_from_cache

#: A library that every service has, in a version that no release has, and nothing asks for a certain one.
OVERRIDE = "certifi===2025.10.5"

_MEMORY_FACT = (
    "sampled twice a second, summed over Pants and all that it starts, or dockerd with BuildKit and all that they "
    "start; only what no file backs (RssAnon), since the kernel drops the rest when it wants to"
)
_CACHES_FACT = "Pants' store, named caches and Pants itself; all of the Docker daemon's folder, images included"
_LIBRARY_FACT = "the new locks are made before the rebuild and are the same for both; that does not count"


@dataclass(frozen=True)
class Options:
    """What the user chose; no services or releases mean all."""

    services: Tuple[str, ...]
    releases: Tuple[str, ...]
    override: str
    remote_cache: bool


class Fleet(Protocol):
    """One way of making the images of ``services``, which are pushed to ``repository``."""

    @property
    def services(self) -> Tuple[Service, ...]: ...

    @property
    def repository(self) -> str: ...

    @property
    def caches(self) -> Path: ...

    def processes(self) -> Sequence[int]:
        """The processes that build, or that start what builds."""

    def build(self) -> float:
        """Make the images of what the tree says now; the seconds it took."""

    def edit(self) -> None:
        """Change one line of a patch of one service."""

    def change_library(self) -> None:
        """Have other locks, with another version of one library."""

    def push(self, registry: Registry) -> float:
        """Send the images to a registry; the seconds it took."""


@dataclass(frozen=True)
class ProductFleet:
    """Ours. ``override`` is a line of constraint-overrides.txt."""

    way: ProductWay
    override: str
    repository: str = product.REPOSITORY

    @property
    def services(self) -> Tuple[Service, ...]:
        return self.way.services

    @property
    def caches(self) -> Path:
        return self.way.state

    def processes(self) -> Sequence[int]:
        # pantsd is nobody's child.
        return (os.getpid(), *daemons(self.way.tree))

    def build(self) -> float:
        return self.way.build()

    def edit(self) -> None:
        self.way.edit(1)

    def change_library(self) -> None:
        for release in sorted({service.release for service in self.services}):
            with open(self.way.tree / "3rdparty/releases" / release / "constraint-overrides.txt", "a") as file:
                file.write(f"\n# To measure what it costs.\n{self.override}\n")
        resolves = [f"--resolve={service.release}/{service.name}" for service in self.services]
        self.way.pants("generate-lockfiles", *resolves)

    def push(self, registry: Registry) -> float:
        return self.way.push(registry)


@dataclass(frozen=True)
class DockerfileFleet:
    """The Dockerfile's, as many builds at once as there are cores. ``locks_from`` is the tree with other locks."""

    ways: Tuple[DockerfileWay, ...]
    caches: Path
    locks_from: Path
    repository: str = dockerfile.REPOSITORY

    @property
    def services(self) -> Tuple[Service, ...]:
        return tuple(way.material.service for way in self.ways)

    def processes(self) -> Sequence[int]:
        return (os.getpid(),)

    def build(self) -> float:
        begin = time.monotonic()
        pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        try:
            for build in [pool.submit(way.build) for way in self.ways]:
                build.result()
        finally:
            pool.shutdown(cancel_futures=True)
        return time.monotonic() - begin

    def edit(self) -> None:
        patched = patched_service(self.services, self.ways[0].material.tree)
        next(way for way in self.ways if way.material.service == patched).edit(1)

    def change_library(self) -> None:
        for way in self.ways:
            way.material.follow_lock(self.locks_from)

    def push(self, registry: Registry) -> float:
        return sum(way.push(registry) for way in self.ways)

    def on_an_empty_engine(self, docker: Docker, shelf: Registry) -> DockerfileFleet:
        ways = tuple(way.on_an_empty_engine(docker, shelf) for way in self.ways)
        return DockerfileFleet(ways, docker.socket.parent, self.locks_from)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--services", type=_words, default=(), help="such as nova,glance (default: those in all releases)"
    )
    parser.add_argument("--releases", type=_words, default=(), help="such as 2025.1,2025.2 (default: all)")
    parser.add_argument(
        "--override", default=OVERRIDE, metavar="NAME===VERSION", help=f"the library that changes (default: {OVERRIDE})"
    )
    add_session_options(parser)
    options = parser.parse_args(arguments)
    return run_session(
        options,
        lambda machine, measured: compare(
            machine,
            measured,
            Options(options.services, options.releases, options.override, not options.no_remote_cache),
        ),
    )


def _words(text: str) -> Tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def compare(machine: Machine, measured: Measured, options: Options) -> None:
    """Measure everything and add it to ``measured`` as it comes."""
    scratch = machine.scratch
    bare = ProductWay(clone(machine.repository, scratch / "tree"), scratch / "state")
    say("installing Pants")
    installed = bare.install()
    say("reading the targets")
    services = choose(bare.find_services(), options.services, options.releases)
    way = ProductWay(bare.tree, bare.state, services)
    patched = patched_service(services, way.tree)
    tags = ", ".join(service.tag for service in services)
    measured.facts["images"] = f"{len(services)}: {tags}"
    measured.facts["patch"] = f"an added comment, reworded, in the first one of {patched.tag}"
    measured.facts["Pants itself"] = f"installed before the cold build, once per machine, in {installed:.1f} s"
    say(f"gathering what the Dockerfile's builds of {tags} start from")
    tree = clone(machine.repository, scratch / "dockerfile-tree")
    downloads = Downloads.of_this_machine(patched.suite(tree), scratch)
    start = prepare_start(tree, scratch / "start", downloads)
    materials = [prepare(service, tree, scratch / "material" / service.tag, start, downloads) for service in services]
    measured.facts["Dockerfile's bottom image"] = start.fact
    measured.facts["memory"] = _MEMORY_FACT
    measured.facts["disk"] = _CACHES_FACT
    measured.facts["library"] = f"{options.override}; {_LIBRARY_FACT}"

    ours: Dict[Measure, float] = {}
    theirs: Dict[Measure, float] = {}

    def note(known: Dict[Measure, float], numbers: Numbers) -> None:
        known.update(numbers)
        measured.add(fleet_rows(ours, theirs))

    with registry(scratch / "registry") as shelf:
        with product_way(way):
            measure(ProductFleet(way, options.override), shelf, "ours", lambda numbers: note(ours, numbers))
        # Two more of its size are to come.
        remove_with_mounts(way.state)
        with docker_daemon(machine.client, scratch / "docker") as docker:
            start.bring_into(docker)
            ways = tuple(DockerfileWay(material, docker) for material in materials)
            their_fleet = DockerfileFleet(ways, scratch / "docker", way.tree)
            measure(their_fleet, shelf, "Dockerfile", lambda numbers: note(theirs, numbers))
        if options.remote_cache:
            warm = product_from_cache(machine, services)
            measured.facts["remote cache"] = warm.fact
            note(ours, {EMPTY_MACHINE: warm.read.seconds})
            say("Dockerfile: an engine with nothing but the pushed images")
            with docker_daemon(machine.client, scratch / "docker-2") as docker:
                start.bring_into(docker)
                note(theirs, {EMPTY_MACHINE: their_fleet.on_an_empty_engine(docker, shelf).build()})


def measure(fleet: Fleet, shelf: Registry, name: str, note: Callable[[Numbers], None]) -> None:
    """Build cold, after a patch and after another library, and ``note`` each number as soon as it is known."""
    say(f"{name}: cold build")
    # The registry is one of this process's children too, idle and the same for both.
    with peak_memory(fleet.processes, without=[os.getpid()]) as peak:
        seconds = fleet.build()
    note({COLD: seconds, MEMORY: peak.memory, CACHES: disk_usage(fleet.caches)})
    say(f"{name}: sending the images to a registry")
    fleet.push(shelf)
    images = {service: stored_image(shelf.storage, fleet.repository, service.tag) for service in fleet.services}
    note(image_numbers(images))
    say(f"{name}: a patch to one service")
    fleet.edit()
    note({PATCHED: fleet.build()})
    note({PATCH_BYTES: _push_change(fleet, shelf, "patch")})
    say(f"{name}: another version of a library")
    fleet.change_library()
    note({OVERRIDDEN: fleet.build()})
    note({OVERRIDE_BYTES: _push_change(fleet, shelf, "library")})


def _push_change(fleet: Fleet, shelf: Registry, change: str) -> int:
    held = shelf.blobs()
    fleet.push(shelf)
    received = received_bytes(held, shelf.blobs())
    if received == 0:
        raise BenchmarkError(f"the images are the same after the {change}, so their rebuild was not one.")
    return received


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
