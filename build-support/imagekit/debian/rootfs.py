"""Make root file systems from locked .debs: the target's own dpkg installs them in a sandbox, scripts and all."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator, Optional, Sequence, Tuple

from imagekit.debian.archive import read_control
from imagekit.debian.contents import DPKG_FILTERS, HEADER_FILTERS, is_unused, remove_residue, settle_byte_code
from imagekit.debian.control import Stanza
from imagekit.debian.difference import difference, snapshot
from imagekit.debian.extract import essential_closure, extract_files, in_unpack_order
from imagekit.debian.lock import DebPackage
from imagekit.debian.users import User, add_user
from imagekit.errors import ImagekitError
from imagekit.oci.compression import ZSTD, Compression
from imagekit.oci.entry import Entry, Piece
from imagekit.oci.layer import Layer, write_layer
from imagekit.oci.tree import tree_entries
from imagekit.oci.unpack import unpack_layers
from imagekit.sandbox.bwrap import Rootfs, run_in_rootfs
from imagekit.sandbox.mounts import Bind
from imagekit.sandbox.store import remove_tree

#: Where the .debs are in the sandbox: in memory, so that no mount points stay in the root file system.
_DEBS = "/tmp/debs"

_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "DEBCONF_NONINTERACTIVE_SEEN": "true"}

_DPKG = ("dpkg", "--force-unsafe-io", "--force-confold", "--log=/dev/null")

_POLICY = "#!/bin/sh\n# No service is started while a root file system is built.\nexit 101\n"

#: Directories at the top that are links into /usr, by architecture; others have bin, lib and sbin only.
_MERGED_USR = ("bin", "lib", "sbin")
_MERGED_USR_OF = {"amd64": ("lib64",)}

_SHOWN_LINES = 25


class RootfsError(ImagekitError):
    """A root file system that cannot be made."""


@dataclass(frozen=True)
class Deb:
    """A .deb file and its control stanza."""

    path: Path
    control: Stanza

    @property
    def name(self) -> str:
        return self.control.require("Package")


@dataclass(frozen=True)
class LayerOutput:
    """Where a layer is written, what the image's history says of it, and how it is compressed."""

    directory: Path
    created_by: str
    compression: Compression = ZSTD

    def write(self, entries: Iterable[Entry]) -> Layer:
        piece = Piece(self.created_by, entries)
        return write_layer([piece], self.directory, created_by=self.created_by, compression=self.compression)


def read_debs(paths: Sequence[Path]) -> Tuple[Deb, ...]:
    """The .debs sorted by name; raises RootfsError when two are of one package."""
    debs = sorted((Deb(path, read_control(path)) for path in paths), key=lambda deb: deb.name)
    for first, second in zip(debs, debs[1:]):
        if first.name == second.name:
            raise RootfsError(f"{first.path} and {second.path} are both the package {first.name!r}. Drop one of them.")
    return tuple(debs)


def check_debs(paths: Sequence[Path], packages: Sequence[DebPackage]) -> None:
    """Raises RootfsError unless the files at ``paths`` are, byte for byte, the locked ``packages``."""
    wanted = {package.sha256: package for package in packages}
    given = {_sha256(path): path for path in paths}
    missing = sorted(wanted[digest].name for digest in wanted.keys() - given.keys())
    surplus = sorted(str(given[digest]) for digest in given.keys() - wanted.keys())
    if missing or surplus:
        parts = []
        if missing:
            parts.append(f"missing are {', '.join(missing)}")
        if surplus:
            parts.append(f"not locked are {', '.join(surplus)}")
        raise RootfsError(f"the .debs are not those of the lock: {'; '.join(parts)}. Fetch what the lock names.")


