"""What `push-image` is asked to do, read from JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence, Tuple

from imagekit.oci.digest import Digest
from imagekit.oci.json_document import Document
from imagekit.registry.reference import RepositoryName, check_tag


@dataclass(frozen=True)
class Tag:
    """A tag; an ``immutable`` one is never moved to another image."""

    name: str
    immutable: bool = False


@dataclass(frozen=True)
class AttachmentFile:
    """A file to attach to an image as a referrer with one layer."""

    path: Path
    artifact_type: str
    media_type: str
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class ImagePush:
    """An image to push: a layout with one image, where to, under which tags, and what is attached to it.

    With a ``digest``, the layout must hold the image that has it.
    """

    layout: Path
    repository: RepositoryName
    tags: Tuple[Tag, ...]
    attachments: Tuple[AttachmentFile, ...] = ()
    digest: Optional[Digest] = None


@dataclass(frozen=True)
class Sibling:
    """A repository that most likely holds the blobs of ``layout``, to take shared layers from."""

    layout: Path
    repository: RepositoryName


@dataclass(frozen=True)
class PushRequest:
    images: Tuple[ImagePush, ...]
    siblings: Tuple[Sibling, ...] = ()

    @classmethod
    def parse(cls, data: bytes, origin: str) -> PushRequest:
        """Raises :class:`~imagekit.errors.ImagekitError` for a document that is none, and for bad names."""
        document = Document.parse(data, origin)
        document.refuse_unknown(("images", "siblings"))
        return cls(
            tuple(_image(image) for image in document.documents("images")),
            tuple(
                Sibling(Path(sibling.string("layout")), RepositoryName.parse(sibling.string("repository")))
                for sibling in document.optional_documents("siblings")
            ),
        )


def merge(requests: Sequence[PushRequest]) -> PushRequest:
    """One request for all that ``requests`` name, in their order."""
    return PushRequest(
        tuple(image for request in requests for image in request.images),
        tuple(dict.fromkeys(sibling for request in requests for sibling in request.siblings)),
    )


def _image(document: Document) -> ImagePush:
    document.refuse_unknown(("layout", "digest", "repository", "tags", "attachments"))
    return ImagePush(
        Path(document.string("layout")),
        RepositoryName.parse(document.string("repository")),
        tuple(
            Tag(check_tag(tag.string("name")), tag.fields.get("immutable") is True) for tag in document.documents("tags")
        ),
        tuple(
            AttachmentFile(
                Path(item.string("path")),
                item.string("artifact_type"),
                item.string("media_type"),
                item.optional_string_map("annotations"),
            )
            for item in document.optional_documents("attachments")
        ),
        Digest.parse(document.string("digest")) if document.has("digest") else None,
    )
