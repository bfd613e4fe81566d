"""A Docker daemon of a test's own: all that it writes and mounts is in one folder, and goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import pytest

from imagekit.oci.scratch_folder import scratch_folder

# The clients of the distribution before others of the same name; a test may run without any PATH.
TOOLS_PATH = os.pathsep.join(["/usr/sbin", "/usr/bin", "/sbin", "/bin", os.environ.get("PATH", os.defpath)])
START_SECONDS = 60

# The daemon ends its containers before itself. It keeps the network namespace of the host mounted when it ends.
_END = r"""
[ ! -e pid ] || kill "$(cat pid)"
while [ -e pid ] && kill -0 "$(cat pid)"; do
    sleep 0.2
done
sed -n "s|^[^ ]* \($PWD/[^ ]*\) .*|\1|p" /proc/mounts | tac | xargs -r umount --lazy
"""


@contextmanager
def docker_daemon() -> Iterator[str]:
    """The ``DOCKER_HOST`` of a daemon that runs until the context ends; skips the test where none can run."""
    if shutil.which("dockerd", path=TOOLS_PATH) is None:
        pytest.skip("dockerd is not installed: apt-get install docker.io")
    if os.geteuid() != 0:
        pytest.skip("dockerd runs as root only: run the test as root")
    with scratch_folder("docker", ending=_END) as folder, _running(folder) as host:
        yield host


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
            # It outlives a test that is killed, to be ended in order.
            start_new_session=True,
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
