"""What a build leaves behind: caches, byte code without source, paths of the build, links that lead nowhere."""

from __future__ import annotations

import fnmatch
import os
import posixpath
import re
from typing import Iterator

from imagekit.checks.finding import Finding, Subject
from imagekit.constants import VENV
from imagekit.debian.contents import MACHINE_IDENTITIES

_CACHES = ("/var/cache/apt/", "/var/lib/apt/lists/", "/root/.cache/", f"{VENV}/.cache/")
_BYTE_CODE = re.compile(r"(?P<module>.+)\.(?:cpython|pypy)-?[0-9]+(?:\.opt-[12])?\.pyc")
#: Where steps work. Only where the path starts: `doc/build/` is no path of a build.
_BUILD_PATHS = re.compile(rb"(?<![\w.}/~*)-])/(?:imagekit/lib|build)/[\w.-]+|pants-sandbox-\w+")
#: Links that only lead somewhere once the container runs, or whose target only the documentation package has.
_DANGLING_FOLDERS = ("/dev/", "/proc/", "/run/", "/usr/share/doc/", "/usr/share/man/")
_DANGLING_TARGETS = ("/proc/", "/run/", "/dev/", "/sys/")
_BUILD_WORDS = (b"/imagekit/lib/", b"/build/", b"pants-sandbox-")
_LARGEST_TEXT = 8 << 20


def check_leftovers(subject: Subject) -> Iterator[Finding]:
    """No package cache, no machine's identity, no byte code without source, no build's path in the virtual environment."""
    paths = frozenset(node.path for node in subject.tree.nodes)
    for node in subject.tree.nodes:
        if node.is_link:
            continue
        if node.is_file and node.path.startswith(_CACHES):
            yield Finding(node.path, "it is left of a package manager's cache", "Remove it where it is made.")
        if any(fnmatch.fnmatchcase(node.path, f"/{pattern}") for pattern in MACHINE_IDENTITIES):
            yield Finding(
                node.path,
                "it is the identity of one machine, and every container would have it",
                "Remove it where it is made.",
            )
        folder, name = posixpath.split(node.path)
        compiled = _BYTE_CODE.fullmatch(name)
        if compiled and posixpath.basename(folder) == "__pycache__":
            source = posixpath.join(posixpath.dirname(folder), f"{compiled['module']}.py")
            if source not in paths:
                yield Finding(node.path, f"its source {source} is not there", "Leave the byte code out with its source.")
        if node.is_file and node.path.startswith(f"{VENV}/"):
            host = subject.tree.host_path(node.path)
            if os.path.getsize(host) > _LARGEST_TEXT:
                continue
            content = host.read_bytes()
            # A native library names the folder that it was compiled in, which may well not be one of ours.
            if content.startswith(b"\x7fELF") or not any(word in content for word in _BUILD_WORDS):
                continue
            found = _BUILD_PATHS.search(content)
            if found:
                yield Finding(
                    node.path, f"it names the path of a build, {found.group().decode()!r}", "Correct what writes it."
                )


def check_links(subject: Subject) -> Iterator[Finding]:
    """Every symbolic link leads somewhere in the image."""
    for node in subject.tree.nodes:
        if not node.is_link or node.path.startswith(_DANGLING_FOLDERS) or subject.tree.resolve(node.path) is not None:
            continue
        target = os.readlink(subject.tree.host_path(node.path))
        if not posixpath.normpath(posixpath.join(posixpath.dirname(node.path), target)).startswith(
            tuple(folder.rstrip("/") for folder in _DANGLING_TARGETS)
        ):
            yield Finding(
                node.path, f"it points to {target!r}, which is not there", "Add what it points to, or leave the link out."
            )
