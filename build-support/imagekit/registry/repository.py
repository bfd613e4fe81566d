"""One repository of a registry: blobs, manifests, tags, referrers (OCI distribution-spec 1.1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Mapping, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from imagekit.oci import media_types
from imagekit.oci.descriptor import NO_ANNOTATIONS, Descriptor
from imagekit.oci.digest import Digest, DigestError
from imagekit.oci.json_document import Document, DocumentError, Json, render
from imagekit.registry.errors import RegistryError
from imagekit.registry.reference import RepositoryName
from imagekit.registry.session import PUSH, TRIES, Answer, Body, FileBody, Interrupted, Session, errors_of, query

#: What fills the place of a configuration in a manifest that is no image (image-spec, manifest.md, "Guidelines").
EMPTY = b"{}"
EMPTY_MEDIA_TYPE = "application/vnd.oci.empty.v1+json"
_MANIFESTS = (
    media_types.MANIFEST,
    media_types.INDEX,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_HERE = frozenset((200, 404))
_RANGE_SIZE = 4 << 20


@dataclass(frozen=True)
class StoredManifest:
    """A manifest or index as a registry has it."""

    descriptor: Descriptor
    data: bytes


@dataclass(frozen=True)
class Mount:
    """Whether a blob was taken over; where it was not, the upload that the registry may have started instead."""

    done: bool
    upload: Optional[str] = None


@dataclass(frozen=True)
class Referrer:
    """A manifest that refers to another one: its descriptor, with the type of what it attaches."""

    descriptor: Descriptor
    artifact_type: str

    @classmethod
    def from_document(cls, document: Document) -> Referrer:
        return cls(Descriptor.from_document(document), document.optional_string("artifactType") or "")

    def to_json(self) -> Json:
        fields = self.descriptor.to_json()
        assert isinstance(fields, dict)
        return {**fields, "artifactType": self.artifact_type}


#: A layer to attach: media type, bytes, annotations.
AttachedLayer = Tuple[str, bytes, Mapping[str, str]]


@dataclass(frozen=True)
class Attachment:
    """What to attach to a manifest; ``annotations`` are those of the manifest that attaches it."""

    artifact_type: str
    layers: Tuple[AttachedLayer, ...]
    annotations: Mapping[str, str] = NO_ANNOTATIONS


@dataclass(frozen=True)
class Attached:
    """The manifest that attaches something, and whether it had to be sent."""

    artifact_type: str
    descriptor: Descriptor
    sent: bool


@dataclass(frozen=True)
class Repository:
    """The repository ``name``, asked through ``session``. Each method raises :class:`RegistryError`."""

    name: RepositoryName
    session: Session

    # -- Blobs ----------------------------------------------------------------------------------

    def has_blob(self, digest: Digest) -> bool:
        return (
            self.session.ask(
                "HEAD", self._path(f"blobs/{digest}"), self.name, expected=_HERE, action=PUSH, what=self._what(digest)
            ).status
            == 200
        )

    def get_blob(self, descriptor: Descriptor) -> bytes:
        """The bytes of a small blob, checked against size and digest."""
        answer = self.session.ask(
            "GET",
            self._path(f"blobs/{descriptor.digest}"),
            self.name,
            expected=frozenset((200,)),
            what=f"Reading {self.name}@{descriptor.digest}",
        )
        if len(answer.body) != descriptor.size or Digest.of(answer.body) != descriptor.digest:
            raise RegistryError(
                f"{self.name}@{descriptor.digest} is damaged: {self.session.address} gave {len(answer.body)} bytes with "
                f"the digest {Digest.of(answer.body)}. Do not use it; push it again."
            )
        return answer.body

    def blob_digest(self, descriptor: Descriptor) -> Digest:
        """The digest that the bytes of a blob of any size have in the registry, which need not be the one it names.

        Read in ranges of a few MB, so that a broken connection costs one of them; whole from a registry that knows none.
        """
        sha256 = hashlib.sha256()
        for start in range(0, descriptor.size, _RANGE_SIZE):
            answer = self.session.ask(
                "GET",
                self._path(f"blobs/{descriptor.digest}"),
                self.name,
                expected=frozenset((200, 206)),
                headers={"Range": f"bytes={start}-{start + _RANGE_SIZE - 1}"},
                hashed=True,
                what=f"Reading {self.name}@{descriptor.digest}",
            )
            if answer.sha256 is not None:
                return Digest(answer.sha256)
            sha256.update(answer.body)
        return Digest(sha256.hexdigest())

    def put_blob(self, data: bytes) -> Descriptor:
        """Store ``data`` unless it is there; its descriptor has the media type of arbitrary bytes."""
        digest = Digest.of(data)
        if not self.has_blob(digest):
            self._send_blob(digest, len(data), lambda offset: data[offset:])
        return Descriptor("application/octet-stream", digest, len(data))

    def put_blob_file(
        self,
        path: Path,
        descriptor: Descriptor,
        sent: Callable[[int], None] = lambda _: None,
        upload: Optional[str] = None,
    ) -> None:
        """Send the file ``path``, which must be what ``descriptor`` says: the registry checks it.

        In one request, to ``upload`` if that was started already. After a broken one the registry is asked what it has
        got, and the rest is sent; where it does not know, sending starts again. ``sent`` is called with the number of bytes of each piece sent.
        """
        try:
            size = path.stat().st_size
        except OSError as error:
            raise RegistryError(f"The blob {path} cannot be read: {error.strerror}. Make the image again.") from None
        if size != descriptor.size:
            raise RegistryError(
                f"The blob {path} has {size} bytes, but the image says {descriptor.size}. Make the image again."
            )
        self._send_blob(descriptor.digest, size, lambda offset: FileBody(path, offset, size, sent), upload)

    def _send_blob(
        self, digest: Digest, size: int, body_from: Callable[[int], Body], upload: Optional[str] = None
    ) -> None:
        location = upload
        offset, pause = 0, self.session.first_pause
        for count in range(1, TRIES + 1):
            try:
                if location is None:
                    location, offset = self._start_upload(digest), 0
                self._finish_upload(location, digest, body_from(offset), offset, size)
                return
            except Interrupted as failure:
                if count == TRIES:
                    raise failure.error from None
                self.session.rest(failure, pause)
                pause *= 2
                location, offset = self._received(location)
                if location is None and self.has_blob(digest):
                    # All arrived, but the answer did not.
                    return

    def mount_blob(self, digest: Digest, source: str) -> Mount:
        """Take a blob over from the repository ``source`` of the same registry, if that is possible."""
        answer = self.session.ask(
            "POST",
            self._path(f"blobs/uploads/?{query(mount=str(digest), **{'from': source})}"),
            self.name,
            expected=frozenset((201, 202, 400, 401, 403, 404, 405)),
            action=PUSH,
            mount_from=source,
            what=f"Mounting {digest} from {source} in {self.name}",
        )
        return Mount(answer.status == 201, answer.location() if answer.status == 202 else None)

    def _start_upload(self, digest: Digest) -> str:
        answer = self.session.ask(
            "POST",
            self._path("blobs/uploads/"),
            self.name,
            expected=frozenset((202,)),
            action=PUSH,
            what=f"Sending {digest} to {self.name}",
        )
        location = answer.location()
        if location is None:
            raise RegistryError(f"{self.session.address} starts an upload, but does not say where. It is no registry.")
        return location

    def _finish_upload(self, location: str, digest: Digest, body: Body, offset: int, size: int) -> None:
        what = f"Sending {digest} to {self.name}"
        headers = {"Content-Type": "application/octet-stream"}
        if offset:
            # Registries differ in whether the closing request may bring the rest of a resumed upload: a PATCH always may.
            part = {**headers, "Content-Range": f"{offset}-{size - 1}"}
            answer = self.session.ask_once(
                "PATCH", location, self.name, expected=frozenset((202, 204)), action=PUSH, headers=part, body=body, what=what
            )
            location = answer.location() or location
            headers, body = {}, None
        self.session.ask_once(
            "PUT",
            _with_digest(location, digest),
            self.name,
            expected=frozenset((201, 204)),
            action=PUSH,
            headers=headers,
            body=body,
            what=what,
        )

    def _received(self, location: Optional[str]) -> Tuple[Optional[str], int]:
        """Where to go on with a broken upload, and after how many bytes; ``None`` to start again."""
        if location is None:
            return None, 0
        try:
            answer = self.session.ask_once(
                "GET", location, self.name, expected=frozenset((204,)), action=PUSH, what=f"Resuming an upload to {self.name}"
            )
        except (Interrupted, RegistryError):
            return None, 0
        first, _, last = answer.headers.get("range", "").rpartition("=")[2].partition("-")
        if first != "0" or not last.isdigit() or int(last) == 0:
            return None, 0
        return answer.location() or location, int(last) + 1

    # -- Manifests and tags ---------------------------------------------------------------------

    def _ask_for_manifest(self, method: str, reference: str) -> Answer:
        return self.session.ask(
            method,
            self._path(f"manifests/{reference}"),
            self.name,
            expected=_HERE,
            action=PUSH,
            headers={"Accept": ", ".join(_MANIFESTS)},
            what=f"Reading {_join(self.name, reference)}",
        )

    def get_manifest(self, reference: str) -> Optional[StoredManifest]:
        """The manifest or index of a tag or digest; ``None`` when there is none."""
        answer = self._ask_for_manifest("GET", reference)
        if answer.status == 404:
            return None
        descriptor = Descriptor(_media_type(answer.headers), Digest.of(answer.body), len(answer.body))
        if reference.startswith("sha256:") and str(descriptor.digest) != reference:
            raise RegistryError(
                f"{self.name}@{reference} is damaged: {self.session.address} gave a manifest with the digest "
                f"{descriptor.digest}. Do not use it; push it again."
            )
        return StoredManifest(descriptor, answer.body)

    def find_digest(self, reference: str) -> Optional[Digest]:
        """The digest of what a tag or digest names; ``None`` when there is nothing."""
        answer = self._ask_for_manifest("HEAD", reference)
        if answer.status == 404:
            return None
        try:
            return Digest.parse(answer.headers.get("docker-content-digest", ""))
        except DigestError:
            # The header is optional.
            stored = self.get_manifest(reference)
            return None if stored is None else stored.descriptor.digest

    def put_manifest(self, data: bytes, media_type: str, reference: Optional[str] = None) -> Descriptor:
        """Store a manifest or index by its digest, or under the tag ``reference``."""
        return self._put_manifest(data, media_type, reference)[0]

    def _put_manifest(self, data: bytes, media_type: str, reference: Optional[str]) -> Tuple[Descriptor, bool]:
        """The stored manifest, and whether the registry says that it keeps the index of referrers itself."""
        digest = Digest.of(data)
        named = reference or str(digest)
        what = f"Sending {_join(self.name, named)}"
        answer = self.session.ask(
            "PUT",
            self._path(f"manifests/{named}"),
            self.name,
            expected=frozenset((200, 201, 202, 400, 415)),
            action=PUSH,
            headers={"Content-Type": media_type},
            body=data,
            what=what,
        )
        if answer.status in (400, 415):
            said = errors_of(answer)
            raise RegistryError(
                f"{what}: {self.session.address} refuses the manifest ({answer.status}{said}), whose media type is "
                f"{media_type}. It needs a registry that takes OCI images{_layer_types(data)}."
            )
        return Descriptor(media_type, digest, len(data)), "oci-subject" in answer.headers

    def list_tags(self) -> Tuple[str, ...]:
        """Every tag in the order of the registry; empty for a repository that is not there."""
        tags: Tuple[str, ...] = ()
        target: Optional[str] = self._path("tags/list")
        while target is not None:
            answer = self.session.ask("GET", target, self.name, expected=_HERE, what=f"Listing the tags of {self.name}")
            if answer.status == 404:
                break
            tags += Document.parse(answer.body, f"the list of tags of {self.name}").optional_strings("tags")
            target = _next_page(answer.url, answer.headers.get("link"))
        return tags

    # -- Referrers ------------------------------------------------------------------------------

    def referrers(self, digest: Digest, artifact_type: Optional[str] = None) -> Tuple[Referrer, ...]:
        """What is attached to the manifest ``digest``, by the referrers API or, where there is none, by its tag."""
        found: Tuple[Referrer, ...] = ()
        target: Optional[str] = self._path(f"referrers/{digest}")
        what = f"Listing what is attached to {self.name}@{digest}"
        while target is not None:
            answer = self.session.ask("GET", target, self.name, expected=frozenset((200, 400, 404, 405)), what=what)
            if answer.status != 200 or not answer.headers.get("content-type", "").startswith(media_types.INDEX):
                found = self._tagged_referrers(digest)
                break
            found += _parse_referrers(answer.body, f"the referrers of {self.name}@{digest}")
            target = _next_page(answer.url, answer.headers.get("link"))
        return tuple(item for item in found if artifact_type is None or item.artifact_type == artifact_type)

    def attach_referrer(
        self,
        subject: Descriptor,
        artifact_type: str,
        layers: Sequence[AttachedLayer],
        annotations: Mapping[str, str] = NO_ANNOTATIONS,
    ) -> Descriptor:
        """Attach ``layers`` to the manifest ``subject``: see :meth:`attach_referrers`."""
        (attached,) = self.attach_referrers(subject, (Attachment(artifact_type, tuple(layers), annotations),))
        return attached.descriptor

    def attach_referrers(self, subject: Descriptor, attachments: Sequence[Attachment]) -> Tuple[Attached, ...]:
        """Attach each of ``attachments`` to the manifest ``subject``; what is attached already is not sent again.

        The manifest of each has the empty configuration, ``artifactType`` and ``subject`` (image-spec, manifest.md). A
        registry without the referrers API gets the index under the tag ``sha256-<hex>`` (distribution-spec, "Referrers Tag
        Schema").
        """
        if not attachments:
            return ()
        there = {item.descriptor.digest for item in self.referrers(subject.digest)}
        attached = []
        unlisted = []
        for item in attachments:
            data = referrer_manifest(subject, item.artifact_type, item.layers, item.annotations)
            descriptor = Descriptor(media_types.MANIFEST, Digest.of(data), len(data), item.annotations)
            sent = descriptor.digest not in there
            attached.append(Attached(item.artifact_type, descriptor, sent))
            if not sent:
                continue
            self.put_blob(EMPTY)
            for _, content, _ in item.layers:
                self.put_blob(content)
            _, indexed = self._put_manifest(data, media_types.MANIFEST, None)
            if not indexed:
                unlisted.append(Referrer(descriptor, item.artifact_type))
        if unlisted:
            self._tag_referrers(subject.digest, unlisted)
        return tuple(attached)

    def _tagged_referrers(self, digest: Digest) -> Tuple[Referrer, ...]:
        stored = self.get_manifest(referrers_tag(digest))
        if stored is None:
            return ()
        return _parse_referrers(stored.data, f"{self.name}:{referrers_tag(digest)}")

    def _tag_referrers(self, subject: Digest, referrers: Sequence[Referrer]) -> None:
        # The tag can only be read and written whole, so another program that attaches at the same time may undo it:
        # looked at again until it stays.
        for _ in range(TRIES):
            with self.session.tagging:
                listed = self._tagged_referrers(subject)
                digests = {item.descriptor.digest for item in listed}
                missing = [item for item in referrers if item.descriptor.digest not in digests]
                if not missing:
                    return
                index: Dict[str, Json] = {
                    "schemaVersion": 2,
                    "mediaType": media_types.INDEX,
                    "manifests": [item.to_json() for item in (*listed, *missing)],
                }
                self._put_manifest(render(index), media_types.INDEX, referrers_tag(subject))
        raise RegistryError(
            f"{_join(self.name, referrers_tag(subject))} does not keep what is attached to the image: others write it at "
            "the same time, or the registry forgets it. Publish again when nobody else does."
        )

    def _path(self, rest: str) -> str:
        return f"/v2/{self.name.path}/{rest}"

    def _what(self, digest: Digest) -> str:
        return f"Looking for {digest} in {self.name}"


def referrers_tag(digest: Digest) -> str:
    """The tag of the index of what refers to ``digest``, for registries without the referrers API."""
    return f"sha256-{digest.hex}"


def referrer_manifest(
    subject: Descriptor,
    artifact_type: str,
    layers: Sequence[AttachedLayer],
    annotations: Mapping[str, str] = NO_ANNOTATIONS,
) -> bytes:
    """The manifest that attaches ``layers`` to ``subject``: a function of its arguments."""
    fields: Dict[str, Json] = {
        "schemaVersion": 2,
        "mediaType": media_types.MANIFEST,
        "artifactType": artifact_type,
        "config": Descriptor(EMPTY_MEDIA_TYPE, Digest.of(EMPTY), len(EMPTY)).to_json(),
        "layers": [
            Descriptor(media_type, Digest.of(content), len(content), notes).to_json()
            for media_type, content, notes in layers
        ],
        "subject": Descriptor(subject.media_type, subject.digest, subject.size).to_json(),
    }
    if annotations:
        fields["annotations"] = dict(annotations)
    return render(fields)


def _parse_referrers(data: bytes, origin: str) -> Tuple[Referrer, ...]:
    try:
        return tuple(Referrer.from_document(item) for item in Document.parse(data, origin).optional_documents("manifests"))
    except DocumentError as error:
        raise RegistryError(str(error)) from None


def _layer_types(data: bytes) -> str:
    """The media types of the layers, where they may be what a registry refuses."""
    if media_types.LAYER_ZSTD.encode() in data:
        return " with zstd layers; for an older one build with --images-compression=gzip"
    return ""


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip() or media_types.MANIFEST


def _next_page(url: str, link: Optional[str]) -> Optional[str]:
    """The target of a ``Link`` header with ``rel="next"`` (RFC 5988), on the same registry."""
    if link is None or 'rel="next"' not in link.replace("'", '"'):
        return None
    target = link.partition("<")[2].partition(">")[0]
    parts = urlsplit(target)
    return f"{parts.path}?{parts.query}" if parts.path else None


def _with_digest(location: str, digest: Digest) -> str:
    return f"{location}{'&' if urlsplit(location).query else '?'}{query(digest=str(digest))}"


def _join(name: RepositoryName, reference: str) -> str:
    return f"{name}@{reference}" if reference.startswith("sha256:") else f"{name}:{reference}"
