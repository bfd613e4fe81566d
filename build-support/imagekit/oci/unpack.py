"""Unpack layers into a root file system (image-spec, layer.md, "Applying Changesets").

Hostile layers are expected: nothing is written, removed or linked outside the root, whatever names, symlinks and
hardlinks a layer holds. A symlink on the way to a path is followed as a process inside the image would follow it.
"""

from __future__ import annotations

import errno
import os
import posixpath
import shutil
import stat
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple

from imagekit.constants import SOURCE_DATE_EPOCH
from imagekit.errors import ImagekitError
from imagekit.oci.entry import OPAQUE_WHITEOUT, WHITEOUT_PREFIX
from imagekit.oci.layer_reader import LayerSums, open_layer
from imagekit.oci.layout import Image, Layout
from imagekit.oci.tar_reader import DIRECTORY_TYPE, FILE_TYPES, HARDLINK_TYPE, SYMLINK_TYPE, Member, TarReader

_MAX_SYMLINKS = 40
#: Attributes that mean the same on every machine. Others (SELinux labels, overlayfs marks) are the machine's own.
_KEPT_XATTRS = ("security.capability",)


class UnpackError(ImagekitError):
    """A layer that cannot be unpacked."""


def unpack_layers(blobs: Sequence[Path], root: Path, *, owners: Optional[bool] = None) -> Tuple[LayerSums, ...]:
    """Unpack layers, bottom first, into the empty directory ``root``; returns what each blob really was.

    The encoding is taken from the first bytes of each blob. ``owners`` says whether files get the owners and
    capabilities of the layer; by default they do when the process is root. Directories that no layer has get mode 0755
    and :data:`imagekit.constants.SOURCE_DATE_EPOCH`, so that equal layers give equal trees. When this raises, ``root``
    is left half-filled: unpack into a new directory and rename it.

    Raises :class:`UnpackError`, :class:`~imagekit.oci.tar_reader.TarError` and
    :class:`~imagekit.oci.layer_reader.BlobError`.
    """
    unpacker = _Unpacker(root, os.geteuid() == 0 if owners is None else owners)
    sums = []
    for blob in blobs:
        with open_layer(blob) as stream:
            reader = TarReader(stream, str(blob))
            unpacker.apply(reader, str(blob))
            sums.append(stream.finish())
    unpacker.finish()
    return tuple(sums)


def unpack_image(layout: Layout, image: Image, root: Path, *, owners: Optional[bool] = None) -> None:
    """Unpack an image of a layout into the new directory ``root``, which appears whole or not at all.

    Raises :class:`UnpackError` when ``root`` is there already and when a layer is not what the image says, and what
    :func:`unpack_layers` raises.
    """
    if root.exists() or root.is_symlink():
        raise UnpackError(f"{root} is there already. Remove it, or name another output directory.")
    root.parent.mkdir(parents=True, exist_ok=True)
    new = root.with_name(f".{root.name}.new-{os.getpid()}")
    new.mkdir()
    try:
        blobs = [layout.blob_path(layer.digest) for layer in image.manifest.layers]
        sums = unpack_layers(blobs, new, owners=owners)
        for layer, diff_id, actual in zip(image.manifest.layers, image.config.diff_ids, sums):
            if (actual.digest, actual.diff_id) != (layer.digest, diff_id):
                raise UnpackError(
                    f"The layer {layout.blob_path(layer.digest)} is damaged: it has the digest {actual.digest} and the "
                    f"diff_id {actual.diff_id}, but the image says {diff_id}. Make the layout {layout.path} again."
                )
        new.rename(root)
    finally:
        shutil.rmtree(new, ignore_errors=True)


