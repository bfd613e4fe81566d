"""What is of use while building only."""

from __future__ import annotations

import posixpath
import re
from typing import Iterator

from imagekit.checks.finding import Finding, Subject

_PROGRAM_FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/var/lib/openstack/bin")
_COMPILER = re.compile(
    r"(?:[a-z0-9_]+-linux-gnu-)?(?:cc|c\+\+|cpp|gcc|g\+\+|clang|clang\+\+|as|ld|gold|make|cargo|rustc|go)(?:-[0-9.]+)?"
)
_INSTALLER = re.compile(r"(?:pip|uv|uvx|easy_install|virtualenv)(?:-?[0-9.]+)?")
_INSTALLER_MODULES = re.compile(r".*/(?:site|dist)-packages/(?:pip|uv|ensurepip)(?:-[^/]+\.dist-info)?")
_HEADER = re.compile(r"\.(?:h|hh|hpp|hxx)")


def check_build_tools(subject: Subject) -> Iterator[Finding]:
    """No compiler, no header below /usr/include, nothing that installs Python packages."""
    for node in subject.tree.nodes:
        folder, name = posixpath.split(node.path)
        if folder in _PROGRAM_FOLDERS and not node.is_directory:
            if _COMPILER.fullmatch(name):
                yield Finding(node.path, "it is a compiler or a tool of one", "Put it into `builder_packages` instead.")
            elif _INSTALLER.fullmatch(name):
                yield Finding(node.path, "it installs Python packages", "Drop the package that brings it.")
        elif node.is_directory and _INSTALLER_MODULES.fullmatch(node.path):
            yield Finding(node.path, "it installs Python packages", "Drop the package that brings it.")
        elif node.path.startswith("/usr/include/") and node.is_file and _HEADER.fullmatch(posixpath.splitext(name)[1]):
            yield Finding(node.path, "it is a C header", "Put the package that brings it into `builder_packages` instead.")
