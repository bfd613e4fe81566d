"""A Docker daemon of a test's own: all that it writes and mounts is in one folder, and goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List

import pytest

# The clients of the distribution before others of the same name; a test may run without any PATH.
TOOLS_PATH = os.pathsep.join(["/usr/sbin", "/usr/bin", "/sbin", "/bin", os.environ.get("PATH", os.defpath)])
START_SECONDS = 60


@contextmanager
def docker_daemon() -> Iterator[str]:
    """The ``DOCKER_HOST`` of a daemon that runs until the context ends; skips the test where none can run."""
    if shutil.which("dockerd", path=TOOLS_PATH) is None:
        pytest.skip("dockerd is not installed: apt-get install docker.io")
    if os.geteuid() != 0:
        pytest.skip("dockerd runs as root only: run the test as root")
    # Not pytest's own folder: a socket's path may have 107 bytes only.
    folder = Path(tempfile.mkdtemp(prefix="docker-", dir="/tmp"))
    try:
        with _running(folder) as host:
            yield host
    finally:
        # The daemon keeps the network namespace of the host mounted when it ends.
        for mount in mounts_below(folder):
            subprocess.run(["umount", "--lazy", mount], env={"PATH": TOOLS_PATH}, check=True)
        shutil.rmtree(folder)


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    host = f"unix://{folder}/socket"
    log = folder / "log"
    environment = {**os.environ, "PATH": TOOLS_PATH}
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [
                *("dockerd", "--iptables=false", "--bridge=none", "--host", host, "--pidfile", f"{folder}/pid"),
                *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec"),
            ],
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(
            ["docker", "--host", host, "version"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).returncode:
            if daemon.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"dockerd does not start on this machine: {log.read_text()[-300:]}")
            time.sleep(0.2)
        yield host
    finally:
        daemon.terminate()
        daemon.wait(START_SECONDS)


def mounts_below(folder: Path) -> List[str]:
    """The mount points below ``folder``, whose path has no space, the last mounted first."""
    points = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [point for point in reversed(points) if point.startswith(f"{folder}/")]
