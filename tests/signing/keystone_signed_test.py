"""Keystone with its SBOM, signed in a registry on 127.0.0.1: others accept it, and say what is in it."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from imagekit.registry.registry_servers import registry
from imagekit.registry.settings import RegistrySettings
from imagekit.signing import bundle
from imagekit.signing.registry_signatures import read_attached
from imagekit.signing.signed_images import KEY, Published

from signing.independent_clients import Cosign, SigstoreJs

KEYSTONE = Path("images/keystone/2025.2")


def test_others_accept_signature_and_sbom(
    tmp_path: Path, settings: RegistrySettings, sigstore_js: SigstoreJs, cosign: Cosign
) -> None:
    sbom = Path(f"{KEYSTONE}.cdx.json").read_bytes()
    key, file = tmp_path / "cosign.pub", tmp_path / "bundle.json"
    key.write_text(KEY.verifier.key.pem)
    with registry(tmp_path / "registry") as server:
        published = Published(server, KEYSTONE, settings, sbom)
        published.sign()
        published.verify()
        payloads = []
        for referrer in published.repository.referrers(published.subject.digest, bundle.MEDIA_TYPE):
            file.write_bytes(read_attached(published.repository, referrer.descriptor.digest))
            payloads.append(sigstore_js.verify(file, key))
        by_cosign = cosign.statements(f"{published.repository.name}:1", key)
    statements = [json.loads(payload) for payload in payloads]
    assert [json.loads(base64.b64decode(json.loads(found)["payload"])) for found in by_cosign] == statements
    digest = {"sha256": published.subject.digest.hex}
    assert all(statement["subject"][0]["digest"] == digest for statement in statements)
    assert statements[1]["predicate"] == json.loads(sbom)
