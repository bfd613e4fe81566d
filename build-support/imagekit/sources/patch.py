"""Patches in the form that ``git format-patch`` writes: who, why, and which hunks of which files.

The header is that of an e-mail (RFC 2822), the rest git's extended unified diff.
"""

from __future__ import annotations

import email.header
import email.message
import email.parser
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence

from imagekit.errors import ImagekitError

_FIRST_LINE = re.compile(r"From [0-9a-f]{40,64} ")
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_TRAILER = re.compile(r"([A-Za-z][A-Za-z0-9-]*):[ \t]+(\S.*)")
_PREFIXED = re.compile(r"[a-z]/")
_EXPORT = "Export it again with 'git format-patch'"


class PatchError(ImagekitError):
    """A patch that is malformed or does not fit its source."""


@dataclass(frozen=True)
class Trailer:
    """One ``Key: value`` line at the end of a commit message, such as ``Closes-Bug: #2000000``."""

    key: str
    value: str


@dataclass(frozen=True)
class PatchHeader:
    """What a patch says of itself."""

    subject: str
    #: ``Name <address>``.
    author: str
    date: str
    #: The commit message below the subject, without trailers.
    body: str
    trailers: tuple[Trailer, ...]

    def values(self, key: str) -> tuple[str, ...]:
        """The values of every trailer ``key``, compared without case."""
        return tuple(trailer.value for trailer in self.trailers if trailer.key.lower() == key.lower())


@dataclass(frozen=True)
class Hunk:
    """One hunk: its ``@@`` line and the first line, counted from 1, that it changes in the old file."""

    header: str
    old_start: int


