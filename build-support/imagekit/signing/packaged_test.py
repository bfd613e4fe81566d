"""A packaged image that is signed and verified by the bundles beside it."""

from __future__ import annotations

import argparse
import json
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from imagekit.errors import ImagekitError
from imagekit.oci.layout import Layout
from imagekit.registry.conftest import MakeLayout
from imagekit.signing.cli import COMMANDS
from imagekit.signing.private_key_test import pem
from imagekit.signing.public_key import PublicKey
from imagekit.signing.signed_images import PROVENANCE, SBOM


class Packaged:
    """An image layout with SBOM and provenance in ``folder``, signed with the key ``cosign.key``."""

    def __init__(self, folder: Path, layout: Path) -> None:
        self.folder, self.layout = folder, layout
        self.sbom, self.provenance = folder / "image.cdx.json", folder / "image.provenance.json"
        self.sbom.write_bytes(SBOM)
        self.provenance.write_bytes(PROVENANCE)
        self.new_key("cosign")
        self.run("sign", f"--sign-with={folder / 'cosign.key'}")

    def new_key(self, name: str) -> PublicKey:
        key = ec.generate_private_key(ec.SECP256R1())
        private = self.folder / f"{name}.key"
        private.touch(0o600)
        private.write_bytes(pem(key))
        public = PublicKey(key.public_key())
        (self.folder / f"{name}.pub").write_text(public.pem)
        return public

    def run(self, command: str, *arguments: str) -> None:
        parser = argparse.ArgumentParser()
        COMMANDS[command].configure(parser)
        files = [f"--layout={self.layout}", f"--sbom={self.sbom}", f"--provenance={self.provenance}"]
        COMMANDS[command].run(parser.parse_args([*files, *arguments]))

    def verify(self, key: str = "cosign") -> None:
        self.run("verify", f"--key={self.folder / f'{key}.pub'}")

    def refusal(self, key: str = "cosign") -> str:
        with pytest.raises(ImagekitError) as caught:
            self.verify(key)
        return str(caught.value)


@pytest.fixture
def packaged(tmp_path: Path, make_layout: MakeLayout) -> Packaged:
    return Packaged(tmp_path, make_layout("image", "base", "service"))


def test_bundles_lie_beside_what_they_sign(packaged: Packaged, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("image", "image.cdx.json", "image.provenance.json")
    packaged.run("sign", f"--sign-with={packaged.folder / 'cosign.key'}")
    assert capsys.readouterr().out.splitlines() == [f"{packaged.folder / name}.sigstore.json" for name in names]
    packaged.verify()
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"{packaged.layout}@{Layout(packaged.layout).read_image().descriptor.digest}"
    assert len(lines) == 4


def test_a_tampered_layer(packaged: Packaged) -> None:
    layer = Layout(packaged.layout).read_image().manifest.layers[1].digest
    blob = Layout(packaged.layout).blob_path(layer)
    blob.write_bytes(blob.read_bytes()[:-1])
    assert f"layer {layer} has " in packaged.refusal()


def test_a_tampered_manifest(packaged: Packaged) -> None:
    digest = Layout(packaged.layout).read_image().descriptor.digest
    blob = Layout(packaged.layout).blob_path(digest)
    blob.write_bytes(blob.read_bytes() + b" ")
    assert packaged.refusal().startswith(f"The blob {blob} is damaged: ")


def test_a_tampered_sbom(packaged: Packaged) -> None:
    packaged.sbom.write_bytes(SBOM.replace(b'"version":1', b'"version":2'))
    assert packaged.refusal() == (
        "The SBOM is not the one that was signed: it was changed since, or belongs to another build. Build it again, "
        "or fetch it again."
    )


def _change_signature(bundle: bytes) -> bytes:
    document = json.loads(bundle)
    (signature,) = document["dsseEnvelope"]["signatures"]
    der = bytearray(b64decode(signature["sig"]))
    der[-1] ^= 1
    signature["sig"] = b64encode(bytes(der)).decode()
    return json.dumps(document).encode()


def _cut_off(bundle: bytes) -> bytes:
    return bundle[: len(bundle) // 2]


@pytest.mark.parametrize(
    "tamper, says", [(_change_signature, "is wrong: it was not made by the key "), (_cut_off, "is no JSON document: ")]
)
@pytest.mark.parametrize(
    "file, of", [("image", "image"), ("image.cdx.json", "SBOM"), ("image.provenance.json", "provenance")]
)
def test_a_tampered_signature(
    packaged: Packaged, file: str, of: str, tamper: Callable[[bytes], bytes], says: str
) -> None:
    bundle = packaged.folder / f"{file}.sigstore.json"
    bundle.write_bytes(tamper(bundle.read_bytes()))
    assert packaged.refusal().startswith(f"The signature of the {of} {says}")


def test_a_signature_of_something_else(packaged: Packaged) -> None:
    bundle = packaged.folder / "image.cdx.json.sigstore.json"
    bundle.write_bytes((packaged.folder / "image.provenance.json.sigstore.json").read_bytes())
    assert packaged.refusal() == (
        "The signature of the SBOM is about something else: its predicate is 'https://slsa.dev/provenance/v1', but "
        "'https://cyclonedx.org/bom' was asked for."
    )


def test_no_signature(packaged: Packaged) -> None:
    bundle = packaged.folder / "image.provenance.json.sigstore.json"
    bundle.unlink()
    assert packaged.refusal() == (
        f"The provenance has no signature: {bundle} cannot be read (No such file or directory). Sign it with "
        "`imagekit sign`."
    )


def test_another_key(packaged: Packaged) -> None:
    other = packaged.new_key("other")
    assert packaged.refusal("other").endswith(
        f", but {other.hint} was asked for. Give the public half of the key that signed it."
    )
