"""One repository of a registry: blobs, manifests, tags, referrers (OCI distribution-spec 1.1)."""

from __future__ import annotations

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
from imagekit.registry.session import PUSH, TRIES, Answer, FileBody, Interrupted, Session, errors_of, query

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


@dataclass(frozen=True)
class StoredManifest:
    """A manifest or index as a registry has it."""

    descriptor: Descriptor
    data: bytes


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

    def put_blob(self, data: bytes) -> Descriptor:
        """Store ``data`` unless it is there; its descriptor has the media type of arbitrary bytes."""
        digest = Digest.of(data)
        if not self.has_blob(digest):
            location = self._start_upload(digest)
            self.session.ask(
                "PUT",
                _with_digest(location, digest),
                self.name,
                expected=frozenset((201, 204)),
                action=PUSH,
                headers={"Content-Type": "application/octet-stream"},
                body=data,
                what=f"Sending {digest} to {self.name}",
            )
        return Descriptor("application/octet-stream", digest, len(data))

    def put_blob_file(self, path: Path, descriptor: Descriptor, sent: Callable[[int], None] = lambda _: None) -> None:
        """Send the file ``path``, which must be what ``descriptor`` says: the registry checks it.

        In one request. After a broken one the registry is asked what it has got, and the rest is sent; where it does not
        know, sending starts again. ``sent`` is called with the number of bytes of each piece sent.
        """
        try:
            size = path.stat().st_size
        except OSError as error:
            raise RegistryError(f"The blob {path} cannot be read: {error.strerror}. Make the image again.") from None
        if size != descriptor.size:
            raise RegistryError(
                f"The blob {path} has {size} bytes, but the image says {descriptor.size}. Make the image again."
            )
        location: Optional[str] = None
        offset, pause = 0, 0.5
        for count in range(1, TRIES + 1):
            try:
                if location is None:
                    location, offset = self._start_upload(descriptor.digest), 0
                body = FileBody(path, offset, size, sent)
                self._finish_upload(location, descriptor.digest, body)
                return
            except Interrupted as failure:
                if count == TRIES:
                    raise failure.error from None
                self.session.rest(failure, pause)
                pause *= 2
                location, offset = self._received(location)

    def mount_blob(self, digest: Digest, source: str) -> bool:
        """Take a blob over from the repository ``source`` of the same registry; false where that is not possible."""
        answer = self.session.ask(
            "POST",
            self._path(f"blobs/uploads/?{query(mount=str(digest), **{'from': source})}"),
            self.name,
            # 202 is an upload that was started instead; registries forget uploads that nobody goes on with.
            expected=frozenset((201, 202, 400, 401, 403, 404, 405)),
            action=PUSH,
            mount_from=source,
            what=f"Mounting {digest} from {source} in {self.name}",
        )
        if answer.status == 202:
            location = answer.location()
            if location is not None:
                self.session.ask(
                    "DELETE",
                    location,
                    self.name,
                    expected=frozenset((200, 202, 204, 400, 404, 405)),
                    action=PUSH,
                    what=f"Ending an upload to {self.name}",
                )
        return answer.status == 201

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

    def _finish_upload(self, location: str, digest: Digest, body: FileBody) -> None:
        what = f"Sending {digest} to {self.name}"
        headers = {"Content-Type": "application/octet-stream"}
        done = frozenset((201, 204))
        if body.offset:
            # Registries differ in whether the closing request may bring the rest of a resumed upload: a PATCH always may.
            part = {**headers, "Content-Range": f"{body.offset}-{body.size - 1}"}
            answer = self.session.ask_once(
                "PATCH", location, self.name, expected=frozenset((202, 204)), action=PUSH, headers=part, body=body, what=what
            )
            location = answer.location() or location
            self.session.ask_once(
                "PUT", _with_digest(location, digest), self.name, expected=done, action=PUSH, what=what
            )
        else:
            self.session.ask_once(
                "PUT",
                _with_digest(location, digest),
                self.name,
                expected=done,
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
        """Attach ``layers`` to the manifest ``subject``; what is attached already is not sent again.

        The manifest has the empty configuration, ``artifactType`` and ``subject`` (image-spec, manifest.md). A registry
        without the referrers API gets the index under the tag ``sha256-<hex>`` (distribution-spec, "Referrers Tag
        Schema").
        """
        data = referrer_manifest(subject, artifact_type, layers, annotations)
        digest = Digest.of(data)
        descriptor = Descriptor(media_types.MANIFEST, digest, len(data), annotations)
        if any(item.descriptor.digest == digest for item in self.referrers(subject.digest)):
            return descriptor
        self.put_blob(EMPTY)
        for _, content, _ in layers:
            self.put_blob(content)
        _, indexed = self._put_manifest(data, media_types.MANIFEST, None)
        if not indexed:
            self._tag_referrer(subject.digest, Referrer(descriptor, artifact_type))
        return descriptor

    def _tagged_referrers(self, digest: Digest) -> Tuple[Referrer, ...]:
        stored = self.get_manifest(referrers_tag(digest))
        if stored is None:
            return ()
        return _parse_referrers(stored.data, f"{self.name}:{referrers_tag(digest)}")

    def _tag_referrer(self, subject: Digest, referrer: Referrer) -> None:
        others = tuple(
            item for item in self._tagged_referrers(subject) if item.descriptor.digest != referrer.descriptor.digest
        )
        index: Dict[str, Json] = {
            "schemaVersion": 2,
            "mediaType": media_types.INDEX,
            "manifests": [item.to_json() for item in (*others, referrer)],
        }
        self._put_manifest(render(index), media_types.INDEX, referrers_tag(subject))

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
