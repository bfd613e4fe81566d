"""Registries that fail, cut connections, want tokens or refuse a media type: scripted servers on 127.0.0.1."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Mapping, Tuple

import pytest

from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.digest import Digest
from imagekit.oci.json_document import render
from imagekit.registry.errors import AccessRefused, RegistryError
from imagekit.registry.pushes import log_in
from imagekit.registry.reference import RegistryAddress, RepositoryName
from imagekit.registry.repository import Referrer, Repository
from imagekit.registry.session import Session
from imagekit.registry.settings import RegistrySettings


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Said:
    """An answer; ``read`` is how much of the body is read before the connection is closed without one."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    read: int = -1


Script = Callable[[Asked], Said]


@dataclass
class Served:
    address: str
    asked: List[Asked]


@contextmanager
def served(script: Script) -> Iterator[Served]:
    asked: List[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = Asked(self.command, self.path, dict(self.headers.items()), b"")
            said = script(request)
            body = self.rfile.read(length if said.read < 0 else said.read)
            asked.append(replace(request, body=body))
            if said.read >= 0:
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body)

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = answer

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Served(f"127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        server.server_close()


def repository(address: str, settings: RegistrySettings, pauses: "list[float]") -> Repository:
    registry = RegistryAddress(address)
    return Repository(RepositoryName(registry, "c5c3/keystone"), Session(registry, settings, sleep=pauses.append))


def in_turn(*answers: Said) -> Script:
    left = list(answers)
    return lambda _asked: left.pop(0) if len(left) > 1 else left[0]


DIGEST = Digest.of(b"blob")


def test_what_may_go_away_is_tried_again_after_the_pause_that_is_asked_for(settings: RegistrySettings) -> None:
    pauses: List[float] = []
    cut = Said(0, read=0)
    # A kept connection that is cut is made anew at once; only the second cut is a failure.
    with served(in_turn(Said(503), Said(429, {"Retry-After": "7"}), cut, cut, Said(200))) as server:
        assert repository(server.address, settings, pauses).has_blob(DIGEST)
    assert pauses == [0.5, 7.0, 2.0]


def test_a_registry_that_fails_again_and_again(settings: RegistrySettings) -> None:
    pauses: List[float] = []
    with served(in_turn(Said(503))) as server:
        with pytest.raises(RegistryError) as refusal:
            repository(server.address, settings, pauses).has_blob(DIGEST)
    assert str(refusal.value) == (
        f"Looking for {DIGEST} in {server.address}/c5c3/keystone: {server.address} failed again and again (503). Try again "
        "later."
    )
    assert len(pauses) == 5


def test_a_cut_upload_goes_on_where_it_stopped(tmp_path: Path, settings: RegistrySettings) -> None:
    content = bytes(range(256)) * 8192
    (tmp_path / "blob").write_bytes(content)
    half = len(content) // 2
    upload = "/v2/c5c3/keystone/blobs/uploads/1?_state=a"

    def script(asked: Asked) -> Said:
        if asked.method == "POST":
            return Said(202, {"Location": upload})
        if asked.method == "PUT" and int(asked.headers["Content-Length"]):
            return Said(0, read=half)
        if asked.method == "GET":
            return Said(204, {"Location": upload, "Range": f"0-{half - 1}"})
        return Said(202 if asked.method == "PATCH" else 201, {"Location": upload})

    descriptor = Descriptor(media_types.LAYER_TAR, Digest.of(content), len(content))
    with served(script) as server:
        repository(server.address, settings, []).put_blob_file(tmp_path / "blob", descriptor)
    assert [asked.method for asked in server.asked] == ["POST", "PUT", "GET", "PATCH", "PUT"]
    assert server.asked[3].body == content[half:]
    assert server.asked[3].headers["Content-Range"] == f"{half}-{len(content) - 1}"
    assert server.asked[4].target == f"{upload}&digest=sha256:{descriptor.digest.hex}"


def test_a_refused_media_type_is_named(settings: RegistrySettings) -> None:
    refused = json.dumps({"errors": [{"code": "MANIFEST_INVALID", "message": "media type not accepted"}]}).encode()
    data = json.dumps({"layers": [{"mediaType": media_types.LAYER_ZSTD}]}).encode()
    with served(in_turn(Said(415, body=refused))) as server:
        with pytest.raises(RegistryError) as refusal:
            repository(server.address, settings, []).put_manifest(data, media_types.MANIFEST, "28.0.0")
    assert str(refusal.value) == (
        f"Sending {server.address}/c5c3/keystone:28.0.0: {server.address} refuses the manifest (415 MANIFEST_INVALID: media "
        f"type not accepted), whose media type is {media_types.MANIFEST}. It needs a registry that takes OCI images with "
        "zstd layers; for an older one build with --images-compression=gzip."
    )


def test_a_list_of_attached_things_that_another_program_overwrote(settings: RegistrySettings) -> None:
    subject = Descriptor(media_types.MANIFEST, DIGEST, 4)
    other = Referrer(Descriptor(media_types.MANIFEST, Digest.of(b"other"), 5), "application/vnd.example.other")
    index = {"schemaVersion": 2, "mediaType": media_types.INDEX, "manifests": [other.to_json()]}
    overwritten = render(index)
    lists: List[bytes] = []

    def script(asked: Asked) -> Said:
        if "/manifests/sha256-" not in asked.target:
            return Said(404 if "/referrers/" in asked.target else 201 if asked.method == "PUT" else 200)
        if asked.method == "PUT":
            # The other program read the list before the first write, and wrote it after.
            lists.append(overwritten)
            return Said(201)
        if len(lists) == 2:
            return Said(200, {"Content-Type": media_types.INDEX}, server.asked[-1].body)
        return Said(200, {"Content-Type": media_types.INDEX}, lists[-1]) if lists else Said(404)

    with served(script) as server:
        own = repository(server.address, settings, []).attach_referrer(subject, "application/vnd.example", ())
    assert len(lists) == 2
    written = [json.loads(asked.body) for asked in server.asked if asked.method == "PUT" and "sha256-" in asked.target]
    assert [[item["digest"] for item in one["manifests"]] for one in written] == [
        [str(own.digest)],
        [str(other.descriptor.digest), str(own.digest)],
    ]


def test_a_list_of_attached_things_that_the_registry_does_not_keep(settings: RegistrySettings) -> None:
    subject = Descriptor(media_types.MANIFEST, DIGEST, 4)

    def script(asked: Asked) -> Said:
        if asked.method == "PUT":
            return Said(201)
        return Said(404 if "/referrers/" in asked.target or "/manifests/" in asked.target else 200)

    with served(script) as server:
        with pytest.raises(RegistryError) as refusal:
            repository(server.address, settings, []).attach_referrer(subject, "application/vnd.example", ())
    assert str(refusal.value) == (
        f"{server.address}/c5c3/keystone:sha256-{DIGEST.hex} does not keep what is attached to the image: others write it "
        "at the same time, or the registry forgets it. Publish again when nobody else does."
    )


@pytest.fixture
def token_registry() -> Iterator[Tuple[Served, Dict[str, str]]]:
    """A registry that takes the token ``state['token']``, given for a scope to whoever has the password."""
    state = {"token": "first"}

    def script(asked: Asked) -> Said:
        if asked.target.startswith("/token"):
            known = "Basic " + base64.b64encode(b"me:s3cret").decode()
            if asked.headers.get("Authorization") != known:
                return Said(401)
            return Said(200, {}, json.dumps({"token": state["token"]}).encode())
        if asked.headers.get("Authorization") == f"Bearer {state['token']}":
            return Said(200)
        realm = f"http://{asked.headers['Host']}/token"
        return Said(401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="registry"'})

    with served(script) as server:
        yield server, state


def test_tokens_are_asked_for_their_scope_and_renewed(
    token_registry: Tuple[Served, Dict[str, str]], settings: RegistrySettings
) -> None:
    server, state = token_registry
    log_in(settings, server.address, "s3cret", "me")
    keystone = repository(server.address, settings, [])
    assert keystone.has_blob(DIGEST) and keystone.has_blob(DIGEST)
    state["token"] = "second"
    assert keystone.has_blob(DIGEST)
    asked = [asked.target for asked in server.asked if asked.target.startswith("/token")]
    assert asked == ["/token?scope=repository%3Ac5c3%2Fkeystone%3Apull%2Cpush&service=registry"] * 2
    assert "s3cret" not in repr(settings)


def test_a_password_that_the_token_server_refuses(
    token_registry: Tuple[Served, Dict[str, str]], settings: RegistrySettings
) -> None:
    server, _ = token_registry
    log_in(settings, server.address, "expired", "me")
    with pytest.raises(AccessRefused) as refusal:
        repository(server.address, settings, []).has_blob(DIGEST)
    assert str(refusal.value) == (
        f"Looking for {DIGEST} in {server.address}/c5c3/keystone: {server.address} refuses the credentials that are kept for "
        f"{server.address}/c5c3/keystone. They are wrong or have expired: log in again with 'docker login {server.address}'."
    )