class _Unpacker:
    """The state of one unpacking. Paths are relative to the root, as bytes, with no symlink on the way."""

    def __init__(self, root: Path, owners: bool) -> None:
        self._root = os.fsencode(root.resolve())
        self._owners = owners
        #: Mode and time of directories, set last: until then they must be writable, and writing changes their times.
        self._directories: Dict[bytes, Tuple[int, int]] = {b"": (0o755, SOURCE_DATE_EPOCH)}
        #: From a directory as layers name it to the real directory.
        self._resolved: Dict[bytes, bytes] = {}
        #: What the layer at hand has written, with its directories: whiteouts are for the layers below.
        self._written: Set[bytes] = set()

    def apply(self, reader: TarReader, layer: str) -> None:
        """Apply one layer."""
        self._written = set()
        for member in reader:
            try:
                self._apply(member, reader, layer)
            except (OSError, OverflowError, ValueError) as error:
                raise UnpackError(f"{layer}: {member.name!r} cannot be unpacked: {_reason(error)}") from None

    def finish(self) -> None:
        """Give the directories their modes and times, innermost first."""
        for path in sorted(self._directories, reverse=True):
            mode, mtime = self._directories[path]
            os.chmod(self._full(path), mode)
            os.utime(self._full(path), (mtime, mtime))

    def _apply(self, member: Member, reader: TarReader, layer: str) -> None:
        parts = _parts(member.name, "a path", member, layer)
        if not parts:
            self._directory(b"", member)
            return
        parent = self._parent(parts[:-1], member, layer)
        name = parts[-1]
        if name == OPAQUE_WHITEOUT.encode():
            for child in os.listdir(self._full(parent)):
                self._remove_lower(_join(parent, child))
        elif name.startswith(WHITEOUT_PREFIX.encode()):
            self._whiteout(parent, name[len(WHITEOUT_PREFIX) :], member, layer)
        else:
            path = _join(parent, name)
            self._write(path, member, reader, layer)
            self._mark_written(path)

    def _whiteout(self, parent: bytes, name: bytes, member: Member, layer: str) -> None:
        if name in (b"", b".", b".."):
            raise UnpackError(f"{layer} removes {member.name!r}, which is outside its directory. {_HOSTILE}")
        # aufs kept its own files in layers under a second prefix; they remove nothing.
        if not name.startswith(WHITEOUT_PREFIX.encode()):
            self._remove_lower(_join(parent, name))

    def _write(self, path: bytes, member: Member, reader: TarReader, layer: str) -> None:
        if member.type_flag == DIRECTORY_TYPE:
            self._directory(path, member)
        elif member.type_flag in FILE_TYPES:
            self._file(path, member, reader)
        elif member.type_flag == SYMLINK_TYPE:
            self._remove(path)
            os.symlink(_raw(member.link_name), self._full(path))
            self._own(path, member)
        elif member.type_flag == HARDLINK_TYPE:
            self._hardlink(path, member, layer)
        else:
            raise UnpackError(
                f"{layer} holds {member.name!r} as something that is not unpacked (tar type "
                f"{member.type_flag.decode('ascii', 'replace')!r}): a device node would open the machine's devices. "
                "Build the image without it; engines make /dev themselves."
            )

    def _directory(self, path: bytes, member: Member) -> None:
        if path and not _is_directory(self._full(path)):
            self._remove(path)
            os.mkdir(self._full(path), 0o700)
        self._directories[path] = member.mode, member.mtime
        if self._owners:
            os.chown(self._full(path), member.uid, member.gid)

    def _file(self, path: bytes, member: Member, reader: TarReader) -> None:
        try:
            file = os.open(self._full(path), _NEW_FILE, 0o600)
        except FileExistsError:
            self._remove(path)
            file = os.open(self._full(path), _NEW_FILE, 0o600)
        try:
            for block in reader.content():
                rest = memoryview(block)
                while rest:
                    rest = rest[os.write(file, rest) :]
            if self._owners:
                os.fchown(file, member.uid, member.gid)
                for name, value in member.xattrs:
                    if name in _KEPT_XATTRS:
                        os.setxattr(file, name, value)
            # After chown, which clears the set-user-id bit.
            os.fchmod(file, member.mode)
            os.utime(file, (member.mtime, member.mtime))
        finally:
            os.close(file)

    def _hardlink(self, path: bytes, member: Member, layer: str) -> None:
        parts = _parts(member.link_name, f"a link to {member.link_name!r}", member, layer)
        target = _join(self._parent(parts[:-1], member, layer), parts[-1]) if parts else b""
        if target == path:
            return
        try:
            if not target or _is_directory(self._full(target)):
                raise UnpackError(
                    f"{layer} holds {member.name!r} as a hardlink to the directory {member.link_name!r}. {_HOSTILE}"
                )
            os.lstat(self._full(target))
        except FileNotFoundError:
            raise UnpackError(
                f"{layer} holds {member.name!r} as a hardlink to {member.link_name!r}, which is not there. "
                "Build the image again: a layer holds the file before its links."
            ) from None
        self._remove(path)
        os.link(self._full(target), self._full(path), follow_symlinks=False)

    def _own(self, path: bytes, member: Member) -> None:
        if self._owners:
            os.chown(self._full(path), member.uid, member.gid, follow_symlinks=False)
        os.utime(self._full(path), (member.mtime, member.mtime), follow_symlinks=False)

    def _parent(self, parts: List[bytes], member: Member, layer: str) -> bytes:
        """The real directory that ``parts`` name, made where missing; symlinks are followed inside the root."""
        key = b"/".join(parts)
        known = self._resolved.get(key)
        if known is not None:
            return known
        current: List[bytes] = []
        pending = parts[::-1]
        symlinks = 0
        while pending:
            part = pending.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                del current[-1:]
                continue
            path = b"/".join([*current, part])
            try:
                mode = os.lstat(self._full(path)).st_mode
            except FileNotFoundError:
                os.mkdir(self._full(path), 0o700)
                self._directories[path] = 0o755, SOURCE_DATE_EPOCH
                self._mark_written(path)
                mode = stat.S_IFDIR
            if stat.S_ISLNK(mode):
                symlinks += 1
                target = os.readlink(self._full(path))
                if symlinks > _MAX_SYMLINKS:
                    raise UnpackError(f"{layer}: {member.name!r} leads through a ring of symlinks. {_HOSTILE}")
                if target.startswith(b"/"):
                    current = []
                pending.extend(reversed(target.split(b"/")))
            elif stat.S_ISDIR(mode):
                current.append(part)
            else:
                raise UnpackError(
                    f"{layer}: {member.name!r} lies below {os.fsdecode(path)!r}, which is no directory. {_HOSTILE}"
                )
        resolved = b"/".join(current)
        self._resolved[key] = resolved
        return resolved

    def _mark_written(self, path: bytes) -> None:
        while path and path not in self._written:
            self._written.add(path)
            path = posixpath.dirname(path)

    def _remove_lower(self, path: bytes) -> None:
        """Remove what the layers below have at ``path`` and keep what the layer at hand has written."""
        if path not in self._written:
            self._remove(path)
        elif _is_directory(self._full(path)):
            for child in os.listdir(self._full(path)):
                self._remove_lower(_join(path, child))

    def _remove(self, path: bytes) -> None:
        full = self._full(path)
        try:
            mode = os.lstat(full).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            shutil.rmtree(full)
            inside = path + b"/"
            for known in [known for known in self._directories if known == path or known.startswith(inside)]:
                del self._directories[known]
        else:
            os.unlink(full)
        self._resolved.clear()

    def _full(self, path: bytes) -> bytes:
        return self._root + b"/" + path


_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HOSTILE = "The layer is broken or hostile: do not use the image."


def _parts(name: str, what: str, member: Member, layer: str) -> List[bytes]:
    parts = [part for part in _raw(name).split(b"/") if part not in (b"", b".")]
    if name.startswith("/") or b".." in parts:
        raise UnpackError(f"{layer} holds {member.name!r}, {what} that leads out of the image. {_HOSTILE}")
    return parts


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _join(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent else name


def _is_directory(full: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(full).st_mode)
    except FileNotFoundError:
        return False


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"{error.strerror}. Make room, or name an output directory on another disk."
        # EINVAL is what chown says of an id that the user namespace does not have.
        if error.errno in (errno.EPERM, errno.EINVAL):
            return f"{error.strerror}. Owners and capabilities need root: run as root, or leave owners out."
        return f"{error.strerror}. Check the output directory."
    return f"{error}. {_HOSTILE}"
