"""Signatures in a registry: attached once, found again. As bundles or in cosign's older layout, never mixed."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import Iterator, List, Sequence, Tuple, Union

from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.digest import Digest
from imagekit.oci.json_document import DocumentError
from imagekit.oci.manifest import Manifest
from imagekit.registry.errors import RegistryError
from imagekit.registry.repository import Attached, Attachment, Referrer, Repository, StoredManifest
from imagekit.signing import bundle
from imagekit.signing.attachments import PREDICATE_TYPE, signed_attachment
from imagekit.signing.bundle_signer import BundleSigner, KeySigner
from imagekit.signing.errors import SigningError, VerificationError
from imagekit.signing.older_layout import (
    SignatureLayer,
    may_sign,
    signature_layer,
    signature_manifest,
    signature_tag,
    verify_layer,
)
from imagekit.signing.statement import Artifact, Statement
from imagekit.signing.verifier import KeyVerifier, Verifier, check_signed


class SignatureLayout(Enum):
    """How signatures lie in a registry."""

    BUNDLE = "bundle"
    COSIGN = "cosign"


#: A signature as a registry has it: a bundle, or a layer of the older layout.
_Signature = Union[bytes, SignatureLayer]

#: What a signature is called among what is attached.
_SIGNATURE = "signature"


def attach_signatures(
    repository: Repository,
    subject: Descriptor,
    statements: Sequence[Statement],
    signer: BundleSigner,
    layout: SignatureLayout = SignatureLayout.BUNDLE,
    attachments: Sequence[Attachment] = (),
) -> Tuple[Attached, ...]:
    """Sign ``statements`` about the image ``subject``; what this signer has signed already is not signed again.

    ``attachments`` are attached too, and come first in what is returned: together, since a registry without the referrers
    API keeps one list of all, which is then written once. Raises :class:`SigningError` and :class:`RegistryError`.
    """
    if layout is SignatureLayout.BUNDLE:
        return _attach_bundles(repository, subject, statements, signer, attachments)
    if not isinstance(signer, KeySigner):
        raise SigningError(
            "The older layout of cosign takes signatures by keys alone, but an identity was to sign. Sign with a key, "
            "or use the layout 'bundle'."
        )
    by_tag = {
        tag: [statement for statement in statements if signature_tag(subject.digest, statement.artifact) == tag]
        for tag in (signature_tag(subject.digest, statement.artifact) for statement in statements)
    }
    attached = repository.attach_referrers(subject, attachments)
    return (*attached, *(_attach_layers(repository, tag, of_tag, signer) for tag, of_tag in by_tag.items()))


def _attach_bundles(
    repository: Repository,
    subject: Descriptor,
    statements: Sequence[Statement],
    signer: BundleSigner,
    attachments: Sequence[Attachment],
) -> Tuple[Attached, ...]:
    there: List[Attached] = []
    new: List[Attachment] = []
    # Equal bundles have equal digests, and are not sent twice anyway.
    referrers = () if signer.repeatable else repository.referrers(subject.digest, bundle.MEDIA_TYPE)
    for statement in statements:
        for referrer in referrers:
            if _may_hold(referrer, statement.artifact) and _signs(
                read_attached(repository, referrer.descriptor.digest), statement, signer.verifier
            ):
                there.append(Attached(_SIGNATURE, referrer.descriptor, False))
                break
        else:
            new.append(signed_attachment(statement, signer))
    attached = repository.attach_referrers(subject, (*attachments, *new))
    signed = (replace(item, artifact_type=_SIGNATURE) for item in attached[len(attachments) :])
    return (*attached[: len(attachments)], *there, *signed)


def _attach_layers(repository: Repository, tag: str, statements: Sequence[Statement], signer: KeySigner) -> Attached:
    stored = repository.get_manifest(tag)
    there = () if stored is None else _read_layers(repository, tag, stored)
    new = [
        signature_layer(statement, signer.signer, str(repository.name))
        for statement in statements
        if not any(
            may_sign(layer.descriptor, statement.artifact) and _signs(layer, statement, signer.verifier)
            for layer in there
        )
    ]
    if stored is not None and not new:
        return Attached(_SIGNATURE, stored.descriptor, False)
    manifest = signature_manifest([layer.descriptor for layer in (*there, *new)])
    repository.put_blob(manifest.config)
    for layer in new:
        repository.put_blob(layer.content)
    return Attached(_SIGNATURE, repository.put_manifest(manifest.data, media_types.MANIFEST, tag), True)


def find_statements(
    repository: Repository, subject: Digest, artifact: Artifact, verifier: Verifier, layout: SignatureLayout
) -> Tuple[Statement, ...]:
    """What ``verifier`` accepts of the signatures of ``artifact``; never empty. Signatures by others may be there too.

    Raises :class:`VerificationError` when none is accepted, with what is wrong with the last one.
    """
    accepted: List[Statement] = []
    refusal = VerificationError(
        f"The {artifact.label} has no signature: in the layout {layout.value!r}, nothing at "
        f"{repository.name}@{subject} signs it. Publish the image with a key, or name the layout that it was signed in."
    )
    try:
        for signature in _signatures(repository, subject, artifact, layout):
            try:
                accepted.append(_verify(signature, artifact, subject, verifier))
            except VerificationError as error:
                refusal = error
    except RegistryError as error:
        raise VerificationError(f"The signature of the {artifact.label} cannot be read: {error}") from None
    if not accepted:
        raise refusal
    return tuple(accepted)


def _signatures(
    repository: Repository, subject: Digest, artifact: Artifact, layout: SignatureLayout
) -> Iterator[_Signature]:
    if layout is SignatureLayout.BUNDLE:
        for referrer in repository.referrers(subject, bundle.MEDIA_TYPE):
            if _may_hold(referrer, artifact):
                yield read_attached(repository, referrer.descriptor.digest)
    else:
        tag = signature_tag(subject, artifact)
        stored = repository.get_manifest(tag)
        for layer in () if stored is None else _read_layers(repository, tag, stored):
            if may_sign(layer.descriptor, artifact):
                yield layer


def _verify(signature: _Signature, artifact: Artifact, subject: Digest, verifier: Verifier) -> Statement:
    if not isinstance(signature, SignatureLayer):
        return verifier.verify_bundle(signature, artifact, subject)
    if not isinstance(verifier, KeyVerifier):
        raise VerificationError(
            f"The signature of the {artifact.label} is by a key, as all of cosign's older layout here, but "
            f"{verifier.name} was asked for. Name the public key."
        )
    return verify_layer(signature, artifact, subject, verifier.key)


def _signs(signature: _Signature, statement: Statement, verifier: Verifier) -> bool:
    try:
        check_signed(_verify(signature, statement.artifact, statement.subject, verifier), statement)
    except VerificationError:
        return False
    return True


def _may_hold(referrer: Referrer, artifact: Artifact) -> bool:
    # A registry need not repeat the annotations in its list.
    return referrer.descriptor.annotations.get(PREDICATE_TYPE, artifact.value) == artifact.value


def read_attached(repository: Repository, digest: Digest) -> bytes:
    """What the referrer ``digest`` attaches: its first layer. Raises :class:`RegistryError`."""
    origin = f"{repository.name}@{digest}"
    stored = repository.get_manifest(str(digest))
    layers = () if stored is None else _layers(stored.data, origin)
    if not layers:
        raise RegistryError(f"{origin} is listed as attached, but holds nothing. Publish the image again.")
    return repository.get_blob(layers[0])


def _read_layers(repository: Repository, tag: str, stored: StoredManifest) -> Tuple[SignatureLayer, ...]:
    return tuple(
        SignatureLayer(layer, repository.get_blob(layer)) for layer in _layers(stored.data, f"{repository.name}:{tag}")
    )


def _layers(data: bytes, origin: str) -> Tuple[Descriptor, ...]:
    try:
        return Manifest.parse(data, origin).layers
    except DocumentError as error:
        raise RegistryError(str(error)) from None
