from __future__ import annotations

import json
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from imagekit.oci.digest import Digest
from imagekit.signing.bundle import render_bundle, sign_statement, verify_bundle
from imagekit.signing.bundle_signer import KeySigner
from imagekit.signing.errors import VerificationError
from imagekit.signing.private_key import PrivateKey
from imagekit.signing.public_key import PublicKey
from imagekit.signing.verifier import KeyVerifier, verify_artifact
from imagekit.signing.statement import Artifact, Statement, image_statement, provenance_statement, sbom_statement


def new_key(seed: bytes) -> PrivateKey:
    material = ed25519.Ed25519PrivateKey.from_private_bytes(seed * 32)
    return PrivateKey(material, PublicKey(material.public_key()))


KEY, OTHER = new_key(b"a"), new_key(b"b")
IMAGE, OTHER_IMAGE = Digest.of(b"image"), Digest.of(b"other image")
SBOM = b'{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}'
PROVENANCE = b'{"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{}}}'
STATEMENTS = (
    image_statement(IMAGE),
    sbom_statement(IMAGE, SBOM, "sbom"),
    provenance_statement(IMAGE, PROVENANCE, "provenance"),
)


@pytest.mark.parametrize("statement", STATEMENTS, ids=["image", "sbom", "provenance"])
def test_what_is_signed_verifies_and_has_the_same_bytes_again(statement: Statement) -> None:
    signed = bundle_of(statement)
    verify_artifact(signed, statement, KeyVerifier(KEY.public_key))
    assert bundle_of(statement) == signed
    document = json.loads(signed)
    assert document["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert document["verificationMaterial"] == {"publicKey": {"hint": KEY.public_key.hint}}


def refusal(bundle: bytes, statement: Statement, key: PublicKey = KEY.public_key) -> str:
    with pytest.raises(VerificationError) as caught:
        verify_artifact(bundle, statement, KeyVerifier(key))
    return str(caught.value)


def bundle_of(statement: Statement, key: PrivateKey = KEY) -> bytes:
    return KeySigner(key).sign_bundle(statement)


def test_a_changed_sbom() -> None:
    changed = sbom_statement(IMAGE, SBOM.replace(b'"version":1', b'"version":2'), "sbom")
    assert refusal(bundle_of(STATEMENTS[1]), changed) == (
        "The SBOM is not the one that was signed: it was changed since, or belongs to another build. Build it again, "
        "or fetch it again."
    )


def test_a_changed_signature() -> None:
    document = json.loads(bundle_of(STATEMENTS[0]))
    document["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA"
    assert refusal(json.dumps(document).encode(), STATEMENTS[0]) == (
        f"The signature of the image is wrong: it was not made by the key {KEY.public_key.hint}, or what it signs was "
        "changed since."
    )


def test_a_changed_payload() -> None:
    envelope = sign_statement(STATEMENTS[0], KEY)
    changed = type(envelope)(image_statement(OTHER_IMAGE).render(), envelope.signature)
    assert "The signature of the image is wrong" in refusal(
        render_bundle(changed, KEY.public_key), image_statement(OTHER_IMAGE)
    )


def test_another_image() -> None:
    assert refusal(bundle_of(STATEMENTS[0]), image_statement(OTHER_IMAGE)) == (
        f"The signature of the image is for another image: it names {IMAGE}, but the image is {OTHER_IMAGE}."
    )


def test_another_key() -> None:
    assert refusal(bundle_of(STATEMENTS[2], OTHER), STATEMENTS[2]) == (
        f"The signature of the provenance is by another key: {OTHER.public_key.hint}, but {KEY.public_key.hint} was "
        "asked for. Give the public half of the key that signed it."
    )


def test_another_key_that_says_it_is_ours() -> None:
    lying = render_bundle(sign_statement(STATEMENTS[0], OTHER), KEY.public_key)
    assert "it was not made by the key" in refusal(lying, STATEMENTS[0])


def test_another_predicate() -> None:
    with pytest.raises(VerificationError) as caught:
        verify_bundle(bundle_of(STATEMENTS[0]), Artifact.SBOM, IMAGE, KEY.public_key)
    assert str(caught.value) == (
        "The signature of the SBOM is about something else: its predicate is 'https://sigstore.dev/cosign/sign/v1', "
        "but 'https://cyclonedx.org/bom' was asked for."
    )


def test_a_bundle_that_is_cut_short() -> None:
    assert refusal(bundle_of(STATEMENTS[0])[:100], STATEMENTS[0]).startswith(
        "The signature of the image is no JSON document: "
    )
