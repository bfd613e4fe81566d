"""The layout that cosign had before bundles: signatures in the layers of manifests under tags of their own.

``sha256-<hex>.sig`` holds those of the image (sigstore/cosign, specs/SIGNATURE_SPEC.md), ``sha256-<hex>.att`` those of
SBOM and provenance (specs/ATTESTATION_SPEC.md). Pure: bytes in, bytes out.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Dict, Mapping, Sequence

from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.digest import Digest
from imagekit.oci.json_document import Document, DocumentError, Json, render
from imagekit.oci.manifest import Manifest
from imagekit.signing.bundle import parse_envelope, sign_statement, verify_envelope
from imagekit.signing.errors import VerificationError
from imagekit.signing.private_key import Signer
from imagekit.signing.public_key import PublicKey
from imagekit.signing.statement import Artifact, Statement, image_statement

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
DSSE_ENVELOPE = "application/vnd.dsse.envelope.v1+json"
_SIGNATURE = "dev.cosignproject.cosign/signature"
_PREDICATE_TYPE = "predicateType"
_KIND = "cosign container image signature"


@dataclass(frozen=True)
class SignatureLayer:
    """One signature: a layer and its content."""

    descriptor: Descriptor
    content: bytes


@dataclass(frozen=True)
class SignatureManifest:
    """A manifest of signatures, and its configuration."""

    data: bytes
    config: bytes


def signature_tag(subject: Digest, artifact: Artifact) -> str:
    """The tag with the signatures of ``artifact``."""
    return f"sha256-{subject.hex}.{'sig' if artifact is Artifact.IMAGE else 'att'}"


def may_sign(layer: Descriptor, artifact: Artifact) -> bool:
    """Whether a layer says that it signs ``artifact``."""
    if artifact is Artifact.IMAGE:
        return layer.media_type == SIMPLE_SIGNING
    return layer.media_type == DSSE_ENVELOPE and layer.annotations.get(_PREDICATE_TYPE) == artifact.value


def signature_layer(statement: Statement, signer: Signer, repository: str) -> SignatureLayer:
    """The signature of ``statement``; that of an image records the name of its ``repository``.

    Raises :class:`~imagekit.signing.errors.SigningError`.
    """
    if statement.artifact is Artifact.IMAGE:
        payload = _simple_signing(statement.subject, repository)
        return _layer(SIMPLE_SIGNING, payload, {_SIGNATURE: base64.b64encode(signer.sign(payload)).decode("ascii")})
    envelope = render(sign_statement(statement, signer).to_json())  # type: ignore[arg-type]
    return _layer(DSSE_ENVELOPE, envelope, {_SIGNATURE: "", _PREDICATE_TYPE: statement.artifact.value})


def _layer(media_type: str, content: bytes, annotations: Mapping[str, str]) -> SignatureLayer:
    return SignatureLayer(Descriptor(media_type, Digest.of(content), len(content), annotations), content)


def _simple_signing(subject: Digest, repository: str) -> bytes:
    critical: Dict[str, Json] = {
        "identity": {"docker-reference": repository},
        "image": {"docker-manifest-digest": str(subject)},
        "type": _KIND,
    }
    return render({"critical": critical, "optional": None})


def signature_manifest(layers: Sequence[Descriptor]) -> SignatureManifest:
    """The manifest of some signatures. Its configuration is that of an image, as registries of that time want it."""
    diff_ids = [str(layer.digest) for layer in layers]
    config = render({"architecture": "", "config": {}, "os": "", "rootfs": {"type": "layers", "diff_ids": diff_ids}})
    descriptor = Descriptor(media_types.CONFIG, Digest.of(config), len(config))
    return SignatureManifest(Manifest(descriptor, tuple(layers)).render(), config)


def verify_layer(layer: SignatureLayer, artifact: Artifact, subject: Digest, key: PublicKey) -> Statement:
    """What ``layer`` signs; raises :class:`VerificationError` unless ``key`` signed ``artifact`` of ``subject``."""
    origin = f"The signature of the {artifact.label}"
    try:
        document = Document.parse(layer.content, origin)
        if artifact is not Artifact.IMAGE:
            return verify_envelope(parse_envelope(document), artifact, subject, key)
        signature = base64.b64decode(layer.descriptor.annotations.get(_SIGNATURE, ""), validate=True)
        critical = document.document("critical")
        kind, digest = critical.string("type"), critical.document("image").string("docker-manifest-digest")
    except DocumentError as error:
        raise VerificationError(str(error)) from None
    except binascii.Error as error:
        raise VerificationError(f"{origin} is damaged: it is no base64 ({error}). Sign it again.") from None
    if not key.verifies(signature, layer.content):
        raise VerificationError(
            f"{origin} is wrong: it was not made by the key {key.hint}, or what it signs was changed since."
        )
    if kind != _KIND:
        raise VerificationError(f"{origin} is about something else: it is {kind!r}, but {_KIND!r} was asked for.")
    if digest != str(subject):
        raise VerificationError(f"{origin} is for another image: it names {digest}, but the image is {subject}.")
    return image_statement(subject)
