"""The image made by this repository."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Optional

from benchmarks.commands import BenchmarkError, Finished, environment_without, run
from benchmarks.patch_edit import edit_first_patch
from benchmarks.servers import Docker, Registry

#: Variables of the Pants that may run this benchmark, and of the user's own: another build's options, keys and caches.
FOREIGN = ("PANTS_", "_PANTS", "PEX", "PYTHON", "C5C3_PYTHON", "VIRTUAL_ENV")


@dataclass(frozen=True)
class ProductWay:
    """Builds ``service`` of ``release`` in ``tree``, a clone of its own, with all caches in ``state``.

    ``options`` are more variables for Pants, such as those of a remote cache.
    """

    service: str
    release: str
    tree: Path
    state: Path
    options: tuple[tuple[str, str], ...] = ()

    def install(self) -> float:
        """Install Pants itself, which a machine does once; in seconds."""
        return run([str(self.tree / "pants"), "--version"], environment=self._environment, folder=self.tree).seconds

    def package(self, *options: str) -> Finished:
        command = [str(self.tree / "pants"), *options, "package", f"services/{self.service}::"]
        finished = run(command, environment=self._environment, folder=self.tree)
        if not (self._layout / "index.json").is_file():
            raise BenchmarkError(f"'./pants package services/{self.service}::' wrote no image to {self._layout}.")
        return finished

    def build(self) -> float:
        return self.package().seconds

    def edit(self, number: int) -> None:
        edit_first_patch(self.tree / "patches" / self.service / self.release, number)

    def push(self, registry: Registry) -> float:
        # The policy of this machine is about images that come from elsewhere.
        command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
        return run([*command, f"oci:{self._layout}", f"docker://{registry.name}/benchmark-product:latest"]).seconds

    def load(self, docker: Docker) -> str:
        self.package("--images-archive")
        loaded = docker.run(["load", "--quiet", "--input", str(self._layout / "docker-archive.tar")]).output
        return loaded.strip().rpartition("Loaded image: ")[2]

    @property
    def _layout(self) -> Path:
        return self.tree / "dist/images" / self.service / self.release

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
    way.state.mkdir()
    try:
        yield way
    finally:
        _stop_daemon(way.tree)


def clone(repository: Path, destination: Path) -> Path:
    """A clone of what is committed in ``repository``: the user's own tree is never edited."""
    run(["git", "clone", "--quiet", "--no-hardlinks", str(repository), str(destination)])
    return destination


def _stop_daemon(tree: Path) -> None:
    """End the pantsd of ``tree`` and wait until it has."""
    for file in tree.glob(".pids/*/pantsd/pid"):
        pid = int(file.read_text())
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                time.sleep(0.1)
                os.kill(pid, 0)
            os.kill(pid, signal.SIGKILL)


_COUNTER = re.compile(r"^\s+(\w+): (\d+)$", re.MULTILINE)


def executed_processes(output: str) -> Optional[int]:
    """How many processes Pants ran itself, by the counters in its output; ``None`` where it printed none."""
    counters = {name: int(value) for name, value in _COUNTER.findall(output)}
    return counters.get("local_execution_requests", 0) if counters else None
