"""Apply patches to a source tree with ``git apply``: in name order, all or nothing, without fuzz."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Sequence

from imagekit.sources.git_command import isolated_environment, run_git
from imagekit.sources.patch import FilePatch, Patch, PatchError, parse_patch
from imagekit.sources.tree import SourceLink, SourceTree, SourceTreeError, pack, unpack

_FAILED_HUNK = re.compile(r"error: patch failed: (.*):(\d+)$")
_SECONDARY = re.compile(r"error: (.*): patch does not apply$")


@dataclass(frozen=True)
class PatchedSource:
    """What patches are applied to, as messages name it."""

    component: str
    version: str
    release: str

    def __str__(self) -> str:
        return f"{self.component} {self.version} (release {self.release})"


def apply_patches(tree: SourceTree, patches: Mapping[str, bytes], source: PatchedSource) -> SourceTree:
    """``tree`` with every patch applied, in the order of their file names.

    ``patches`` maps the path of a patch to its bytes. Raises :class:`imagekit.sources.patch.PatchError`.
    """
    for path in sorted(patches, key=lambda path: (Path(path).name, path)):
        tree = _apply(tree, parse_patch(patches[path], path), patches[path], source)
    return tree


def _apply(tree: SourceTree, patch: Patch, data: bytes, source: PatchedSource) -> SourceTree:
    touched = {path for file in patch.files for path in file.paths}
    # Links go along so that git sees a path that leads through one.
    touched.update(path for path, entry in tree.items() if isinstance(entry, SourceLink))
    with tempfile.TemporaryDirectory(prefix="patch-") as scratch:
        folder = Path(scratch).resolve() / "source"
        folder.mkdir()
        unpack(tree, sorted(touched), folder)
        environment = isolated_environment(folder)
        options = ["apply", "--whitespace=nowarn"]
        applied = run_git([*options, "-"], environment, folder, data)
        if applied.returncode != 0:
            reversed_check = run_git([*options, "--reverse", "--check", "-"], environment, folder, data)
            if reversed_check.returncode == 0:
                raise PatchError(f"{patch.name} is already applied: {source} contains it. Delete {patch.name}.")
            failures = list(_failures(applied.stderr.decode("utf-8", "replace"), patch, tree))
            raise PatchError(_refusal(patch, source, failures))
        try:
            changed = pack(folder)
        except SourceTreeError as error:
            raise PatchError(f"{patch.name}: {error}") from None
    return {**{path: entry for path, entry in tree.items() if path not in touched}, **changed}


def _refusal(patch: Patch, source: PatchedSource, failures: Sequence[str]) -> str:
    listed = "".join(f"\n  {failure}" for failure in failures)
    return (
        f"{patch.name} does not apply to {source}:{listed}\n"
        f"Apply it to a checkout of {source.component} {source.version} with 'git am -3 {patch.name}', resolve the "
        "conflict, and export it again with: git format-patch -1"
    )


def _failures(stderr: str, patch: Patch, tree: SourceTree) -> Iterator[str]:
    files = {path: file for file in patch.files for path in file.paths}
    missing = [file.old_path for file in patch.files if file.old_path is not None and file.old_path not in tree]
    for path in missing:
        yield _missing(path, tree)
    for line in stderr.splitlines():
        failed = _FAILED_HUNK.match(line)
        if failed is not None:
            yield _failed_hunk(failed.group(1), int(failed.group(2)), files)
        elif line.startswith("error: ") and not _SECONDARY.match(line):
            message = line[len("error: ") :]
            if not any(message == f"{path}: No such file or directory" for path in missing):
                yield message.replace("already exists in working directory", "the source already has this file")


def _failed_hunk(path: str, line: int, files: Mapping[str, FilePatch]) -> str:
    hunks = files[path].hunks if path in files else ()
    for number, hunk in enumerate(hunks, start=1):
        if hunk.old_start == line:
            return f"{path}: hunk {number} of {len(hunks)} ({hunk.header}) does not match the file around line {line}"
    return f"{path}: the change at line {line} does not match the file"


def _missing(path: str, tree: SourceTree) -> str:
    parts = path.split("/")
    for count in range(1, len(parts)):
        inner = "/".join(parts[count:])
        if inner in tree:
            return (
                f"{path}: wrong strip level: the source has this file as '{inner}'. Make the patch at the top of the "
                f"source, without the folder '{'/'.join(parts[:count])}/'"
            )
    outer = sorted(name for name in tree if name.endswith(f"/{path}"))
    if len(outer) == 1:
        return (
            f"{path}: wrong strip level: the source has this file as '{outer[0]}'. Make the patch at the top of the "
            "source, without --relative"
        )
    return f"{path}: there is no such file in the source"
