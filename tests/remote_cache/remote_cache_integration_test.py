"""Builds with a cache server that works, is down, dies, or has lost or damaged what it held.

The configuration is this repository's own ``pants.toml``. The first test downloads the server from the Python index.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

import pytest

RAN = ["step 1 ran", "step 2 ran", "step 3 ran"]
HIT = ["step 1 hit_remotely", "step 2 hit_remotely", "step 3 hit_remotely"]


def made(name: str, content: str) -> str:
    return f"made-3/{name} {hashlib.sha256(content.encode()).hexdigest()}"


RESULT = [made("large", "".join(f"{number}\n" for number in range(300000, 400000))), made("small", "0\n1\n2\n3\n")]


@dataclass(frozen=True)
class Server:
    process: "subprocess.Popen[bytes]"
    address: str

    def die(self) -> None:
        self.process.kill()
        self.process.wait()


@dataclass(frozen=True)
class Build:
    status: int
    lines: Sequence[str]
    errors: str


@dataclass(frozen=True)
class Machine:
    """A machine with empty caches."""

    folder: Path

    def begin(self, address: str, *arguments: str, write: bool = False) -> "subprocess.Popen[str]":
        """Start ``pants chain`` with the cache at ``address``."""
        checkout = self.folder / "checkout"
        checkout.mkdir(parents=True)
        shutil.copy("pants.toml", checkout)
        return subprocess.Popen(
            [sys.executable, "-m", "pants", *arguments],
            cwd=checkout,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "PYTHONUTF8": "1",
                "NO_SCIE_WARNING": "1",
                "PANTS_CONCURRENT": "true",
                "PANTS_PANTSD": "false",
                "PANTS_DYNAMIC_UI": "false",
                "PANTS_PYTHONPATH": f"['{Path('tests').resolve()}']",
                "PANTS_BACKEND_PACKAGES": "['remote_cache.chain']",
                # Sections of backends that are not loaded here.
                "PANTS_VERIFY_CONFIG": "false",
                "PANTS_REMOTE_CACHE_READ": "true",
                "PANTS_REMOTE_CACHE_WRITE": str(write).lower(),
                "PANTS_REMOTE_STORE_ADDRESS": f"grpc://{address}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def build(self, address: str, write: bool = False) -> Build:
        return finish(self.begin(address, "chain", write=write))


def finish(process: "subprocess.Popen[str]") -> Build:
    output, errors = process.communicate(timeout=300)
    return Build(process.returncode, output.splitlines(), errors)


def free_address() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def reachable(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@contextmanager
def cache_server(programs: Path, directory: Path) -> Iterator[Server]:
    """What ``build-support/cache-server`` serves from ``directory``, up to the end of the block."""
    address = free_address()
    process = subprocess.Popen(
        ["build-support/cache-server", "--bind", address, "--quota", "4G", "--directory", str(directory)],
        env={**os.environ, "XDG_CACHE_HOME": str(programs), "PY": os.path.realpath(sys.executable)},
    )
    server = Server(process, address)
    try:
        deadline = time.monotonic() + 300
        while not reachable(address):
            assert process.poll() is None and time.monotonic() < deadline, "the cache server does not start"
            time.sleep(0.1)
        yield server
    finally:
        server.die()


@pytest.fixture(scope="module")
def filled(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a cache that CI has filled."""
    folder = tmp_path_factory.mktemp("ci")
    with cache_server(programs, folder / "data") as server:
        build = Machine(folder / "machine").build(server.address, write=True)
        assert (build.status, build.lines) == (0, RAN + RESULT), build.errors
    return folder / "data"


@pytest.fixture
def copied(filled: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be damaged."""
    return Path(shutil.copytree(filled, tmp_path / "data"))


def large_blobs(directory: Path) -> Sequence[Path]:
    return [path for path in (directory / "cas/objects").rglob("*") if path.is_file() and path.stat().st_size > 500_000]


def test_empty_machine_runs_nothing(programs: Path, filled: Path, tmp_path: Path) -> None:
    with cache_server(programs, filled) as server:
        build = Machine(tmp_path).build(server.address)

    assert (build.status, build.lines) == (0, HIT + RESULT), build.errors
    assert "WARN" not in build.errors


def test_developers_do_not_write(programs: Path, tmp_path: Path) -> None:
    with cache_server(programs, tmp_path / "data") as server:
        build = Machine(tmp_path / "machine").build(server.address)

    assert (build.status, build.lines) == (0, RAN + RESULT), build.errors
    assert large_blobs(tmp_path / "data") == []


def test_server_that_is_down(tmp_path: Path) -> None:
    build = Machine(tmp_path).build(free_address(), write=True)

    assert (build.status, build.lines) == (0, RAN + RESULT), build.errors
    assert re.search(r"\[WARN\] Failed to read from remote cache \(1 occurrences so far\): Unavailable", build.errors)


def test_server_that_dies_during_the_build(programs: Path, tmp_path: Path) -> None:
    with cache_server(programs, tmp_path / "data") as server:
        process = Machine(tmp_path / "machine").begin(server.address, "chain", f"--meeting={tmp_path}", write=True)
        while not (tmp_path / "step").exists() and process.poll() is None:
            time.sleep(0.1)
        server.die()
        (tmp_path / "go").touch()
        build = finish(process)

    assert (build.status, build.lines) == (0, RAN + RESULT), build.errors
    assert "[WARN] Failed to read from remote cache (1 occurrences so far): Unavailable" in build.errors


def test_blobs_that_are_gone(programs: Path, copied: Path, tmp_path: Path) -> None:
    blobs = large_blobs(copied)
    assert len(blobs) == 3
    for blob in blobs:
        blob.unlink()

    with cache_server(programs, copied) as server:
        build = Machine(tmp_path / "machine").build(server.address)

    assert (build.status, build.lines) == (0, RAN + RESULT), build.errors


def test_blob_that_is_corrupt(programs: Path, copied: Path, tmp_path: Path) -> None:
    (blob,) = [path for path in large_blobs(copied) if path.read_bytes().startswith(b"300000\n")]
    content = blob.read_bytes()
    blob.chmod(0o644)
    blob.write_bytes(b"400000\n" + content[7:])

    with cache_server(programs, copied) as server:
        build = Machine(tmp_path / "machine").build(server.address)

    assert (build.status, build.lines) == (0, HIT[:2] + RAN[2:] + RESULT), build.errors
    assert "Remote CAS gave wrong digest" in build.errors
