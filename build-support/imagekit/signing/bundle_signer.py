"""Who signs bundles: a key here or elsewhere, or an identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from imagekit.signing.bundle import render_bundle, sign_statement
from imagekit.signing.private_key import Signer
from imagekit.signing.statement import Statement
from imagekit.signing.verifier import KeyVerifier, Verifier


class BundleSigner(Protocol):
    """Makes bundles. Equal statements get equal bundles where it is ``repeatable``."""

    @property
    def repeatable(self) -> bool: ...

    @property
    def verifier(self) -> Verifier:
        """Accepts what this signer made."""

    def sign_bundle(self, statement: Statement) -> bytes:
        """A bundle; raises :class:`~imagekit.signing.errors.SigningError` when the signer refuses."""


@dataclass(frozen=True)
class KeySigner:
    """Signs with a key."""

    signer: Signer

    @property
    def repeatable(self) -> bool:
        return self.signer.repeatable

    @property
    def verifier(self) -> KeyVerifier:
        return KeyVerifier(self.signer.public_key)

    def sign_bundle(self, statement: Statement) -> bytes:
        return render_bundle(sign_statement(statement, self.signer), self.signer.public_key)
