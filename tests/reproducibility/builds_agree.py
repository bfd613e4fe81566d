"""Builds images from nothing in two clones, and from a shared cache in a third, and compares their digests.

    python3 tests/reproducibility/builds_agree.py services/keystone::

The clones lie in different folders and have caches of their own. The second one builds with another time zone, locale,
umask and number of workers; the third has an empty machine and only reads what the first one wrote to a cache server, so
it must run no step but the one that writes ``dist/``. Takes as long as two cold builds; needs what ``./pants`` needs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
#: Processes that no cache can run for a machine: Pants' own search for bash and git, and writing an image to ``dist/``.
OF_THIS_MACHINE = ("Searching for ", "Test binary ", "Write dist/")


@dataclass(frozen=True)
class Clone:
    """A clone of this checkout's HEAD with caches of its own, in ``folder``."""

    name: str
    folder: Path

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    def make(self) -> None:
        self.folder.mkdir(parents=True)
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(self.tree)], check=True)

    def environment(self, extra: Mapping[str, str] = {}) -> Dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PANTS_", "C5C3_", "PEX"))}
        return {**ours, "XDG_CACHE_HOME": str(self.folder / "cache"), **extra}

    def package(self, specs: Sequence[str], *options: str, extra: Mapping[str, str] = {}, umask: int = 0o022) -> str:
        """Package ``specs``; what Pants printed. Ends the program when that fails."""
        started = time.monotonic()
        command = ["./pants", "--no-pantsd", "--no-dynamic-ui", *options, "package", *specs]
        finished = subprocess.run(
            command,
            cwd=self.tree,
            env=self.environment(extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            umask=umask,
        )
        printed = finished.stdout.decode(errors="replace")
        if finished.returncode:
            end = "\n".join(printed.splitlines()[-200:])
            sys.exit(f"{end}\n{self.name}: {' '.join(command)} failed with exit code {finished.returncode}.")
        print(f"{self.name}: built in {time.monotonic() - started:.0f} s", flush=True)
        return printed

    def digests(self) -> Dict[str, str]:
        """The manifest digest of each image in ``dist/``, by its folder."""
        dist = self.tree / "dist"
        found = {}
        for index in sorted(dist.glob("images/**/index.json")):
            (manifest,) = json.loads(index.read_text())["manifests"]
            found[str(index.parent.relative_to(dist))] = manifest["digest"]
        return found


@contextmanager
def cache_server(clone: Clone) -> Iterator[str]:
    """The address of a cache server that keeps what it is given in the folder of ``clone``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    command = [
        str(clone.tree / "build-support/cache-server"),
        *("--bind", address, "--directory", str(clone.folder / "served")),
    ]
    process = subprocess.Popen(command, env=clone.environment(), start_new_session=True)
    try:
        wait_for(process, address)
        yield f"grpc://{address}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for(process: "subprocess.Popen[bytes]", address: str) -> None:
    host, port = address.split(":")
    for _ in range(600):
        if process.poll() is not None:
            sys.exit(f"The cache server ended with exit code {process.returncode}.")
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            time.sleep(0.5)
    sys.exit(f"The cache server does not answer on {address}.")


def processes_run(log: str) -> List[str]:
    """What ran here and could have come from a cache, by the descriptions in Pants' log at level debug."""
    ran = re.findall(r"^[\d:.]+ \[DEBUG\] Running (.+) under semaphore with ", log, re.MULTILINE)
    if not any(name.startswith("Write dist/") for name in ran):
        sys.exit("Pants' log does not say which processes ran: has its wording changed?")
    return [name for name in ran if not name.startswith(OF_THIS_MACHINE)]


def differences(reference: Mapping[str, str], other: Mapping[str, str], name: str) -> List[str]:
    """A line for each image that two clones do not agree on."""
    return [
        f"{image}: {reference.get(image, 'not built')}, but {other.get(image, 'not built')} in {name}"
        for image in sorted({*reference, *other})
        if reference.get(image) != other.get(image)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("specs", nargs="+", help="what to package, as services/keystone::")
    parser.add_argument("--folder", type=Path, help="work here and leave everything (default: a temporary folder)")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="builds-agree-"))
    first = Clone("first clone", folder / "a")
    second = Clone("second clone", folder / "another-folder-with-a-longer-name" / "b")
    third = Clone("from the cache", folder / "c")
    try:
        first.make()
        second.make()
        third.make()
        with cache_server(first) as address:
            remote = {"PANTS_REMOTE_STORE_ADDRESS": address}
            first.package(
                arguments.specs,
                extra={**remote, "PANTS_CONFIG_FILES": "pants.ci.toml"},
            )
            printed = third.package(
                arguments.specs, "--level=debug", extra={**remote, "PANTS_REMOTE_CACHE_READ": "true"}
            )
        second.package(
            arguments.specs,
            "--process-execution-local-parallelism=1",
            extra={"TZ": "Asia/Kathmandu", "LC_ALL": "C", "PYTHONHASHSEED": "4242"},
            umask=0o077,
        )
        reference = first.digests()
        problems = [
            *differences(reference, second.digests(), second.name),
            *differences(reference, third.digests(), third.name),
        ]
        problems += [f"{third.name}: ran here, but is in the cache: {name}" for name in processes_run(printed)]
        if not reference:
            problems.append("nothing was built")
        if problems:
            sys.exit("\n".join(problems))
        for image, digest in reference.items():
            print(f"{image} {digest}: the same in two clones and from the cache")
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
