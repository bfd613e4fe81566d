"""Options that say who signs images, and whose signatures are accepted."""

from __future__ import annotations

import os
from enum import Enum
from typing import Optional, Tuple

from pants.base.build_environment import get_buildroot
from pants.option.option_types import BoolOption, EnumOption, StrListOption, StrOption
from pants.option.subsystem import Subsystem
from pants.util.docutil import bin_name
from pants.util.strutil import softwrap

_VARIABLE_PREFIX = "env://"
_COMMAND_PREFIX = "command://"

#: What GitHub, GitLab and Google give a job to get an OIDC token with; others set the last one.
_IDENTITY_VARIABLES = (
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "GOOGLE_SERVICE_ACCOUNT_NAME",
    "SIGSTORE_ID_TOKEN",
)
#: The certificate authorities that sigstore-python trusts, where they are not those that come with it.
_SIGSTORE_VARIABLES = ("REQUESTS_CA_BUNDLE",)


class SigningError(Exception):
    """Options of `[signing]` that contradict each other, or that are missing."""


class SignatureLayout(Enum):
    """How signatures lie in a registry."""

    BUNDLE = "bundle"
    COSIGN = "cosign"


class SigningSubsystem(Subsystem):
    options_scope = "signing"
    help = softwrap(
        f"""
        Who signs the images that `{bin_name()} publish` pushes, with their SBOMs and provenance, and whose signatures
        `{bin_name()} verify` accepts. Nothing is signed while neither `key` nor `keyless` is set.
        """
    )

    key = StrOption(
        default=None,
        metavar="KEY",
        help=softwrap(
            """
            The private key to sign with: a PEM file, `env://VARIABLE` for PEM in an environment variable, or
            `command://PROGRAM ARGUMENT…` for a program that reaches a PKCS#11 token or a key service. PKCS#8 and the
            keys of `cosign generate-key-pair`, of type ECDSA P-256, Ed25519 or RSA. A file that every user can read is
            refused. The key is read when images are pushed and is in no cache key, log, layer or sandbox.
            """
        ),
    )
    password_file = StrOption(
        default=None,
        metavar="FILE",
        help="A file with the password of `key`. Defaults to the variable `COSIGN_PASSWORD`, then the terminal.",
    )
    key_env_vars = StrListOption(
        help="Names of environment variables that the program of a `command://` key reads, besides `PATH` and `HOME`.",
    )
    keyless = BoolOption(
        default=False,
        help=softwrap(
            """
            If true, sign with the identity that the CI system gives the job (or the OIDC token in `SIGSTORE_ID_TOKEN`)
            instead of a key, through the public Sigstore instance or that of `trust_config`.
            """
        ),
    )
    public_key = StrOption(
        default=None,
        metavar="KEY",
        help=f"The public key whose signatures `{bin_name()} verify` accepts: a PEM file or `env://VARIABLE`.",
    )
    certificate_identity = StrOption(
        default=None,
        metavar="IDENTITY",
        help=softwrap(
            f"""
            The identity whose keyless signatures `{bin_name()} verify` accepts: an e-mail address, or the URI that a CI
            system gives a job. Needs `certificate_issuer`.
            """
        ),
    )
    certificate_issuer = StrOption(
        default=None,
        metavar="URL",
        help="The OIDC issuer that vouches for `certificate_identity`, as https://token.actions.githubusercontent.com.",
    )
    trust_config = StrOption(
        default=None,
        metavar="FILE",
        help=softwrap(
            """
            A Sigstore instance of your own: its services and roots of trust, as Sigstore's ClientTrustConfig (JSON).
            Defaults to the public instance.
            """
        ),
    )
    layout = EnumOption(
        default=SignatureLayout.BUNDLE,
        help=softwrap(
            """
            How signatures lie in a registry. `bundle`: Sigstore bundles attached as OCI 1.1 referrers. `cosign`: the
            older layout under tags such as `sha256-….sig`, for tools that know nothing else; with keys only. One or the
            other.
            """
        ),
    )

    @property
    def signs(self) -> bool:
        """Whether images are signed when they are published."""
        return self.key is not None or self.keyless

    @property
    def signer_arguments(self) -> Tuple[str, ...]:
        """Arguments of `push-image`. They name the key and never hold it. Raises :class:`SigningError`."""
        if self.key is not None and self.keyless:
            raise SigningError("Both `[signing].key` and `[signing].keyless` are set. Leave one of them out.")
        if not self.signs:
            return ()
        if self.key is not None and "PRIVATE KEY" in self.key:
            raise SigningError(
                "`[signing].key` holds a private key itself, so it may be in a file or log that others read: make a "
                "new one. Put it into a file or an environment variable, and set `key` to the path or to "
                "env://VARIABLE."
            )
        return (
            "--sign-keyless" if self.key is None else f"--sign-with={_absolute(self.key)}",
            *_option("--password-file", self.password_file),
            *_option("--trust-config", self.trust_config),
            f"--signature-layout={self.layout.value}",
        )

    @property
    def signer_variables(self) -> Tuple[str, ...]:
        """The environment variables that signing reads."""
        if self.keyless:
            return (*_IDENTITY_VARIABLES, *_SIGSTORE_VARIABLES)
        return ("COSIGN_PASSWORD", *_variable(self.key), *self.key_env_vars) if self.key else ()

    @property
    def verifier_arguments(self) -> Tuple[str, ...]:
        """Arguments of `verify`; raises :class:`SigningError` unless the options say whose signatures are accepted."""
        if (self.public_key is None) == (self.certificate_identity is None):
            both = self.public_key is not None
            raise SigningError(
                ("Both `[signing].public_key` and `[signing].certificate_identity` are set. " if both else "")
                + "Set either `[signing].public_key`, or `[signing].certificate_identity` and "
                "`[signing].certificate_issuer`, to say whose signatures are accepted."
            )
        if self.public_key is not None:
            return (f"--key={_absolute(self.public_key)}", f"--signature-layout={self.layout.value}")
        if self.certificate_issuer is None:
            raise SigningError(
                "`[signing].certificate_identity` needs `[signing].certificate_issuer`: anybody may name an identity, "
                "the issuer vouches for it."
            )
        return (
            f"--identity={self.certificate_identity}",
            f"--issuer={self.certificate_issuer}",
            *_option("--trust-config", self.trust_config),
            f"--signature-layout={self.layout.value}",
        )

    @property
    def verifier_variables(self) -> Tuple[str, ...]:
        """The environment variables that verifying reads."""
        return _variable(self.public_key) if self.certificate_identity is None else _SIGSTORE_VARIABLES


def _absolute(reference: str) -> str:
    """A key with the path that it has outside the folder a process runs in."""
    if reference.startswith((_VARIABLE_PREFIX, _COMMAND_PREFIX)):
        return reference
    return os.path.join(get_buildroot(), os.path.expanduser(reference))


def _option(name: str, path: Optional[str]) -> Tuple[str, ...]:
    return () if path is None else (f"{name}={_absolute(path)}",)


def _variable(reference: Optional[str]) -> Tuple[str, ...]:
    if reference is None or not reference.startswith(_VARIABLE_PREFIX):
        return ()
    return (reference[len(_VARIABLE_PREFIX) :],)
