"""Images that are signed while they are pushed to Debian's docker-registry on 127.0.0.1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Tuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from imagekit.oci.layout import Layout
from imagekit.registry.conftest import MakeLayout
from imagekit.registry.push import PushedImage, push_images
from imagekit.registry.push_request import AttachmentFile, ImagePush, PushRequest
from imagekit.registry.pushes import VERSION, name, repository
from imagekit.registry.registry_servers import registry
from imagekit.registry.settings import RegistrySettings
from imagekit.signing.bundle_signer import KeySigner
from imagekit.signing.private_key import PrivateKey
from imagekit.signing.public_key import PublicKey
from imagekit.signing.published import sign_published
from imagekit.signing.registry_signatures import SignatureLayout
from imagekit.signing.statement import Artifact
from imagekit.signing.verify_image import ATTACHED_TYPES, verify_in_registry

MATERIAL = ec.generate_private_key(ec.SECP256R1())
SIGNER = KeySigner(PrivateKey(MATERIAL, PublicKey(MATERIAL.public_key())))


@pytest.fixture
def attachments(tmp_path: Path) -> Tuple[AttachmentFile, ...]:
    """An SBOM and a provenance."""
    contents = {
        Artifact.SBOM: {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1},
        Artifact.PROVENANCE: {"predicateType": Artifact.PROVENANCE.value, "predicate": {"buildDefinition": {}}},
    }
    files = []
    for artifact, content in contents.items():
        path = tmp_path / f"{artifact.name}.json"
        path.write_text(json.dumps(content))
        files.append(AttachmentFile(path, ATTACHED_TYPES[artifact], ATTACHED_TYPES[artifact], {}))
    return tuple(files)


@pytest.mark.parametrize("layout", SignatureLayout)
def test_what_is_signed_is_verified_and_not_signed_again(
    tmp_path: Path,
    make_layout: MakeLayout,
    settings: RegistrySettings,
    attachments: Tuple[AttachmentFile, ...],
    layout: SignatureLayout,
) -> None:
    path = make_layout("image", "base", "service")
    with registry(tmp_path / "registry") as server:
        image = ImagePush(path, name(server.address), (VERSION,), attachments)

        def pushed() -> PushedImage:
            ((done,), errors) = push_images(PushRequest((image,)), settings, sign=sign_published(SIGNER, layout))
            assert errors == ()
            return done

        first, second = pushed(), pushed()
        puts = [line.split("/manifests/")[1] for line in server.requests() if '"PUT ' in line and "/manifests/" in line]
        digest = Layout(path).read_image().descriptor.digest
        verified = verify_in_registry(repository(server.address, settings), digest, SIGNER.verifier, layout)
    assert [item.artifact_type for item in first.attached][:2] == list(ATTACHED_TYPES.values())
    assert {item.artifact_type for item in first.attached[2:]} == {"signature"}
    assert all(item.sent for item in first.attached) and second.nothing_sent
    # One list of what is attached, SBOM, provenance and signatures, in one piece.
    assert sum(put.startswith(f"sha256-{digest.hex} ") for put in puts) == 1
    # Everything is there before the tag is.
    assert puts[-1].startswith("28.0.0 ")
    assert len(verified) == 4
