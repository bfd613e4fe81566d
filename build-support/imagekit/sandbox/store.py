"""Unpacked root file systems, kept by digest in a directory that outlives the process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Sequence

from imagekit.errors import ImagekitError
from imagekit.oci.unpack import unpack_layers
from imagekit.sandbox.bwrap import Rootfs

#: Entries that nothing used for this long are removed when another one is made.
UNUSED_SECONDS = 30 * 24 * 3600

#: Bytes that all entries may take: when another one is made, those that were used least recently make room. Those in use
#: stay whatever they take.
MAX_BYTES = 12_000_000_000

_REMOVAL_TRIES = 20

_HEX = re.compile(r"[0-9a-f]{64}")

#: Unpacks layer files, bottom first, into an empty directory.
Unpack = Callable[[Sequence[Path], Path], None]


class StoreError(ImagekitError):
    """A root file system that cannot be unpacked into the store."""


def layer_digest(layer: Path) -> str:
    """The digest of a layer file: its name when it lies in ``blobs/sha256/``, else its hash."""
    if layer.parent.name == "sha256" and _HEX.fullmatch(layer.name):
        return f"sha256:{layer.name}"
    sha256 = hashlib.sha256()
    try:
        with layer.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                sha256.update(block)
    except OSError as error:
        raise StoreError(f"cannot read the layer {str(layer)!r}: {error.strerror}.") from None
    return f"sha256:{sha256.hexdigest()}"


def stack_digest(digests: Sequence[str]) -> str:
    """One digest for layers on top of each other, bottom first."""
    return "sha256:" + hashlib.sha256("\n".join(digests).encode()).hexdigest()


class RootfsStore:
    """A directory of unpacked root file systems.

    Several processes may use one store. An entry is made under another name and renamed, so a half-made one is never
    seen; one that was damaged afterwards is noticed at its next use and made again.
    """

    def __init__(self, directory: Path, unpack: Optional[Unpack] = None, max_bytes: int = MAX_BYTES) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._unpack: Unpack = _unpack_layers if unpack is None else unpack

    @contextmanager
    def rootfs(self, layers: Sequence[Path]) -> Iterator[Rootfs]:
        """The root file system of ``layers``, bottom first; it stays in place until the context ends.

        Raises StoreError when there is no layer, or one cannot be read or unpacked.
        """
        if not layers:
            raise StoreError(
                "a root file system needs at least one layer. Pass --rootfs LAYERFILE, bottom layer first."
            )
        digest = stack_digest([layer_digest(layer) for layer in layers])
        # Root keeps the owners of files, an ordinary user cannot: the two cannot share an entry.
        entry = self._directory.resolve() / f"{digest.split(':')[1]}.{os.geteuid()}"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            lock = os.open(f"{entry}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(
                f"cannot use {str(self._directory)!r} as the store of root file systems: {error.strerror}. "
                "Give a directory you may write to."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            while not is_intact(entry):
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not is_intact(entry):
                    self._make(entry, layers)
                    self._prune(keep=entry)
                fcntl.flock(lock, fcntl.LOCK_SH)
            os.utime(entry / "state")
            yield Rootfs(entry / "root", digest)
        finally:
            os.close(lock)

    def _make(self, entry: Path, layers: Sequence[Path]) -> None:
        for leftover in self._directory.glob(f"{entry.name}.tmp.*"):
            remove_tree(leftover)
        fresh = Path(f"{entry}.tmp.{os.getpid()}")
        try:
            (fresh / "root").mkdir(parents=True)
            self._unpack(layers, fresh / "root")
            (fresh / "size").write_text(f"{_tree_bytes(fresh / 'root')}\n")
            (fresh / "state").write_bytes(State.of(fresh / "root").render())
            if entry.exists():
                entry.rename(fresh / "damaged")
            fresh.rename(entry)
            if (entry / "damaged").exists():
                remove_tree(entry / "damaged")
        except OSError as error:
            raise StoreError(
                f"cannot unpack a root file system into {str(self._directory)!r}: {error.strerror}. "
                "Free space there or give another store."
            ) from None
        finally:
            if fresh.exists():
                remove_tree(fresh)

    def _prune(self, keep: Path) -> None:
        held = _entry_bytes(keep)
        others = [_LastUse(state.stat().st_mtime, state.parent) for state in self._directory.glob("*/state")]
        for used in sorted(others, reverse=True):
            entry = used.entry
            if entry.name == keep.name:
                continue
            held += _entry_bytes(entry)
            if held <= self._max_bytes and time.time() - used.time < UNUSED_SECONDS:
                continue
            lock = os.open(f"{entry}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_tree(entry)
            except BlockingIOError:
                pass
            finally:
                os.close(lock)


@dataclass(frozen=True, order=True)
class _LastUse:
    """When an entry was used last, in seconds since the epoch."""

    time: float
    entry: Path


def _entry_bytes(entry: Path) -> int:
    try:
        return int((entry / "size").read_text())
    except (OSError, ValueError):
        # Removed by another process meanwhile, or made before sizes were kept.
        return 0


def _tree_bytes(root: Path) -> int:
    """What the files below ``root`` take on the disk, in bytes."""
    total = 0
    for directory, _, names in os.walk(root):
        total += sum(os.lstat(os.path.join(directory, name)).st_blocks * 512 for name in names)
    return total


@dataclass(frozen=True)
class State:
    """What an entry looked like when it was made, to notice that something changed it.

    Directories are compared at each use: whatever adds, removes or renames something below changes the ctime of one.
    All files are compared once per boot: after a crash, files may have lost their contents.
    """

    boot: str
    directories: str
    files: str

    @classmethod
    def of(cls, root: Path) -> State:
        return cls(_boot(), _fingerprint(root, files=False), _fingerprint(root, files=True))

    def render(self) -> bytes:
        return f"{self.boot}\n{self.directories}\n{self.files}\n".encode()

    @classmethod
    def parse(cls, text: bytes) -> Optional[State]:
        lines = text.decode(errors="replace").split("\n")
        return cls(*lines[:3]) if len(lines) == 4 and not lines[3] else None


def is_intact(entry: Path) -> bool:
    """Whether the entry is complete and nothing changed it since it was made."""
    try:
        state = State.parse((entry / "state").read_bytes())
        if state is None:
            return False
        if state.boot == _boot():
            return state.directories == _fingerprint(entry / "root", files=False)
        now = State.of(entry / "root")
        if (state.directories, state.files) != (now.directories, now.files):
            return False
        replacement = entry / f"state.{os.getpid()}"
        replacement.write_bytes(now.render())
        replacement.rename(entry / "state")
        return True
    except OSError:
        return False


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _fingerprint(root: Path, *, files: bool) -> str:
    """A hash of the names, modes and change times below ``root``: of directories only, or with ``files``."""
    sha256 = hashlib.sha256()
    pending: List[str] = [str(root)]
    while pending:
        directory = pending.pop()
        own = os.stat(directory)
        sha256.update(f"{directory[len(str(root)):]}\0{own.st_mode}\0{own.st_ctime_ns}\0".encode())
        with os.scandir(directory) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif files:
                    found = entry.stat(follow_symlinks=False)
                    line = f"{entry.name}\0{found.st_mode}\0{found.st_size}\0{found.st_ctime_ns}\0"
                    sha256.update(line.encode(errors="surrogateescape"))
    return sha256.hexdigest()


def remove_tree(path: Path) -> None:
    """Remove a directory tree, also one with directories that its owner may not write to."""
    for remaining in reversed(range(_REMOVAL_TRIES)):
        try:
            _open_directories(path)
            shutil.rmtree(path)
            return
        except OSError:
            # The processes of a sandbox that was just killed may write for another moment.
            if remaining == 0:
                raise
            time.sleep(0.05)


def _open_directories(path: Path) -> None:
    for directory, names, _ in os.walk(path):
        for name in ("", *names):
            child = os.path.join(directory, name)
            mode = os.lstat(child).st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(child, 0o700)


def _unpack_layers(layers: Sequence[Path], output: Path) -> None:
    for layer, sums in zip(layers, unpack_layers(layers, output)):
        if str(sums.digest) != layer_digest(layer):
            raise StoreError(
                f"the layer {str(layer)!r} is damaged: its digest is {sums.digest}, not that of its name. "
                "Make it again."
            )
