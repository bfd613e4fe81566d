from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from imagekit.signing.errors import SigningError
from imagekit.signing.key_command import open_key_command
from imagekit.signing.key_source import open_public_key, open_signer, password_source
from imagekit.signing.private_key import parse_private_key
from imagekit.signing.public_key import parse_public_key
from imagekit.signing.secretbox import WrongKey, open_box

# Made by cosign 2.5.0 with the password "geheim"; used nowhere else.
COSIGN_KEY = b"""-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiI4VW1VMUE4MVRjcFNBSkdrdzIwTWlhc3ZQWm5BU3Fz
djBPWXZtVnFlem1rPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJlT3drZm92RVdLZE95Uzl2RHBrWkVnMm5JT0N5QUxsdyJ9LCJj
aXBoZXJ0ZXh0IjoidTBzelhtaFJ1c2M5TmZPYnFKZkNkbE80aG4rZG5LeFVmTnk5
cWN3Y1k5SjVLWkMzczVsMFBLUFUzNlZCSEtYUEM5SE9BaGh3anhTaGlqcTdkZUVF
VVN5OERiQlZLS2RKU2lLR0hiSnp1WDFOdURBMzdMOXdNb0Y2cCsvY0VZOGVLakhF
Y2JFZ29hNVh5Q1R2QXZOSXBTVHRMWjM5WUczM2NBdTNlM2ppWXFxamJkSnFDekwy
MnNsWmJ6RGNkSjlIK0VJN3g1b25hT3Q1WHc9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
"""
COSIGN_PUBLIC_KEY = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE4m2qH+Y+HSb+9yNYH7vg8AiX6DpR
TQoRbhoGJovOGEzQmTBxnjGShn7OVvHUwaHQjHvabolbVShFKpCr87vUPA==
-----END PUBLIC KEY-----
"""


def no_password() -> bytes:
    raise AssertionError("nobody should ask for a password")


def pem(key: object, password: bytes = b"") -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def test_secretbox_of_the_nacl_paper() -> None:
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    box = bytes.fromhex(
        "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186a"
        "c0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae"
        "90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74"
        "e355a5"
    )
    message = bytes.fromhex(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c6129"
        "6cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde"
        "048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705"
    )
    assert open_box(box, nonce, key) == message
    with pytest.raises(WrongKey):
        open_box(box[:-1] + b"\0", nonce, key)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["p256", "ed25519", "rsa"],
)
def test_every_type_signs_the_same_bytes_twice(key: object) -> None:
    for text, password in ((pem(key), no_password), (pem(key, b"x"), lambda: b"x")):
        signer = parse_private_key(text, password, "The key")
        signature = signer.sign(b"data")
        assert signer.sign(b"data") == signature
        assert parse_public_key(signer.public_key.pem.encode(), "p").verifies(signature, b"data")
        assert not signer.public_key.verifies(signature, b"other")
        assert "PrivateKey object" not in repr(signer)


def test_a_key_of_cosign() -> None:
    signer = parse_private_key(COSIGN_KEY, lambda: b"geheim", "The key")
    assert signer.public_key.pem.encode().strip() == COSIGN_PUBLIC_KEY.strip()


@pytest.mark.parametrize("key", [COSIGN_KEY, pem(ed25519.Ed25519PrivateKey.generate(), b"x")], ids=["cosign", "pkcs8"])
def test_a_wrong_password(key: bytes) -> None:
    with pytest.raises(SigningError) as caught:
        parse_private_key(key, lambda: b"wrong", "The private key a.key")
    assert str(caught.value) == (
        "The password of the private key a.key is wrong. Give the one that the key was made with."
    )


@pytest.mark.parametrize(
    "key, kind",
    [
        (ec.generate_private_key(ec.SECP384R1()), "ECDSA on secp384r1"),
        (rsa.generate_private_key(65537, 1024), "RSA of 1024 bits"),
        (dsa.generate_private_key(2048), "DSA"),
    ],
    ids=["p384", "rsa1024", "dsa"],
)
def test_types_that_cannot_sign(key: object, kind: str) -> None:
    with pytest.raises(SigningError) as caught:
        parse_private_key(pem(key), no_password, "a.key")
    assert str(caught.value) == (
        f"a.key is a key of type {kind}, but signatures need ECDSA P-256, Ed25519 or RSA of 2048 to 4096 "
        "bits. Make another key."
    )


def test_a_file_that_everybody_may_read(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(pem(ed25519.Ed25519PrivateKey.generate()))
    path.chmod(0o644)
    with pytest.raises(SigningError) as caught:
        open_signer(str(path), no_password, {})
    assert str(caught.value) == (
        f"The private key {path} can be used by every user of this machine (mode 0644), so it is refused. Make a new "
        f"one if others could have read it, or run `chmod 600 {path}`."
    )
    path.chmod(0o600)
    assert open_signer(str(path), no_password, {}).sign(b"x")


def test_a_key_in_the_environment() -> None:
    environment = {"KEY": COSIGN_KEY.decode(), "COSIGN_PASSWORD": "geheim", "PUB": COSIGN_PUBLIC_KEY.decode()}
    signer = open_signer("env://KEY", password_source(None, environment), environment)
    assert signer.public_key.hint == open_public_key("env://PUB", environment).hint
    with pytest.raises(SigningError) as caught:
        open_signer("env://OTHER", no_password, {})
    assert str(caught.value) == (
        "The environment variable OTHER, which should hold the key, is not set. Set it to the PEM."
    )


def test_a_private_key_where_a_public_one_is_asked_for() -> None:
    with pytest.raises(SigningError, match="is a private key, but signatures are checked with the public one"):
        parse_public_key(COSIGN_KEY, "a.key")


def key_program(folder: Path, name: str, signing_key: Path, public_key: Path) -> Path:
    program = folder / name
    program.write_text(
        "#!/bin/sh\nset -e\ncase $1 in\n"
        f"public-key) cat {public_key} ;;\n"
        f"sign) exec openssl dgst -sha256 -sign {signing_key} ;;\nesac\n"
    )
    program.chmod(0o755)
    return program


def test_a_key_behind_a_command(tmp_path: Path) -> None:
    mine, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    (tmp_path / "mine").write_bytes(pem(mine))
    (tmp_path / "other").write_bytes(pem(other))
    public = parse_private_key(pem(mine), no_password, "k").public_key
    (tmp_path / "public").write_text(public.pem)
    good = key_program(tmp_path, "good", tmp_path / "mine", tmp_path / "public")
    signer = open_signer(f"command://{good}", no_password, {})
    assert public.verifies(signer.sign(b"data"), b"data")
    bad = key_program(tmp_path, "bad", tmp_path / "other", tmp_path / "public")
    with pytest.raises(SigningError) as caught:
        open_key_command(str(bad)).sign(b"data")
    assert str(caught.value) == (
        f"The signature that `{bad} sign` printed is not by the key that `{bad} public-key` printed. It must print the "
        "bytes of the signature alone."
    )
    with pytest.raises(SigningError) as caught:
        open_key_command("/bin/false")
    assert str(caught.value) == "`/bin/false public-key` failed with exit code 1: it said nothing"
