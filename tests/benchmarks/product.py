"""Images made by this repository."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence

from benchmarks.commands import BenchmarkError, Finished, environment_without, run
from benchmarks.patch_edit import edit_first_patch
from benchmarks.processes import running_processes, with_descendants
from benchmarks.servers import Docker, Registry
from benchmarks.services import ALL_IMAGES, Service, parse_services, patched_service

#: Where images are pushed to, each under a tag of its own.
REPOSITORY = "benchmark-product"
#: Variables of the Pants that may run this benchmark, and of the user's own: another build's options, keys and caches.
FOREIGN = ("PANTS_", "_PANTS", "PEX", "PYTHON", "C5C3_PYTHON", "VIRTUAL_ENV")


@dataclass(frozen=True)
class ProductWay:
    """Builds the images of ``services`` in ``tree``, a clone of its own, with all caches in ``state``.

    ``options`` are more variables for Pants, such as those of a remote cache.
    """

    tree: Path
    state: Path
    services: tuple[Service, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def install(self) -> float:
        """Install Pants itself, which a machine does once, and leave no daemon; in seconds."""
        self.state.mkdir()
        return self.pants("--no-pantsd", "--version").seconds

    def pants(self, *arguments: str) -> Finished:
        return run([str(self.tree / "pants"), *arguments], environment=self._environment, folder=self.tree)

    def find_services(self) -> tuple[Service, ...]:
        """All services of the tree. No daemon is left, which would make a later start a warm one."""
        file = self.state / "targets.json"
        self.pants("--no-pantsd", "peek", f"--output-file={file}", *ALL_IMAGES)
        return parse_services(file.read_text(encoding="utf-8"))

    def package(self, *options: str) -> Finished:
        finished = self.pants(*options, "package", *(service.address for service in self.services))
        for service in self.services:
            if not (self._layout(service) / "index.json").is_file():
                raise BenchmarkError(f"'./pants package {service.address}' wrote no image to {self._layout(service)}.")
        return finished

    def build(self) -> float:
        return self.package().seconds

    def edit(self, number: int) -> None:
        service = patched_service(self.services, self.tree)
        edit_first_patch(service.patches(self.tree, service.name), number)

    def push(self, registry: Registry) -> float:
        # The policy of this machine is about images that come from elsewhere.
        command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        repository = f"docker://{registry.name}/{REPOSITORY}"
        return sum(
            run([*command, f"oci:{self._layout(service)}", f"{repository}:{service.tag}"]).seconds
            for service in self.services
        )

    def load(self, docker: Docker, service: Service) -> str:
        """Make the image of ``service`` known to an engine; the reference to run it by."""
        self.package("--images-archive")
        loaded = docker.run(["load", "--quiet", "--input", str(self._layout(service) / "docker-archive.tar")]).output
        return loaded.strip().rpartition("Loaded image: ")[2]

    def _layout(self, service: Service) -> Path:
        return self.tree / "dist" / service.output_path

    @property
    def _environment(self) -> Mapping[str, str]:
        return environment_without(
            FOREIGN,
            {
                "XDG_CACHE_HOME": str(self.state / "cache"),
                "PANTS_LOCAL_STORE_DIR": str(self.state / "store"),
                "PANTS_NAMED_CACHES_DIR": str(self.state / "named"),
                "PANTS_PANTSRC": "false",
                "PANTS_STATS_LOG": "true",
                "PANTS_DYNAMIC_UI": "false",
                **dict(self.options),
            },
        )


@contextlib.contextmanager
def product_way(way: ProductWay) -> Iterator[ProductWay]:
    """``way``, whose daemon ends with the block."""
    try:
        yield way
    finally:
        _stop_daemon(way.tree)


def clone(repository: Path, destination: Path) -> Path:
    """A clone of what is committed in ``repository``."""
    run(["git", "clone", "--quiet", "--no-hardlinks", str(repository), str(destination)])
    return destination


def daemons(tree: Path) -> Sequence[int]:
    """The ids of the pantsd of ``tree``, if there is one."""
    return [int(file.read_text()) for file in tree.glob(".pids/*/pantsd/pid")]


def _stop_daemon(tree: Path) -> None:
    """End the pantsd of ``tree`` and wait until it has, with all that it started."""
    for daemon in daemons(tree):
        started = with_descendants(running_processes(), [daemon])
        with contextlib.suppress(ProcessLookupError):
            os.kill(daemon, signal.SIGTERM)
            for _ in range(100):
                time.sleep(0.1)
                os.kill(daemon, 0)
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


_COUNTER = re.compile(r"^\s+(\w+): (\d+)$", re.MULTILINE)


def executed_processes(output: str) -> Optional[int]:
    """How many processes Pants ran itself, by the counters in its output; ``None`` where it printed none."""
    counters = {name: int(value) for name, value in _COUNTER.findall(output)}
    return counters.get("local_execution_requests", 0) if counters else None
