"""Run programs from images, as an operator would: in bubblewrap without an engine, or in containers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import IO, Iterator, Mapping, Protocol, Sequence, Union

import pytest

from imagekit.oci.docker_daemon import TOOLS_PATH, docker_daemon
from imagekit.oci.scratch_folder import scratch_folder
from services.http_api import request

#: Where Pants puts the images that a test names.
IMAGES = Path("images")

START_SECONDS = 600
STOP_SECONDS = 20
#: How much of a log a failure shows.
LOG_CHARACTERS = 8000

#: A file, or subprocess.PIPE.
Output = Union[IO[bytes], int]

_IMAGEKIT = (sys.executable, "-m", "imagekit")


@dataclass(frozen=True)
class Program:
    """A shell script to run in an image, on the host's network; only /tmp is writable.

    ``image`` is like "keystone/2025.2"; ``files`` are texts by their absolute path in the image.
    """

    image: str
    script: str
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


class ImageRunner(Protocol):
    """What runs programs; ``folder`` is for their files and logs."""

    @property
    def folder(self) -> Path:
        ...

    def start(self, program: Program, output: Output, errors: Output) -> "subprocess.Popen[bytes]":
        """Start the program, which ends with the process that is returned."""


@dataclass(frozen=True)
class Sandbox:
    """Bubblewrap, through imagekit."""

    folder: Path

    def start(self, program: Program, output: Output, errors: Output) -> "subprocess.Popen[bytes]":
        command = [
            *(*_IMAGEKIT, "run-in-image", f"--layout={IMAGES / program.image}", "--network"),
            f"--rootfs-store={self.folder / 'rootfs'}",
            *(f"--bind={source}:{target}" for target, source in _written(self.folder, program.files).items()),
            *(f"--env={name}={value}" for name, value in program.environment.items()),
            *("--", "sh", "-euc", program.script),
        ]
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=_imagekit_environment()
        )


@dataclass(frozen=True)
class Containers:
    """The Docker daemon at ``host``."""

    folder: Path
    host: str

    def start(self, program: Program, output: Output, errors: Output) -> "subprocess.Popen[bytes]":
        files = _written(self.folder, program.files)
        command = [
            *("docker", "--host", self.host, "run", "--rm", "--network=host"),
            *(f"--volume={source}:{target}:ro" for target, source in files.items()),
            *(f"--env={name}={value}" for name, value in program.environment.items()),
            *(_tag(program.image), "sh", "-euc", program.script),
        ]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=_docker_environment())

    def load(self, image: str) -> None:
        archive = self.folder / "image.tar"
        subprocess.run(
            [*_IMAGEKIT, "docker-archive", f"--layout={IMAGES / image}", f"--tag={_tag(image)}", f"--output={archive}"],
            env=_imagekit_environment(),
            check=True,
        )
        subprocess.run(["docker", "--host", self.host, "load", "-i", str(archive)], env=_docker_environment(), check=True)
        archive.unlink()


@contextmanager
def sandbox() -> Iterator[Sandbox]:
    """Programs in bubblewrap; nothing of theirs is left afterwards."""
    with scratch_folder("services") as folder:
        yield Sandbox(folder)


@contextmanager
def containers(images: Sequence[str]) -> Iterator[Containers]:
    """Programs of ``images`` in containers of a Docker daemon of their own; skips the test where there can be none."""
    with docker_daemon() as host, scratch_folder("services") as folder:
        runner = Containers(folder, host)
        for image in images:
            runner.load(image)
        yield runner


def run(runner: ImageRunner, program: Program) -> str:
    """What the program writes to stdout; fails the test with what it wrote when the program fails."""
    log = _new_log(runner)
    with log.open("wb") as errors:
        process = runner.start(program, subprocess.PIPE, errors)
        try:
            output, _ = process.communicate()
        finally:
            _stop(process)
    if process.returncode:
        pytest.fail(
            f"{program.image} ended with {process.returncode}:\n{program.script}\n{output.decode()}\n{_end(log)}",
            pytrace=False,
        )
    return output.decode()


@dataclass(frozen=True)
class Server:
    """A program that runs and answers at ``url``."""

    image: str
    url: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def wait(self) -> None:
        """Return when it answers; fails the test with its log when it ends or does not in time."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                request(self.url)
                return
            except OSError:
                time.sleep(0.2)
        pytest.fail(f"nothing answers at {self.url}.\n{self.described_log()}", pytrace=False)

    def described_log(self) -> str:
        return f"----- log of {self.image}:\n{_end(self.log)}"


@contextmanager
def serving(runner: ImageRunner, program: Program, url: str) -> Iterator[Server]:
    """The program, which is to answer at ``url``; it runs while the block does."""
    log = _new_log(runner)
    with log.open("wb") as output:
        process = runner.start(program, output, output)
    try:
        yield Server(program.image, url, log, process)
    finally:
        _stop(process)


def free_ports(count: int) -> Sequence[int]:
    """Ports of 127.0.0.1 that nothing uses."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _written(folder: Path, files: Mapping[str, str]) -> Mapping[str, Path]:
    """Where the texts lie on the host, by the path they are to have in the image."""
    written = {}
    for target, text in files.items():
        written[target] = folder / f"{uuid.uuid4().hex}-{PurePath(target).name}"
        written[target].write_text(text)
    return written


def _new_log(runner: ImageRunner) -> Path:
    return runner.folder / f"{uuid.uuid4().hex}.log"


def _end(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_CHARACTERS:]


def _tag(image: str) -> str:
    return f"c5c3/{image.replace('/', ':')}"


def _imagekit_environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _docker_environment() -> Mapping[str, str]:
    return {**os.environ, "PATH": TOOLS_PATH}
