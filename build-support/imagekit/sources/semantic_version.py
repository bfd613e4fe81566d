"""The version that pbr gives a commit: that of its tag, or the next one with the distance to the last tag.

Implements *Version* of the pbr documentation and agrees with ``pbr.version.SemanticVersion``: a tag is a release, and
what comes after it is a development version of the release that follows by the ``Sem-Ver`` lines of the commits since.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Iterable, Optional, Sequence

# 1.2.3, 1.2.3.0rc1 (pbr's own form), 1.2.3rc1 and 1.2.0a1 (older ones), each with or without .devN.
_TAG = re.compile(
    r"[vV]*(?P<major>\d+)(?:\.(?P<minor>\d+))?(?:\.(?P<patch>\d+))?"
    r"(?:(?:\.0?|\.?)(?P<kind>a|b|rc)(?P<number>\d+))?(?:\.dev(?P<dev>\d+))?"
)
_STAGES = {"a": 0, "b": 1, "rc": 2, "": 3}


@dataclass(frozen=True)
class SemanticVersion:
    """``major.minor.patch``, and ``0<kind><number>`` for a pre-release."""

    major: int
    minor: int = 0
    patch: int = 0
    #: ``a``, ``b``, ``rc``, or empty for a release.
    kind: str = ""
    number: int = 0
    #: Commits since the last tag; ``None`` for a tagged commit.
    dev: Optional[int] = None

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        if self.kind:
            text += f".0{self.kind}{self.number}"
        return text if self.dev is None else f"{text}.dev{self.dev}"

    @property
    def sort_key(self) -> tuple[int, ...]:
        stage = -1 if self.dev is not None and not self.kind else _STAGES[self.kind]
        untagged = 0 if self.dev is not None else 1
        return (self.major, self.minor, self.patch, stage, self.number, untagged, self.dev or 0)

    def incremented(self, messages: Iterable[str]) -> SemanticVersion:
        """The release, or pre-release, that follows after commits with these messages."""
        symbols = set(_symbols(messages))
        following = replace(self, patch=self.patch + (0 if self.kind else 1), dev=None)
        if self.kind:
            following = replace(following, number=self.number + 1)
        if symbols & {"feature", "deprecation"}:
            following = SemanticVersion(self.major, self.minor + 1)
        if "api-break" in symbols:
            following = SemanticVersion(self.major + 1)
        return following


def parse_version_tag(tag: str) -> Optional[SemanticVersion]:
    """The version that ``tag`` names, or ``None`` for a tag that names none, such as ``newton-eol``."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    return SemanticVersion(
        major=int(match["major"]),
        minor=int(match["minor"] or 0),
        patch=int(match["patch"] or 0),
        kind=match["kind"] or "",
        number=int(match["number"] or 0),
        dev=None if match["dev"] is None else int(match["dev"]),
    )


@dataclass(frozen=True)
class Commit:
    """One commit of a history: the tags on it and its message."""

    tags: tuple[str, ...]
    message: str


def version_of(history: Sequence[Commit]) -> str:
    """The version of the first commit of ``history``, which is in the order of ``git log``: newest first."""
    for distance, commit in enumerate(history):
        versions = [version for version in map(parse_version_tag, commit.tags) if version is not None]
        if versions:
            last = max(versions, key=lambda version: version.sort_key)
            return str(_after(last, history[:distance]))
    # pbr counts from zero, so the first commit of a repository without tags has distance 0.
    return str(_after(SemanticVersion(0), history[: max(len(history) - 1, 0)], history))


def _after(
    last: SemanticVersion, since: Sequence[Commit], messages_of: Optional[Sequence[Commit]] = None
) -> SemanticVersion:
    if not since:
        return last
    commits = since if messages_of is None else messages_of
    return replace(last.incremented(commit.message for commit in commits), dev=len(since))


def _symbols(messages: Iterable[str]) -> Iterable[str]:
    for message in messages:
        for line in message.lower().splitlines():
            if line.strip().startswith("sem-ver:"):
                yield from (symbol.strip() for symbol in line.strip()[len("sem-ver:") :].split(","))
