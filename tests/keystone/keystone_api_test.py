"""Keystone, started from its image: the schema is made, an administrator bootstrapped, and uwsgi serves a token."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Sequence

import pytest

from imagekit.constants import SERVICE_UID
from imagekit.oci.docker_daemon import docker_daemon

LAYOUT = Path("images/keystone/2025.2")
PASSWORD = "not-a-secret"
START_SECONDS = 120

CONFIGURATION = """\
[database]
connection = sqlite:////data/keystone.db

[fernet_tokens]
key_repository = /data/fernet-keys

[fernet_receipts]
key_repository = /data/fernet-keys

[credential]
key_repository = /data/credential-keys
"""

START = """\
set -eu
keystone-manage db_sync
keystone-manage fernet_setup --keystone-user openstack --keystone-group openstack
keystone-manage credential_setup --keystone-user openstack --keystone-group openstack
keystone-manage bootstrap --bootstrap-password {password} --bootstrap-region-id RegionOne \
    --bootstrap-public-url {url}/v3
exec uwsgi --http-socket 127.0.0.1:{port} --module keystone.wsgi.api:application --need-app --master --die-on-term
"""


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: Mapping[str, object]


@dataclass(frozen=True)
class Keystone:
    url: str

    def request(self, path: str, body: object = None, headers: Mapping[str, str] = {}) -> Response:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}{path}", data, {"Content-Type": "application/json", **headers}
        )
        # No proxy: the user's own is of no use on this machine's loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as response:
                return Response(response.status, dict(response.headers), json.load(response))
        except urllib.error.HTTPError as refusal:
            return Response(refusal.code, dict(refusal.headers), json.loads(refusal.read() or b"{}"))

    def token(self, password: str) -> Response:
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        project = {"name": "admin", "domain": {"id": "default"}}
        identity = {"methods": ["password"], "password": {"user": user}}
        return self.request("/v3/auth/tokens", {"auth": {"identity": identity, "scope": {"project": project}}})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(keystone: Keystone, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            keystone.request("/v3")
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"Keystone did not answer on {keystone.url}:\n{log.read_text()[-4000:]}")


@contextmanager
def serving(command: Sequence[str], folder: Path, port: int) -> Iterator[Keystone]:
    """Keystone while ``command`` runs; it is stopped afterwards."""
    log = folder / "log"
    keystone = Keystone(f"http://127.0.0.1:{port}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    try:
        wait_for(keystone, process, log)
        yield keystone
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def write_configuration(folder: Path, port: int) -> None:
    (folder / "etc").mkdir()
    (folder / "etc/keystone.conf").write_text(CONFIGURATION)
    (folder / "data").mkdir()
    start = START.format(password=PASSWORD, port=port, url=f"http://127.0.0.1:{port}")
    (folder / "data/start").write_text(start)


@pytest.fixture(scope="module")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    folder = tmp_path_factory.mktemp("keystone")
    port = free_port()
    write_configuration(folder, port)
    command = [
        *(sys.executable, "-m", "imagekit", "run-in-image", f"--layout={LAYOUT}"),
        f"--rootfs-store={folder / 'rootfs'}",
        f"--bind={folder / 'etc'}:/etc/keystone",
        f"--bind={folder / 'data'}:/data:rw",
        "--network",
        *("--", "sh", "/data/start"),
    ]
    with serving(command, folder, port) as running:
        yield running


def check_token(keystone: Keystone) -> None:
    issued = keystone.token(PASSWORD)
    assert issued.status == 201, issued.body
    token = issued.headers["X-Subject-Token"]
    projects = keystone.request("/v3/auth/projects", headers={"X-Auth-Token": token})
    assert projects.status == 200
    assert [project["name"] for project in projects.body["projects"]] == ["admin"]  # type: ignore[attr-defined]


def test_a_token_is_issued_and_accepted(keystone: Keystone) -> None:
    check_token(keystone)


def test_a_wrong_password_gets_no_token(keystone: Keystone) -> None:
    refused = keystone.token("wrong")
    assert refused.status == 401
    assert "X-Subject-Token" not in refused.headers


def test_a_made_up_token_is_refused(keystone: Keystone) -> None:
    assert keystone.request("/v3/auth/projects", headers={"X-Auth-Token": "made-up"}).status == 401


def test_the_patch_names_the_running_build(keystone: Keystone) -> None:
    versions = keystone.request("/v3")
    assert versions.status == 200
    assert versions.headers["X-Keystone-Build"] == "28.0.0+c5c3"


@pytest.fixture(scope="module")
def engine() -> Iterator[Sequence[str]]:
    """A Docker client and its engine: one that runs here, or one started for the test."""
    client = shutil.which("docker", path="/usr/bin") or shutil.which("docker")
    if client is None:
        pytest.skip("no container engine here: install docker.io to run this test")
    if subprocess.run([client, "info"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        yield (client,)
        return
    with docker_daemon() as host:
        yield (client, "--host", host)


def test_the_same_through_a_container_engine(engine: Sequence[str], tmp_path: Path) -> None:
    port = free_port()
    write_configuration(tmp_path, port)
    os.chown(tmp_path / "data", SERVICE_UID, SERVICE_UID)
    archive = tmp_path / "keystone.tar"
    subprocess.run(
        [
            *(sys.executable, "-m", "imagekit", "docker-archive", f"--layout={LAYOUT}"),
            *("--tag=c5c3/keystone:test", f"--output={archive}"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=True,
    )
    subprocess.run([*engine, "load", "-i", str(archive)], check=True)
    command = [
        *(*engine, "run", "--rm", "--network=host"),
        *("-v", f"{tmp_path / 'etc'}:/etc/keystone:ro", "-v", f"{tmp_path / 'data'}:/data"),
        *("c5c3/keystone:test", "sh", "/data/start"),
    ]
    with serving(command, tmp_path, port) as running:
        check_token(running)
