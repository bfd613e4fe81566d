"""Signing without a key: sigstore-python gets a certificate from services on 127.0.0.1, two clients verify it.

The token is made here, so what a CI system does to get one is not tested, nor are the public instance's own services.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Mapping

import pytest
from imagekit.fetch.discovery import discover
from imagekit.fetch.http import Client, ExpectedFile
from imagekit.fetch.python_file import fetch_python_file
from imagekit.python.lock import parse_tool_lock, select_packages
from imagekit.python.target import TargetPython
from imagekit.python.tools_tree import write_tools
from imagekit.registry.conftest import MakeLayout
from imagekit.signing.signed_images import PROVENANCE, SBOM

from signing.independent_clients import SigstoreJs

ISSUER, IDENTITY = "https://issuer.example", "https://ci.example/c5c3/images"
LOCK = "3rdparty/tools/keyless.lock.json"


@pytest.fixture(scope="session")
def keyless_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sigstore-python and all that it needs, from the lock."""
    folder = tmp_path_factory.mktemp("keyless")
    settings = discover(os.environ, Path.home())
    client = Client(settings.http, credential_urls=settings.index_urls + settings.find_links)
    lock = parse_tool_lock(Path(LOCK).read_text(), LOCK, "")
    wheels = []
    for package in select_packages(lock.packages, TargetPython("3.9", (2, 34), os.uname().machine), LOCK, ""):
        file = package.artifact
        wheels.append(folder / file.filename)
        expected = ExpectedFile(file.filename, file.size, file.sha256)
        fetch_python_file(settings, client, package.name, expected, wheels[-1])
    write_tools(wheels, None, folder / "tools")
    return folder / "tools"


def token(issuer: str, lifetime: int = 600) -> str:
    now = int(time.time())
    claims = {"iss": issuer, "sub": IDENTITY, "aud": "sigstore", "iat": now - 900, "exp": now + lifetime}
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims), "not looked at"]
    return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)


def imagekit(tools: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    # The tools first: other packages of this interpreter may be older.
    path = os.pathsep.join([str(tools), *filter(None, sys.path)])
    environment: Mapping[str, str] = {"PATH": os.defpath, "HOME": str(tools.parent), "PYTHONPATH": path, **variables}
    command = [sys.executable, "-m", "imagekit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_signed_and_verified_by_identity(
    tmp_path: Path, make_layout: MakeLayout, keyless_tools: Path, sigstore_js: SigstoreJs
) -> None:
    layout, sbom, provenance = (
        make_layout("image", "base"),
        tmp_path / "image.cdx.json",
        tmp_path / "image.provenance.json",
    )
    sbom.write_bytes(SBOM)
    provenance.write_bytes(PROVENANCE)
    what = [f"--layout={layout}", f"--sbom={sbom}", f"--provenance={provenance}"]
    with sigstore_js.services(ISSUER, tmp_path) as trust:
        sign = ["sign", *what, "--sign-keyless", f"--trust-config={trust}"]
        signed = imagekit(keyless_tools, *sign, SIGSTORE_ID_TOKEN=token(ISSUER))
        refused = imagekit(keyless_tools, *sign, SIGSTORE_ID_TOKEN=token("https://other.example"))
        expired = imagekit(keyless_tools, *sign, SIGSTORE_ID_TOKEN=token(ISSUER, lifetime=-60))
        nobody = imagekit(keyless_tools, *sign)
    assert signed.returncode == 0, signed.stderr
    bundles = [Path(line) for line in signed.stdout.splitlines()]
    assert [bundle.name for bundle in bundles] == [
        f"image{suffix}.sigstore.json" for suffix in ("", ".cdx.json", ".provenance.json")
    ]
    assert refused.stderr.startswith(
        f"error: the identity {IDENTITY} of https://other.example cannot sign: 400 Client Error: "
    )
    assert expired.stderr.startswith("error: The OIDC token cannot be used: ")
    assert nobody.stderr.startswith("error: There is no identity to sign with. Set SIGSTORE_ID_TOKEN ")

    # The services are gone: a bundle holds all that its verification needs.
    verify = ["verify", *what, f"--trust-config={trust}"]
    accepted = imagekit(keyless_tools, *verify, f"--identity={IDENTITY}", f"--issuer={ISSUER}")
    assert accepted.returncode == 0, accepted.stderr
    assert f"  SBOM is signed by the identity {IDENTITY} of {ISSUER}\n" in accepted.stdout
    for bundle in bundles:
        sigstore_js.verify(bundle, trust, IDENTITY, ISSUER)
    for identity, issuer in (("https://ci.example/other", ISSUER), (IDENTITY, "https://other.example")):
        other = imagekit(keyless_tools, *verify, f"--identity={identity}", f"--issuer={issuer}")
        assert other.stderr.startswith(
            f"error: The signature of the image is not accepted as one by the identity {identity} of {issuer}: "
        )
        assert sigstore_js.run(bundles[0], trust, identity, issuer).returncode == 1
    sbom.write_bytes(SBOM.replace(b'"version":1', b'"version":2'))
    changed = imagekit(keyless_tools, *verify, f"--identity={IDENTITY}", f"--issuer={ISSUER}")
    assert changed.stderr.startswith("error: The SBOM is not the one that was signed: ")
