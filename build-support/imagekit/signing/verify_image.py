"""Verify an image with what is known of it, in a registry or on disk; the message says which artifact is wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Optional, Sequence, Tuple

from imagekit.oci import media_types
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.digest import Digest
from imagekit.oci.index import Index
from imagekit.oci.json_document import DocumentError
from imagekit.oci.layout import Layout
from imagekit.oci.manifest import Manifest
from imagekit.oci.validate import validate_layout
from imagekit.provenance import statement
from imagekit.registry.errors import RegistryError
from imagekit.registry.repository import Repository, StoredManifest
from imagekit.sbom import cyclonedx
from imagekit.signing.attachments import image_statements
from imagekit.signing.bundle_file import read_artifact, read_bundle
from imagekit.signing.errors import VerificationError
from imagekit.signing.registry_signatures import SignatureLayout, find_statements, read_attached
from imagekit.signing.statement import Artifact, Statement, attached_statement
from imagekit.signing.verifier import Verifier, check_signed, verify_artifact

#: The artifact types that unsigned SBOMs and provenance are attached as.
ATTACHED_TYPES = {Artifact.SBOM: cyclonedx.MEDIA_TYPE, Artifact.PROVENANCE: statement.MEDIA_TYPE}
_LAYERS_AT_ONCE = 4
_INDEXES = (media_types.INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")


def verify_in_registry(
    repository: Repository, digest: Digest, verifier: Verifier, layout: SignatureLayout
) -> Tuple[str, ...]:
    """Verify the image ``digest`` with its layers, signature, SBOM and provenance; a line for each thing that is sound.

    Of an index, every image is verified. Raises :class:`VerificationError`, and :class:`RegistryError` when the registry
    cannot be asked.
    """
    images = images_of(repository, digest)
    if images is None:
        return _verify_image(repository, digest, verifier, layout)
    lines: Tuple[str, ...] = ()
    for image in images:
        name = str(image.platform or image.digest)
        try:
            verified = _verify_image(repository, image.digest, verifier, layout)
        except VerificationError as error:
            raise VerificationError(f"The image {image.digest} ({name}) of the index {digest} is refused: {error}") from None
        lines += (f"{name} is {image.digest}", *(f"{name}: {line}" for line in verified))
    return lines


def images_of(repository: Repository, digest: Digest) -> Optional[Tuple[Descriptor, ...]]:
    """The images of the index ``digest``; ``None`` when it is no index. Raises :class:`VerificationError`."""
    stored = _read_manifest(repository, digest)
    if stored.descriptor.media_type not in _INDEXES:
        return None
    origin = f"The index {repository.name}@{digest}"
    try:
        images = Index.parse(stored.data, origin).manifests
    except DocumentError as error:
        raise VerificationError(str(error)) from None
    if not images:
        raise VerificationError(f"{origin} names no image. Publish it again.")
    for image in images:
        if image.media_type in _INDEXES:
            raise VerificationError(
                f"{origin} names the index {image.digest}, but only images are known in an index. Verify it by its digest."
            )
    return images


def _verify_image(
    repository: Repository, digest: Digest, verifier: Verifier, layout: SignatureLayout
) -> Tuple[str, ...]:
    count = _verify_content(repository, digest)
    lines = [f"manifest, configuration and {count} layers are what their digests say"]
    for artifact in Artifact:
        signed = find_statements(repository, digest, artifact, verifier, layout)
        if artifact in ATTACHED_TYPES:
            _verify_attached(repository, digest, artifact, signed)
        lines.append(f"{artifact.label} is signed by {verifier.name}")
    return tuple(lines)


def _verify_attached(repository: Repository, digest: Digest, artifact: Artifact, signed: Sequence[Statement]) -> None:
    """Raises :class:`VerificationError` for an SBOM or provenance without signature that is none of ``signed``."""
    for referrer in repository.referrers(digest, ATTACHED_TYPES[artifact]):
        where = f"{repository.name}@{referrer.descriptor.digest}"
        try:
            content = read_attached(repository, referrer.descriptor.digest)
        except RegistryError as error:
            raise VerificationError(f"The {artifact.label} cannot be read: {error}") from None
        _check_any(signed, attached_statement(artifact, digest, content, where), where)


def _check_any(signed: Sequence[Statement], expected: Statement, where: str) -> None:
    for one in signed:
        try:
            check_signed(one, expected)
            return
        except VerificationError:
            continue
    raise VerificationError(
        f"The {expected.artifact.label} {where} is not the one that was signed: it was changed since, or belongs to "
        "another build. Do not use it; publish the image again."
    )


def _verify_content(repository: Repository, digest: Digest) -> int:
    """The number of layers; raises :class:`VerificationError` for a changed manifest, configuration or layer."""
    stored = _read_manifest(repository, digest)
    try:
        manifest = Manifest.parse(stored.data, f"The manifest {repository.name}@{digest}")
    except DocumentError as error:
        raise VerificationError(str(error)) from None
    _verify_blob(repository, "configuration", manifest.config)
    with ThreadPoolExecutor(_LAYERS_AT_ONCE) as pool:
        for done in [pool.submit(_verify_blob, repository, "layer", layer) for layer in manifest.layers]:
            done.result()
    return len(manifest.layers)


def _read_manifest(repository: Repository, digest: Digest) -> StoredManifest:
    try:
        stored = repository.get_manifest(str(digest))
    except RegistryError as error:
        raise VerificationError(f"The manifest {digest} cannot be read: {error}") from None
    if stored is None:
        raise VerificationError(f"The manifest {digest} is not in {repository.name}. Publish the image again.")
    return stored


def _verify_blob(repository: Repository, what: str, descriptor: Descriptor) -> None:
    actual = repository.blob_digest(descriptor)
    if actual != descriptor.digest:
        raise VerificationError(
            f"The {what} {descriptor.digest} was changed: in {repository.name} it has the digest {actual}. Do not use "
            "the image; delete the blob in the registry and publish the image again."
        )


def verify_on_disk(
    layout: Path, sbom: Optional[Path], provenance: Optional[Path], verifier: Verifier
) -> Tuple[Digest, Tuple[str, ...]]:
    """Verify an image layout and files beside it with the bundles beside each, as ``sign`` writes them.

    The image's digest, and a line for each thing that is sound. Raises :class:`VerificationError`, and
    :class:`~imagekit.oci.validate.ValidationError`, which names the manifest or layer that was changed.
    """
    validate_layout(layout)
    digest = Layout(layout).read_image().descriptor.digest
    lines = ["manifest, configuration and layers are what their digests say"]
    files = (layout, *(path for path in (sbom, provenance) if path is not None))
    contents = [None if path is None else read_artifact(path) for path in (sbom, provenance)]
    for path, expected in zip(files, image_statements(digest, *contents)):
        verify_artifact(read_bundle(path, expected.artifact), expected, verifier)
        lines.append(f"{expected.artifact.label} is signed by {verifier.name}")
    return digest, tuple(lines)
