from __future__ import annotations

from typing import Optional

import pytest

from imagekit.sources.semantic_version import Commit, parse_version_tag, version_of


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("28.0.0", "28.0.0"),
        ("v1.2", "1.2.0"),
        ("3", "3.0.0"),
        ("28.0.0.0rc1", "28.0.0.0rc1"),
        ("2015.1.0rc2", "2015.1.0.0rc2"),
        ("1.2.0a3", "1.2.0.0a3"),
        ("1.2.b4", "1.2.0.0b4"),
        ("1.2.3.dev4", "1.2.3.dev4"),
        ("newton-eol", None),
        ("2025.2-eom", None),
        ("28.0.0-p1", None),
        ("", None),
    ],
)
def test_tags(tag: str, version: Optional[str]) -> None:
    parsed = parse_version_tag(tag)

    assert (None if parsed is None else str(parsed)) == version


def commits(*entries: str) -> list[Commit]:
    """Commits, newest first; an entry that starts with ``tag `` is a commit with those tags."""
    return [
        Commit(tuple(entry.split()[1:]), "release") if entry.startswith("tag ") else Commit((), entry)
        for entry in entries
    ]


@pytest.mark.parametrize(
    ("history", "version"),
    [
        (["tag 28.0.0", "fix"], "28.0.0"),
        (["tag 28.0.0 28.0.0.0rc1 stable-eol"], "28.0.0"),
        (["fix", "fix", "tag 28.0.0"], "28.0.1.dev2"),
        (["fix", "tag 28.0.0.0rc1"], "28.0.0.0rc2.dev1"),
        (["fix", "a\n\nSem-Ver: feature", "tag 28.0.1"], "28.1.0.dev2"),
        (["fix\n\nsem-ver: bugfix, deprecation", "tag 28.0.1"], "28.1.0.dev1"),
        (["fix\n\nSem-Ver: api-break", "tag 28.0.1.0b1"], "29.0.0.dev1"),
        (["fix", "tag stable-eol", "tag 1.0.0"], "1.0.1.dev2"),
        (["first"], "0.0.0"),
        (["second", "first"], "0.0.1.dev1"),
        (["second", "first\n\nSem-Ver: feature"], "0.1.0.dev1"),
    ],
)
def test_versions(history: list[str], version: str) -> None:
    assert version_of(commits(*history)) == version
