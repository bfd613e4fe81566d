"""Bundles in files: ``<artifact>.sigstore.json`` beside what they sign."""

from __future__ import annotations

from pathlib import Path

from imagekit.errors import ImagekitError
from imagekit.oci.atomic_file import write_atomically
from imagekit.signing.errors import VerificationError
from imagekit.signing.statement import Artifact


def bundle_path(signed: Path) -> Path:
    """Where the bundle of the file or layout ``signed`` lies."""
    return signed.with_name(f"{signed.name}.sigstore.json")


def write_bundle(signed: Path, bundle: bytes) -> Path:
    """The path that was written."""
    path = bundle_path(signed)
    write_atomically(path, bundle)
    return path


def read_bundle(signed: Path, artifact: Artifact) -> bytes:
    """Raises :class:`VerificationError` when it is not there."""
    path = bundle_path(signed)
    try:
        return path.read_bytes()
    except OSError as error:
        raise VerificationError(
            f"The {artifact.label} has no signature: {path} cannot be read ({error.strerror}). Sign it with "
            "`imagekit sign`."
        ) from None


def read_artifact(path: Path) -> bytes:
    """The bytes of an SBOM or provenance; raises :class:`ImagekitError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImagekitError(f"The file {path} cannot be read: {error.strerror}. Check the path.") from None
