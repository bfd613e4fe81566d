"""A registry in memory for tests: with the referrers API of OCI 1.1, which Debian's docker-registry does not have.

It checks what a registry must (OCI distribution-spec 1.1): digests of blobs and manifests, and that all that a manifest
names is there.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Dict, FrozenSet, Iterator, List, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

from imagekit.registry.local_server import QuietHandler, serving

_INDEX = "application/vnd.oci.image.index.v1+json"
_PATH = re.compile(r"/v2/(?P<repository>.+)/(?P<kind>blobs/uploads|blobs|manifests|referrers)/(?P<reference>[^/]*)")


@dataclass
class _Repository:
    blobs: Dict[str, bytes] = field(default_factory=dict)
    #: Manifests by digest: media type and bytes.
    manifests: Dict[str, Tuple[str, bytes]] = field(default_factory=dict)
    tags: Dict[str, str] = field(default_factory=dict)


@dataclass
class ModernRegistry:
    """``refused`` are media types of layers that it takes no manifest with; ``requests`` are methods and paths."""

    address: str
    refused: FrozenSet[str]
    repositories: Dict[str, _Repository] = field(default_factory=dict)
    requests: List[str] = field(default_factory=list)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def modern_registry(refused: FrozenSet[str] = frozenset()) -> Iterator[ModernRegistry]:
    """A registry on 127.0.0.1 that runs while the block does."""
    lock = threading.Lock()

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            with lock:
                running.requests.append(f"{self.command} {url.path}")
                match = _PATH.fullmatch(url.path)
                if match is None:
                    return self._say(200 if url.path == "/v2/" else 404)
                repository = running.repositories.setdefault(match["repository"], _Repository())
                parameters = {name: values[0] for name, values in parse_qs(url.query).items()}
                reference = match["reference"]
                if match["kind"] == "blobs/uploads":
                    self._upload(repository, parameters, body)
                elif match["kind"] == "blobs":
                    self._give(repository.blobs.get(reference), "application/octet-stream")
                elif match["kind"] == "referrers":
                    self._give(_referrers(repository, reference), _INDEX)
                elif self.command == "PUT":
                    self._take_manifest(repository, reference, body)
                else:
                    media_type, data = repository.manifests.get(
                        repository.tags.get(reference, reference), ("", None)
                    )
                    self._give(data, media_type)

        def _upload(self, repository: _Repository, parameters: Dict[str, str], body: bytes) -> None:
            if self.command == "PUT" and parameters.get("digest") == _digest(body):
                repository.blobs[parameters["digest"]] = body
                self._say(201)
            elif self.command == "PUT":
                self._say(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "not what was sent"}]}')
            elif self.command == "POST" and "mount" in parameters:
                blob = running.repositories[parameters["from"]].blobs.get(parameters["mount"])
                if blob is not None:
                    repository.blobs[parameters["mount"]] = blob
                self._say(202 if blob is None else 201, headers={"Location": f"{urlsplit(self.path).path}one"})
            else:
                self._say(202, headers={"Location": f"{urlsplit(self.path).path}one"})

        def _take_manifest(self, repository: _Repository, reference: str, data: bytes) -> None:
            manifest = json.loads(data)
            digest = _digest(data)
            named = [item for item in (manifest.get("config"), *manifest.get("layers", ())) if item]
            refused = [item["mediaType"] for item in named if item["mediaType"] in running.refused]
            if refused:
                said = {"code": "MANIFEST_INVALID", "message": f"layer media type {refused[0]} is not accepted"}
                return self._say(400, json.dumps({"errors": [said]}).encode())
            if any(item["digest"] not in repository.blobs for item in named):
                return self._say(404, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]}')
            if reference.startswith("sha256:") and reference != digest:
                return self._say(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "not what was sent"}]}')
            repository.manifests[digest] = (self.headers["Content-Type"], data)
            if not reference.startswith("sha256:"):
                repository.tags[reference] = digest
            subject = manifest.get("subject")
            self._say(201, headers={"OCI-Subject": subject["digest"]} if subject else {})

        def _give(self, data: Optional[bytes], media_type: str) -> None:
            if data is None:
                return self._say(404)
            self._say(200, data, {"Content-Type": media_type, "Docker-Content-Digest": _digest(data)})

        def _say(self, status: int, body: bytes = b"", headers: Dict[str, str] = {}) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer

    with serving(Handler) as address:
        running = ModernRegistry(address, refused)
        yield running


def _referrers(repository: _Repository, subject: str) -> bytes:
    found = []
    for digest, (media_type, data) in repository.manifests.items():
        manifest = json.loads(data)
        if manifest.get("subject", {}).get("digest") == subject:
            descriptor = {"mediaType": media_type, "digest": digest, "size": len(data)}
            found.append({**descriptor, "artifactType": manifest["artifactType"]})
    return json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": found}).encode()
