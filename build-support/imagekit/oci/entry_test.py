from __future__ import annotations

import pytest

from imagekit.oci.entry import Entry, EntryError, EntryKind, directory, opaque_whiteout, whiteout


@pytest.mark.parametrize(
    "path, remedy",
    [
        ("/etc", "etc"),
        ("./etc", "etc"),
        ("etc/", "etc"),
        ("etc//x", "etc/x"),
        ("../etc", "etc"),
        ("etc/../../x", "x"),
        ("", "etc/example"),
        (".", "etc/example"),
        ("a\0b", "ab"),
    ],
)
def test_refuses_paths_that_are_not_inside(path: str, remedy: str) -> None:
    with pytest.raises(EntryError) as error:
        directory(path)
    assert str(error.value) == (
        "A path of a layer must be relative to the image's root and have no empty, '.' or '..' part, but got "
        f"{path!r}. Write it as {remedy!r}."
    )


def test_refuses_names_that_are_no_utf_8() -> None:
    with pytest.raises(EntryError) as error:
        directory("etc/caf\udce9")
    assert str(error.value) == (
        "A path of a layer must be UTF-8, but got b'etc/caf\\xe9'. Rename the file, or leave it out."
    )


@pytest.mark.parametrize("target", ["", "a\0b", "caf\udce9"])
def test_refuses_symlinks_that_no_tar_can_hold(target: str) -> None:
    with pytest.raises(EntryError) as error:
        Entry("etc/x", EntryKind.SYMLINK, 0o777, link_target=target)
    assert str(error.value) == (
        f"The symlink 'etc/x' must point to a name in UTF-8, but points to {target!r}. Make it again, or leave it out."
    )


def test_whiteouts() -> None:
    assert whiteout("etc/passwd").path == "etc/.wh.passwd"
    assert whiteout("etc").path == ".wh.etc"
    assert opaque_whiteout("etc").path == "etc/.wh..wh..opq"
