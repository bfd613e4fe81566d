"""Push images: blobs, then manifests, then what is attached to them, tags last.

So a tag never names what is not all there. What a registry has is not sent; a layer that another repository of the
registry has is mounted. Images and blobs go in parallel, and an image that fails does not stop the others.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from enum import Enum
from typing import Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence, Tuple, Union

from imagekit.errors import ImagekitError
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.digest import Digest
from imagekit.oci.layout import Image, Layout
from imagekit.registry.errors import RegistryError
from imagekit.registry.push_request import AttachmentFile, ImagePush, PushRequest, Sibling
from imagekit.registry.reference import RegistryAddress, RepositoryName
from imagekit.registry.repository import Attached, Attachment, Repository
from imagekit.registry.session import Session
from imagekit.registry.settings import RegistrySettings

IMAGES_AT_ONCE = 4
BLOBS_AT_ONCE = 6


class Way(Enum):
    """How a blob came to be in a repository."""

    SENT = "sent"
    MOUNTED = "mounted"
    THERE = "there already"


class TagChange(Enum):
    NEW = "new"
    MOVED = "moved"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class PushedTag:
    """What became of a tag; ``before`` is what a moved one named."""

    name: str
    change: TagChange
    before: Optional[Digest] = None


@dataclass(frozen=True)
class PushedImage:
    """What a push did."""

    repository: RepositoryName
    descriptor: Descriptor
    tags: Tuple[PushedTag, ...]
    blobs: Mapping[Way, Tuple[Descriptor, ...]]
    attached: Tuple[Attached, ...]
    #: Whether the image's manifest was sent.
    manifest_sent: bool

    @property
    def nothing_sent(self) -> bool:
        return (
            not self.manifest_sent
            and not self.blobs[Way.SENT]
            and not any(item.sent for item in self.attached)
            and all(tag.change is TagChange.UNCHANGED for tag in self.tags)
        )


#: Called with a repository and the number of bytes of each piece that was sent.
Progress = Callable[[RepositoryName, int], None]

#: Called with the number of an image, from 0, as soon as it is pushed, or with why it is not.
Finished = Callable[[int, Union[PushedImage, ImagekitError]], None]

#: Signs the image that a descriptor names and what is to be attached to it, and attaches that and the signatures.
Sign = Callable[[Repository, Descriptor, Sequence[Attachment]], Tuple[Attached, ...]]


@dataclass(frozen=True)
class _Job:
    """An image to push, read and checked."""

    push: ImagePush
    layout: Layout
    image: Image

    @property
    def blobs(self) -> Tuple[Descriptor, ...]:
        # A layer may be in an image twice.
        unique = {blob.digest: blob for blob in (*self.image.manifest.layers, self.image.manifest.config)}
        return tuple(unique.values())


class Pusher:
    """Pushes images with one session for each registry."""

    def __init__(
        self,
        settings: RegistrySettings,
        siblings: Sequence[Sibling] = (),
        progress: Progress = lambda _repository, _size: None,
        sign: Optional[Sign] = None,
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._sign = sign
        self._lock = threading.Lock()
        self._sessions: Dict[RegistryAddress, Session] = {}
        self._holders = _holders(siblings)
        # Who brings a blob to a registry in this run, and to which repository: others wait and mount it from there.
        self._under_way: Dict[Tuple[RegistryAddress, Digest], Tuple[RepositoryName, "Future[None]"]] = {}

    @property
    def requests(self) -> int:
        """How many requests were sent to all registries."""
        return sum(session.requests for session in self._sessions.values())

    def repository(self, name: RepositoryName) -> Repository:
        with self._lock:
            if name.registry not in self._sessions:
                self._sessions[name.registry] = Session(name.registry, self._settings)
            return Repository(name, self._sessions[name.registry])

    def push(
        self,
        images: Sequence[ImagePush],
        *,
        at_once: int = IMAGES_AT_ONCE,
        finished: Finished = lambda _number, _outcome: None,
    ) -> Tuple[Tuple[PushedImage, ...], Tuple[ImagekitError, ...]]:
        """Push every image, some ``at_once``; what was pushed, and what was not and why, each in the order of ``images``.

        Raises :class:`ImagekitError` for a tag that two images share; nothing was sent then.
        """
        outcomes: Dict[int, Union[PushedImage, ImagekitError]] = {}

        def finish(number: int, outcome: Union[PushedImage, ImagekitError]) -> None:
            outcomes[number] = outcome
            finished(number, outcome)

        jobs: Dict[int, _Job] = {}
        unread: Dict[int, ImagekitError] = {}
        for number, image in enumerate(images):
            try:
                jobs[number] = _read(image)
            except ImagekitError as error:
                unread[number] = error
        _check_tags(list(jobs.values()))
        for number, error in unread.items():
            finish(number, error)
        with ThreadPoolExecutor(BLOBS_AT_ONCE) as blob_pool, ThreadPoolExecutor(at_once) as image_pool:
            futures = {image_pool.submit(self._push_image, job, blob_pool): number for number, job in jobs.items()}
            for future in as_completed(futures):
                number = futures[future]
                try:
                    finish(number, future.result())
                except ImagekitError as error:
                    finish(number, error)
                except Exception as error:
                    # The others must not be lost with it.
                    finish(
                        number,
                        RegistryError(
                            f"{images[number].repository} is not pushed: {error!r}. Push it again; if it stays, report it."
                        ),
                    )
        in_order = [outcomes[number] for number in range(len(images))]
        return (
            tuple(outcome for outcome in in_order if isinstance(outcome, PushedImage)),
            tuple(outcome for outcome in in_order if isinstance(outcome, ImagekitError)),
        )

    def _push_image(self, job: _Job, blob_pool: ThreadPoolExecutor) -> PushedImage:
        repository = self.repository(job.push.repository)
        descriptor = job.image.descriptor
        before = {tag.name: repository.find_digest(tag.name) for tag in job.push.tags}
        for tag in job.push.tags:
            if tag.immutable and before[tag.name] not in (None, descriptor.digest):
                raise RegistryError(
                    f"{job.push.repository}:{tag.name} is immutable: it is {before[tag.name]} and would become "
                    f"{descriptor.digest}. Nothing was sent for it. Commit what changed, so that it gets a tag of its own, "
                    "or delete the tag in the registry if nobody uses it."
                )
        there = descriptor.digest in before.values() or repository.find_digest(str(descriptor.digest)) is not None
        ways: Dict[Way, List[Descriptor]] = {way: [] for way in Way}
        if there:
            # A registry takes a manifest only when it has all that the manifest names.
            ways[Way.THERE] += job.blobs
        else:
            futures = [(blob, blob_pool.submit(self._bring, repository, job, blob)) for blob in job.blobs]
            # All are waited for: none may still be sending when an error is told.
            errors = [error for error in (future.exception() for _, future in futures) if error is not None]
            if errors:
                raise errors[0]
            for blob, future in futures:
                ways[future.result()].append(blob)
            repository.put_manifest(job.layout.read_document(descriptor), descriptor.media_type)
        attached = self._attach(repository, job)
        tags = []
        for tag in job.push.tags:
            old = before[tag.name]
            if old == descriptor.digest:
                tags.append(PushedTag(tag.name, TagChange.UNCHANGED))
                continue
            repository.put_manifest(job.layout.read_document(descriptor), descriptor.media_type, tag.name)
            tags.append(PushedTag(tag.name, TagChange.NEW if old is None else TagChange.MOVED, old))
        return PushedImage(
            job.push.repository,
            descriptor,
            tuple(tags),
            {way: tuple(blobs) for way, blobs in ways.items()},
            attached,
            not there,
        )

    def _attach(self, repository: Repository, job: _Job) -> Tuple[Attached, ...]:
        subject = job.image.descriptor
        attachments = [
            Attachment(item.artifact_type, ((item.media_type, _read_attachment(item), item.annotations),))
            for item in job.push.attachments
        ]
        if self._sign is None:
            return repository.attach_referrers(subject, attachments)
        return self._sign(repository, subject, attachments)

    def _bring(self, repository: Repository, job: _Job, blob: Descriptor) -> Way:
        if repository.has_blob(blob.digest):
            return Way.THERE
        key = (repository.name.registry, blob.digest)
        mine: "Future[None]" = Future()
        while True:
            with self._lock:
                holder, done = self._under_way.setdefault(key, (repository.name, mine))
            if done is mine:
                break
            # Its owner runs already, so this ends.
            if done.exception() is None:
                if holder == repository.name:
                    return Way.THERE
                return self._mount_or_send(repository, job, blob, [holder.path])
            # It failed: one of those who waited takes it over, and the others go on waiting.
            with self._lock:
                if self._under_way[key][1] is done:
                    del self._under_way[key]
        try:
            holders = sorted(self._holders.get(key, frozenset()) - {repository.name.path})
            way = self._mount_or_send(repository, job, blob, holders)
        except BaseException as error:
            mine.set_exception(error)
            raise
        mine.set_result(None)
        return way

    def _mount_or_send(self, repository: Repository, job: _Job, blob: Descriptor, holders: Sequence[str]) -> Way:
        upload: Optional[str] = None
        for path in holders:
            mount = repository.mount_blob(blob.digest, path)
            if mount.done:
                return Way.MOUNTED
            upload = mount.upload or upload
        repository.put_blob_file(
            job.layout.blob_path(blob.digest), blob, lambda size: self._progress(repository.name, size), upload
        )
        return Way.SENT


def push_images(
    request: PushRequest,
    settings: RegistrySettings,
    progress: Progress = lambda _repository, _size: None,
    sign: Optional[Sign] = None,
    *,
    at_once: int = IMAGES_AT_ONCE,
    finished: Finished = lambda _number, _outcome: None,
) -> Tuple[Tuple[PushedImage, ...], Tuple[ImagekitError, ...]]:
    """Push everything that ``request`` names: see :meth:`Pusher.push`."""
    siblings = (*request.siblings, *(Sibling(image.layout, image.repository) for image in request.images))
    return Pusher(settings, siblings, progress, sign).push(request.images, at_once=at_once, finished=finished)


def _read(push: ImagePush) -> _Job:
    layout = Layout(push.layout)
    image = layout.read_image()
    if push.digest not in (None, image.descriptor.digest):
        raise RegistryError(
            f"{push.layout} holds the image {image.descriptor.digest}, but {push.digest} was to be pushed to "
            f"{push.repository}: another command has packaged it meanwhile. Publish it again."
        )
    return _Job(push, layout, image)


def _check_tags(jobs: Sequence[_Job]) -> None:
    digests: Dict[Tuple[RepositoryName, str], Digest] = {}
    for job in jobs:
        for tag in job.push.tags:
            digest = digests.setdefault((job.push.repository, tag.name), job.image.descriptor.digest)
            if digest != job.image.descriptor.digest:
                raise RegistryError(
                    f"{job.push.repository}:{tag.name} would be two images: {digest} and {job.image.descriptor.digest}. "
                    "Nothing was sent. Give them tags of their own: put {release} into 'image_tags' or 'repository'."
                )


def _read_attachment(item: AttachmentFile) -> bytes:
    try:
        return item.path.read_bytes()
    except OSError as error:
        raise RegistryError(f"{item.path} cannot be attached: {error.strerror}. Package the image again.") from None


def _holders(siblings: Sequence[Sibling]) -> Mapping[Tuple[RegistryAddress, Digest], FrozenSet[str]]:
    """The paths of the repositories that may hold each layer."""
    found: Dict[Tuple[RegistryAddress, Digest], FrozenSet[str]] = {}
    for sibling in siblings:
        try:
            layers = Layout(sibling.layout).read_image().manifest.layers
        except ImagekitError:
            # Not built: it is only a place where layers might be.
            continue
        for layer in layers:
            key = (sibling.repository.registry, layer.digest)
            found[key] = found.get(key, frozenset()) | {sibling.repository.path}
    return found