@dataclass(frozen=True)
class FilePatch:
    """The change of one file; paths without the ``a/`` and ``b/`` prefixes.

    ``old_path`` is ``None`` for a new file, ``new_path`` for a deleted one.
    """

    old_path: Optional[str]
    new_path: Optional[str]
    hunks: tuple[Hunk, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """The old and the new path, once if they are equal."""
        return tuple(dict.fromkeys(path for path in (self.old_path, self.new_path) if path is not None))


@dataclass(frozen=True)
class Patch:
    """A parsed patch; ``name`` is what messages call it, usually its path."""

    name: str
    header: PatchHeader
    files: tuple[FilePatch, ...]


def parse_patch(data: bytes, name: str) -> Patch:
    """The patch that ``data`` holds; raises :class:`PatchError`."""
    if not data.strip():
        raise PatchError(f"{name} is empty. Delete it, or export the commit again with 'git format-patch'.")
    # Latin-1 keeps every byte: what a patch changes need not be UTF-8.
    lines = data.decode("latin-1").split("\n")
    _refuse_carriage_returns(lines, name)
    first_diff = next((number for number, line in enumerate(lines) if line.startswith("diff --git ")), len(lines))
    header = _parse_header(lines, first_diff, name)
    if first_diff == len(lines):
        raise PatchError(f"{name} changes no file: it has no 'diff --git' line. {_EXPORT}, or delete it.")
    return Patch(name, header, tuple(_parse_files(lines, first_diff, name)))


def _refuse_carriage_returns(lines: list[str], name: str) -> None:
    # Lines of a hunk may end with CRLF because the patched file does. Those that git writes itself never do.
    structure = ("From ", "From: ", "Subject: ", "diff --git ", "--- ", "@@ ")
    for number, line in enumerate(lines, start=1):
        if line.endswith("\r") and line.startswith(structure):
            raise PatchError(
                f"{name}:{number}: the line ends with CRLF, so an editor or a mail program has converted the patch. "
                f"Convert it back with: sed -i 's/\\r$//' {name}"
            )


def _parse_header(lines: list[str], end: int, name: str) -> PatchHeader:
    if not _FIRST_LINE.match(lines[0]):
        raise PatchError(
            f"{name}:1: '{lines[0][:60]}' does not begin a patch in git format-patch form ('From <commit> …'). Commit "
            "the change in a checkout of the source and export it with: git format-patch -1"
        )
    text = "\n".join(lines[1:end]).encode("latin-1").decode("utf-8", "replace")
    message = email.parser.Parser().parsestr(text)
    for field in ("From", "Date", "Subject"):
        if not message.get(field):
            raise PatchError(f"{name}: the header '{field}:' of git format-patch is missing. {_EXPORT}.")
    payload = message.get_payload()
    # The first line with three dashes ends the message; after it comes the diffstat.
    body = re.split(r"(?m)^---[ \t]*$", payload if isinstance(payload, str) else "", maxsplit=1)[0].strip()
    body, trailers = _split_trailers(body)
    return PatchHeader(
        subject=re.sub(r"^\[[^\]]*\]\s*", "", _decoded(message, "Subject")),
        author=_decoded(message, "From"),
        date=_decoded(message, "Date"),
        body=body,
        trailers=trailers,
    )


def _decoded(message: email.message.Message, field: str) -> str:
    unfolded = re.sub(r"\r?\n[ \t]+", " ", str(message[field]))
    return str(email.header.make_header(email.header.decode_header(unfolded))).strip()


def _split_trailers(body: str) -> tuple[str, tuple[Trailer, ...]]:
    above, _, last = body.rpartition("\n\n")
    matches = [_TRAILER.fullmatch(line.strip()) for line in last.splitlines()]
    if not matches or not all(matches):
        return body, ()
    return above.strip(), tuple(Trailer(match.group(1), match.group(2).strip()) for match in matches if match)


def _parse_files(lines: list[str], start: int, name: str) -> Iterator[FilePatch]:
    position = start
    while position < len(lines):
        if not lines[position].startswith("diff --git "):
            position += 1
            continue
        begin = position
        position += 1
        extended: list[str] = []
        while position < len(lines) and not lines[position].startswith(("@@ ", "diff --git ", "-- ")):
            extended.append(lines[position])
            position += 1
        hunks: list[Hunk] = []
        while position < len(lines) and lines[position].startswith("@@ "):
            hunk, position = _parse_hunk(lines, position, name)
            hunks.append(hunk)
        old_path, new_path = _paths(lines[begin], extended, f"{name}:{begin + 1}")
        yield FilePatch(old_path, new_path, tuple(hunks))


def _parse_hunk(lines: list[str], position: int, name: str) -> tuple[Hunk, int]:
    match = _HUNK.match(lines[position])
    if match is None:
        raise PatchError(f"{name}:{position + 1}: '{lines[position]}' is not a hunk header. {_EXPORT}.")
    old_left = int(match.group(2) or 1)
    new_left = int(match.group(4) or 1)
    hunk = Hunk(match.group(0), int(match.group(1)))
    begin = position
    position += 1
    while old_left > 0 or new_left > 0:
        mark = lines[position][:1] if position < len(lines) else ""
        # Some editors strip the blank of an empty context line; git takes that too.
        if mark in (" ", "") and position < len(lines) - 1:
            old_left -= 1
            new_left -= 1
        elif mark == "-":
            old_left -= 1
        elif mark == "+":
            new_left -= 1
        elif mark != "\\":
            raise PatchError(
                f"{name}:{position + 1}: the hunk '{hunk.header}' of line {begin + 1} is cut short. The patch was "
                f"edited by hand or damaged. {_EXPORT}."
            )
        position += 1
    while position < len(lines) and lines[position].startswith("\\"):
        position += 1
    return hunk, position


def _paths(diff_line: str, extended: list[str], place: str) -> tuple[Optional[str], Optional[str]]:
    named = {line.partition(" ")[0]: line.partition(" ")[2] for line in extended if line.startswith(("--- ", "+++ "))}
    if named.keys() == {"---", "+++"}:
        return _stripped(named["---"], place), _stripped(named["+++"], place)
    for kind in ("rename", "copy"):
        old = next((line for line in extended if line.startswith(f"{kind} from ")), None)
        new = next((line for line in extended if line.startswith(f"{kind} to ")), None)
        if old is not None and new is not None:
            return _checked(_unquoted(old[len(kind) + 6 :]), place), _checked(_unquoted(new[len(kind) + 4 :]), place)
    # A change of mode, an empty or a binary file: only the first line names the file, twice the same.
    rest = diff_line[len("diff --git ") :]
    old_name, new_name = rest[: len(rest) // 2], rest[len(rest) // 2 + 1 :]
    old_path, new_path = _stripped(old_name, place), _stripped(new_name, place)
    if any(line.startswith("new file mode") for line in extended):
        return None, new_path
    if any(line.startswith("deleted file mode") for line in extended):
        return old_path, None
    return old_path, new_path


def _stripped(text: str, place: str) -> Optional[str]:
    # git ends a name that holds blanks with a tab.
    path = _unquoted(text.rstrip("\t"))
    if path == "/dev/null":
        return None
    if not path.startswith(("/", "../")) and not _PREFIXED.match(path):
        raise PatchError(
            f"{place}: the path '{path}' lacks the prefix 'a/' or 'b/', so the patch was made with --no-prefix. "
            f"{_EXPORT} without that option."
        )
    return _checked(path if path.startswith(("/", "../")) else path[2:], place)


def _checked(path: str, place: str) -> str:
    parts = path.split("/")
    if path.startswith("/") or not path or ".." in parts or ".git" in parts:
        raise PatchError(
            f"{place}: the path '{path}' leaves the source tree. A patch may only change files of the component."
        )
    return path


def _unquoted(text: str) -> str:
    if not (text.startswith('"') and text.endswith('"')):
        return text.encode("latin-1").decode("utf-8", "surrogateescape")
    plain = re.sub(r"\\([0-7]{3}|.)", _unescape, text[1:-1])
    return plain.encode("latin-1").decode("utf-8", "surrogateescape")


def _unescape(match: re.Match[str]) -> str:
    escape = match.group(1)
    if len(escape) == 3:
        return chr(int(escape, 8))
    return {"n": "\n", "t": "\t", "r": "\r"}.get(escape, escape)


def read_patches(paths: Sequence[Path]) -> Mapping[str, bytes]:
    """The bytes of each patch by its path; raises :class:`PatchError` for one that cannot be read."""
    patches: dict[str, bytes] = {}
    for path in paths:
        try:
            patches[str(path)] = path.read_bytes()
        except OSError as error:
            raise PatchError(f"The patch {path} cannot be read: {error.strerror}.") from None
    return patches