def bootstrap(
    paths: Sequence[Path], architecture: str, user: Optional[User], output: LayerOutput, *, headers: bool = False
) -> Layer:
    """Write a root file system of the .debs at ``paths`` as one layer; with ``headers``, /usr/include is part of it.

    Needs root or :func:`imagekit.sandbox.user_namespace.enter_user_namespace`. Raises RootfsError with dpkg's output
    when a package cannot be installed.
    """
    debs = read_debs(paths)
    with _working_directory(output.directory) as directory:
        root = directory / "root"
        root.mkdir(mode=0o755)
        _prepare(root, debs, architecture)
        _install(root, debs, headers)
        if user is not None:
            add_user(root, user)
        _clean(root)
        return output.write(tree_entries(root))


def extend(layers: Sequence[Path], paths: Sequence[Path], output: LayerOutput, *, headers: bool = False) -> Layer:
    """Install the .debs at ``paths`` on top of ``layers``, bottom first, and write the difference as one layer.

    Same needs, options and refusals as :func:`bootstrap`.
    """
    debs = read_debs(paths)
    with _working_directory(output.directory) as directory:
        root = directory / "root"
        root.mkdir(mode=0o755)
        unpack_layers(layers, root, owners=True)
        before = snapshot(root)
        _install(root, debs, headers)
        _clean(root)
        return output.write(difference(before, root))


@contextmanager
def _working_directory(output_dir: Path) -> Iterator[Path]:
    # Beside the output: that is where room for it was made, and /tmp may be small.
    output_dir.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=".rootfs-", dir=output_dir))
    try:
        yield directory
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RootfsError(
            f"a root file system does not fit into {str(output_dir)!r}: {error.strerror}. "
            "Make room there and run the build again."
        ) from None
    finally:
        remove_tree(directory)


def _prepare(root: Path, debs: Sequence[Deb], architecture: str) -> None:
    """Extract as much as dpkg and maintainer scripts need to run."""
    for name in (*_MERGED_USR, *_MERGED_USR_OF.get(architecture, ())):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    paths = {deb.name: deb.path for deb in debs}
    for name in essential_closure({deb.name: deb.control for deb in debs}):
        extract_files(paths[name], root, is_unused)
    admin = root / "var/lib/dpkg"
    if not (root / "usr/bin/dpkg").exists():
        raise RootfsError("the packages hold no dpkg, and so cannot be installed. Lock them without a base.")
    for name in ("status", "available"):
        (admin / name).touch()


def _install(root: Path, debs: Sequence[Deb], headers: bool) -> None:
    if not debs:
        return
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text(_POLICY)
    policy.chmod(0o755)
    paths = {deb.name: deb.path for deb in debs}
    order = in_unpack_order({deb.name: deb.control for deb in debs})
    binds = tuple(Bind(paths[name], f"{_DEBS}/{name}.deb") for name in order)
    # Packages are unpacked before what they depend on is configured, as any bootstrap must. Configuring insists on it.
    filters = DPKG_FILTERS if headers else (*DPKG_FILTERS, *HEADER_FILTERS)
    unpack = (*_DPKG, *filters, "--force-depends")
    if "base-passwd" in paths:
        # It makes the users and groups that files of the others belong to.
        _run(root, [*unpack, "--install", f"{_DEBS}/base-passwd.deb"], binds)
    _run(root, [*unpack, "--unpack", *(bind.target for bind in binds)], binds)
    _run(root, [*_DPKG, "--configure", "--pending"], ())


def _run(root: Path, command: Sequence[str], binds: Sequence[Bind]) -> None:
    finished = run_in_rootfs(Rootfs(root, ""), command, binds=binds, env=_ENVIRONMENT, writable=True, privileged=True)
    if finished.returncode != 0:
        lines = (finished.stdout + finished.stderr).strip().splitlines()
        raise RootfsError("dpkg could not install the packages:\n" + "\n".join(lines[-_SHOWN_LINES:]))


def _clean(root: Path) -> None:
    remove_residue(root)
    settle_byte_code(root)


def _sha256(path: Path) -> str:
    sha256 = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                sha256.update(block)
    except OSError as error:
        raise RootfsError(f"cannot read the .deb {str(path)!r}: {error.strerror}.") from None
    return sha256.hexdigest()
