"""The servers that the benchmark starts for itself and takes away again: a Docker daemon and a registry."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence

from benchmarks.blobs import Blob, stored_blobs
from benchmarks.commands import BenchmarkError, Finished, environment_without, run

#: The longest path that a Unix socket can have.
SOCKET_PATH = 107


@dataclass(frozen=True)
class Docker:
    """A Docker daemon with nothing in it, apart from the one that the machine may run."""

    client: str
    socket: Path
    environment: Mapping[str, str]

    def run(self, arguments: Sequence[str]) -> Finished:
        return run([self.client, *arguments], environment=self.environment)


@contextlib.contextmanager
def docker_daemon(client: str, folder: Path) -> Iterator[Docker]:
    """A daemon whose data lies in ``folder``, which is gone afterwards."""
    folder.mkdir()
    address = folder / "docker.sock"
    if len(str(address)) > SOCKET_PATH - len("exec/containerd/containerd.sock"):
        raise BenchmarkError(f"{folder} is too long a path for the daemon's sockets. Give a shorter one with --folder.")
    (folder / "daemon.json").write_text("{}")
    namespace = f"benchmark-{os.getpid()}"
    command = ["dockerd", "--host", f"unix://{address}", "--iptables=false", "--bridge=none"]
    command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
    command += ["--pidfile", str(folder / "pid"), "--config-file", str(folder / "daemon.json")]
    # The machine's own containerd may be the one that answers.
    command += ["--containerd-namespace", namespace, "--containerd-plugins-namespace", f"{namespace}-plugins"]
    environment = environment_without(
        ("DOCKER_", "BUILDKIT_"),
        {"DOCKER_HOST": f"unix://{address}", "DOCKER_CONFIG": str(folder / "client"), "DOCKER_BUILDKIT": "1"},
    )
    try:
        with server(command, folder / "log"):
            run([client, "version"], environment=environment, attempts=150)
            yield Docker(client, address, environment)
    finally:
        remove_with_mounts(folder)


@dataclass(frozen=True)
class Registry:
    """A registry on the loopback address; ``name`` is ``host:port``."""

    name: str
    storage: Path

    def blobs(self) -> frozenset[Blob]:
        return stored_blobs(self.storage)


@dataclass(frozen=True)
class CountingRegistry(Registry):
    """A registry that writes a line into ``log`` for each request."""

    log: Path

    def requests(self) -> int:
        """How many requests it has answered so far."""
        return sum(" HTTP/1." in line for line in self.log.read_text(errors="replace").splitlines())


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """A registry whose storage lies in ``folder``."""
    with _registry(folder, "log: {level: error, accesslog: {disabled: true}}") as name:
        yield Registry(name, folder / "storage")


@contextlib.contextmanager
def counting_registry(folder: Path) -> Iterator[CountingRegistry]:
    """A registry whose storage lies in ``folder``, and that counts."""
    with _registry(folder, "log: {level: error}") as name:
        yield CountingRegistry(name, folder / "storage", folder / "log")


@contextlib.contextmanager
def _registry(folder: Path, logging: str) -> Iterator[str]:
    folder.mkdir()
    name = free_address()
    (folder / "config.yml").write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'storage'}}}}}\n"
        f"http: {{addr: '{name}'}}\n"
        f"{logging}\n"
    )
    with server(["docker-registry", "serve", str(folder / "config.yml")], folder / "log"):
        wait_for(name, seconds=20)
        yield name


def free_address() -> str:
    """``host:port`` on the loopback address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def wait_for(name: str, seconds: int) -> None:
    """Return once something listens at ``name``, ``host:port``; raises :class:`BenchmarkError` when nothing does."""
    host, _, port = name.partition(":")
    for _ in range(10 * seconds):
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise BenchmarkError(f"nothing answers at {name} after {seconds} s.")


@contextlib.contextmanager
def server(command: Sequence[str], log: Path, environment: Optional[Mapping[str, str]] = None) -> Iterator[None]:
    """``command`` in the background, ended with the block; its output goes to ``log``."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            # Ctrl-C is for the benchmark, which then ends its servers in order.
            start_new_session=True,
        )
    try:
        yield
    except BenchmarkError as error:
        if process.poll() is None:
            raise
        raise BenchmarkError(f"{error}\n'{command[0]}' ended: {log.read_text(errors='replace')[-3000:]}") from None
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def remove_with_mounts(folder: Path) -> None:
    """Remove ``folder`` with all in it, once nothing is mounted there."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((mount for mount in mounts if mount.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)
