"""Signatures by an identity instead of a key, through sigstore-python.

An OIDC token says who signs; Fulcio gives a certificate for a key of this process; Rekor's log records the signature.
Nothing secret is left afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional

from sigstore.dsse import Statement as DsseStatement
from sigstore.errors import Error as SigstoreError
from sigstore.errors import VerificationError as SigstoreVerificationError
from sigstore.models import Bundle, ClientTrustConfig, InvalidBundle
from sigstore.oidc import ExpiredIdentity, IdentityError, IdentityToken, detect_credential
from sigstore.sign import SigningContext
from sigstore.verify import Verifier as SigstoreVerifier
from sigstore.verify import policy

from imagekit.oci.digest import Digest
from imagekit.provenance.statement import MEDIA_TYPE as PAYLOAD_TYPE
from imagekit.signing.errors import SigningError, VerificationError
from imagekit.signing.statement import Artifact, Statement, parse_statement

#: An OIDC token for the audience "sigstore", where CI has no way of its own to get one.
TOKEN_VARIABLE = "SIGSTORE_ID_TOKEN"


@dataclass(frozen=True)
class IdentityVerifier:
    """Accepts what ``identity``, an e-mail address or URI that the OIDC ``issuer`` vouched for, signed."""

    identity: str
    issuer: str
    trust: ClientTrustConfig

    @property
    def name(self) -> str:
        return f"the identity {self.identity} of {self.issuer}"

    def verify_bundle(self, data: bytes, artifact: Artifact, subject: Digest) -> Statement:
        """Checks certificate, its time, the logs' proofs, identity and signature; see :class:`Verifier`."""
        origin = f"The signature of the {artifact.label}"
        try:
            payload_type, payload = SigstoreVerifier(trusted_root=self.trust.trusted_root).verify_dsse(
                Bundle.from_json(data), policy.Identity(identity=self.identity, issuer=self.issuer)
            )
        except InvalidBundle as error:
            raise VerificationError(f"{origin} is no bundle with a certificate: {error}.") from None
        except SigstoreVerificationError as error:
            raise VerificationError(f"{origin} is not accepted as one by {self.name}: {error}.") from None
        if payload_type != PAYLOAD_TYPE:
            raise VerificationError(f"{origin} is over {payload_type!r}, but must be over {PAYLOAD_TYPE!r}.")
        return parse_statement(payload, artifact, subject)


@dataclass(frozen=True)
class KeylessSigner:
    """Signs with the identity of ``token``. Its ``repr`` shows no token."""

    token: IdentityToken
    trust: ClientTrustConfig

    def __repr__(self) -> str:
        return f"KeylessSigner({self.verifier.name})"

    @property
    def repeatable(self) -> bool:
        return False

    @property
    def verifier(self) -> IdentityVerifier:
        return IdentityVerifier(self.token.identity, self.token.federated_issuer, self.trust)

    def sign_bundle(self, statement: Statement) -> bytes:
        """Raises :class:`SigningError` when a service of Sigstore refuses or cannot be reached."""
        try:
            with SigningContext.from_trust_config(self.trust).signer(self.token) as signer:
                return signer.sign_dsse(DsseStatement(statement.render())).to_json().encode()
        except ExpiredIdentity:
            raise SigningError("The OIDC token expired while signing. Get a new one and publish again.") from None
        # What its HTTP and certificate libraries raise has no common class.
        except Exception as error:
            raise SigningError(f"{self.verifier.name} cannot sign: {_reason(error)}. Publish again later.") from None


def open_keyless_signer(trust_config: Optional[Path], environment: Mapping[str, str]) -> KeylessSigner:
    """The identity that :data:`TOKEN_VARIABLE` or the CI system gives this process; raises :class:`SigningError`."""
    try:
        token = environment.get(TOKEN_VARIABLE) or detect_credential()
        if not token:
            raise SigningError(
                f"There is no identity to sign with. Set {TOKEN_VARIABLE} to an OIDC token for the audience "
                "'sigstore', or let the CI job have one (GitHub: 'permissions: id-token: write')."
            )
        return KeylessSigner(IdentityToken(token), open_trust(trust_config))
    except IdentityError as error:
        raise SigningError(
            f"The OIDC token cannot be used: {error}. Get a new one for the audience 'sigstore'."
        ) from None


def open_identity_verifier(identity: str, issuer: str, trust_config: Optional[Path]) -> IdentityVerifier:
    """Raises :class:`SigningError`."""
    return IdentityVerifier(identity, issuer, open_trust(trust_config))


def open_trust(trust_config: Optional[Path]) -> ClientTrustConfig:
    """Services and roots of trust: those in a file, or those of the public instance, renewed over the network."""
    try:
        if trust_config is None:
            return ClientTrustConfig.production()
        return ClientTrustConfig.from_json(trust_config.read_text(encoding="utf-8"))
    except OSError as error:
        raise SigningError(f"The trust configuration {trust_config} cannot be read: {error.strerror}.") from None
    except (ValueError, SigstoreError) as error:
        what = trust_config or "of the public Sigstore instance"
        raise SigningError(f"The trust configuration {what} cannot be used: {_reason(error)}.") from None


def _reason(error: BaseException) -> str:
    said = str(error).strip().rstrip(".")
    if said or error.__cause__ is None:
        return said or type(error).__name__
    return _reason(error.__cause__)
