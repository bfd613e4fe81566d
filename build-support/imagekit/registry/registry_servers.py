"""Registries on 127.0.0.1 for tests: Debian's docker-registry, with TLS, passwords, faults where told."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional, Sequence

import pytest

from imagekit.registry.token_server import ISSUER, SERVICE, TokenServer

USER, PASSWORD = "pusher", "s3cret"
#: ``PASSWORD`` as bcrypt, the only form that the registry takes.
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n"


@dataclass(frozen=True)
class RunningRegistry:
    """A registry at ``address``, ``host:port``; ``log`` is a line for each request."""

    address: str
    log: Path
    storage: Path

    def requests(self) -> Sequence[str]:
        return [line for line in self.log.read_text(errors="replace").splitlines() if '"' in line and " HTTP/1" in line]


def registry_program() -> str:
    path = shutil.which("docker-registry", path="/usr/bin:/usr/local/bin")
    if path is None:
        pytest.skip("docker-registry is not installed: apt-get install docker-registry")
    return path


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def registry(
    folder: Path,
    *,
    tls: bool = False,
    password: bool = False,
    read_only: bool = False,
    tokens: Optional[TokenServer] = None,
) -> Iterator[RunningRegistry]:
    """A registry that runs while the block does; its storage and certificate lie in ``folder``.

    With ``tokens`` it takes those of that server.
    """
    program = registry_program()
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    lines = [
        "version: 0.1",
        "storage:",
        f"  filesystem: {{rootdirectory: {folder / 'storage'}}}",
        f"  maintenance: {{readonly: {{enabled: {str(read_only).lower()}}}}}",
        "http:",
        f"  addr: '{address}'",
    ]
    if tls:
        make_certificate(folder)
        lines.append(f"  tls: {{certificate: {folder / 'server.crt'}, key: {folder / 'server.key'}}}")
    if password:
        (folder / "htpasswd").write_text(HTPASSWD)
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {folder / 'htpasswd'}}}}}")
    if tokens is not None:
        lines.append(
            f"auth: {{token: {{realm: '{tokens.realm}', service: {SERVICE}, issuer: {ISSUER}, "
            f"rootcertbundle: {tokens.certificate}}}}}"
        )
    (folder / "config.yml").write_text("\n".join(lines) + "\n")
    log = folder / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [program, "serve", str(folder / "config.yml")], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(address, process, log)
        yield RunningRegistry(address, log, folder / "storage")
    finally:
        process.terminate()
        process.wait(20)


def make_certificate(folder: Path) -> None:
    """A certificate for 127.0.0.1 that signs itself: ``server.crt`` and ``server.key``."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(folder / "server.key"), "-out", str(folder / "server.crt"), "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    host, _, port = address.partition(":")
    for _ in range(200):
        if process.poll() is not None:
            break
        try:
            socket.create_connection((host, int(port)), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the registry does not answer: {log.read_text(errors='replace')}")
