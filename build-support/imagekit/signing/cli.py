"""The commands of this package."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Mapping, Tuple

from imagekit.command import Command
from imagekit.errors import ImagekitError
from imagekit.signing.options import (
    add_layout_option,
    add_signer_options,
    add_verifier_options,
    chosen_layout,
    chosen_signer,
    chosen_verifier,
)

if TYPE_CHECKING:
    from imagekit.oci.digest import Digest
    from imagekit.registry.repository import Repository


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="the layout's SBOM, CycloneDX JSON")
    parser.add_argument("--provenance", type=Path, metavar="FILE", help="the layout's provenance, an in-toto statement")


def _configure_sign(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--layout", type=Path, required=True, metavar="DIR", help="an OCI image layout of one image")
    _add_files(parser)
    add_signer_options(parser, required=True)


def _sign(arguments: argparse.Namespace) -> None:
    from imagekit.oci.layout import Layout
    from imagekit.signing.attachments import image_statements
    from imagekit.signing.bundle_file import read_artifact, write_bundle

    digest = Layout(arguments.layout).read_image().descriptor.digest
    files = (arguments.sbom, arguments.provenance)
    statements = image_statements(digest, *(None if path is None else read_artifact(path) for path in files))
    signer = chosen_signer(arguments)
    assert signer is not None
    signed = (arguments.layout, *(path for path in files if path is not None))
    bundles = [signer.sign_bundle(statement) for statement in statements]
    for path, bundle in zip(signed, bundles):
        print(write_bundle(path, bundle))


def _configure_verify(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--image", metavar="REFERENCE", help="registry/repository:tag, or registry/repository@sha256:…")
    where.add_argument(
        "--layout", type=Path, metavar="DIR", help="an OCI image layout, with the bundles that `sign` wrote beside it"
    )
    _add_files(parser)
    add_verifier_options(parser)
    add_layout_option(parser)
    parser.add_argument("--expect", metavar="DIGEST", help="refuse the image unless this is its digest")
    parser.add_argument(
        "--insecure",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="a registry that may be asked over plain HTTP",
    )


def _verify(arguments: argparse.Namespace) -> None:
    from imagekit.oci.layout import Layout
    from imagekit.signing.verify_image import images_of, verify_in_registry, verify_on_disk

    verifier = chosen_verifier(arguments)
    if arguments.layout is not None:
        _check_expected(arguments, str(arguments.layout), Layout(arguments.layout).read_image().descriptor.digest)
        digest, lines = verify_on_disk(arguments.layout, arguments.sbom, arguments.provenance, verifier)
        name = str(arguments.layout)
    else:
        repository, digest = _find_image(arguments)
        name = str(repository.name)
        if arguments.expect is not None:
            # An index is what this tree builds when one of its images is: a build is for one architecture.
            images = images_of(repository, digest) or ()
            _check_expected(arguments, arguments.image, digest, *(image.digest for image in images))
        lines = verify_in_registry(repository, digest, verifier, chosen_layout(arguments))
    print("\n".join((f"{name}@{digest}", *(f"  {line}" for line in lines))))


def _find_image(arguments: argparse.Namespace) -> Tuple[Repository, Digest]:
    from imagekit.registry.reference import split_reference
    from imagekit.registry.repository import Repository
    from imagekit.registry.session import Session
    from imagekit.registry.settings import RegistrySettings
    from imagekit.signing.errors import VerificationError

    name, reference = split_reference(arguments.image)
    settings = RegistrySettings.of_user(os.environ, tuple(arguments.insecure))
    repository = Repository(name, Session(name.registry, settings))
    stored = repository.get_manifest(reference)
    if stored is None:
        raise VerificationError(f"The image {arguments.image} is not there. Publish it, or check the name.")
    return repository, stored.descriptor.digest


def _check_expected(arguments: argparse.Namespace, name: str, digest: Digest, *images: Digest) -> None:
    if arguments.expect is not None and arguments.expect not in map(str, (digest, *images)):
        raise ImagekitError(
            f"The manifest of {name} is {digest}, but this tree builds {arguments.expect}. Check out the commit that "
            "it was built from, or publish what this tree builds."
        )


COMMANDS: Mapping[str, Command] = {
    "sign": Command("Sign an image, its SBOM and its provenance.", _configure_sign, _sign),
    "verify": Command("Verify an image, its SBOM and its provenance.", _configure_verify, _verify),
}
