"""Options that say who signs and whose signatures are accepted, for every command that does either."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from imagekit.errors import ImagekitError

if TYPE_CHECKING:
    from imagekit.signing.bundle_signer import BundleSigner
    from imagekit.signing.registry_signatures import SignatureLayout
    from imagekit.signing.verifier import Verifier

_TRUST_CONFIG_HELP = "a Sigstore instance of your own (ClientTrustConfig, JSON); default: the public one"


def add_signer_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """``--sign-with`` and what belongs to it; without it, and where it is not ``required``, nothing is signed."""
    who = parser.add_mutually_exclusive_group(required=required)
    who.add_argument(
        "--sign-with", metavar="KEY", help="private key: PEM file, env://VARIABLE, or command://PROGRAM ARGUMENT…"
    )
    who.add_argument(
        "--sign-keyless",
        action="store_true",
        help="with the identity that CI, or SIGSTORE_ID_TOKEN, gives this process",
    )
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="password of the key; default: the variable COSIGN_PASSWORD"
    )
    parser.add_argument("--trust-config", type=Path, metavar="FILE", help=_TRUST_CONFIG_HELP)


def add_verifier_options(parser: argparse.ArgumentParser) -> None:
    """``--key``, or ``--identity`` and ``--issuer``."""
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--key", help="public key: PEM file or env://VARIABLE")
    who.add_argument("--identity", help="who signed without a key: e-mail address or URI of the certificate")
    parser.add_argument("--issuer", help="URL of the OIDC issuer that vouched for --identity")
    parser.add_argument("--trust-config", type=Path, metavar="FILE", help=_TRUST_CONFIG_HELP)


def add_layout_option(parser: argparse.ArgumentParser) -> None:
    """``--signature-layout``."""
    parser.add_argument(
        "--signature-layout",
        choices=("bundle", "cosign"),
        default="bundle",
        help="how signatures lie in a registry: Sigstore bundles, or the older layout of cosign",
    )


def chosen_signer(arguments: argparse.Namespace) -> Optional[BundleSigner]:
    """The signer of ``arguments``; ``None`` when none is named. Raises :class:`ImagekitError`."""
    # cryptography, and sigstore with all that it needs, are there only for who asked for them.
    if arguments.sign_keyless:
        from imagekit.signing.keyless import open_keyless_signer

        return open_keyless_signer(arguments.trust_config, os.environ)
    if arguments.sign_with is None:
        return None
    from imagekit.signing.bundle_signer import KeySigner
    from imagekit.signing.key_source import open_signer, password_source

    return KeySigner(open_signer(arguments.sign_with, password_source(arguments.password_file, os.environ), os.environ))


def chosen_verifier(arguments: argparse.Namespace) -> Verifier:
    """Raises :class:`ImagekitError`."""
    if arguments.key is not None:
        from imagekit.signing.key_source import open_public_key
        from imagekit.signing.verifier import KeyVerifier

        return KeyVerifier(open_public_key(arguments.key, os.environ))
    if arguments.issuer is None:
        raise ImagekitError(
            f"--identity={arguments.identity} needs --issuer: anybody may name an identity, the issuer vouches for it."
        )
    from imagekit.signing.keyless import open_identity_verifier

    return open_identity_verifier(arguments.identity, arguments.issuer, arguments.trust_config)


def chosen_layout(arguments: argparse.Namespace) -> SignatureLayout:
    from imagekit.signing.registry_signatures import SignatureLayout

    return SignatureLayout(arguments.signature_layout)
