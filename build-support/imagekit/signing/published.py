"""Sign images while they are pushed, with the SBOM and provenance that are attached to them."""

from __future__ import annotations

from typing import Sequence, Tuple

from imagekit.oci.descriptor import Descriptor
from imagekit.registry.push import Sign
from imagekit.registry.repository import Attached, Attachment, Repository
from imagekit.signing.attachments import image_statements
from imagekit.signing.bundle_signer import BundleSigner
from imagekit.signing.registry_signatures import SignatureLayout, attach_signatures
from imagekit.signing.statement import Artifact
from imagekit.signing.verify_image import ATTACHED_TYPES


def sign_published(signer: BundleSigner, layout: SignatureLayout) -> Sign:
    """What signs each image of a push; it raises :class:`~imagekit.signing.errors.SigningError`."""

    def sign(repository: Repository, subject: Descriptor, attachments: Sequence[Attachment]) -> Tuple[Attached, ...]:
        contents = {item.artifact_type: item.layers[0][1] for item in attachments}
        statements = image_statements(
            subject.digest,
            contents.get(ATTACHED_TYPES[Artifact.SBOM]),
            contents.get(ATTACHED_TYPES[Artifact.PROVENANCE]),
        )
        return attach_signatures(repository, subject, statements, signer, layout, attachments)

    return sign
