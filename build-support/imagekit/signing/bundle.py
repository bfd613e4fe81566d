"""Sigstore bundles of version 0.3 with a DSSE envelope, in the JSON form of protobuf (sigstore/protobuf-specs)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Mapping, Optional

from imagekit.oci.digest import Digest
from imagekit.oci.json_document import Document, DocumentError, render
from imagekit.provenance.statement import MEDIA_TYPE as PAYLOAD_TYPE
from imagekit.signing.errors import VerificationError
from imagekit.signing.private_key import Signer
from imagekit.signing.public_key import PublicKey
from imagekit.signing.statement import Artifact, Statement, parse_statement

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"


@dataclass(frozen=True)
class Envelope:
    """A DSSE envelope (secure-systems-lab/dsse, envelope.md) of one signature."""

    payload: bytes
    signature: bytes

    def to_json(self) -> Mapping[str, object]:
        return {
            "payload": _encode(self.payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": _encode(self.signature)}],
        }


def signed_bytes(payload: bytes) -> bytes:
    """What is really signed: DSSE's pre-authentication encoding of an in-toto statement."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode("ascii"), len(payload), payload)


def sign_statement(statement: Statement, signer: Signer) -> Envelope:
    """Raises :class:`~imagekit.signing.errors.SigningError` when the signer refuses."""
    payload = statement.render()
    return Envelope(payload, signer.sign(signed_bytes(payload)))


def render_bundle(envelope: Envelope, key: PublicKey) -> bytes:
    """The bundle of an envelope that ``key`` signed."""
    fields = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": key.hint}},
        "dsseEnvelope": envelope.to_json(),
    }
    return render(fields)  # type: ignore[arg-type]


def parse_envelope(document: Document) -> Envelope:
    """Raises :class:`~imagekit.oci.json_document.DocumentError`."""
    if document.string("payloadType") != PAYLOAD_TYPE:
        raise document.refusal("payloadType", f"it must be {PAYLOAD_TYPE!r}.")
    signatures = document.documents("signatures")
    if len(signatures) != 1:
        raise document.refusal("signatures", f"there must be one, but there are {len(signatures)}.")
    return Envelope(_decode(document, "payload"), _decode(signatures[0], "sig"))


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read: its envelope, and the hint of its key or that it has a certificate."""

    envelope: Envelope
    key_hint: Optional[str]


def parse_bundle(data: bytes, artifact: Artifact) -> Bundle:
    """Raises :class:`VerificationError`, which names ``artifact``, for a bundle that is damaged or cut short."""
    origin = f"The signature of the {artifact.label}"
    try:
        document = Document.parse(data, origin)
        if document.string("mediaType") != MEDIA_TYPE:
            raise document.refusal("mediaType", f"only {MEDIA_TYPE!r} is known. Sign it again.")
        material = document.document("verificationMaterial")
        hint = material.document("publicKey").string("hint") if material.has("publicKey") else None
        return Bundle(parse_envelope(document.document("dsseEnvelope")), hint)
    except DocumentError as error:
        raise VerificationError(str(error)) from None


def verify_envelope(envelope: Envelope, artifact: Artifact, subject: Digest, key: PublicKey) -> Statement:
    """The statement in ``envelope``; raises :class:`VerificationError` unless ``key`` signed it for ``subject``."""
    if not key.verifies(envelope.signature, signed_bytes(envelope.payload)):
        raise VerificationError(
            f"The signature of the {artifact.label} is wrong: it was not made by the key {key.hint}, or what it "
            "signs was changed since."
        )
    return parse_statement(envelope.payload, artifact, subject)


def verify_bundle(data: bytes, artifact: Artifact, subject: Digest, key: PublicKey) -> Statement:
    """The statement in a bundle; raises :class:`VerificationError` with the artifact and what is wrong with it."""
    bundle = parse_bundle(data, artifact)
    if bundle.key_hint is None:
        raise VerificationError(
            f"The signature of the {artifact.label} has a certificate, not a key. Verify it with --identity and "
            "--issuer."
        )
    if bundle.key_hint != key.hint:
        raise VerificationError(
            f"The signature of the {artifact.label} is by another key: {bundle.key_hint}, but {key.hint} was asked "
            "for. Give the public half of the key that signed it."
        )
    return verify_envelope(bundle.envelope, artifact, subject, key)


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(document: Document, key: str) -> bytes:
    try:
        return base64.b64decode(document.string(key), validate=True)
    except binascii.Error as error:
        raise document.refusal(key, f"it is no base64: {error}.") from None
