"""in-toto statements: what a signature says, about which image (in-toto attestation framework, v1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Dict, Mapping

from imagekit.oci.digest import Digest
from imagekit.oci.json_document import Document, DocumentError, render
from imagekit.provenance.statement import PREDICATE_TYPE, STATEMENT_TYPE
from imagekit.signing.errors import VerificationError


class Artifact(Enum):
    """What is signed. The value is the predicate type of its statement."""

    IMAGE = "https://sigstore.dev/cosign/sign/v1"
    SBOM = "https://cyclonedx.org/bom"
    PROVENANCE = PREDICATE_TYPE

    @property
    def label(self) -> str:
        """Its name in messages."""
        return {"IMAGE": "image", "SBOM": "SBOM", "PROVENANCE": "provenance"}[self.name]


@dataclass(frozen=True)
class Statement:
    """``predicate``, of the type that ``artifact`` has, about the image whose manifest has the digest ``subject``."""

    artifact: Artifact
    subject: Digest
    predicate: Mapping[str, object]

    def render(self) -> bytes:
        fields: Dict[str, object] = {
            "_type": STATEMENT_TYPE,
            # The digest says which image; a name says little, but sigstore-python wants one.
            "subject": [{"name": "image", "digest": {"sha256": self.subject.hex}}],
            "predicateType": self.artifact.value,
            "predicate": self.predicate,
        }
        return render(fields)  # type: ignore[arg-type]


def image_statement(subject: Digest) -> Statement:
    """What signs the image itself, as ``cosign sign`` of version 3 says it."""
    return Statement(Artifact.IMAGE, subject, {})


def sbom_statement(subject: Digest, sbom: bytes, origin: str) -> Statement:
    """Raises :class:`~imagekit.oci.json_document.DocumentError` when ``sbom`` is no CycloneDX document."""
    document = Document.parse(sbom, origin)
    if document.string("bomFormat") != "CycloneDX":
        raise document.refusal("bomFormat", "it must be 'CycloneDX'. Give the SBOM that `./pants package` wrote.")
    return Statement(Artifact.SBOM, subject, document.fields)


def provenance_statement(subject: Digest, provenance: bytes, origin: str) -> Statement:
    """The predicate of ``provenance``, which is itself a statement, about ``subject``."""
    document = Document.parse(provenance, origin)
    if document.string("predicateType") != Artifact.PROVENANCE.value:
        raise document.refusal(
            "predicateType", f"it must be '{Artifact.PROVENANCE.value}'. Give what `./pants package` wrote."
        )
    return Statement(Artifact.PROVENANCE, subject, document.document("predicate").fields)


def attached_statement(artifact: Artifact, subject: Digest, content: bytes, origin: str) -> Statement:
    """What a signature of ``content`` says, an SBOM or provenance found beside the image ``subject``.

    Raises :class:`VerificationError` for content that is no ``artifact``.
    """
    make = sbom_statement if artifact is Artifact.SBOM else provenance_statement
    try:
        return make(subject, content, f"The {artifact.label} {origin}")
    except DocumentError as error:
        raise VerificationError(str(error)) from None


def parse_statement(payload: bytes, artifact: Artifact, subject: Digest) -> Statement:
    """The statement in a signed payload.

    Raises :class:`VerificationError` unless it is about ``subject`` and its predicate is what ``artifact`` asks for.
    """
    origin = f"The signed statement of the {artifact.label}"
    try:
        document = Document.parse(payload, origin)
        kind, predicate_type = document.string("_type"), document.string("predicateType")
        digests = [item.document("digest").string("sha256") for item in document.documents("subject")]
        predicate = document.document("predicate").fields if document.has("predicate") else {}
    except DocumentError as error:
        raise VerificationError(str(error)) from None
    if kind != STATEMENT_TYPE:
        raise VerificationError(f"{origin} is of type {kind!r}, but must be {STATEMENT_TYPE!r}. Sign it again.")
    if predicate_type != artifact.value:
        raise VerificationError(
            f"The signature of the {artifact.label} is about something else: its predicate is {predicate_type!r}, but "
            f"{artifact.value!r} was asked for."
        )
    if subject.hex not in digests:
        raise VerificationError(
            f"The signature of the {artifact.label} is for another image: it names "
            f"{', '.join(f'sha256:{digest}' for digest in digests) or 'none'}, but the image is {subject}."
        )
    return Statement(artifact, subject, predicate)
