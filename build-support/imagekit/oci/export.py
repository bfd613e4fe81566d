"""Put a layout where the user looks for it: whole, verified, in one step.

Until the new layout is complete the old one stays; a failed, interrupted or second export at the same time never
leaves a mixture. Documents about the image lie in the layout, so that they are exchanged with it; beside it are links to
them, which stay the same.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, Optional, Sequence, Tuple

from imagekit.errors import ImagekitError
from imagekit.oci.descriptor import Descriptor
from imagekit.oci.digest import Digest
from imagekit.oci.docker_archive import is_archive_of, write_docker_archive_file
from imagekit.oci.layout import INDEX_FILE, LAYOUT_FILE, Image, Layout

_READ_SIZE = 1 << 20
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
#: What file systems and kernels answer that cannot exchange two names.
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)


class ExportError(ImagekitError):
    """A layout that is not exported; the destination is as it was."""


@dataclass(frozen=True)
class DockerArchive:
    """An archive for ``docker load`` to put into the destination: a file name, and the tags it gives the image."""

    name: str
    tags: Tuple[str, ...]

    def __post_init__(self) -> None:
        if (
            not self.name
            or Path(self.name).name != self.name
            or self.name in (INDEX_FILE, LAYOUT_FILE, "blobs", ".", "..")
        ):
            raise ExportError(
                f"The docker archive must have a file name of its own without a directory, but was {self.name!r}. "
                "Use for example 'image.tar'."
            )


@dataclass(frozen=True)
class LinkedDocument:
    """A file about the image: copied into the destination, with a link of the name ``link`` beside the destination."""

    source: Path
    link: str

    def __post_init__(self) -> None:
        if not self.link or Path(self.link).name != self.link:
            raise ExportError(
                f"The link to {self.source} must be a file name without a directory, but was {self.link!r}. Use for "
                "example 'image.cdx.json'."
            )
        if self.source.name in (INDEX_FILE, LAYOUT_FILE, "blobs"):
            raise ExportError(f"A document must have a name that layouts do not use, but was '{self.source}'.")

    @property
    def name(self) -> str:
        return self.source.name

    def read(self) -> bytes:
        return self.source.read_bytes()


@dataclass(frozen=True)
class Export:
    """What an export did: ``changed`` is false when the destination was the same already and was not touched."""

    images: Tuple[Image, ...]
    changed: bool


def export_layout(
    source: Path,
    destination: Path,
    archive: Optional[DockerArchive] = None,
    documents: Sequence[LinkedDocument] = (),
) -> Export:
    """Make ``destination`` (absolute) a copy of the layout ``source``, with ``documents``, that shares no file with it.

    Every blob is hashed while it is copied. Two exports below one directory take turns. A destination that is equal
    already is not touched. Raises :class:`ExportError` for a destination that is no layout, a blob that is missing,
    truncated or not what its name says, and a full disk.
    """
    if not destination.is_absolute():
        raise ExportError(
            f"The destination must be an absolute path, but was '{destination}'. Use '{destination.absolute()}'."
        )
    layout = Layout(source)
    images = tuple(layout.read_manifest(descriptor) for descriptor in layout.read_index().manifests)
    if not images or (archive is not None and len({image.descriptor.digest for image in images}) != 1):
        purpose = " for a docker archive" if archive is not None and images else ""
        raise ExportError(
            f"{source} holds {len(images)} images; one is needed{purpose}. Export each image from its own layout."
        )
    blobs = {
        descriptor.digest: descriptor
        for image in images
        for descriptor in (image.descriptor, image.manifest.config, *image.manifest.layers)
    }
    try:
        with _lock(destination):
            _check_destination(destination)
            if _is_same(layout, destination, images[0], blobs, archive, documents):
                return Export(images, changed=False)
            with _new_sibling(destination) as new:
                _copy(layout, new, blobs)
                for document in documents:
                    (new / document.name).write_bytes(document.read())
                if archive is not None:
                    write_docker_archive_file(Layout(new), images[0], archive.tags, new / archive.name)
                # First: a document that is still a file of its own would be beside a layout that it is not about.
                _link(documents, new, destination)
                _replace(new, destination)
    except OSError as error:
        raise ExportError(
            f"{source} is not exported to {destination}: {error.strerror} ({error.filename or destination}). "
            f"{_remedy(error, blobs)} What was there before is still there."
        ) from None
    return Export(images, changed=True)


def _remedy(error: OSError, blobs: Dict[Digest, Descriptor]) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        needed = sum(descriptor.size for descriptor in blobs.values()) // 1_000_000 + 1
        return f"Make room for {needed} MB and run the command again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Make the directory writable, or name another destination."
    return "Name a destination on another file system."


@contextmanager
def _lock(destination: Path) -> Iterator[None]:
    # The parent itself is locked: no lock file stays behind, and the kernel releases it whatever happens.
    destination.parent.mkdir(parents=True, exist_ok=True)
    parent = os.open(destination.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(parent, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another export to {destination.parent}", file=sys.stderr)
            fcntl.flock(parent, fcntl.LOCK_EX)
        yield
    finally:
        os.close(parent)


@contextmanager
def _new_sibling(destination: Path) -> Iterator[Path]:
    """An empty directory beside ``destination``, removed at the end if it is still there."""
    prefix = f".{destination.name}.new-"
    # Left by a process that was killed: the lock is held, so nobody else works on them.
    for stale in destination.parent.glob(f"{prefix}*"):
        shutil.rmtree(stale)
    new = destination.with_name(f"{prefix}{os.getpid()}")
    try:
        # In here, so that an interrupt right after it removes the directory as well.
        new.mkdir()
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _check_destination(destination: Path) -> None:
    if destination.is_symlink() or (destination.exists() and not destination.is_dir()):
        raise ExportError(
            f"{destination} is no directory, so it is not replaced by a layout. Remove it, or name another destination."
        )
    if destination.is_dir() and any(destination.iterdir()) and not (destination / LAYOUT_FILE).is_file():
        raise ExportError(
            f"{destination} holds other files and no {LAYOUT_FILE}, so it is not replaced by a layout. "
            "Empty it, or name another destination."
        )


def _is_same(
    layout: Layout,
    destination: Path,
    image: Image,
    blobs: Dict[Digest, Descriptor],
    archive: Optional[DockerArchive],
    documents: Sequence[LinkedDocument],
) -> bool:
    own = (LAYOUT_FILE, INDEX_FILE)
    try:
        names = {path.name for path in destination.iterdir()}
        if names != {*own, "blobs", *([archive.name] if archive else []), *(document.name for document in documents)}:
            return False
        if any((layout.path / name).read_bytes() != (destination / name).read_bytes() for name in own):
            return False
        if any(document.read() != (destination / document.name).read_bytes() for document in documents):
            return False
        if not all(_is_linked(document, destination) for document in documents):
            return False
        there = {path.name: path.stat().st_size for path in (destination / "blobs" / "sha256").iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return False
    if there != {digest.hex: descriptor.size for digest, descriptor in blobs.items()}:
        return False
    if any(Digest.of_file(Layout(destination).blob_path(digest)) != digest for digest in blobs):
        return False
    return archive is None or is_archive_of(destination / archive.name, layout, image, archive.tags)


def _copy(layout: Layout, new: Path, blobs: Dict[Digest, Descriptor]) -> None:
    (new / "blobs" / "sha256").mkdir(parents=True)
    faults = [
        fault
        for descriptor in blobs.values()
        for fault in _copy_blob(
            layout.blob_path(descriptor.digest), Layout(new).blob_path(descriptor.digest), descriptor
        )
    ]
    if faults:
        listed = "\n".join(f"  {fault}" for fault in faults)
        raise ExportError(
            f"{layout.path} is damaged, so nothing is exported:\n{listed}\n"
            "Build the image again; if it stays, clear the build cache."
        )
    for name in (LAYOUT_FILE, INDEX_FILE):
        (new / name).write_bytes((layout.path / name).read_bytes())


def _copy_blob(source: Path, target: Path, descriptor: Descriptor) -> Iterator[str]:
    """Copy a blob; yields what is wrong with it."""
    sha256 = hashlib.sha256()
    size = 0
    try:
        file = source.open("rb", buffering=0)
    except FileNotFoundError:
        yield f"the blob {descriptor.digest} is missing"
        return
    with file, target.open("xb", buffering=0) as copy:
        for block in iter(lambda: file.read(_READ_SIZE), b""):
            sha256.update(block)
            size += len(block)
            rest = memoryview(block)
            while rest:
                rest = rest[copy.write(rest) :]
    if size != descriptor.size:
        yield f"the blob {descriptor.digest} has {size} bytes, but should have {descriptor.size}"
    elif sha256.hexdigest() != descriptor.digest.hex:
        yield f"the blob {descriptor.digest} really has the digest sha256:{sha256.hexdigest()}"


def _target(document: LinkedDocument, destination: Path) -> str:
    return f"{destination.name}/{document.name}"


def _is_linked(document: LinkedDocument, destination: Path) -> bool:
    link = destination.with_name(document.link)
    return link.is_symlink() and os.readlink(link) == _target(document, destination)


def _link(documents: Sequence[LinkedDocument], new: Path, destination: Path) -> None:
    for document in documents:
        if not _is_linked(document, destination):
            made = new / f".{document.link}"
            made.symlink_to(_target(document, destination))
            made.replace(destination.with_name(document.link))


def _replace(new: Path, destination: Path) -> None:
    """Put ``new`` in the place of ``destination``; what was there has the name ``new`` then."""
    if not destination.exists():
        new.rename(destination)
    elif not _exchange(new, destination):
        old = new.with_name(new.name + "-old")
        destination.rename(old)
        try:
            new.rename(destination)
        except BaseException:
            old.rename(destination)
            raise
        old.rename(new)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step (renameat2); false where the kernel or the file system cannot."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(other))
