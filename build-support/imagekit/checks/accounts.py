"""The user that services run as."""

from __future__ import annotations

from typing import Iterator

from imagekit.checks.finding import Finding, Subject
from imagekit.constants import SERVICE_UID, SERVICE_USER
from imagekit.sandbox.bwrap import SandboxError
from imagekit.sandbox.image import find_account


def check_accounts(subject: Subject) -> Iterator[Finding]:
    """/etc/passwd and /etc/group know the service user, and a service starts as that user."""
    for file, id_column in (("passwd", (2, 3)), ("group", (2,))):
        path = subject.tree.host_path(f"/etc/{file}")
        rows = [line.split(":") for line in path.read_text().splitlines()] if path.is_file() else []
        wanted = str(SERVICE_UID)
        if not any(row[0] == SERVICE_USER and all(row[column : column + 1] == [wanted] for column in id_column) for row in rows):
            yield Finding(
                f"/etc/{file}", f"has no {SERVICE_USER!r} with the id {wanted}", "Build the image on a `debian_base`."
            )
    user = subject.image.config.config.user
    if "io.c5c3.openstack.release" not in subject.image.config.config.labels:
        return
    try:
        uid = find_account(subject.rootfs.path, user).uid
    except SandboxError:
        uid = -1
    if uid != SERVICE_UID:
        yield Finding("image configuration", f"the user is {user!r}", f"Set `user` to {str(SERVICE_UID)!r}, or leave it out.")
