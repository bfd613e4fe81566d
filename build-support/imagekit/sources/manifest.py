"""Keep the list of files that a build backend reads in step with the tree.

pbr and setuptools put a file that is no module, such as a database migration, into the wheel when git or
``<name>.egg-info/SOURCES.txt`` lists it. Here git is out of reach, an sdist's list does not know what a patch adds,
and a tree from git has no list: without this, such files would be missing from the wheel without a word.
"""

from __future__ import annotations

import configparser
import re
from typing import Optional

from imagekit.sources.tree import SourceFile, SourceTree

_LIST = re.compile(r"(?:[^/]+/)?[^/]+\.egg-info/SOURCES\.txt")
_PROJECT_NAME = re.compile(r"(?ms)^\[project\]\s*$(?:(?!^\[).)*?^name\s*=\s*[\"']([^\"']+)[\"']")


def with_manifest(original: SourceTree, patched: SourceTree) -> SourceTree:
    """``patched`` with its list of files brought up to date; ``original`` is the tree before any patch."""
    lists = [path for path in patched if _LIST.fullmatch(path)]
    if not lists:
        created = _list_path(patched)
        return patched if created is None else {**patched, created: _rendered({*patched, created})}
    added = patched.keys() - original.keys()
    removed = original.keys() - patched.keys()
    updated: dict[str, SourceFile] = {}
    for path in lists:
        entry = patched[path]
        if isinstance(entry, SourceFile) and (added or removed):
            listed = set(entry.content.decode("utf-8", "surrogateescape").splitlines())
            updated[path] = _rendered((listed | added) - removed)
    return {**patched, **updated}


def _rendered(paths: set[str]) -> SourceFile:
    return SourceFile("".join(f"{path}\n" for path in sorted(paths)).encode("utf-8", "surrogateescape"))


def _list_path(tree: SourceTree) -> Optional[str]:
    """Where pbr looks for the list of files; ``None`` for a project that is not built with pbr."""
    setup_cfg, pyproject = _text(tree, "setup.cfg"), _text(tree, "pyproject.toml")
    if "pbr" not in _text(tree, "setup.py") + pyproject:
        return None
    name = _name_in_setup_cfg(setup_cfg)
    if name is None:
        match = _PROJECT_NAME.search(pyproject)
        name = match.group(1) if match else None
    # As setuptools names the folder of its metadata.
    return None if name is None else f"{re.sub('[^A-Za-z0-9.]+', '_', name).strip('_')}.egg-info/SOURCES.txt"


def _name_in_setup_cfg(text: str) -> Optional[str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return parser.get("metadata", "name", fallback=None)


def _text(tree: SourceTree, path: str) -> str:
    entry = tree.get(path)
    return entry.content.decode("utf-8", "replace") if isinstance(entry, SourceFile) else ""
