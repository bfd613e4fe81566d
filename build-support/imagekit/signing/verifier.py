"""Who may have signed: a key, or an identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from imagekit.oci.digest import Digest
from imagekit.oci.json_document import render
from imagekit.signing.bundle import verify_bundle
from imagekit.signing.errors import VerificationError
from imagekit.signing.public_key import PublicKey
from imagekit.signing.statement import Artifact, Statement


class Verifier(Protocol):
    """Whose signatures are accepted. ``name`` says it in messages, as 'the key …'."""

    @property
    def name(self) -> str: ...

    def verify_bundle(self, data: bytes, artifact: Artifact, subject: Digest) -> Statement:
        """The statement in a bundle; raises :class:`VerificationError` with the artifact and what is wrong with it."""


@dataclass(frozen=True)
class KeyVerifier:
    """Accepts what ``key`` signed."""

    key: PublicKey

    @property
    def name(self) -> str:
        return f"the key {self.key.hint}"

    def verify_bundle(self, data: bytes, artifact: Artifact, subject: Digest) -> Statement:
        return verify_bundle(data, artifact, subject, self.key)


def check_signed(signed: Statement, expected: Statement) -> None:
    """Raises :class:`VerificationError` unless the verified statement ``signed`` says what ``expected`` does."""
    if render(signed.predicate) != render(expected.predicate):  # type: ignore[arg-type]
        raise VerificationError(
            f"The {expected.artifact.label} is not the one that was signed: it was changed since, or belongs to "
            "another build. Build it again, or fetch it again."
        )


def verify_artifact(bundle: bytes, expected: Statement, verifier: Verifier) -> None:
    """Raises :class:`VerificationError` unless ``verifier`` accepts ``bundle`` and it signs exactly ``expected``."""
    check_signed(verifier.verify_bundle(bundle, expected.artifact, expected.subject), expected)
