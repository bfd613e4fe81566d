"""Others verify what is signed here: Sigstore's JavaScript client, and cosign."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from imagekit.signing.bundle_signer import KeySigner
from imagekit.signing.private_key import PrivateKey
from imagekit.signing.public_key import PublicKey
from imagekit.signing.registry_signatures import SignatureLayout
from imagekit.signing.signed_images import KEY, OTHER, Published

from signing.independent_clients import TYPES, Cosign, SigstoreJs


@pytest.mark.parametrize(
    "material",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["p256", "ed25519", "rsa"],
)
def test_sigstore_js_accepts_the_bundles_of_every_type_of_key(
    published: Published, tmp_path: Path, sigstore_js: SigstoreJs, material: object
) -> None:
    signer = KeySigner(PrivateKey(material, PublicKey(material.public_key())))  # type: ignore[attr-defined,arg-type]
    key, bundle = tmp_path / "cosign.pub", tmp_path / "bundle.json"
    key.write_text(signer.verifier.key.pem)
    for statement in published.statements:
        bundle.write_bytes(signer.sign_bundle(statement))
        assert sigstore_js.verify(bundle, key).encode() == statement.render()


def test_sigstore_js_refuses_what_is_refused_here(
    published: Published, tmp_path: Path, sigstore_js: SigstoreJs
) -> None:
    key, bundle = tmp_path / "cosign.pub", tmp_path / "bundle.json"
    key.write_text(KEY.verifier.key.pem)
    bundle.write_bytes(OTHER.sign_bundle(published.statements[0]))
    assert sigstore_js.run(bundle, key).returncode == 1
    document = json.loads(KEY.sign_bundle(published.statements[0]))
    payload = base64.b64decode(document["dsseEnvelope"]["payload"]).replace(b'"name":"image"', b'"name":"other"')
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    bundle.write_text(json.dumps(document))
    assert sigstore_js.run(bundle, key).returncode == 1


def test_cosign_finds_and_accepts_the_bundles_of_an_image(published: Published, tmp_path: Path, cosign: Cosign) -> None:
    key = tmp_path / "cosign.pub"
    key.write_text(KEY.verifier.key.pem)
    published.sign()
    payloads = [
        base64.b64decode(json.loads(found)["payload"])
        for found in cosign.statements(f"{published.repository.name}:1", key)
    ]
    assert payloads == [statement.render() for statement in published.statements]


def test_cosign_accepts_its_older_layout(published: Published, tmp_path: Path, cosign: Cosign) -> None:
    key, other = tmp_path / "cosign.pub", tmp_path / "other.pub"
    key.write_text(KEY.verifier.key.pem)
    other.write_text(OTHER.verifier.key.pem)
    published.sign(SignatureLayout.COSIGN)
    image = f"{published.repository.name}:1"
    assert cosign.run("verify", f"--key={key}", image).returncode == 0
    for kind in TYPES[1:]:
        assert cosign.run("verify-attestation", f"--key={key}", f"--type={kind}", image).returncode == 0
    refused = cosign.run("verify", f"--key={other}", image)
    assert refused.returncode != 0 and "invalid signature" in refused.stderr, refused.stderr
