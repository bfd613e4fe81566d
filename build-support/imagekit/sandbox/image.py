"""Run a command in an image without a container engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence, Tuple

from imagekit.oci.image_config import ContainerConfig
from imagekit.oci.layout import Image, Layout
from imagekit.sandbox.bwrap import Finished, Rootfs, SandboxError, run_in_rootfs
from imagekit.sandbox.mounts import Mount, Tmpfs
from imagekit.sandbox.store import RootfsStore

_ID = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Account:
    """Who a command runs as; ``home`` is "/" for a user that the image does not know."""

    uid: int
    gid: int
    home: str


def find_account(root: Path, user: str) -> Account:
    """The account that an image's ``User`` names (``name``, ``id``, either with ``:group``), from its own /etc.

    "" is root. Raises SandboxError for a name that the image does not know.
    """
    name, _, group = user.partition(":")
    name = name or "0"
    row = _row(root, "passwd", name, "user", 2)
    uid, gid, home = (int(row[2]), int(row[3]), row[5]) if row else (int(name), 0, "/")
    if group:
        found = _row(root, "group", group, "group", 2)
        gid = int(found[2]) if found else int(group)
    return Account(uid, gid, home or "/")


def _row(root: Path, file: str, wanted: str, what: str, id_column: int) -> Optional[Sequence[str]]:
    path = root / "etc" / file
    column = id_column if _ID.fullmatch(wanted) else 0
    for line in path.read_text().splitlines() if path.is_file() else ():
        fields = line.split(":")
        if len(fields) > id_column and fields[column] == wanted:
            return fields
    if column == 0:
        raise SandboxError(f"the image has no {what} {wanted!r} in its /etc/{file}. Name one that it has, or an id.")
    return None


def command_of(config: ContainerConfig, arguments: Sequence[str]) -> Tuple[str, ...]:
    """What a container engine would run: the entry point and ``arguments``, which replace the image's own command."""
    command = (*config.entrypoint, *(arguments or config.cmd))
    if not command:
        raise SandboxError("the image has neither an entry point nor a command. Give one after '--'.")
    return command


def run_in_image(
    layout: Layout,
    image: Image,
    store: RootfsStore,
    arguments: Sequence[str],
    *,
    mounts: Sequence[Mount] = (),
    env: Optional[Mapping[str, str]] = None,
    user: Optional[str] = None,
    network: bool = False,
    capture: bool = False,
) -> Finished:
    """Run the image's entry point with ``arguments`` as a container engine would, and wait for it.

    The user, environment and working directory are the image's; ``user`` and ``env`` go before. Its root file system is
    read-only; /tmp, /var/tmp and /run are empty and writable. There is one user: files of all others belong to nobody
    as an ordinary user, and root's belong to the chosen one. :param network: the host's network. Raises SandboxError
    and what :meth:`RootfsStore.rootfs` raises.
    """
    blobs = [layout.blob_path(layer.digest) for layer in image.manifest.layers]
    with store.rootfs(blobs) as rootfs:
        return run_in_image_rootfs(
            rootfs, image.config.config, arguments, mounts=mounts, env=env, user=user, network=network, capture=capture
        )


def run_in_image_rootfs(
    rootfs: Rootfs,
    config: ContainerConfig,
    arguments: Sequence[str],
    *,
    mounts: Sequence[Mount] = (),
    env: Optional[Mapping[str, str]] = None,
    user: Optional[str] = None,
    network: bool = False,
    capture: bool = False,
) -> Finished:
    """The same as :func:`run_in_image`, in a root file system that is unpacked already."""
    account = find_account(rootfs.path, config.user if user is None else user)
    own = dict(variable.partition("=")[::2] for variable in config.env)
    given = {mount.target for mount in mounts}
    scratch = [Tmpfs(path, mode=0o1777) for path in ("/run", "/var/tmp") if path not in given]
    return run_in_rootfs(
        rootfs,
        command_of(config, arguments),
        binds=(*scratch, *mounts),
        env={**own, **(env or {})},
        fixed_env={"HOME": account.home},
        cwd=config.working_dir or "/",
        network=network,
        capture=capture,
        ids=(account.uid, account.gid),
    )
