"""Requests to an API on this machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Mapping, Optional

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Response:
    """``body`` is the parsed JSON, or empty."""

    status: int
    headers: Mapping[str, str]
    body: Mapping[str, object]


def request(url: str, body: object = None, token: Optional[str] = None) -> Response:
    """GET, or POST of ``body`` as JSON; any status is an answer. Raises OSError when there is none."""
    headers = {"Content-Type": "application/json", **({} if token is None else {"X-Auth-Token": token})}
    data = None if body is None else json.dumps(body).encode()
    # No proxy: the user's own is of no use on this machine's loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data, headers), timeout=TIMEOUT_SECONDS) as response:
            return Response(response.status, dict(response.headers), _parsed(response.read()))
    except urllib.error.HTTPError as refusal:
        return Response(refusal.code, dict(refusal.headers), _parsed(refusal.read()))


def _parsed(content: bytes) -> Mapping[str, object]:
    return json.loads(content) if content else {}


def get_token(keystone: str, password: str) -> Response:
    """Keystone's answer to the administrator who asks for a token; ``keystone`` is its URL, with the version."""
    domain = {"id": "default"}
    identity = {"methods": ["password"], "password": {"user": {"name": "admin", "domain": domain, "password": password}}}
    scope = {"project": {"name": "admin", "domain": domain}}
    return request(f"{keystone}/auth/tokens", {"auth": {"identity": identity, "scope": scope}})
