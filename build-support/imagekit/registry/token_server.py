"""A token server for tests: gives a registry's users the tokens that docker-registry really verifies.

Implements the token authentication of the distribution project (docs/spec/auth/token.md, jwt.md).
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List
from urllib.parse import parse_qs, urlsplit

from imagekit.registry.local_server import QuietHandler, serving

SERVICE, ISSUER = "registry", "token-server"
#: How long after its end docker-registry still takes a token, in seconds.
LEEWAY = 60


@dataclass
class TokenServer:
    """At ``realm``, for those with ``user`` and ``password``; ``scopes`` are those that were asked for.

    Tokens live for ``lifetime`` seconds; the one whose certificate is ``certificate`` signs them.
    """

    realm: str
    certificate: Path
    user: str
    password: str
    lifetime: float = 60.0
    scopes: List[List[str]] = field(default_factory=list)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _sign(folder: Path, server: TokenServer, scopes: List[str]) -> str:
    certificate = "".join(server.certificate.read_text().splitlines()[1:-1])
    header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
    access = []
    for scope in scopes:
        kind, name, actions = scope.split(":")
        access.append({"type": kind, "name": name, "actions": actions.split(",")})
    now = time.time()
    claims: Dict[str, object] = {"iss": ISSUER, "sub": server.user, "aud": SERVICE, "access": access}
    claims.update({"exp": int(now - LEEWAY + server.lifetime), "nbf": int(now) - 600, "iat": int(now) - 600})
    claims["jti"] = str(now)
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    command = ["openssl", "dgst", "-sha256", "-sign", str(folder / "token.key")]
    signature = subprocess.run(command, input=signed.encode(), check=True, capture_output=True).stdout
    return f"{signed}.{_base64url(signature)}"


@contextmanager
def token_server(folder: Path, user: str, password: str) -> Iterator[TokenServer]:
    """A token server on 127.0.0.1 whose key lies in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=token-server"]
    command += ["-keyout", str(folder / "token.key"), "-out", str(folder / "token.crt")]
    subprocess.run(command, check=True, capture_output=True)

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            known = "Basic " + base64.b64encode(f"{running.user}:{running.password}".encode()).decode()
            body = b"{}"
            if self.headers.get("Authorization") == known:
                scopes = parse_qs(urlsplit(self.path).query)["scope"]
                running.scopes.append(scopes)
                body = json.dumps({"token": _sign(folder, running, scopes)}).encode()
            self.send_response(200 if len(body) > 2 else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as address:
        running = TokenServer(f"http://{address}/token", folder / "token.crt", user, password)
        yield running
