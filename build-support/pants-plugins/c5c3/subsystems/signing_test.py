from __future__ import annotations

from typing import Tuple

import pytest
from pants.testutil.option_util import create_subsystem

from c5c3.subsystems import signing as module
from c5c3.subsystems.signing import SignatureLayout, SigningError, SigningSubsystem


@pytest.fixture(autouse=True)
def build_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_buildroot", lambda: "/tree")


def signing(**options: object) -> SigningSubsystem:
    defaults = {
        "key": None,
        "password_file": None,
        "key_env_vars": [],
        "keyless": False,
        "public_key": None,
        "certificate_identity": None,
        "certificate_issuer": None,
        "trust_config": None,
        "layout": SignatureLayout.BUNDLE,
    }
    return create_subsystem(SigningSubsystem, **{**defaults, **options})  # type: ignore[arg-type]


def signer_refusal(subsystem: SigningSubsystem) -> str:
    with pytest.raises(SigningError) as caught:
        subsystem.signer_arguments
    return str(caught.value)


def verifier_refusal(subsystem: SigningSubsystem) -> str:
    with pytest.raises(SigningError) as caught:
        subsystem.verifier_arguments
    return str(caught.value)


def test_nothing_is_signed_without_a_key() -> None:
    assert not signing().signs
    assert signing().signer_arguments == ()
    assert signing().signer_variables == ()


@pytest.mark.parametrize(
    "key, argument, variables",
    [
        ("keys/cosign.key", "/tree/keys/cosign.key", ("COSIGN_PASSWORD",)),
        ("/run/cosign.key", "/run/cosign.key", ("COSIGN_PASSWORD",)),
        ("env://SIGNING_KEY", "env://SIGNING_KEY", ("COSIGN_PASSWORD", "SIGNING_KEY")),
        ("command://token-sign --slot=1", "command://token-sign --slot=1", ("COSIGN_PASSWORD", "PIN")),
    ],
)
def test_a_key_is_named_and_not_held(key: str, argument: str, variables: Tuple[str, ...]) -> None:
    subsystem = signing(
        key=key, key_env_vars=["PIN"] if key.startswith("command") else [], layout=SignatureLayout.COSIGN
    )
    assert subsystem.signer_arguments == (f"--sign-with={argument}", "--signature-layout=cosign")
    assert subsystem.signer_variables == variables


def test_keyless() -> None:
    subsystem = signing(keyless=True, trust_config="trust.json")
    assert subsystem.signer_arguments == (
        "--sign-keyless",
        "--trust-config=/tree/trust.json",
        "--signature-layout=bundle",
    )
    assert "SIGSTORE_ID_TOKEN" in subsystem.signer_variables


def test_options_that_contradict_each_other() -> None:
    assert signer_refusal(signing(key="a.key", keyless=True)) == (
        "Both `[signing].key` and `[signing].keyless` are set. Leave one of them out."
    )
    which = (
        "Set either `[signing].public_key`, or `[signing].certificate_identity` and `[signing].certificate_issuer`, to "
        "say whose signatures are accepted."
    )
    assert verifier_refusal(signing()) == which
    assert verifier_refusal(signing(public_key="a.pub", certificate_identity="a@b.example")) == (
        f"Both `[signing].public_key` and `[signing].certificate_identity` are set. {which}"
    )
    assert verifier_refusal(signing(certificate_identity="a@b.example")) == (
        "`[signing].certificate_identity` needs `[signing].certificate_issuer`: anybody may name an identity, the "
        "issuer vouches for it."
    )


def test_a_key_in_the_option_itself_is_refused_and_not_repeated() -> None:
    said = signer_refusal(signing(key="-----BEGIN PRIVATE KEY-----\nMIGHAgEA"))
    assert said == (
        "`[signing].key` holds a private key itself, so it may be in a file or log that others read: make a new one. "
        "Put it into a file or an environment variable, and set `key` to the path or to env://VARIABLE."
    )


def test_whose_signatures_are_accepted() -> None:
    assert signing(public_key="env://COSIGN_PUBLIC_KEY").verifier_arguments == (
        "--key=env://COSIGN_PUBLIC_KEY",
        "--signature-layout=bundle",
    )
    assert signing(public_key="env://COSIGN_PUBLIC_KEY").verifier_variables == ("COSIGN_PUBLIC_KEY",)
    assert signing(certificate_identity="a@b.example", certificate_issuer="https://b.example").verifier_arguments == (
        "--identity=a@b.example",
        "--issuer=https://b.example",
        "--signature-layout=bundle",
    )
