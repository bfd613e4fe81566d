"""Become root of a user namespace with a range of ids: what an ordinary user needs to give files to other users."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from imagekit.errors import ImagekitError
from imagekit.sandbox.bwrap import UserNamespaceLimits, explain_failure

_CLONE_NEWUSER = 0x10000000

#: Ids that a root file system may use: Debian's go up to 65535.
NEEDED_IDS = 65536


class UserNamespaceError(ImagekitError):
    """A range of ids that this user does not have or may not use."""


@dataclass(frozen=True)
class SubordinateIds:
    """The range of user or group ids that a user may map (subuid(5))."""

    start: int
    count: int


def parse_subordinate_ids(text: str, name: str, uid: int, file: str) -> SubordinateIds:
    """The first large enough range of a user in ``/etc/subuid`` or ``/etc/subgid``; raises UserNamespaceError."""
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == 3 and fields[0] in (name, str(uid)) and fields[1].isdigit() and fields[2].isdigit():
            if int(fields[2]) >= NEEDED_IDS:
                return SubordinateIds(int(fields[1]), int(fields[2]))
    raise UserNamespaceError(
        f"{file} gives the user {name!r} no range of at least {NEEDED_IDS} ids; a root file system has files of many "
        f"users. Run: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
    )


def enter_user_namespace() -> None:
    """Make this process root of a new user namespace: its own id is 0, subordinate ids are 1 and up.

    Does nothing for root. The process must have one thread. Raises UserNamespaceError naming the package or command
    that is missing.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        return
    name = _user_name(uid)
    users = _read_ids("/etc/subuid", name, uid)
    groups = _read_ids("/etc/subgid", name, uid)
    for program in ("newuidmap", "newgidmap"):
        if shutil.which(program) is None:
            raise UserNamespaceError(
                f"the program {program!r} is not on the PATH; it gives files of a root file system to other users. "
                "Install it: sudo apt-get install uidmap"
            )
    ready_read, ready_write = os.pipe()
    own = os.getpid()
    helper = os.fork()
    if helper == 0:
        # From outside the namespace: newuidmap checks that this user owns the process it maps.
        os.close(ready_write)
        os.read(ready_read, 1)
        failed = _map("newuidmap", own, uid, users) or _map("newgidmap", own, gid, groups)
        os._exit(1 if failed else 0)
    os.close(ready_read)
    problem = _unshare()
    os.close(ready_write)
    _, status = os.waitpid(helper, 0)
    if problem is not None:
        raise UserNamespaceError(explain_failure(f"setting up uid map: {problem}", UserNamespaceLimits.read(), uid=uid))
    if status != 0:
        raise UserNamespaceError(
            f"newuidmap or newgidmap could not map the ids of the user {name!r} (its message is above). "
            "Install it again: sudo apt-get install --reinstall uidmap"
        )
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _read_ids(file: str, name: str, uid: int) -> SubordinateIds:
    try:
        text = Path(file).read_text()
    except OSError:
        text = ""
    return parse_subordinate_ids(text, name, uid, file)


def _map(program: str, process: int, own: int, ids: SubordinateIds) -> bool:
    """Whether the mapping failed."""
    arguments = [program, str(process), "0", str(own), "1", "1", str(ids.start), str(ids.count)]
    return subprocess.run(arguments).returncode != 0


def _unshare() -> Optional[str]:
    # os.unshare is newer than the oldest Python this runs on.
    libc = ctypes.CDLL(None, use_errno=True)
    return None if libc.unshare(_CLONE_NEWUSER) == 0 else os.strerror(ctypes.get_errno())
