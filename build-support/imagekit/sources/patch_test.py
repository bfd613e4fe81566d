from __future__ import annotations

import pytest

from imagekit.sources.patch import FilePatch, Hunk, Patch, PatchError, PatchHeader, Trailer, parse_patch

NAME = "patches/keystone/2025.2/0001-fix.patch"
HEADER = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: =?UTF-8?q?J=C3=BCrgen=20M=C3=BCller?= <jm@c5c3.example>
Date: Wed, 5 Nov 2025 09:00:00 +0000
Subject: [PATCH 1/2] Refuse tokens that were
 revoked

They were taken until the cache expired.

CVE: CVE-2025-12345
Closes-Bug: #2119646
closes-bug: #2119647
---
 keystone/api.py | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

"""
CHANGE = """\
diff --git a/keystone/api.py b/keystone/api.py
index 1111111..2222222 100644
--- a/keystone/api.py
+++ b/keystone/api.py
@@ -1,3 +1,3 @@ def token():
 a
-b
+c
 d
@@ -10 +10,2 @@
-e
+diff --git a/not b/this
+f
"""


def refusal(text: str) -> str:
    with pytest.raises(PatchError) as error:
        parse_patch(text.encode(), NAME)
    return str(error.value)


def files_of(change: str) -> tuple[FilePatch, ...]:
    return parse_patch((HEADER + change).encode(), NAME).files


def test_a_whole_patch() -> None:
    patch = parse_patch((HEADER + CHANGE + "-- \n2.39.5\n\n").encode(), NAME)

    assert patch == Patch(
        NAME,
        PatchHeader(
            subject="Refuse tokens that were revoked",
            author="Jürgen Müller <jm@c5c3.example>",
            date="Wed, 5 Nov 2025 09:00:00 +0000",
            body="They were taken until the cache expired.",
            trailers=(
                Trailer("CVE", "CVE-2025-12345"),
                Trailer("Closes-Bug", "#2119646"),
                Trailer("closes-bug", "#2119647"),
            ),
        ),
        (FilePatch("keystone/api.py", "keystone/api.py", (Hunk("@@ -1,3 +1,3 @@", 1), Hunk("@@ -10 +10,2 @@", 10))),),
    )
    assert patch.header.values("Closes-Bug") == ("#2119646", "#2119647")


def test_a_message_without_trailers() -> None:
    header = HEADER.replace("CVE: CVE-2025-12345\nCloses-Bug: #2119646\nclo", "See the report: it\nclo")
    patch = parse_patch((header + CHANGE).encode(), NAME)

    assert patch.header.trailers == ()
    assert patch.header.body.endswith("\n\nSee the report: it\nclosesbug: #2119647".replace("closesbug", "closes-bug"))


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        ("diff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+x\n", (None, "new")),
        (
            "diff --git a/old b/old\ndeleted file mode 100644\n--- a/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
            ("old", None),
        ),
        ("diff --git a/empty b/empty\nnew file mode 100644\nindex 0000000..e69de29\n", (None, "empty")),
        ("diff --git a/empty b/empty\ndeleted file mode 100644\nindex e69de29..0000000\n", ("empty", None)),
        ("diff --git a/run me b/run me\nold mode 100644\nnew mode 100755\n", ("run me", "run me")),
        ("diff --git a/b b/c/d\nsimilarity index 100%\nrename from b\nrename to c/d\n", ("b", "c/d")),
        ("diff --git a/b b/c\nsimilarity index 100%\ncopy from b\ncopy to c\n", ("b", "c")),
        (
            'diff --git "a/\\303\\274\\"x" "b/\\303\\274\\"x"\n--- "a/\\303\\274\\"x"\n+++ "b/\\303\\274\\"x"\n'
            "@@ -1 +1 @@\n-x\n+y\n",
            ('ü"x', 'ü"x'),
        ),
        ("diff --git a/x y b/x y\n--- a/x y\t\n+++ b/x y\t\n@@ -1 +1 @@\n-x\n+y\n", ("x y", "x y")),
    ],
)
def test_paths(change: str, paths: tuple[str, str]) -> None:
    assert [(file.old_path, file.new_path) for file in files_of(change)] == [paths]


def test_a_hunk_may_end_without_a_newline_in_the_file() -> None:
    change = CHANGE.replace(" d\n@@", " d\n\\ No newline at end of file\n@@")

    assert len(files_of(change)[0].hunks) == 2


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_patch_is_refused(text: str) -> None:
    assert refusal(text) == f"{NAME} is empty. Delete it, or export the commit again with 'git format-patch'."


def test_a_patch_without_a_change_is_refused() -> None:
    assert refusal(HEADER) == (
        f"{NAME} changes no file: it has no 'diff --git' line. Export it again with 'git format-patch', or delete it."
    )


def test_a_bare_diff_is_refused() -> None:
    assert refusal(CHANGE) == (
        f"{NAME}:1: 'diff --git a/keystone/api.py b/keystone/api.py' does not begin a patch in git format-patch form "
        "('From <commit> …'). Commit the change in a checkout of the source and export it with: git format-patch -1"
    )


@pytest.mark.parametrize("field", ["From", "Date", "Subject"])
def test_a_missing_header_is_refused(field: str) -> None:
    assert refusal(HEADER.replace(f"\n{field}: ", "\nX-Other: ") + CHANGE) == (
        f"{NAME}: the header '{field}:' of git format-patch is missing. Export it again with 'git format-patch'."
    )


def test_a_converted_patch_is_refused() -> None:
    assert refusal((HEADER + CHANGE).replace("\n", "\r\n")) == (
        f"{NAME}:1: the line ends with CRLF, so an editor or a mail program has converted the patch. Convert it back "
        f"with: sed -i 's/\\r$//' {NAME}"
    )


def test_a_patch_of_a_file_with_crlf_is_not_a_converted_one() -> None:
    assert len(files_of(CHANGE.replace("\n a\n", "\n a\r\n").replace("-b\n", "-b\r\n"))) == 1


def test_a_patch_without_prefixes_is_refused() -> None:
    change = CHANGE.replace("a/keystone", "keystone").replace("b/keystone", "keystone")

    assert refusal(HEADER + change) == (
        f"{NAME}:16: the path 'keystone/api.py' lacks the prefix 'a/' or 'b/', so the patch was made with --no-prefix. "
        "Export it again with 'git format-patch' without that option."
    )


@pytest.mark.parametrize("path", ["../api.py", "/etc/passwd", "keystone/../../x", ".git/hooks/post-checkout"])
def test_a_path_out_of_the_source_is_refused(path: str) -> None:
    old = path if path.startswith("/") else f"a/{path}"
    change = f"diff --git {old} {old}\n--- {old}\n+++ {old}\n@@ -1 +1 @@\n-x\n+y\n"

    assert refusal(HEADER + change) == (
        f"{NAME}:16: the path '{path}' leaves the source tree. A patch may only change files of the component."
    )


def test_a_cut_hunk_is_refused() -> None:
    assert refusal(HEADER + CHANGE[: CHANGE.index("+c")]) == (
        f"{NAME}:23: the hunk '@@ -1,3 +1,3 @@' of line 20 is cut short. The patch was edited by hand or damaged. "
        "Export it again with 'git format-patch'."
    )


def test_a_broken_hunk_header_is_refused() -> None:
    assert refusal(HEADER + CHANGE.replace("@@ -10 +10,2 @@", "@@ -10 @@")) == (
        f"{NAME}:25: '@@ -10 @@' is not a hunk header. Export it again with 'git format-patch'."
    )
