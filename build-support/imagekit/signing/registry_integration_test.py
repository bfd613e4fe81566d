"""Images that are signed in Debian's docker-registry on 127.0.0.1, and then changed there."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Tuple

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from imagekit.errors import ImagekitError
from imagekit.oci import media_types
from imagekit.oci.descriptor import Platform
from imagekit.oci.digest import Digest
from imagekit.oci.index import Index
from imagekit.registry.conftest import MakeLayout
from imagekit.registry.modern_registry import modern_registry
from imagekit.registry.pushes import repository
from imagekit.registry.session import MAX_ANSWER
from imagekit.registry.settings import RegistrySettings
from imagekit.signing.bundle_signer import KeySigner
from imagekit.signing.cli import COMMANDS
from imagekit.signing.errors import VerificationError
from imagekit.signing.key_command import open_key_command
from imagekit.signing.private_key_test import key_program, pem
from imagekit.signing.public_key import PublicKey
from imagekit.signing.registry_signatures import SignatureLayout
from imagekit.signing.signed_images import KEY, OTHER, SBOM, Published
from imagekit.signing.statement import Artifact
from imagekit.signing.verify_image import verify_in_registry


@pytest.mark.parametrize("layout", SignatureLayout)
def test_signed_once_and_verified(published: Published, layout: SignatureLayout) -> None:
    assert all(item.sent for item in published.sign(layout))
    lines = (
        "manifest, configuration and 2 layers are what their digests say",
        *(f"{what} is signed by {KEY.verifier.name}" for what in ("image", "SBOM", "provenance")),
    )
    assert published.verify(layout) == lines
    before = published.repository.session.requests
    again = published.sign(layout)
    assert not any(item.sent for item in again)
    # Nothing but reading: one list of referrers that is a 404, and the tag that stands in for it.
    if layout is SignatureLayout.BUNDLE:
        assert published.repository.session.requests - before == 2
    tags = set(published.repository.list_tags()) - {"1"}
    hexes = f"sha256-{published.subject.digest.hex}"
    assert tags == ({hexes} if layout is SignatureLayout.BUNDLE else {hexes, f"{hexes}.sig", f"{hexes}.att"})


@pytest.mark.parametrize("layout", SignatureLayout)
def test_a_second_signer_takes_nothing_away(published: Published, layout: SignatureLayout) -> None:
    published.sign(layout)
    assert all(item.sent for item in published.sign(layout, OTHER))
    assert len(published.verify(layout)) == 4
    assert not any(item.sent for item in published.sign(layout))


def test_a_key_whose_signatures_differ_each_time_signs_once(published: Published, tmp_path: Path) -> None:
    material = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key").write_bytes(pem(material))
    (tmp_path / "public").write_text(PublicKey(material.public_key()).pem)
    signer = KeySigner(open_key_command(str(key_program(tmp_path, "token", tmp_path / "key", tmp_path / "public"))))
    assert all(item.sent for item in published.sign(signer=signer))
    assert not any(item.sent for item in published.sign(signer=signer))


@pytest.mark.parametrize("layout", SignatureLayout)
def test_unsigned(published: Published, layout: SignatureLayout) -> None:
    digest = published.subject.digest
    assert published.refusal(layout) == (
        f"The image has no signature: in the layout '{layout.value}', nothing at {published.repository.name}@{digest} "
        "signs it. Publish the image with a key, or name the layout that it was signed in."
    )


@pytest.mark.parametrize("layout", SignatureLayout)
def test_another_key(published: Published, layout: SignatureLayout) -> None:
    published.sign(layout, OTHER)
    ours, theirs = KEY.verifier.key.hint, OTHER.verifier.key.hint
    if layout is SignatureLayout.BUNDLE:
        expected = (
            f"The signature of the image is by another key: {theirs}, but {ours} was asked for. Give the public half "
            "of the key that signed it."
        )
    else:
        expected = (
            f"The signature of the image is wrong: it was not made by the key {ours}, or what it signs was changed "
            "since."
        )
    assert published.refusal(layout) == expected


def test_a_tampered_layer(published: Published) -> None:
    published.sign()
    layer = published.image.manifest.layers[1].digest
    changed = published.change_blob(layer)
    assert published.refusal() == (
        f"The layer {layer} was changed: in {published.repository.name} it has the digest {changed}. Do not use the "
        "image; delete the blob in the registry and publish the image again."
    )


def test_a_tampered_manifest(published: Published) -> None:
    published.sign()
    published.change_blob(published.subject.digest)
    # This registry notices by itself.
    assert published.refusal().startswith(f"The manifest {published.subject.digest} cannot be read: ")


def test_a_tampered_sbom(published: Published) -> None:
    published.sign()
    published.attach(Artifact.SBOM, SBOM.replace(b'"version":1', b'"version":2'))
    said = published.refusal()
    assert said.startswith(f"The SBOM {published.repository.name}@sha256:")
    assert said.endswith(
        " is not the one that was signed: it was changed since, or belongs to another build. Do not use it; publish "
        "the image again."
    )


@pytest.mark.parametrize("artifact", [Artifact.IMAGE, Artifact.SBOM, Artifact.PROVENANCE])
def test_a_tampered_signature(published: Published, artifact: Artifact) -> None:
    published.sign()
    for referrer in published.repository.referrers(published.subject.digest):
        if referrer.descriptor.annotations.get("dev.sigstore.bundle.predicateType") == artifact.value:
            stored = published.repository.get_manifest(str(referrer.descriptor.digest))
            assert stored is not None
            published.change_blob(Digest.parse(json.loads(stored.data)["layers"][0]["digest"]))
    assert published.refusal().startswith(f"The signature of the {artifact.label} cannot be read: ")
    assert "is damaged" in published.refusal()


def test_a_bundle_whose_predicate_is_not_what_was_asked_for(published: Published) -> None:
    published.sign()
    (tag,) = set(published.repository.list_tags()) - {"1"}
    stored = published.repository.get_manifest(tag)
    assert stored is not None
    # The list of what is attached says that the signature of the SBOM is that of the provenance, and the reverse.
    swapped = stored.data.replace(b"https://cyclonedx.org/bom", b"_").replace(
        b"https://slsa.dev/provenance/v1", b"https://cyclonedx.org/bom"
    )
    published.repository.put_manifest(
        swapped.replace(b'"_"', b'"https://slsa.dev/provenance/v1"'), media_types.INDEX, tag
    )
    assert published.refusal() == (
        "The signature of the SBOM is about something else: its predicate is 'https://slsa.dev/provenance/v1', but "
        "'https://cyclonedx.org/bom' was asked for."
    )


def run(command: str, *arguments: str) -> None:
    parser = argparse.ArgumentParser()
    COMMANDS[command].configure(parser)
    COMMANDS[command].run(parser.parse_args(arguments))


def test_the_command_finds_an_image_by_its_tag(
    published: Published, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KEY", KEY.verifier.key.pem)
    published.sign()
    name, digest = published.repository.name, published.subject.digest
    run("verify", f"--image={name}:1", "--key=env://KEY", f"--expect={digest}")
    assert capsys.readouterr().out.splitlines()[0] == f"{name}@{digest}"
    with pytest.raises(ImagekitError) as caught:
        run("verify", f"--image={name}@{digest}", "--key=env://KEY", f"--expect={Digest.of(b'other')}")
    assert str(caught.value) == (
        f"The manifest of {name}@{digest} is {digest}, but this tree builds {Digest.of(b'other')}. Check out the "
        "commit that it was built from, or publish what this tree builds."
    )
    with pytest.raises(ImagekitError) as caught:
        run("verify", f"--image={name}:2", "--key=env://KEY")
    assert str(caught.value) == f"The image {name}:2 is not there. Publish it, or check the name."


def test_each_image_of_an_index_is_verified(
    published: Published, tmp_path: Path, make_layout: MakeLayout, settings: RegistrySettings
) -> None:
    published.sign()
    other = Published(published.server, make_layout("arm64", "base", "arm64"), settings)
    index = Index(
        (
            replace(published.subject, platform=Platform("amd64")),
            replace(other.subject, platform=Platform("arm64")),
        )
    )
    digest = published.repository.put_manifest(index.render(), media_types.INDEX, "multi").digest

    def verify() -> Tuple[str, ...]:
        return verify_in_registry(published.repository, digest, KEY.verifier, SignatureLayout.BUNDLE)

    with pytest.raises(VerificationError) as caught:
        verify()
    assert str(caught.value).startswith(
        f"The image {other.subject.digest} (linux/arm64) of the index {digest} is refused: The image has no signature: "
    )
    other.sign()
    lines = verify()
    assert len(lines) == 10
    assert lines[0] == f"linux/amd64 is {published.subject.digest}"
    assert lines[6] == "linux/arm64: manifest, configuration and 2 layers are what their digests say"
    arguments = (f"--image={published.repository.name}:multi", f"--key={tmp_path / 'key.pub'}")
    (tmp_path / "key.pub").write_text(KEY.verifier.key.pem)
    run("verify", *arguments, f"--expect={other.subject.digest}")
    with pytest.raises(ImagekitError, match="but this tree builds sha256:"):
        run("verify", *arguments, f"--expect={Digest.of(b'other')}")
    other.change_blob(other.image.manifest.layers[1].digest)
    with pytest.raises(VerificationError, match=f"linux/arm64.* The layer {other.image.manifest.layers[1].digest} was changed"):
        verify()


def test_an_index_without_images(published: Published) -> None:
    digest = published.repository.put_manifest(Index(()).render(), media_types.INDEX, "empty").digest
    with pytest.raises(VerificationError) as caught:
        verify_in_registry(published.repository, digest, KEY.verifier, SignatureLayout.BUNDLE)
    assert str(caught.value) == (
        f"The index {published.repository.name}@{digest} names no image. Publish it again."
    )


def test_a_large_layer_in_a_registry_without_ranges(settings: RegistrySettings) -> None:
    data = bytes(range(256)) * (MAX_ANSWER // 256) + b"more"
    with modern_registry() as server:
        store = repository(server.address, settings)
        blob = store.put_blob(data)
        assert store.blob_digest(blob) == Digest.of(data)
        server.repositories["c5c3/keystone"].blobs[str(blob.digest)] = data[:-1] + b"x"
        assert store.blob_digest(blob) == Digest.of(data[:-1] + b"x")
        # The connection is good for the next request.
        assert store.has_blob(blob.digest)
