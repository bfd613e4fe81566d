"""An image in a registry on 127.0.0.1, to sign, verify and spoil in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Tuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from imagekit.errors import ImagekitError
from imagekit.oci.digest import Digest
from imagekit.oci.layout import Layout
from imagekit.registry.push import push_images
from imagekit.registry.push_request import ImagePush, PushRequest, Tag
from imagekit.registry.reference import RegistryAddress, RepositoryName
from imagekit.registry.registry_servers import RunningRegistry
from imagekit.registry.repository import Attached, Repository
from imagekit.registry.session import Session
from imagekit.registry.settings import RegistrySettings
from imagekit.signing.attachments import image_statements
from imagekit.signing.bundle_signer import BundleSigner, KeySigner
from imagekit.signing.private_key import PrivateKey
from imagekit.signing.public_key import PublicKey
from imagekit.signing.registry_signatures import SignatureLayout, attach_signatures
from imagekit.signing.statement import Artifact
from imagekit.signing.verify_image import ATTACHED_TYPES, verify_in_registry

SBOM = b'{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}'
PROVENANCE = (
    b'{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://slsa.dev/provenance/v1",'
    b'"predicate":{"buildDefinition":{}},"subject":[]}'
)


def new_signer() -> KeySigner:
    material = ec.generate_private_key(ec.SECP256R1())
    return KeySigner(PrivateKey(material, PublicKey(material.public_key())))


KEY, OTHER = new_signer(), new_signer()


class Published:
    """An image in a registry, with SBOM and provenance attached, not yet signed."""

    def __init__(self, server: RunningRegistry, layout: Path, settings: RegistrySettings, sbom: bytes = SBOM) -> None:
        name = RepositoryName(RegistryAddress(server.address), "c5c3/keystone")
        pushed, errors = push_images(PushRequest((ImagePush(layout, name, (Tag("1"),)),)), settings)
        assert errors == ()
        self.server = server
        self.image = Layout(layout).read_image()
        self.subject = pushed[0].descriptor
        self.repository = Repository(name, Session(name.registry, settings))
        self.attach(Artifact.SBOM, sbom)
        self.attach(Artifact.PROVENANCE, PROVENANCE)
        self.statements = image_statements(self.subject.digest, sbom, PROVENANCE)

    def attach(self, artifact: Artifact, content: bytes) -> None:
        kind = ATTACHED_TYPES[artifact]
        self.repository.attach_referrer(self.subject, kind, ((kind, content, {}),))

    def sign(
        self, layout: SignatureLayout = SignatureLayout.BUNDLE, signer: BundleSigner = KEY
    ) -> Tuple[Attached, ...]:
        return attach_signatures(self.repository, self.subject, self.statements, signer, layout)

    def verify(self, layout: SignatureLayout = SignatureLayout.BUNDLE) -> Tuple[str, ...]:
        return verify_in_registry(self.repository, self.subject.digest, KEY.verifier, layout)

    def refusal(self, layout: SignatureLayout = SignatureLayout.BUNDLE) -> str:
        with pytest.raises(ImagekitError) as caught:
            self.verify(layout)
        return str(caught.value)

    def change_blob(self, digest: Digest) -> Digest:
        """Change a byte of a stored blob behind the registry's back; the digest that it then has."""
        path = self.server.storage / f"docker/registry/v2/blobs/sha256/{digest.hex[:2]}/{digest.hex}/data"
        data = path.read_bytes()
        changed = data[:-1] + bytes([data[-1] ^ 1])
        path.write_bytes(changed)
        return Digest.of(changed)
