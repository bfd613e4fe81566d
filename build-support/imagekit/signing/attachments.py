"""What is attached to an image to say who made it: bundles as referrers, annotated as cosign does."""

from __future__ import annotations

from typing import Optional, Tuple

from imagekit.oci.digest import Digest
from imagekit.registry.repository import Attachment
from imagekit.signing.bundle import MEDIA_TYPE
from imagekit.signing.bundle_signer import BundleSigner
from imagekit.signing.statement import Statement, image_statement, provenance_statement, sbom_statement

#: The annotation of a bundle that says what it signs (sigstore/cosign, specs/BUNDLE_SPEC.md).
PREDICATE_TYPE = "dev.sigstore.bundle.predicateType"


def image_statements(subject: Digest, sbom: Optional[bytes], provenance: Optional[bytes]) -> Tuple[Statement, ...]:
    """What is signed of the image with the manifest ``subject``; SBOM and provenance are the bytes of their files.

    Raises :class:`~imagekit.oci.json_document.DocumentError` for an SBOM or provenance that is none.
    """
    statements = [image_statement(subject)]
    if sbom is not None:
        statements.append(sbom_statement(subject, sbom, f"The SBOM of {subject}"))
    if provenance is not None:
        statements.append(provenance_statement(subject, provenance, f"The provenance of {subject}"))
    return tuple(statements)


def signed_attachment(statement: Statement, signer: BundleSigner) -> Attachment:
    """The signature of one artifact as a bundle; raises :class:`~imagekit.signing.errors.SigningError`."""
    annotations = {"dev.sigstore.bundle.content": "dsse-envelope", PREDICATE_TYPE: statement.artifact.value}
    return Attachment(MEDIA_TYPE, ((MEDIA_TYPE, signer.sign_bundle(statement), {}),), annotations)
