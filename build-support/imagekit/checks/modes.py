"""Modes: what anyone may write to, and what gives other rights to whoever runs it."""

from __future__ import annotations

import stat
from typing import Iterator

from imagekit.checks.finding import Finding, Subject

#: Debian's own programs that need other rights: of the packages libpam-modules, login, mount, nfs-common,
#: openssh-client, passwd and sudo.
SET_ID_PROGRAMS = frozenset(
    (
        "/usr/bin/chage",
        "/usr/bin/chfn",
        "/usr/bin/chsh",
        "/usr/bin/expiry",
        "/usr/bin/gpasswd",
        "/usr/bin/mount",
        "/usr/bin/newgrp",
        "/usr/bin/passwd",
        "/usr/bin/ssh-agent",
        "/usr/bin/su",
        "/usr/bin/sudo",
        "/usr/bin/umount",
        "/usr/lib/openssh/ssh-keysign",
        "/usr/sbin/mount.nfs",
        "/usr/sbin/unix_chkpwd",
    )
)


def check_modes(subject: Subject) -> Iterator[Finding]:
    """Nothing but sticky directories is writable for all; setuid and setgid programs are those of Debian's base."""
    for node in subject.tree.nodes:
        if node.is_link:
            continue
        mode = stat.S_IMODE(node.mode)
        if mode & stat.S_IWOTH and not (node.is_directory and mode & stat.S_ISVTX):
            yield Finding(
                node.path, f"anyone may write to it (mode {mode:04o})", "Correct its mode where it comes from."
            )
        if node.is_file and mode & (stat.S_ISUID | stat.S_ISGID) and node.path not in SET_ID_PROGRAMS:
            yield Finding(
                node.path,
                f"it runs with the rights of its owner or group (mode {mode:04o})",
                "Drop the system package that brings it, or allow it with the reason.",
            )
