from __future__ import annotations

import pytest

from imagekit.sbom.contents import PatchContent
from imagekit.sbom.pedigree import pedigree_patch

HEAD = (
    "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\n"
    "Date: Wed, 5 Nov 2025 09:00:00 +0000\nSubject: [PATCH] Mend it\n\n"
)
DIFF = b"diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\n"


def _patch(message: str, diff: bytes = DIFF) -> "dict[str, object]":
    return dict(pedigree_patch(PatchContent("p/1.patch", "0" * 64), f"{HEAD}{message}\n---\n".encode() + diff))


def test_a_patch_without_trailers_resolves_nothing() -> None:
    entry = _patch("Only a reason.")
    assert "resolves" not in entry
    assert entry["type"] == "unofficial"


@pytest.mark.parametrize(
    "message, identifiers",
    [
        ("Why.\n\nCloses-Bug: #2000001\nPartial-Bug: 2000002", ["LP#2000001", "LP#2000002"]),
        ("Why.\n\nRelated-Bug: #2000001\nCVE: CVE-2025-12345", ["CVE-2025-12345"]),
        ("Mends CVE-2024-0001 for all.", ["CVE-2024-0001"]),
    ],
)
def test_the_issues_that_a_patch_resolves(message: str, identifiers: "list[str]") -> None:
    resolved = _patch(message)["resolves"]
    assert isinstance(resolved, list)
    assert [issue["id"] for issue in resolved] == identifiers


@pytest.mark.parametrize(
    "message", ["Why.\n\n(cherry picked from commit 0123456789abcdef)", "Why.\n\nUpstream-Status: Backport, 1234"]
)
def test_a_commit_from_upstream_is_a_backport(message: str) -> None:
    assert _patch(message)["type"] == "backport"


def test_bytes_that_are_not_utf_8_are_encoded() -> None:
    diff = DIFF.replace(b"+b", b"+\xff")
    assert _patch("Why.", diff)["diff"] == {
        "text": {
            "contentType": "text/x-diff",
            "encoding": "base64",
            "content": "ZGlmZiAtLWdpdCBhL2EgYi9hCi0tLSBhL2EKKysrIGIvYQpAQCAtMSArMSBAQAotYQor/wo=",
        }
    }
